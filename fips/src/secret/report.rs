//! What can be said of the memory that secrets are in.

use super::{NO_PLACE, POOL, SecretBytes, TAKEN_FROM_POOL, TOO_LONG};
use rustix::process::{Resource, getrlimit};
use std::sync::OnceLock;
use std::sync::atomic::Ordering;

/// Where the secrets of this process are. All sizes in bytes; nothing of any secret is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryReport {
    /// Memory of the pool, guard pages not counted.
    pub reserved_bytes: usize,
    /// So much of it is locked: never in swap space. Less than all means that the system refused (`RLIMIT_MEMLOCK`).
    pub locked_bytes: usize,
    /// So much of it is left out of core dumps.
    pub not_dumped_bytes: usize,
    /// So much of it is empty in a forked child.
    pub wiped_on_fork_bytes: usize,
    /// `RLIMIT_MEMLOCK`; none where there is no limit.
    pub lock_limit_bytes: Option<u64>,
    /// Secrets that are in the pool now.
    pub in_pool_now: usize,
    /// Secrets that got a place in the pool, since the process started.
    pub in_pool: u64,
    /// Secrets on the heap because they are longer than the pool takes (16 KiB), since the process started.
    pub on_heap_too_long: u64,
    /// Secrets on the heap because the pool had no place, since the process started.
    pub on_heap_no_place: u64,
}

impl MemoryReport {
    /// Whether all of the pool is locked, out of core dumps and empty in a child.
    #[must_use]
    pub fn is_protected(&self) -> bool {
        self.reserved_bytes > 0
            && self.locked_bytes == self.reserved_bytes
            && self.not_dumped_bytes == self.reserved_bytes
            && self.wiped_on_fork_bytes == self.reserved_bytes
    }

    /// What is not as it should be, in a sentence with the remedy; `None` if all is.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        if self.reserved_bytes == 0 {
            return Some(
                "secrets are on the heap: the system gives no memory for them (address space, RLIMIT_AS)"
                    .to_owned(),
            );
        }
        if self.locked_bytes < self.reserved_bytes {
            return Some(format!(
                "{} of {} bytes for secrets are locked, the rest may be swapped out: RLIMIT_MEMLOCK is {} (raise LimitMEMLOCK to 8M)",
                self.locked_bytes,
                self.reserved_bytes,
                self.lock_limit_bytes
                    .map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string()),
            ));
        }
        if !self.is_protected() {
            return Some(
                "the kernel does not keep the memory for secrets out of core dumps and of forked children (MADV_DONTDUMP, MADV_WIPEONFORK)"
                    .to_owned(),
            );
        }
        if self.on_heap_no_place > 0 {
            return Some(format!(
                "{} secrets were on the heap because the memory for them was full",
                self.on_heap_no_place
            ));
        }
        None
    }
}

/// `RLIMIT_MEMLOCK` of this process, asked once: a sandbox that is put in force later may not let it be asked.
fn lock_limit_bytes() -> Option<u64> {
    static LIMIT: OnceLock<Option<u64>> = OnceLock::new();
    *LIMIT.get_or_init(|| getrlimit(Resource::Memlock).current)
}

/// Does what needs system calls that a sandbox may take away. Part of [`crate::start`].
pub(crate) fn prepare() {
    drop(SecretBytes::zeroed(1));
    lock_limit_bytes();
}

/// Where the secrets of this process are now. The pool is tried, so that it is there to be told of.
#[must_use]
pub fn memory_report() -> MemoryReport {
    prepare();
    let stock = POOL.stock();
    MemoryReport {
        reserved_bytes: stock.reserved,
        locked_bytes: stock.locked,
        not_dumped_bytes: stock.not_dumped,
        wiped_on_fork_bytes: stock.wiped_on_fork,
        lock_limit_bytes: lock_limit_bytes(),
        in_pool_now: stock.taken,
        in_pool: TAKEN_FROM_POOL.load(Ordering::Relaxed),
        on_heap_too_long: TOO_LONG.load(Ordering::Relaxed),
        on_heap_no_place: NO_PLACE.load(Ordering::Relaxed),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    const GOOD: MemoryReport = MemoryReport {
        reserved_bytes: 65_536,
        locked_bytes: 65_536,
        not_dumped_bytes: 65_536,
        wiped_on_fork_bytes: 65_536,
        lock_limit_bytes: Some(8 << 20),
        in_pool_now: 1,
        in_pool: 9,
        on_heap_too_long: 2,
        on_heap_no_place: 0,
    };

    #[test]
    fn each_thing_that_is_not_as_it_should_be_is_told() {
        assert_eq!(GOOD.problem(), None);
        let told = |report: MemoryReport| report.problem().unwrap();
        assert!(
            told(MemoryReport {
                reserved_bytes: 0,
                locked_bytes: 0,
                ..GOOD
            })
            .contains("heap")
        );
        let unlocked = MemoryReport {
            locked_bytes: 0,
            lock_limit_bytes: Some(0),
            ..GOOD
        };
        assert!(told(unlocked).contains("RLIMIT_MEMLOCK is 0"));
        let dumped = MemoryReport {
            not_dumped_bytes: 0,
            ..GOOD
        };
        assert!(told(dumped).contains("MADV_DONTDUMP"));
        let full = MemoryReport {
            on_heap_no_place: 3,
            ..GOOD
        };
        assert!(told(full).starts_with("3 secrets"));
    }

    #[test]
    fn a_report_counts_what_there_is() {
        let held = SecretBytes::from_slice(b"secret");
        let report = memory_report();
        assert!(report.in_pool_now >= 1 && report.in_pool >= 2);
        assert!(report.reserved_bytes > 0);
        drop(held);
    }
}
