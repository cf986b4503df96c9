//! What shows that a token was well after a failure.
//!
//! A decryption that fails says nothing by itself. Any decryption with the same key and padding that *began after* the failure and
//! worked shows that the token was well: another request's, or that of a known ciphertext, the canary. Those who wait for one
//! canary share it. So a burst of bad ciphertexts costs few canaries where good ones are decrypted as well or several fail at once; and
//! where one stranger sends one after the other, canaries are limited by time ([`CANARIES`]).

use std::time::Duration;

use crate::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Beyond the limit of canaries, a success that is not older than this stands for one that began after the failure ...
const STALE: Duration = Duration::from_millis(100);
/// ... for so many failures. A token that dies in the midst of such a burst has so many answers taken for bad ciphertexts at most.
const STALE_USES: u32 = 8;

/// Canaries of one custody: at once, and for each second.
pub(super) const CANARIES: (u32, u32) = (256, 50);
/// Failures that are tried a second time when a canary has worked, because the token may have been in trouble for just that call: at
/// once, and for each second.
pub(super) const SECOND_TRIES: (u32, u32) = (64, 4);

/// A budget that fills up with time.
pub(super) struct Budget {
    most: u64,
    per_second: u64,
    /// Thousandths of a use that are left, and when that was so.
    left: Mutex<(u64, Duration)>,
}

impl Budget {
    pub(super) fn new((most, per_second): (u32, u32)) -> Self {
        let most = u64::from(most) * 1000;
        Self {
            most,
            per_second: u64::from(per_second),
            left: Mutex::new((most, Duration::ZERO)),
        }
    }

    /// Takes one, if there is one left.
    pub(super) fn take(&self, now: Duration) -> bool {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = u64::try_from(now.saturating_sub(left.1).as_millis()).unwrap_or(u64::MAX);
        // As many thousandths as milliseconds, for each per second.
        let filled = left
            .0
            .saturating_add(elapsed.saturating_mul(self.per_second))
            .min(self.most);
        let (taken, is_there) = match filled.checked_sub(1000) {
            Some(rest) => (rest, true),
            None => (filled, false),
        };
        // The clock's fractions of a millisecond are not lost.
        if elapsed > 0 {
            left.1 = now;
        }
        left.0 = taken;
        is_there
    }
}

#[derive(Default)]
struct State {
    /// The number of the latest use that worked, in the order in which uses begin; and when it had worked.
    good: Option<(u64, Duration)>,
    stale_uses: u32,
    running: bool,
}

/// What is known of one key with one padding.
#[derive(Default)]
pub(super) struct Evidence {
    state: Mutex<State>,
    ended: Condvar,
}

/// What to do about a failure.
pub(super) enum Verdict<'a> {
    /// The token was well.
    Well,
    /// Nobody knows: run a canary, and keep this meanwhile.
    RunCanary(Running<'a>),
}

/// A canary that somebody runs. Dropping it tells those who wait for it that it has ended, whatever happens to who runs it;
/// [`Evidence::worked`] before, if it did.
pub(super) struct Running<'a>(&'a Evidence);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.lock().running = false;
        self.0.ended.notify_all();
    }
}

impl Evidence {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A use that began as number `begun` has worked.
    pub(super) fn worked(&self, begun: u64, now: Duration) {
        let mut state = self.lock();
        if state.good.is_none_or(|(good, _)| good < begun) {
            state.good = Some((begun, now));
            state.stale_uses = 0;
        }
    }

    /// Judges a failure after which the next use to begin has a number above `failed`. Waits while somebody else runs a canary.
    pub(super) fn judge(&self, failed: u64, now: Duration, canaries: &Budget) -> Verdict<'_> {
        let mut state = self.lock();
        loop {
            if state.good.is_some_and(|(good, _)| good > failed) {
                return Verdict::Well;
            }
            if !state.running {
                break;
            }
            state = self
                .ended
                .wait_while(state, |state| state.running)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let is_stale_but_fine = state.stale_uses < STALE_USES
            && state
                .good
                .is_some_and(|(_, at)| now.saturating_sub(at) <= STALE);
        if !canaries.take(now) && is_stale_but_fine {
            state.stale_uses += 1;
            return Verdict::Well;
        }
        state.running = true;
        Verdict::RunCanary(Running(self))
    }
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn plenty() -> Budget {
        Budget::new((u32::MAX, 0))
    }

    fn none() -> Budget {
        Budget::new((0, 0))
    }

    /// Whether a canary is asked for, which has ended afterwards.
    fn asks(verdict: Verdict<'_>) -> bool {
        matches!(verdict, Verdict::RunCanary(_))
    }

    #[test]
    fn only_what_began_after_a_failure_says_something_about_it() {
        let evidence = Evidence::default();
        evidence.worked(5, ms(0));
        assert!(asks(evidence.judge(5, ms(0), &plenty())));
        let running = evidence.judge(5, ms(0), &plenty());
        evidence.worked(7, ms(0));
        assert!(asks(running));
        assert!(!asks(evidence.judge(6, ms(900), &plenty())));
        assert!(asks(evidence.judge(7, ms(0), &plenty())));
    }

    #[test]
    fn those_who_fail_at_once_share_one_canary() {
        let evidence = Evidence::default();
        let (numbers, canaries) = (AtomicU64::new(8), AtomicU64::new(0));
        let budget = plenty();
        // All eight have failed before any canary begins.
        std::thread::scope(|scope| {
            for failed in 0..8 {
                let (evidence, numbers, canaries, budget) =
                    (&evidence, &numbers, &canaries, &budget);
                scope.spawn(move || {
                    let verdict = evidence.judge(failed, ms(0), budget);
                    if let Verdict::RunCanary(_running) = &verdict {
                        let begun = numbers.fetch_add(1, Ordering::SeqCst);
                        canaries.fetch_add(1, Ordering::SeqCst);
                        evidence.worked(begun, ms(0));
                    }
                });
            }
        });
        assert_eq!(canaries.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn beyond_the_limit_a_recent_success_stands_for_a_few_failures_and_then_a_canary_runs_after_all()
     {
        let evidence = Evidence::default();
        evidence.worked(1, ms(1000));
        for _ in 0..STALE_USES {
            assert!(!asks(evidence.judge(9, ms(1100), &none())));
        }
        let running = evidence.judge(9, ms(1100), &none());
        evidence.worked(10, ms(1100));
        assert!(asks(running));
        assert!(!asks(evidence.judge(11, ms(1200), &none())));
        assert!(asks(evidence.judge(11, ms(1201), &none())));
    }

    #[test]
    fn a_budget_is_used_up_and_fills_with_time_but_not_over() {
        let budget = Budget::new((2, 4));
        assert!(budget.take(ms(0)) && budget.take(ms(0)));
        assert!(!budget.take(ms(0)) && !budget.take(ms(249)));
        assert!(budget.take(ms(250)) && !budget.take(ms(251)));
        assert!(budget.take(ms(90_000)) && budget.take(ms(90_000)));
        assert!(!budget.take(ms(90_000)));
    }
}
