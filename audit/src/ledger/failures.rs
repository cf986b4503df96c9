//! Distinct failing ciphertexts of one importer or caller.

use super::asked::CiphertextId;
use super::limits::{DAY, HOUR, LARGEST_BUDGET, counts, window_ms};
use super::short::Short;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Failing ciphertexts within a day, each with the time of its last failure, in the order in which they came.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Failures {
    failures: Vec<(i64, Short)>,
    /// When the operator was last told that the budget is used up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alarmed_ms: Option<i64>,
}

impl Failures {
    /// One more; the same ciphertext counts once. `now_ms` is also what older ones expire by.
    pub(super) fn add(&mut self, now_ms: i64, id: CiphertextId) {
        let id = id.short();
        self.failures
            .retain(|(then, known)| *known != id && counts(*then, now_ms, DAY));
        self.failures.push((now_ms, id));
        // The newest suspend for longest: forgetting the oldest beyond the largest budget never lifts a suspension early.
        let over = self
            .failures
            .len()
            .saturating_sub(usize::try_from(LARGEST_BUDGET).unwrap_or(usize::MAX));
        self.failures.drain(..over);
    }

    /// How many count.
    pub(super) fn within(&self, now_ms: i64, window: Duration) -> u32 {
        let number = self
            .failures
            .iter()
            .filter(|(then, _)| counts(*then, now_ms, window))
            .count();
        u32::try_from(number).unwrap_or(u32::MAX)
    }

    /// Until when a budget of so many within this window is used up; `None` while it is not.
    pub(super) fn exhausted_until(
        &self,
        now_ms: i64,
        budget: u32,
        window: Duration,
    ) -> Option<i64> {
        let mut times: Vec<i64> = self
            .failures
            .iter()
            .map(|(then, _)| *then)
            .filter(|then| counts(*then, now_ms, window))
            .collect();
        times.sort_unstable();
        // Once so many of them are left that there is room for one more.
        let budget = usize::try_from(budget.max(1)).unwrap_or(usize::MAX);
        let leaving = times.len().checked_sub(budget)?;
        let last = times.get(leaving)?;
        Some(last.saturating_add(window_ms(window)))
    }

    /// Until when either budget is used up.
    pub(super) fn suspended_until(
        &self,
        now_ms: i64,
        per_hour: u32,
        per_day: Option<u32>,
    ) -> Option<i64> {
        let hour = self.exhausted_until(now_ms, per_hour, HOUR);
        let day = per_day.and_then(|per_day| self.exhausted_until(now_ms, per_day, DAY));
        hour.max(day)
    }

    /// Whether nobody was told since the last failure.
    pub(super) fn is_news(&self) -> bool {
        let newest = self.failures.iter().map(|(then, _)| *then).max();
        newest.is_some() && self.alarmed_ms < newest
    }

    pub(super) fn alarmed(&mut self, now_ms: i64) {
        let newest = self.failures.iter().map(|(then, _)| *then).max();
        // Also where the clock was set back meanwhile: it is the failures until now that were told.
        self.alarmed_ms = self.alarmed_ms.max(newest).max(Some(now_ms));
    }

    /// Whether there is anything left to remember.
    pub(super) fn is_empty_at(&self, now_ms: i64) -> bool {
        self.within(now_ms, DAY) == 0
    }
}
