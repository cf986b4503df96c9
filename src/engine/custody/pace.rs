//! How often a key signs for whoever comes: a connector that makes a handshake for each call, or everybody who asks an OCSP responder, must not
//! take the token from all others, nor fill the audit log.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);

/// Signatures of the last minute, by key.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<HashMap<String, Window>>);

#[derive(Debug)]
struct Window {
    since: Instant,
    signed: u32,
}

impl Pace {
    /// Whether the key may sign once more now; it is counted then.
    pub(super) fn admit(&self, key: &str, per_minute: u32, now: Instant) -> bool {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Names are the configuration's: there are no more windows than keys.
        let window = windows.entry(key.to_owned()).or_insert(Window {
            since: now,
            signed: 0,
        });
        if now.saturating_duration_since(window.since) >= MINUTE {
            *window = Window {
                since: now,
                signed: 0,
            };
        }
        if window.signed >= per_minute {
            return false;
        }
        window.signed = window.signed.saturating_add(1);
        true
    }
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;

    #[test]
    fn a_key_signs_so_often_in_a_minute_and_another_one_is_not_held_up() {
        let (pace, now) = (Pace::default(), Instant::now());
        assert!(pace.admit("a", 2, now) && pace.admit("a", 2, now));
        assert!(!pace.admit("a", 2, now + MINUTE - Duration::from_millis(1)));
        assert!(pace.admit("b", 2, now));
        assert!(pace.admit("a", 2, now + MINUTE));
    }
}
