//! Whether a custody key may decrypt records of old imports (PKCS#1 v1.5): only where the configuration names it, until the day there.

use super::Shared;
use super::refusal::Refusal;
use crate::clock::{Clock, SystemClock};
use crate::config::Pkcs1KeyConfig;
use crate::engine::api::{FailureCode, Pkcs1KeyStatus};
use hsm::{KeyFingerprint, Padding};
use std::sync::{Mutex, PoisonError};

/// Refuses a record of this padding unless this key is named for it and its last day is not over.
///
/// # Errors
/// What speaks against it, and what to do. It follows from the record and the configuration alone.
pub(super) fn admit(
    keys: &[Pkcs1KeyConfig],
    padding: Padding,
    key: &KeyFingerprint,
    now_ms: i64,
) -> Result<(), Refusal> {
    if padding != Padding::Pkcs1 {
        return Ok(());
    }
    let named = keys.iter().find(|named| named.fingerprint == *key);
    let (reason, message) = match named {
        Some(named) if named.until.days_left(now_ms).is_some() => return Ok(()),
        Some(named) => (
            "pkcs1_over",
            format!(
                "the custody key {key} decrypted PKCS#1 v1.5 until {} (`engine.pkcs1_keys`), and does not any more: import the record again \
                 with an OAEP padding",
                named.until
            ),
        ),
        None => (
            "pkcs1_not_named",
            format!(
                "the record's padding is pkcs1 (PKCS#1 v1.5), and `engine.pkcs1_keys` does not name its custody key {key} for that: import the \
                 record again with an OAEP padding"
            ),
        ),
    };
    Err(Refusal::open(FailureCode::BadRequest, reason, message))
}

/// How the keys stand, for a report.
pub(super) fn status(keys: &[Pkcs1KeyConfig], now_ms: i64) -> Vec<Pkcs1KeyStatus> {
    keys.iter()
        .map(|key| Pkcs1KeyStatus {
            fingerprint: key.fingerprint.to_string(),
            until: key.until.to_string(),
            days_left: key.until.days_left(now_ms),
        })
        .collect()
}

/// Tells the operator's log of what is about to end or has ended, once for each number of days that are left.
#[derive(Debug, Default)]
pub(super) struct Reminder(Mutex<Vec<Option<u32>>>);

impl Reminder {
    pub(super) fn now_and_then(&self, shared: &Shared) {
        for key in self.due(&shared.config.pkcs1_keys, SystemClock.now_ms()) {
            tracing::warn!(
                custody_key = key.fingerprint,
                until = key.until,
                days_left = key.days_left,
                "{}",
                key.words()
            );
        }
    }

    /// Those of whom something is to be told that was not told before.
    fn due(&self, keys: &[Pkcs1KeyConfig], now_ms: i64) -> Vec<Pkcs1KeyStatus> {
        let now = status(keys, now_ms);
        let left: Vec<_> = now.iter().map(|key| key.days_left).collect();
        let before = std::mem::replace(
            &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner),
            left,
        );
        now.into_iter()
            .enumerate()
            .filter(|(place, key)| {
                key.is_ending() && before.get(*place).is_none_or(|told| *told != key.days_left)
            })
            .map(|(_, key)| key)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use crate::clock::{ManualClock, parse_rfc3339};
    use crate::engine::api::PKCS1_WARN_DAYS;

    const DAY_MS: i64 = 86_400_000;

    fn key(number: u8) -> KeyFingerprint {
        KeyFingerprint::from_bytes([number; 32])
    }

    fn named() -> Vec<Pkcs1KeyConfig> {
        vec![Pkcs1KeyConfig {
            fingerprint: key(1),
            until: "2027-03-31".parse().unwrap(),
        }]
    }

    fn at(text: &str) -> ManualClock {
        ManualClock::at(parse_rfc3339(text).unwrap())
    }

    #[test]
    fn a_key_decrypts_pkcs1_until_its_last_day_is_over() {
        let clock = at("2027-03-31T23:59:59.999Z");
        let admitted = |key| admit(&named(), Padding::Pkcs1, &key, clock.now_ms());
        admitted(key(1)).unwrap();
        let other = admitted(key(2)).unwrap_err();
        assert_eq!(other.reason, "pkcs1_not_named");
        clock.advance_ms(1);
        let over = admitted(key(1)).unwrap_err();
        assert_eq!(over.reason, "pkcs1_over");
        for text in ["2027-03-31", "engine.pkcs1_keys", "OAEP"] {
            assert!(over.told.message.contains(text), "{}", over.told.message);
        }
        assert!(!over.told.code.is_transient());
        // What is not of this padding is none of its business.
        for padding in Padding::OAEP {
            admit(&[], padding, &key(1), clock.now_ms()).unwrap();
        }
        assert!(admit(&[], Padding::Pkcs1, &key(1), 0).is_err());
    }

    #[test]
    fn its_end_is_told_each_day_from_thirty_days_before_and_then_once() {
        let reminder = Reminder::default();
        let keys = named();
        let clock = at("2027-02-28T12:00:00Z");
        let told = |clock: &ManualClock| reminder.due(&keys, clock.now_ms()).len();
        assert_eq!(told(&clock), 0, "31 days");
        clock.advance_ms(DAY_MS);
        for _ in 0..=PKCS1_WARN_DAYS {
            assert_eq!((told(&clock), told(&clock)), (1, 0));
            clock.advance_ms(DAY_MS);
        }
        assert_eq!(told(&clock), 1, "it is over");
        clock.advance_ms(DAY_MS);
        assert_eq!(told(&clock), 0);
        // A start tells anew.
        assert_eq!(Reminder::default().due(&keys, clock.now_ms()).len(), 1);
    }
}
