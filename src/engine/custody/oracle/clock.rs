//! Whether somebody set the machine's clock while this process runs: budgets, quarantine and approvals go by it.
//!
//! A clock that was set forward makes failures older than they are: by an hour, and the hour's budgets are empty; by a day, and so are all. It
//! is believed, because there is no better one here, and told: against the time since the start of the machine, which nobody sets.

use audit::event::Alarm;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Steps that are not told: what a time service corrects once in a while.
const SLACK: Duration = Duration::from_secs(60);

/// Both clocks as they stood when they were last compared and one of them had moved.
#[derive(Debug)]
pub(super) struct ClockWatch(Mutex<(Instant, i64)>);

impl ClockWatch {
    pub(super) fn start(now: Instant, wall_ms: i64) -> Self {
        Self(Mutex::new((now, wall_ms)))
    }

    /// By how many milliseconds the clock was set since, forward or back, if that is more than may be. Small steps add up.
    fn step(&self, now: Instant, wall_ms: i64) -> Option<i64> {
        let mut before = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (then, wall_then_ms) = *before;
        let passed = now.saturating_duration_since(then).as_millis();
        let passed_ms = i64::try_from(passed).unwrap_or(i64::MAX);
        let step_ms = wall_ms
            .saturating_sub(wall_then_ms)
            .saturating_sub(passed_ms);
        if u128::from(step_ms.unsigned_abs()) <= SLACK.as_millis() {
            return None;
        }
        *before = (now, wall_ms);
        Some(step_ms)
    }

    /// The entry that tells it, when it is due.
    pub(super) fn alarm(&self, now: Instant, wall_ms: i64) -> Option<Alarm> {
        let step_ms = self.step(now, wall_ms)?;
        let seconds = step_ms.unsigned_abs() / 1000;
        let detail = if step_ms > 0 {
            format!(
                "the machine's clock is {seconds} s further than the time that passed since it was last looked at: somebody set it forward, or the machine stood still; failures count for so much shorter"
            )
        } else {
            format!(
                "the machine's clock was set back by {seconds} s: failures count for so much longer"
            )
        };
        Some(Alarm {
            what: "clockSet".to_owned(),
            importer: None,
            caller: None,
            ciphertext: None,
            detail,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    const START_MS: i64 = 1_790_000_000_000;

    #[test]
    fn a_clock_that_is_set_is_told_once_and_one_that_runs_is_not() {
        let start = Instant::now();
        let watch = ClockWatch::start(start, START_MS);
        let look = |after_s: u64, wall_s: i64| {
            watch.step(
                start + Duration::from_secs(after_s),
                START_MS + wall_s * 1000,
            )
        };
        assert_eq!(look(5, 5), None);
        assert_eq!(look(86_400, 86_410), None, "corrected by ten seconds");
        assert_eq!(look(86_405, 86_405 + 3600), Some(3_600_000));
        assert_eq!(look(86_410, 86_410 + 3600), None, "told");
        assert_eq!(look(86_415, 86_415), Some(-3_600_000));
        assert_eq!(look(200_000, 200_000), None);
    }

    #[test]
    fn small_steps_add_up() {
        let start = Instant::now();
        let watch = ClockWatch::start(start, START_MS);
        let told = (1..=10)
            .filter(|step| {
                let now = start + Duration::from_secs(5 * step);
                let set = i64::try_from(5 * step + 30 * step).unwrap() * 1000;
                watch.step(now, START_MS + set).is_some()
            })
            .count();
        assert_eq!(told, 3, "300 seconds in ten steps");
    }

    #[test]
    fn the_alarm_says_which_way() {
        let start = Instant::now();
        let watch = ClockWatch::start(start, START_MS);
        let forward = watch.alarm(start, START_MS + 3_600_000).unwrap();
        assert!(forward.detail.contains("3600 s further"));
        let back = watch.alarm(start, START_MS).unwrap();
        assert!(back.detail.contains("set back by 3600 s"));
        assert_eq!(watch.alarm(start, START_MS), None);
    }
}
