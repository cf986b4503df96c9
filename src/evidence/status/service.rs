//! The services of the policy table over all processes, and the exceptions that were used.

use crate::evidence::process::{ProcessEvidence, ServiceEvidence};
use fips::policy::{Exception, Service};
use serde::{Deserialize, Serialize};

/// One service over all processes, since they started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceTotal {
    /// Its stable name in the table.
    pub name: String,
    /// The algorithm and what is done with it.
    pub operation: String,
    /// `module`, `token` or `program`.
    pub performer: String,
    /// Whether it is approved.
    pub approved: bool,
    /// The exception that permits it; null where it is approved.
    pub exception: Option<String>,
    /// Performed, with or without a result.
    pub performed: u64,
    /// Of these, without a result, such as a signature that does not verify.
    pub failed: u64,
    /// Refused by the policy, or after a fault.
    pub refused: u64,
    /// Performed, and the module's indicator contradicted the table.
    pub disagreed: u64,
}

/// An exception that is in force somewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExceptionStatus {
    /// Its name.
    pub name: String,
    /// What it permits.
    pub permits: String,
    /// The processes that it is in force in.
    pub processes: Vec<String>,
    /// How often what it permits was performed.
    pub used: u64,
}

impl ServiceTotal {
    /// Every service of the table in its order, and behind them what a process of another release has counted besides.
    pub(super) fn over(processes: &[ProcessEvidence]) -> Vec<Self> {
        let mut totals: Vec<Self> = Service::ALL.into_iter().map(Self::none).collect();
        for counted in processes.iter().flat_map(|process| &process.services) {
            match totals.iter_mut().find(|total| total.name == counted.name) {
                Some(total) => total.add(counted),
                None => {
                    let mut total = Self::unknown(counted);
                    total.add(counted);
                    totals.push(total);
                }
            }
        }
        totals
    }

    fn none(service: Service) -> Self {
        let entry = service.entry();
        let exception = entry
            .standing
            .exception()
            .map(|exception| exception.name().to_owned());
        Self {
            name: entry.name.to_owned(),
            operation: entry.operation.to_owned(),
            performer: entry.performer.name().to_owned(),
            approved: entry.standing.is_approved(),
            exception,
            performed: 0,
            failed: 0,
            refused: 0,
            disagreed: 0,
        }
    }

    /// Not in this release's table, so nothing here can call it approved.
    fn unknown(counted: &ServiceEvidence) -> Self {
        Self {
            name: counted.name.clone(),
            operation: "a service that the policy table of this release does not have".to_owned(),
            performer: counted.performer.clone(),
            approved: false,
            exception: None,
            performed: 0,
            failed: 0,
            refused: 0,
            disagreed: 0,
        }
    }

    fn add(&mut self, counted: &ServiceEvidence) {
        let performed = counted.done.saturating_add(counted.failed);
        for (sum, more) in [
            (&mut self.performed, performed),
            (&mut self.failed, counted.failed),
            (&mut self.refused, counted.refused),
            (&mut self.disagreed, counted.disagreed),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}

impl ExceptionStatus {
    /// Those that are in force in one of the processes.
    pub(super) fn over(processes: &[ProcessEvidence], services: &[ServiceTotal]) -> Vec<Self> {
        let mut names: Vec<&str> = processes
            .iter()
            .flat_map(|process| process.exceptions.iter().map(String::as_str))
            .collect();
        names.sort_unstable();
        names.dedup();
        names
            .into_iter()
            .map(|name| Self {
                name: name.to_owned(),
                permits: name
                    .parse()
                    .map_or(
                        "an exception that this release does not have",
                        Exception::permits,
                    )
                    .to_owned(),
                processes: processes
                    .iter()
                    .filter(|process| process.exceptions.iter().any(|named| named == name))
                    .map(|process| process.process.clone())
                    .collect(),
                used: services
                    .iter()
                    .filter(|service| service.exception.as_deref() == Some(name))
                    .map(|service| service.performed)
                    .fold(0, u64::saturating_add),
            })
            .collect()
    }
}
