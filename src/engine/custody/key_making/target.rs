//! The custody key that private keys are sealed to.
//!
//! Only the public half is needed to seal, so that nothing would show when the private one is gone or may not be used any more: the sealed
//! key would be lost. So what was looked up is believed for a while only, and only while the tokens are what they were.

use super::super::refusal::Refusal;
use super::super::to_custody_key;
use hsm::{Custody, Health, KeyFingerprint, KeyInfo};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So long it is believed that a key is there and may be used, and that there is no other.
const BELIEVED: Duration = Duration::from_secs(30);

/// What changes when a token was opened, lost its handles or came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Generations {
    logins: u64,
    modules: u64,
    handles: u64,
}

impl Generations {
    fn of(health: &Health) -> Self {
        Self {
            logins: health.logins,
            modules: health.module_generation,
            handles: health.generation,
        }
    }
}

/// What was looked up last.
#[derive(Debug)]
struct Believed<T>(Mutex<Option<(Instant, Generations, T)>>);

impl<T> Default for Believed<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Believed<T> {
    /// What is believed and meant, or what `look` finds. `tokens` are as they were before it looks.
    fn get(
        &self,
        now: Instant,
        tokens: Generations,
        is_meant: impl Fn(&T) -> bool,
        look: impl FnOnce() -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((seen, as_they_were, known)) = lock().as_ref()
            && now.saturating_duration_since(*seen) < BELIEVED
            && *as_they_were == tokens
            && is_meant(known)
        {
            return Ok(known.clone());
        }
        let found = look();
        *lock() = found.as_ref().ok().map(|new| (now, tokens, new.clone()));
        found
    }
}

/// The keys that were sealed to last.
#[derive(Debug, Default)]
pub(super) struct Targets {
    named: Believed<KeyInfo>,
    only: Believed<KeyInfo>,
}

impl Targets {
    /// The named key (SHA-256 of its SubjectPublicKeyInfo in hexadecimal), or the only one that may be used.
    ///
    /// # Errors
    /// The refusal that says why there is none.
    pub(super) fn find(
        &self,
        custody: &dyn Custody,
        named: Option<&str>,
    ) -> Result<KeyInfo, Refusal> {
        match named {
            None => self.only(custody),
            Some(named) => {
                let wanted = named.parse().map_err(|_| {
                    Refusal::bad_request("custodyKey is not a SHA-256 in lower-case hexadecimal")
                })?;
                self.named(custody, wanted)
            }
        }
    }

    /// The key of this fingerprint, if it is there and may be used.
    ///
    /// # Errors
    /// The refusal that says so.
    pub(super) fn named(
        &self,
        custody: &dyn Custody,
        wanted: KeyFingerprint,
    ) -> Result<KeyInfo, Refusal> {
        let tokens = Generations::of(&custody.health());
        let is_meant = |key: &KeyInfo| key.fingerprint == wanted;
        self.named.get(Instant::now(), tokens, is_meant, || {
            to_custody_key::usable(custody, wanted)?.ok_or_else(|| {
                Refusal::key_not_found(format!(
                    "the custody key {wanted} that keys are to be sealed to is not on a token or may not be used"
                ))
            })
        })
    }

    fn only(&self, custody: &dyn Custody) -> Result<KeyInfo, Refusal> {
        let tokens = Generations::of(&custody.health());
        self.only.get(Instant::now(), tokens, |_| true, || {
            let mut usable = custody.keys()?.into_iter().filter(KeyInfo::is_usable);
            match (usable.next(), usable.next()) {
                (Some(key), None) => Ok(key),
                (None, _) => Err(Refusal::key_not_found(
                    "there is no custody key that may be used: `status` says why".to_owned(),
                )),
                (Some(_), Some(_)) => Err(Refusal::bad_request(
                    "there are several custody keys: name the one that keys are sealed to as `engine.issuance.custody_key`, or in the request",
                )),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, missing_docs)]
    use super::*;

    const TOKENS: Generations = Generations {
        logins: 1,
        modules: 1,
        handles: 1,
    };

    fn gone() -> Result<u8, Refusal> {
        Err(Refusal::key_not_found("it is gone".to_owned()))
    }

    fn get(
        believed: &Believed<u8>,
        now: Instant,
        look: impl FnOnce() -> Result<u8, Refusal>,
    ) -> Result<u8, Refusal> {
        believed.get(now, TOKENS, |_| true, look)
    }

    #[test]
    fn a_key_is_looked_up_again_after_a_while_and_one_that_is_gone_is_not_sealed_to() {
        let believed = Believed::default();
        let begin = Instant::now();
        assert_eq!(get(&believed, begin, || Ok(7)).unwrap(), 7);
        let soon = begin + BELIEVED - Duration::from_millis(1);
        let known = get(&believed, soon, || panic!("it is known"));
        assert_eq!(known.unwrap(), 7);
        get(&believed, begin + BELIEVED, gone).unwrap_err();
        // Nor is it believed afterwards.
        get(&believed, begin + BELIEVED, gone).unwrap_err();
        assert_eq!(get(&believed, begin + BELIEVED, || Ok(8)).unwrap(), 8);
    }

    #[test]
    fn a_token_that_was_opened_again_or_lost_its_handles_is_asked_again() {
        let changes = [
            Generations {
                logins: 2,
                ..TOKENS
            },
            Generations {
                modules: 2,
                ..TOKENS
            },
            Generations {
                handles: 2,
                ..TOKENS
            },
        ];
        for change in changes {
            let believed = Believed::default();
            let now = Instant::now();
            believed.get(now, TOKENS, |_| true, || Ok(7)).unwrap();
            believed.get(now, change, |_| true, gone).unwrap_err();
        }
    }

    #[test]
    fn one_key_is_never_taken_for_another() {
        let believed = Believed::default();
        let now = Instant::now();
        let get = |wanted: u8| believed.get(now, TOKENS, |key| *key == wanted, || Ok(wanted));
        assert_eq!((get(1).unwrap(), get(2).unwrap()), (1, 2));
    }
}
