//! The engine's report: what the supervisor knows itself, and what its parts say if they say it in time.

use super::part::Part;
use crate::config::EngineConfig;
use crate::engine::api::{EngineStatus, Figures, PartStatus};
use crate::engine::custody::CustodyReport;
use crate::engine::formats_process::FormatsReport;
use crate::engine::sandboxing::KernelWord;
use crate::evidence::process::ProcessEvidence;
use fips::policy::{Exception, Service};
use std::time::{Duration, Instant};

/// The name under which `sandbox = "off"` is shown among the exceptions.
const SANDBOX_OFF: &str = "sandbox-off";
/// How long a part may take to report before the report goes out without what it says.
const PART_LIMIT: Duration = Duration::from_secs(1);
/// The longest report of formats, in bytes: many times what an honest one has. It parses what strangers made.
const MOST_FORMATS_BYTES: usize = 64 * 1024;

/// Reports that one connection may wait for at once.
const MOST_OF_ONE: usize = 4;

/// What has to be done for somebody who asks for a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// The parts have to be asked.
    First,
    /// They have been, for others.
    Waits,
    /// Nothing: so many of this connection are not answered that it gets none.
    TooMany,
}

/// Those who wait for a report, and what has come for it.
#[derive(Debug, Default)]
pub(super) struct Reports {
    waiting: Vec<(u64, u64)>,
    until: Option<Instant>,
    custody: Awaited<CustodyReport>,
    formats: Awaited<FormatsReport>,
}

/// What a part says.
#[derive(Debug, Default)]
enum Awaited<T> {
    /// It was asked.
    Yet,
    /// It said so.
    Come(Box<T>),
    /// It was not asked, or will not answer.
    #[default]
    Never,
}

impl<T> Awaited<T> {
    fn asked(asked: bool) -> Self {
        if asked { Self::Yet } else { Self::Never }
    }

    fn take(&mut self) -> Option<T> {
        match std::mem::take(self) {
            Self::Come(said) => Some(*said),
            Self::Yet | Self::Never => None,
        }
    }
}

/// Everybody who waited for a report, and what the parts said.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) waiting: Vec<(u64, u64)>,
    pub(super) custody: Option<CustodyReport>,
    pub(super) formats: Option<FormatsReport>,
}

impl Reports {
    /// Somebody asks. Each connection waits for a few at most: with those that there may be, all are answered in a moment.
    pub(super) fn ask(&mut self, caller: u64, frame_id: u64, now: Instant) -> Asked {
        let of_caller = self.waiting.iter().filter(|(one, _)| *one == caller);
        if of_caller.count() >= MOST_OF_ONE {
            return Asked::TooMany;
        }
        self.waiting.push((caller, frame_id));
        if self.until.is_some() {
            return Asked::Waits;
        }
        self.until = Some(now + PART_LIMIT);
        Asked::First
    }

    /// Which parts could be asked.
    pub(super) fn asked(&mut self, custody: bool, formats: bool) {
        self.custody = Awaited::asked(custody);
        self.formats = Awaited::asked(formats);
    }

    /// What custody says; what comes too late is forgotten.
    pub(super) fn take_custody(&mut self, report: CustodyReport) {
        if self.until.is_some() {
            self.custody = Awaited::Come(Box::new(report));
        }
    }

    /// What formats says. It speaks for itself only, whatever it calls itself, and may be in a stranger's hand.
    pub(super) fn take_formats(&mut self, payload: &[u8]) {
        if self.until.is_none() {
            return;
        }
        let evidence = Some(payload)
            .filter(|payload| payload.len() <= MOST_FORMATS_BYTES)
            .and_then(|payload| serde_json::from_slice::<FormatsReport>(payload).ok())
            // It is the same program: more than the tables hold would only cost whoever puts it together.
            .filter(|said| said.fips.services.len() <= Service::ALL.len())
            .filter(|said| said.fips.exceptions.len() <= Exception::ALL.len());
        self.formats = match evidence {
            Some(said) => Awaited::Come(Box::new(FormatsReport {
                fips: ProcessEvidence {
                    process: "formats".to_owned(),
                    ..said.fips
                },
                ..said
            })),
            None => {
                tracing::error!("the report of formats is none of this release");
                Awaited::Never
            }
        };
    }

    /// Whether everything has come that will.
    pub(super) fn is_complete(&self) -> bool {
        !matches!(self.custody, Awaited::Yet) && !matches!(self.formats, Awaited::Yet)
    }

    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Everybody who waits, with what has come; nobody waits any more.
    pub(super) fn take(&mut self) -> Due {
        self.until = None;
        Due {
            waiting: std::mem::take(&mut self.waiting),
            custody: self.custody.take(),
            formats: self.formats.take(),
        }
    }

    pub(super) fn forget(&mut self, caller: u64) {
        self.waiting.retain(|(waiting, _)| *waiting != caller);
    }
}

/// Numbers that the routing thread counts.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counters {
    pub(super) answered: u64,
    pub(super) in_flight: u64,
}

/// Puts the report together. Without custody's part, what only it knows is null or empty and `token_problem` says why.
pub(super) fn compose(
    config: &EngineConfig,
    custody: &Part,
    formats: &Part,
    counters: Counters,
    due: (Option<CustodyReport>, Option<FormatsReport>),
    sandbox: &sandbox::Report,
) -> EngineStatus {
    let (report, said_by_formats) = due;
    let report = report.unwrap_or_else(CustodyReport::silent);
    let (said_by_formats, formats_sandbox) = match said_by_formats {
        Some(said) => (Some(said.fips), Some(said.sandbox)),
        None => (None, None),
    };
    let mut exceptions: Vec<String> = config
        .exceptions
        .iter()
        .map(|exception| exception.name().to_owned())
        .collect();
    // A custody process that was restarted after the file had changed honours what is in it now.
    exceptions.extend(report.exceptions);
    if sandbox.want == sandbox::Want::Off {
        exceptions.push(SANDBOX_OFF.to_owned());
    }
    exceptions.extend(report.fips.iter().flat_map(|fips| fips.exceptions.clone()));
    exceptions.sort();
    exceptions.dedup();
    let own = std::process::id();
    EngineStatus {
        version: crate::VERSION.to_owned(),
        // All parts are the same program, which starts with no other version.
        module_version: fips::EXPECTED_VERSION.to_owned(),
        program: None,
        module_fault: None,
        fips: std::iter::once(ProcessEvidence::of_this("supervisor"))
            .chain(report.fips)
            .chain(said_by_formats)
            .collect(),
        token: report.token,
        // Of the token that custody has opened: it may have read a file that was changed since this process started.
        token_certificate: report.token_certificate,
        token_problem: report.token_problem,
        revocation_lists: report.revocation_lists,
        capabilities: report.capabilities,
        keys: report.keys,
        parts: vec![
            PartStatus {
                name: "supervisor".to_owned(),
                pid: Some(own),
                restarts: 0,
                resident_bytes: resident_bytes(own),
                notes: Vec::new(),
                sandbox: Some(sandbox.clone()),
                kernel: KernelWord::of(own),
            },
            part_status("custody", custody, report.notes, report.sandbox),
            part_status("formats", formats, Vec::new(), formats_sandbox),
        ],
        exceptions,
        deliveries: report.deliveries,
        authorities: report.authorities,
        key_uses: report.key_uses,
        decryptions_shared: report.decryptions_shared,
        tokens: report.tokens,
        switching: report.switching,
        oracle: report.oracle,
        issuance: report.issuance,
        audit: report.audit,
        pkcs1_keys: report.pkcs1_keys,
        calendar: report.calendar,
        answered: counters.answered,
        in_flight: counters.in_flight,
        coarse: false,
    }
}

/// How often the figures that connectors are told are renewed, at most.
const RENEWED_AFTER: Duration = Duration::from_secs(60);

/// What all connectors are told, the same at the same time.
#[derive(Debug, Default)]
pub(super) struct Outward {
    figures: Option<(Instant, Figures)>,
}

impl Outward {
    /// The status for connectors: its states as they are, its figures as they were up to a minute ago.
    pub(super) fn of(&mut self, full: EngineStatus, now: Instant) -> EngineStatus {
        let mut told = full.for_connectors();
        let is_due = self
            .figures
            .as_ref()
            .is_none_or(|(since, _)| now.saturating_duration_since(*since) >= RENEWED_AFTER);
        // While custody says nothing there is nothing to renew them from.
        if is_due && told.custody_reports() {
            self.figures = Some((now, Figures::of(&told)));
        }
        match &self.figures {
            Some((_, figures)) => figures.put_into(&mut told),
            None => (told.answered, told.in_flight) = (0, 0),
        }
        told
    }
}

fn part_status(
    name: &str,
    part: &Part,
    notes: Vec<String>,
    sandbox: Option<sandbox::Report>,
) -> PartStatus {
    let pid = part.pid();
    PartStatus {
        name: name.to_owned(),
        pid,
        restarts: part.restarts(),
        resident_bytes: pid.and_then(resident_bytes),
        notes,
        sandbox,
        kernel: pid.and_then(KernelWord::of),
    }
}

/// Second field of `/proc/PID/statm` (proc(5)): resident pages.
fn resident_bytes(pid: u32) -> Option<u64> {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    pages.checked_mul(u64::try_from(rustix::param::page_size()).ok()?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use crate::engine::api::OracleStatus;

    fn status(answered: u64, refused: Option<u64>) -> EngineStatus {
        let json = serde_json::json!({
            "version": "", "moduleVersion": "", "token": null, "capabilities": null, "keys": [], "parts": [],
            "exceptions": [], "keyUses": answered, "answered": answered, "inFlight": 0,
        });
        EngineStatus {
            oracle: refused.map(|refused| OracleStatus {
                refused,
                ..OracleStatus::default()
            }),
            ..serde_json::from_value(json).unwrap()
        }
    }

    fn figures(told: &EngineStatus) -> (u64, u64, Option<u64>) {
        let refused = told.oracle.as_ref().map(|oracle| oracle.refused);
        (told.answered, told.key_uses, refused)
    }

    #[test]
    fn connectors_are_told_figures_that_are_renewed_once_a_minute_and_states_as_they_are() {
        let mut outward = Outward::default();
        let start = Instant::now();
        let mut at = |ms, status| outward.of(status, start + Duration::from_millis(ms));
        // Before custody has said anything there is nothing to be told.
        assert_eq!(figures(&at(0, status(3, None))), (0, 3, None));
        assert_eq!(figures(&at(1, status(4, Some(1)))), (4, 4, Some(1)));
        let mut later = status(5, Some(2));
        later.token_problem = Some("it is gone".to_owned());
        let told = at(60_000, later);
        assert_eq!(figures(&told), (4, 4, Some(1)));
        assert_eq!(told.token_problem.as_deref(), Some("it is gone"));
        assert!(told.coarse);
        // While custody is silent the time goes by, and nothing old is taken for what it says.
        assert_eq!(figures(&at(60_001, status(6, None))), (4, 6, None));
        assert_eq!(figures(&at(60_002, status(7, Some(3)))), (7, 7, Some(3)));
        assert_eq!(figures(&at(120_001, status(8, Some(4)))), (7, 7, Some(3)));
    }
}
