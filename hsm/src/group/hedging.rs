//! When a request is taken for slow, and how many of the slow ones may be begun a second time. Pure.

use std::time::Duration;

use crate::Times;

/// Times that a quantile is taken of: those of the window before, and of this one.
const WINDOW: u64 = 512;
/// Fewer say nothing.
const ENOUGH: u64 = 32;
/// No request is slow before this.
const SHORTEST: Duration = Duration::from_millis(1);
/// One of so many requests may be begun a second time ...
const ONE_OF: u32 = 10;
/// ... and so many in a row, if there were none for a while.
const SAVED: u32 = 8;

/// How long requests to one token take of late.
#[derive(Debug, Default)]
pub(super) struct Recent {
    now: Times,
    before: Times,
}

impl Recent {
    pub(super) fn add(&mut self, time: Duration) {
        self.now.add(time);
        if self.now.count >= WINDOW {
            self.before = std::mem::take(&mut self.now);
        }
    }

    /// The time that `per_mille` of 1000 requests do not exceed. `None`: too few are known.
    pub(super) fn slow_from(&self, per_mille: u64) -> Option<Duration> {
        let mut all = self.before.clone();
        all.merge(&self.now);
        let quantile = all.quantile(per_mille)?;
        (all.count >= ENOUGH).then_some(quantile.max(SHORTEST))
    }
}

/// Bounds the second attempts of slow requests: tokens that all become slow must not get twice the work.
#[derive(Debug)]
pub(super) struct Budget {
    /// In parts of one attempt: [`ONE_OF`] are a whole one.
    parts: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            parts: ONE_OF * SAVED,
        }
    }
}

impl Budget {
    /// A request was begun.
    pub(super) fn request(&mut self) {
        self.parts = (self.parts + 1).min(ONE_OF * SAVED);
    }

    /// Takes one attempt, if one is left.
    pub(super) fn take(&mut self) -> bool {
        let left = self.parts.checked_sub(ONE_OF);
        if let Some(left) = left {
            self.parts = left;
        }
        left.is_some()
    }
}

/// Those of a group. Two: what is begun again because it is slow leaves enough for what does not come back.
#[derive(Debug, Default)]
pub(super) struct Budgets {
    /// For requests that are slow.
    pub(super) hedges: Budget,
    /// For requests that are late at a token that answers others.
    pub(super) moves: Budget,
}

impl Budgets {
    /// A request was begun.
    pub(super) fn request(&mut self) {
        self.hedges.request();
        self.moves.request();
    }
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs, clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_slow_follows_the_token() {
        let mut recent = Recent::default();
        assert_eq!(recent.slow_from(950), None);
        (0..2 * WINDOW).for_each(|_| recent.add(Duration::from_micros(900)));
        assert_eq!(recent.slow_from(950), Some(SHORTEST));
        (0..2 * WINDOW).for_each(|_| recent.add(Duration::from_millis(80)));
        assert!(recent.slow_from(950).unwrap() > Duration::from_millis(50));
    }

    #[test]
    fn one_of_ten_may_be_begun_again() {
        let mut budget = Budget::default();
        let mut taken = 0;
        for _ in 0..1000 {
            budget.request();
            taken += u32::from(budget.take());
        }
        assert!((100..=108).contains(&taken), "{taken}");
    }
}
