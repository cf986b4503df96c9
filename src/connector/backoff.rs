//! Pauses between attempts: doubled each time, shortened by a random part so that many connectors do not return together.

use crate::config::RetryConfig;
use std::time::Duration;

/// A row of growing pauses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Backoff {
    base_ms: u64,
    max_ms: u64,
    step: u32,
}

impl Backoff {
    /// Pauses as configured.
    pub(super) fn new(retry: RetryConfig) -> Self {
        Self {
            base_ms: retry.base_ms.max(1),
            max_ms: retry.max_ms.max(1),
            step: 0,
        }
    }

    /// The same, but never longer than `max`.
    pub(super) fn at_most(mut self, max: Duration) -> Self {
        let max_ms = u64::try_from(max.as_millis()).unwrap_or(u64::MAX).max(1);
        self.max_ms = self.max_ms.min(max_ms);
        self
    }

    /// The next pause: between half and all of the doubled one.
    pub(super) fn next(&mut self) -> Duration {
        let full = self
            .base_ms
            .saturating_mul(1_u64.checked_shl(self.step.min(40)).unwrap_or(u64::MAX))
            .min(self.max_ms);
        self.step = self.step.saturating_add(1);
        // Without randomness the pause is whole.
        let random = fips::random::array::<4>().map_or(0, u32::from_be_bytes);
        Duration::from_millis(
            full - (full / 2).saturating_mul(u64::from(random)) / (u64::from(u32::MAX) + 1),
        )
    }

    /// Starts again with the shortest.
    pub(super) fn reset(&mut self) {
        self.step = 0;
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        missing_docs
    )]
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest_and_stay_within_bounds() {
        let retry = RetryConfig {
            base_ms: 100,
            max_ms: 1_000,
            max_attempts: 3,
        };
        let mut backoff = Backoff::new(retry);
        for full in [100, 200, 400, 800, 1_000, 1_000] {
            let pause = backoff.next().as_millis();
            assert!(pause >= full / 2 && pause <= full, "{pause} of {full}");
        }
        for _ in 0..200 {
            assert!(backoff.next() <= Duration::from_secs(1));
        }
    }
}
