//! Whether the loop that asks for work goes round: for the watchdog, which must not be fed by a process whose loop hangs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Where the loop stands: in a step that has an end, or waiting for something that may take as long as it likes.
#[derive(Debug)]
pub(super) struct Turn {
    since: Instant,
    /// When the step began, in milliseconds since `since`, and one; 0: it waits.
    began: AtomicU64,
}

impl Turn {
    pub(super) fn new() -> Self {
        Self {
            since: Instant::now(),
            began: AtomicU64::new(0),
        }
    }

    /// A step begins.
    pub(super) fn step(&self) {
        let now = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.began.store(now.saturating_add(1), Ordering::Relaxed);
    }

    /// The step is over; what comes next may wait.
    pub(super) fn rest(&self) {
        self.began.store(0, Ordering::Relaxed);
    }

    /// Whether the step takes longer than this.
    pub(super) fn is_stuck(&self, limit: Duration) -> bool {
        match self.began.load(Ordering::Relaxed).checked_sub(1) {
            None => false,
            Some(began) => {
                self.since
                    .elapsed()
                    .saturating_sub(Duration::from_millis(began))
                    > limit
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;

    #[test]
    fn only_a_step_can_be_stuck() {
        let turn = Turn::new();
        let soon = Duration::from_millis(1);
        turn.step();
        while !turn.is_stuck(soon) {
            std::thread::yield_now();
        }
        assert!(!turn.is_stuck(Duration::from_secs(3600)));
        turn.rest();
        assert!(!turn.is_stuck(Duration::ZERO));
    }
}
