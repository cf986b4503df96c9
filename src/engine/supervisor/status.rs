//! The engine's report: what the supervisor knows itself, and what custody says if it says it in time.

use super::part::Part;
use crate::config::EngineConfig;
use crate::engine::api::{EngineStatus, PartStatus};
use crate::engine::custody::CustodyReport;
use crate::evidence::process::ProcessEvidence;
use std::time::{Duration, Instant};

/// How long custody may take to report before the report goes out without its part.
pub(super) const CUSTODY_LIMIT: Duration = Duration::from_secs(1);

/// Those who wait for a report.
#[derive(Debug, Default)]
pub(super) struct Reports {
    waiting: Vec<(u64, u64)>,
    until: Option<Instant>,
}

impl Reports {
    /// Somebody asks; whether custody has to be asked (it has been already when others wait).
    pub(super) fn ask(&mut self, caller: u64, frame_id: u64, now: Instant) -> bool {
        self.waiting.push((caller, frame_id));
        if self.until.is_some() {
            return false;
        }
        self.until = Some(now + CUSTODY_LIMIT);
        true
    }

    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Everybody who waits; nobody does any more.
    pub(super) fn take(&mut self) -> Vec<(u64, u64)> {
        self.until = None;
        std::mem::take(&mut self.waiting)
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
    report: Option<CustodyReport>,
) -> EngineStatus {
    let report = report.unwrap_or_else(CustodyReport::silent);
    let mut exceptions: Vec<String> = config
        .exceptions
        .iter()
        .map(|exception| exception.name().to_owned())
        .collect();
    // A custody process that was restarted after the file had changed honours what is in it now.
    exceptions.extend(report.exceptions);
    exceptions.extend(report.fips.iter().flat_map(|fips| fips.exceptions.clone()));
    exceptions.sort();
    exceptions.dedup();
    let own = std::process::id();
    EngineStatus {
        version: crate::VERSION.to_owned(),
        // All parts are the same program, which starts with no other version.
        module_version: fips::EXPECTED_VERSION.to_owned(),
        module_fault: None,
        fips: std::iter::once(ProcessEvidence::of_this("supervisor"))
            .chain(report.fips)
            .collect(),
        token: report.token,
        token_certificate: config.token.fips_certificate.clone(),
        token_problem: report.token_problem,
        capabilities: report.capabilities,
        keys: report.keys,
        parts: vec![
            PartStatus {
                name: "supervisor".to_owned(),
                pid: Some(own),
                restarts: 0,
                resident_bytes: resident_bytes(own),
                notes: Vec::new(),
            },
            part_status("custody", custody, report.notes),
            part_status("formats", formats, Vec::new()),
        ],
        exceptions,
        key_uses: report.key_uses,
        answered: counters.answered,
        in_flight: counters.in_flight,
    }
}

fn part_status(name: &str, part: &Part, notes: Vec<String>) -> PartStatus {
    let pid = part.pid();
    PartStatus {
        name: name.to_owned(),
        pid,
        restarts: part.restarts(),
        resident_bytes: pid.and_then(resident_bytes),
        notes,
    }
}

/// Second field of `/proc/PID/statm` (proc(5)): resident pages.
fn resident_bytes(pid: u32) -> Option<u64> {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    pages.checked_mul(u64::try_from(rustix::param::page_size()).ok()?)
}
