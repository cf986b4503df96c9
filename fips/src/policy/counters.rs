//! How often each service was performed in this process.

use super::Service;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug)]
struct Cells {
    done: AtomicU64,
    failed: AtomicU64,
    refused: AtomicU64,
    disagreed: AtomicU64,
}

static CELLS: [Cells; Service::ALL.len()] = [const {
    Cells {
        done: AtomicU64::new(0),
        failed: AtomicU64::new(0),
        refused: AtomicU64::new(0),
        disagreed: AtomicU64::new(0),
    }
}; Service::ALL.len()];

/// What happened to one decided use of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It gave a result.
    Done,
    /// It was performed and gave none, such as a signature that does not verify.
    Failed,
    /// It was refused by the policy, or because of a fault.
    Refused,
    /// The indicator contradicted the table.
    Disagreed,
}

pub(super) fn count(service: Service, outcome: Outcome) {
    let Some(cells) = CELLS.get(service as usize) else {
        return;
    };
    let cell = match outcome {
        Outcome::Done => &cells.done,
        Outcome::Failed => &cells.failed,
        Outcome::Refused => &cells.refused,
        Outcome::Disagreed => &cells.disagreed,
    };
    cell.fetch_add(1, Ordering::Relaxed);
}

/// The counters of one service since the process started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceCount {
    /// Which.
    pub service: Service,
    /// Performed with a result.
    pub done: u64,
    /// Performed without one, such as a signature that does not verify.
    pub failed: u64,
    /// Refused by the policy, or after a fault.
    pub refused: u64,
    /// Performed, and the module's indicator contradicted the table.
    pub disagreed: u64,
}

impl ServiceCount {
    /// How often the service was performed.
    #[must_use]
    pub const fn performed(&self) -> u64 {
        self.done.saturating_add(self.failed)
    }
}

/// The counters of every service, in the order of the table.
#[must_use]
pub fn counts() -> Vec<ServiceCount> {
    Service::ALL
        .iter()
        .zip(&CELLS)
        .map(|(service, cells)| ServiceCount {
            service: *service,
            done: cells.done.load(Ordering::Relaxed),
            failed: cells.failed.load(Ordering::Relaxed),
            refused: cells.refused.load(Ordering::Relaxed),
            disagreed: cells.disagreed.load(Ordering::Relaxed),
        })
        .collect()
}

/// How often something that is not approved was performed in this process, with or without a result.
#[must_use]
pub fn not_approved() -> u64 {
    counts()
        .iter()
        .filter(|count| !count.service.entry().standing.is_approved())
        .map(ServiceCount::performed)
        .fold(0, u64::saturating_add)
}
