//! `[[engine.pkcs1_keys]]`: custody keys that decrypt records of old imports (PKCS#1 v1.5), and until when.

use crate::clock::parse_rfc3339;
use hsm::KeyFingerprint;
use serde::{Deserialize, Deserializer, de};
use std::fmt;
use std::str::FromStr;

/// A custody key that decrypts PKCS#1 v1.5 for some time to come.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pkcs1KeyConfig {
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub fingerprint: KeyFingerprint,
    /// The last day on which it does.
    pub until: LastDay,
}

const DAY_MS: i64 = 86_400_000;

/// A day in UTC, to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastDay {
    text: String,
    /// The first millisecond of the day after it.
    over_ms: i64,
}

/// The text is no date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a date is expected, such as \"2027-03-31\"")]
pub struct NoDate;

impl FromStr for LastDay {
    type Err = NoDate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_date = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        let begins_ms = is_date
            .then(|| parse_rfc3339(&format!("{text}T00:00:00Z")))
            .flatten()
            .ok_or(NoDate)?;
        Ok(Self {
            text: text.to_owned(),
            over_ms: begins_ms.saturating_add(DAY_MS),
        })
    }
}

impl LastDay {
    /// The first millisecond of the day after it, since 1970.
    #[must_use]
    pub const fn over_ms(&self) -> i64 {
        self.over_ms
    }

    /// How many days are left after this one: 0 on the day itself; `None` when it is over.
    #[must_use]
    pub fn days_left(&self, now_ms: i64) -> Option<u32> {
        let left_ms = self.over_ms.saturating_sub(now_ms);
        (left_ms > 0).then(|| u32::try_from((left_ms - 1) / DAY_MS).unwrap_or(u32::MAX))
    }
}

impl fmt::Display for LastDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for LastDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use crate::clock::{Clock, ManualClock};

    #[test]
    fn the_last_day_counts_to_its_end() {
        let until: LastDay = "2027-03-31".parse().unwrap();
        let clock = ManualClock::at(parse_rfc3339("2027-03-01T00:00:00Z").unwrap());
        assert_eq!(until.days_left(clock.now_ms()), Some(30));
        clock.advance_ms(30 * DAY_MS);
        assert_eq!(until.days_left(clock.now_ms()), Some(0), "the day begins");
        clock.advance_ms(DAY_MS - 1);
        assert_eq!(until.days_left(clock.now_ms()), Some(0), "its last moment");
        clock.advance_ms(1);
        assert_eq!(until.days_left(clock.now_ms()), None);
        assert_eq!(until.days_left(i64::MAX), None);
        assert_eq!(until.days_left(i64::MIN), Some(u32::MAX));
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "2027-02-30",
            "2027-13-01",
            "2027-3-1",
            "31.03.2027",
            "2027-03-31T00:00:00Z",
            "+027-03-31",
            "2027-03-3é",
        ] {
            assert_eq!(text.parse::<LastDay>(), Err(NoDate), "{text}");
        }
        assert_eq!(
            "2028-02-29".parse::<LastDay>().unwrap().to_string(),
            "2028-02-29"
        );
    }
}
