//! Monotonic time as custody sees it: one seam, so that tests move a clock of their own instead of waiting.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Where durations and deadlines come from. Never the wall clock, which people set.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Time since some fixed moment. Never goes back.
    fn now(&self) -> Duration;

    /// Returns when `pause` is over on this clock.
    fn pause(&self, pause: Duration);
}

/// The system's monotonic clock.
#[derive(Debug)]
pub struct MonotonicClock(Instant);

impl MonotonicClock {
    /// The clock, starting at zero now.
    #[must_use]
    pub fn start() -> Arc<Self> {
        Arc::new(Self(Instant::now()))
    }
}

impl Clock for MonotonicClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn pause(&self, pause: Duration) {
        std::thread::sleep(pause);
    }
}

/// A clock that stands until it is moved, for tests. A pause moves it: nobody waits.
#[derive(Debug, Default)]
pub struct ManualClock {
    nanos: AtomicU64,
    moved: Mutex<()>,
    changed: Condvar,
}

impl ManualClock {
    /// Moves the clock on, and wakes those in [`wait_until`](Self::wait_until).
    pub fn advance(&self, by: Duration) {
        let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        let _moving = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        self.nanos.fetch_add(nanos, Ordering::SeqCst);
        self.changed.notify_all();
    }

    /// Waits, in real time, until somebody has moved the clock to `time`.
    pub fn wait_until(&self, time: Duration) {
        let moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        let _moved = self
            .changed
            .wait_while(moved, |()| self.now() < time)
            .unwrap_or_else(PoisonError::into_inner);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Duration {
        Duration::from_nanos(self.nanos.load(Ordering::SeqCst))
    }

    fn pause(&self, pause: Duration) {
        self.advance(pause);
    }
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;

    #[test]
    fn a_manual_clock_moves_by_itself_only_for_a_pause() {
        let clock = ManualClock::default();
        assert_eq!(clock.now(), Duration::ZERO);
        clock.pause(Duration::from_secs(3600));
        clock.advance(Duration::from_millis(1));
        assert_eq!(clock.now(), Duration::from_millis(3_600_001));
        clock.wait_until(Duration::from_secs(3600));
    }
}
