//! policy.json: the table that decides, row by row, with what each process counted.

use crate::evidence::process::ServiceEvidence;
use crate::evidence::status::FipsStatus;
use fips::policy::{Exception, Service, TABLE_VERSION};
use serde::Serialize;

/// The document.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::evidence::bundle) struct PolicyDocument {
    /// Version of the table of the program that wrote the bundle; each process says that of its own.
    table_version: u32,
    mode: String,
    approved: u64,
    not_approved: u64,
    pub(in crate::evidence::bundle) services: Vec<ServiceRow>,
    /// What a process of another release counted and this table does not have.
    pub(in crate::evidence::bundle) unknown_services: Vec<UnknownRow>,
    pub(in crate::evidence::bundle) exceptions: Vec<ExceptionRow>,
}

/// One row of the table.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::evidence::bundle) struct ServiceRow {
    pub(in crate::evidence::bundle) name: &'static str,
    pub(in crate::evidence::bundle) operation: &'static str,
    pub(in crate::evidence::bundle) parameters: &'static str,
    pub(in crate::evidence::bundle) bounds: Vec<BoundRow>,
    pub(in crate::evidence::bundle) performer: &'static str,
    pub(in crate::evidence::bundle) approved: bool,
    /// Why it is not approved.
    pub(in crate::evidence::bundle) reason: Option<&'static str>,
    /// What permits it in strict mode all the same.
    pub(in crate::evidence::bundle) exception: Option<&'static str>,
    pub(in crate::evidence::bundle) source: &'static str,
    pub(in crate::evidence::bundle) remedy: Option<&'static str>,
    /// What the module's indicator does over one use: `moves`, `stands-still` or `no-evidence`.
    indicator: &'static str,
    /// Where in the program it is performed.
    functions: &'static [&'static str],
    /// Performed, in all processes.
    pub(in crate::evidence::bundle) performed: u64,
    pub(in crate::evidence::bundle) refused: u64,
    /// Since each process started; those that never came to it are left out.
    pub(in crate::evidence::bundle) processes: Vec<CountRow>,
}

/// A number that the decision depends on.
#[derive(Debug, Serialize)]
pub(in crate::evidence::bundle) struct BoundRow {
    pub(in crate::evidence::bundle) name: &'static str,
    pub(in crate::evidence::bundle) minimum: u64,
    /// The range that the laboratory tested.
    pub(in crate::evidence::bundle) tested: Option<(u64, u64)>,
}

/// What one process counted of a service.
#[derive(Debug, Serialize)]
pub(in crate::evidence::bundle) struct CountRow {
    pub(in crate::evidence::bundle) process: String,
    pub(in crate::evidence::bundle) done: u64,
    pub(in crate::evidence::bundle) failed: u64,
    pub(in crate::evidence::bundle) refused: u64,
    pub(in crate::evidence::bundle) disagreed: u64,
}

/// A service that the table does not have.
#[derive(Debug, Serialize)]
pub(in crate::evidence::bundle) struct UnknownRow {
    pub(in crate::evidence::bundle) name: String,
    pub(in crate::evidence::bundle) processes: Vec<CountRow>,
}

/// An exception that a configuration may name.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::evidence::bundle) struct ExceptionRow {
    pub(in crate::evidence::bundle) name: &'static str,
    pub(in crate::evidence::bundle) permits: &'static str,
    services: Vec<&'static str>,
    /// The processes that it is in force in; none: it is not named.
    pub(in crate::evidence::bundle) in_force: Vec<String>,
    pub(in crate::evidence::bundle) used: u64,
}

impl PolicyDocument {
    pub(in crate::evidence::bundle) fn of(status: &FipsStatus) -> Self {
        let known = |name: &str| Service::ALL.iter().any(|service| service.name() == name);
        let mut unknown: Vec<&str> = status
            .processes
            .iter()
            .flat_map(|process| &process.services)
            .map(|service| service.name.as_str())
            .filter(|name| !known(name))
            .collect();
        unknown.sort_unstable();
        unknown.dedup();
        Self {
            table_version: TABLE_VERSION,
            mode: status.mode.clone(),
            approved: status.approved,
            not_approved: status.not_approved,
            services: Service::ALL
                .into_iter()
                .map(|service| ServiceRow::of(service, status))
                .collect(),
            unknown_services: unknown
                .into_iter()
                .map(|name| UnknownRow {
                    name: name.to_owned(),
                    processes: counts(status, name),
                })
                .collect(),
            exceptions: Exception::ALL
                .into_iter()
                .map(|exception| ExceptionRow::of(exception, status))
                .collect(),
        }
    }
}

impl ServiceRow {
    fn of(service: Service, status: &FipsStatus) -> Self {
        let entry = service.entry();
        let processes = counts(status, entry.name);
        let reason = entry.standing.reason();
        let exception = entry.standing.exception().map(Exception::name);
        Self {
            name: entry.name,
            operation: entry.operation,
            parameters: entry.parameters,
            bounds: entry
                .bounds
                .iter()
                .map(|bound| BoundRow {
                    name: bound.name,
                    minimum: bound.minimum,
                    tested: bound.tested,
                })
                .collect(),
            performer: entry.performer.name(),
            approved: entry.standing.is_approved(),
            reason,
            exception,
            source: entry.source,
            remedy: Some(entry.remedy).filter(|remedy| !remedy.is_empty()),
            indicator: entry.indicator.name(),
            functions: entry.functions,
            performed: processes
                .iter()
                .map(|count| count.done.saturating_add(count.failed))
                .fold(0, u64::saturating_add),
            refused: processes
                .iter()
                .map(|count| count.refused)
                .fold(0, u64::saturating_add),
            processes,
        }
    }
}

impl ExceptionRow {
    fn of(exception: Exception, status: &FipsStatus) -> Self {
        let found = status
            .exceptions
            .iter()
            .find(|found| found.name == exception.name());
        Self {
            name: exception.name(),
            permits: exception.permits(),
            services: exception.services().map(|service| service.name()).collect(),
            in_force: found
                .map(|found| found.processes.clone())
                .unwrap_or_default(),
            used: found.map_or(0, |found| found.used),
        }
    }
}

/// What each process counted of a service, if it came to it.
fn counts(status: &FipsStatus, service: &str) -> Vec<CountRow> {
    let came_to_it = |count: &&ServiceEvidence| {
        [count.done, count.failed, count.refused, count.disagreed] != [0; 4]
    };
    status
        .processes
        .iter()
        .filter_map(|process| {
            let found = process
                .services
                .iter()
                .find(|count| count.name == service)?;
            Some(found).filter(came_to_it).map(|count| CountRow {
                process: process.process.clone(),
                done: count.done,
                failed: count.failed,
                refused: count.refused,
                disagreed: count.disagreed,
            })
        })
        .collect()
}
