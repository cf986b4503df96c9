//! One decryption for several requests: while the password of a record is being decrypted, further requests for the same ciphertext
//! wait for its result (single flight). A record that goes to ten devices at once costs the token one operation.
//!
//! Nothing is kept: the password is in memory as long as one of the requests that share it. Each of them has passed its own checks (the
//! importer's signature, its device's certificates) before it comes here.

use super::refusal::Refusal;
use crate::engine::api::FailureCode;
use crate::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use fips::secret::Password;
use hsm::{KeyFingerprint, Padding};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// What is decrypted: the same key, padding and ciphertext have the same password.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Ciphertext {
    pub(super) key: KeyFingerprint,
    pub(super) padding: Padding,
    pub(super) bytes: Vec<u8>,
}

type Outcome = Result<Arc<Password>, Refusal>;

/// A decryption that runs.
#[derive(Default)]
struct Flight {
    outcome: Mutex<Option<Outcome>>,
    landed: Condvar,
}

impl Flight {
    fn lock(&self) -> MutexGuard<'_, Option<Outcome>> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn land(&self, outcome: Outcome) {
        *self.lock() = Some(outcome);
        self.landed.notify_all();
    }

    /// `None`: it takes too long.
    fn wait(&self, until: Instant) -> Option<Outcome> {
        let left = until.saturating_duration_since(Instant::now());
        let waited = self
            .landed
            .wait_timeout_while(self.lock(), left, |outcome| outcome.is_none());
        let (outcome, _) = waited.unwrap_or_else(PoisonError::into_inner);
        outcome.clone()
    }
}

/// The decryptions that run; as many as there are threads for requests, at most.
#[derive(Default)]
pub(super) struct Sharing {
    flights: Mutex<HashMap<Ciphertext, Arc<Flight>>>,
    shared: AtomicU64,
}

/// Takes a flight out and lands it, also if its decryption panics.
struct Landing<'a> {
    sharing: &'a Sharing,
    ciphertext: &'a Ciphertext,
    flight: Arc<Flight>,
}

impl Landing<'_> {
    /// Taken out first: who comes now begins anew.
    fn land(&self, outcome: Outcome) {
        let mut flights = self.sharing.lock();
        // The next one may be on its way already.
        if flights
            .get(self.ciphertext)
            .is_some_and(|flight| Arc::ptr_eq(flight, &self.flight))
        {
            flights.remove(self.ciphertext);
        }
        drop(flights);
        self.flight.land(outcome);
    }
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        if self.flight.lock().is_none() {
            self.land(Err(Refusal::fault(
                "decryption_panicked",
                "the decryption that others waited for did not end".to_owned(),
            )));
        }
    }
}

impl Sharing {
    fn lock(&self) -> MutexGuard<'_, HashMap<Ciphertext, Arc<Flight>>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests that were answered by another one's decryption.
    pub(super) fn count(&self) -> u64 {
        self.shared.load(Ordering::Relaxed)
    }

    /// The password, decrypted by `decrypt` or by whoever is decrypting it already; `true`: by `decrypt`.
    ///
    /// # Errors
    /// Those of the decryption. A failure that is about the other request's time, not about the ciphertext, is not shared: it is tried
    /// again. A token that did not come out of trouble in that time is one of them.
    pub(super) fn decrypt(
        &self,
        ciphertext: &Ciphertext,
        deadline: Instant,
        decrypt: impl Fn() -> Result<Password, Refusal>,
    ) -> (Outcome, bool) {
        loop {
            let (flight, is_mine) = {
                let mut flights = self.lock();
                match flights.get(ciphertext) {
                    Some(flight) => (Arc::clone(flight), false),
                    None => {
                        let flight = Arc::<Flight>::default();
                        flights.insert(ciphertext.clone(), Arc::clone(&flight));
                        (flight, true)
                    }
                }
            };
            if is_mine {
                let landing = Landing {
                    sharing: self,
                    ciphertext,
                    flight,
                };
                let outcome = decrypt().map(Arc::new);
                landing.land(outcome.clone());
                return (outcome, true);
            }
            match flight.wait(deadline) {
                None => return (Err(Refusal::deadline()), false),
                Some(Err(refusal))
                    if matches!(
                        refusal.told.code,
                        FailureCode::DeadlineExceeded
                            | FailureCode::Busy
                            | FailureCode::TokenUnavailable
                    ) && Instant::now() < deadline => {}
                Some(outcome) => {
                    self.shared.fetch_add(1, Ordering::Relaxed);
                    return (outcome, false);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    fn ciphertext(bytes: &[u8]) -> Ciphertext {
        Ciphertext {
            key: KeyFingerprint::from_bytes([1; 32]),
            padding: Padding::OaepSha256,
            bytes: bytes.to_vec(),
        }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    fn waiting_for(sharing: &Sharing, ciphertext: &Ciphertext) -> usize {
        let flights = sharing.lock();
        // The map's own, and the one who decrypts.
        flights
            .get(ciphertext)
            .map_or(0, |flight| Arc::strong_count(flight).saturating_sub(2))
    }

    #[test]
    fn who_comes_while_it_is_decrypted_shares_the_result_and_who_comes_later_does_not() {
        let sharing = Sharing::default();
        let same = ciphertext(b"one");
        let calls = AtomicU64::new(0);
        let (begin, begun) = channel::<()>();
        let (go, gone) = channel::<()>();
        let gone = Mutex::new(gone);
        std::thread::scope(|scope| {
            let first = scope.spawn(|| {
                sharing.decrypt(&same, soon(), || {
                    calls.fetch_add(1, Ordering::Relaxed);
                    begin.send(()).unwrap();
                    gone.lock().unwrap().recv().unwrap();
                    Ok(Password::from_slice(b"secret"))
                })
            });
            begun.recv().unwrap();
            let others: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        sharing.decrypt(&same, soon(), || {
                            calls.fetch_add(1, Ordering::Relaxed);
                            Ok(Password::from_slice(b"secret"))
                        })
                    })
                })
                .collect();
            while waiting_for(&sharing, &same) < 3 {
                std::thread::yield_now();
            }
            // Another ciphertext does not wait.
            let other = sharing.decrypt(&ciphertext(b"two"), soon(), || {
                Ok(Password::from_slice(b"other"))
            });
            assert_eq!(other.0.unwrap().expose(), b"other");
            go.send(()).unwrap();
            for one in others.into_iter().chain([first]) {
                assert_eq!(one.join().unwrap().0.unwrap().expose(), b"secret");
            }
        });
        assert_eq!((calls.load(Ordering::Relaxed), sharing.count()), (1, 3));
        assert!(sharing.lock().is_empty());
    }

    #[test]
    fn what_another_one_had_no_time_for_is_not_shared_and_a_bad_ciphertext_is() {
        for (code, expected_calls) in [
            (FailureCode::DeadlineExceeded, 2),
            (FailureCode::TokenUnavailable, 2),
            (FailureCode::DecryptionFailed, 1),
        ] {
            let sharing = Sharing::default();
            let same = ciphertext(b"one");
            let calls = AtomicU64::new(0);
            let (begin, begun) = channel::<()>();
            let (go, gone) = channel::<()>();
            let gone = Mutex::new(gone);
            std::thread::scope(|scope| {
                let first = scope.spawn(|| {
                    sharing.decrypt(&same, soon(), || {
                        calls.fetch_add(1, Ordering::Relaxed);
                        begin.send(()).unwrap();
                        gone.lock().unwrap().recv().unwrap();
                        Err(Refusal::open(code, "test", String::new()))
                    })
                });
                begun.recv().unwrap();
                let second = scope.spawn(|| {
                    sharing.decrypt(&same, soon(), || {
                        calls.fetch_add(1, Ordering::Relaxed);
                        Ok(Password::from_slice(b"secret"))
                    })
                });
                while waiting_for(&sharing, &same) < 1 {
                    std::thread::yield_now();
                }
                go.send(()).unwrap();
                assert!(first.join().unwrap().0.is_err());
                assert_eq!(second.join().unwrap().0.is_ok(), expected_calls == 2);
            });
            assert_eq!(calls.load(Ordering::Relaxed), expected_calls);
        }
    }

    #[test]
    fn who_has_landed_takes_nobody_elses_flight_out() {
        let sharing = Sharing::default();
        let same = ciphertext(b"one");
        let landed = Landing {
            sharing: &sharing,
            ciphertext: &same,
            flight: Arc::default(),
        };
        landed.land(Err(Refusal::deadline()));
        let next = Arc::<Flight>::default();
        sharing.lock().insert(same.clone(), Arc::clone(&next));
        drop(landed);
        assert!(sharing.lock().contains_key(&same));
    }

    #[test]
    fn who_has_no_time_does_not_wait_longer() {
        let sharing = Sharing::default();
        let same = ciphertext(b"one");
        let outcome = sharing.decrypt(&same, soon(), || {
            let (late, _) = sharing.decrypt(&same, Instant::now(), unreachable);
            assert_eq!(late.err().unwrap().told.code, FailureCode::DeadlineExceeded);
            Ok(Password::from_slice(b"secret"))
        });
        outcome.0.unwrap();
    }

    fn unreachable() -> Result<Password, Refusal> {
        Err(Refusal::fault("test", "it was decrypted twice".to_owned()))
    }
}
