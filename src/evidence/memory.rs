//! Where a process has its secrets.

use serde::{Deserialize, Serialize};

/// What one process says of the memory that its secrets are in ([`fips::secret::memory_report`]). Sizes in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemoryEvidence {
    /// Memory for secrets alone.
    pub reserved_bytes: u64,
    /// So much of it is locked: never in swap space.
    pub locked_bytes: u64,
    /// So much of it is left out of core dumps and empty in a forked child.
    pub hidden_bytes: u64,
    /// RLIMIT_MEMLOCK; null where there is no limit.
    pub lock_limit_bytes: Option<u64>,
    /// Secrets that are in it now.
    pub in_pool_now: u64,
    /// Secrets that were in it since the process started.
    pub in_pool: u64,
    /// Secrets on the heap since then because they are longer than 16 KiB.
    pub on_heap_too_long: u64,
    /// Secrets on the heap since then because there was no room.
    pub on_heap_no_place: u64,
    /// What is not as it should be, with the remedy; null if nothing is.
    pub problem: Option<String>,
}

impl MemoryEvidence {
    /// What this process can say now.
    #[must_use]
    pub fn of_this_process() -> Self {
        let report = fips::secret::memory_report();
        let bytes = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
        Self {
            reserved_bytes: bytes(report.reserved_bytes),
            locked_bytes: bytes(report.locked_bytes),
            hidden_bytes: bytes(report.not_dumped_bytes.min(report.wiped_on_fork_bytes)),
            lock_limit_bytes: report.lock_limit_bytes,
            in_pool_now: bytes(report.in_pool_now),
            in_pool: report.in_pool,
            on_heap_too_long: report.on_heap_too_long,
            on_heap_no_place: report.on_heap_no_place,
            problem: report.problem(),
        }
    }

    /// One line for people.
    #[must_use]
    pub fn words(&self) -> String {
        match &self.problem {
            Some(problem) => problem.clone(),
            None => format!(
                "{} KiB locked, out of core dumps; {} secrets so far, {} longer ones on the heap",
                self.locked_bytes / 1024,
                self.in_pool,
                self.on_heap_too_long
            ),
        }
    }
}
