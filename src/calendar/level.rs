//! How near an end is.

use super::DAY_MS;
use serde::{Deserialize, Serialize};

/// So long before the end somebody should think of it: 30 days, or a third of the life of what lives for less than 90.
const SOON_MS: i64 = 30 * DAY_MS;
/// So long before the end it is late: 7 days, or a tenth of the life of what lives for less than 70.
const URGENT_MS: i64 = 7 * DAY_MS;

/// How near an end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Far.
    Fine,
    /// Somebody should think of it.
    Soon,
    /// It is late.
    Urgent,
    /// It is over.
    Expired,
}

impl Level {
    /// Every level, the best first.
    pub const ALL: [Self; 4] = [Self::Fine, Self::Soon, Self::Urgent, Self::Expired];

    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Soon => "soon",
            Self::Urgent => "urgent",
            Self::Expired => "expired",
        }
    }

    /// Of something with this life, at this time (all in milliseconds since 1970). What lives shortly is renewed shortly before its end, and
    /// would never be fine if only days counted.
    #[must_use]
    pub fn of(begins_ms: Option<i64>, ends_ms: i64, now_ms: i64) -> Self {
        let left = ends_ms.saturating_sub(now_ms);
        let life = begins_ms.map(|begins| ends_ms.saturating_sub(begins).max(0));
        let within =
            |longest: i64, part: i64| left < life.map_or(longest, |life| longest.min(life / part));
        if left <= 0 {
            Self::Expired
        } else if within(URGENT_MS, 10) {
            Self::Urgent
        } else if within(SOON_MS, 3) {
            Self::Soon
        } else {
            Self::Fine
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;
    use crate::clock::{Clock, ManualClock};

    /// The level for each number of hours that are left.
    fn levels(life_hours: Option<i64>, left_hours: &[i64]) -> Vec<Level> {
        const HOUR_MS: i64 = DAY_MS / 24;
        let end = 1_800_000_000_000;
        left_hours
            .iter()
            .map(|left| {
                let clock = ManualClock::at(end - left * HOUR_MS);
                let begin = life_hours.map(|hours| end - hours * HOUR_MS);
                Level::of(begin, end, clock.now_ms())
            })
            .collect()
    }

    #[test]
    fn a_year_counts_in_days_and_a_week_in_parts_of_it() {
        use Level::{Expired, Fine, Soon, Urgent};
        let expected = [Fine, Soon, Soon, Urgent, Urgent, Expired, Expired];
        let year = [30 * 24, 30 * 24 - 1, 7 * 24, 7 * 24 - 1, 1, 0, -1];
        assert_eq!(levels(Some(365 * 24), &year), expected);
        assert_eq!(levels(None, &year), expected, "a life that is not known");
        // Ten years are not soon for three.
        assert_eq!(levels(Some(3650 * 24), &[1000 * 24]), [Fine]);
        // A list of a week is made anew at half of its life.
        assert_eq!(
            levels(Some(168), &[84, 56, 55, 17, 16, 0]),
            [Fine, Fine, Soon, Soon, Urgent, Expired]
        );
        // A certificate of 90 days is renewed when 30 are left.
        assert_eq!(levels(Some(90 * 24), &[30 * 24, 30 * 24 - 1]), [Fine, Soon]);
    }

    #[test]
    fn a_life_that_ends_before_it_begins_is_over_at_its_end() {
        assert_eq!(Level::of(Some(10), 5, 4), Level::Fine);
        assert_eq!(Level::of(Some(10), 5, 5), Level::Expired);
        assert_eq!(Level::of(Some(i64::MIN), i64::MAX, i64::MIN), Level::Fine);
        assert_eq!(Level::of(None, i64::MIN, i64::MAX), Level::Expired);
    }
}
