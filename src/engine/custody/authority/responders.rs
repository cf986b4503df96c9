//! The certificates of the OCSP responders of this process. One is made at a time for each authority; while the token works on it, no lock is
//! held, and the old certificate serves for as long as it is valid.

use super::super::refusal::Refusal;
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// After a renewal that failed, the old certificate serves for so long before the next one is tried.
const PAUSE: Duration = Duration::from_secs(60);

/// A responder's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Delegated {
    pub(super) certificate: Vec<u8>,
    /// The responder's key (DER SubjectPublicKeyInfo).
    pub(super) spki: Vec<u8>,
    pub(super) renew_at: SystemTime,
    pub(super) not_after: SystemTime,
}

#[derive(Debug, Default)]
struct Responder {
    certificate: Option<Delegated>,
    in_making: bool,
    /// A renewal failed: the next one is not before this.
    not_before: Option<Instant>,
}

impl Responder {
    fn serving(&self, spki: &[u8], at: SystemTime) -> Option<&Delegated> {
        self.certificate
            .as_ref()
            .filter(|known| known.spki == spki && at < known.not_after)
    }
}

/// By the names of their authorities.
#[derive(Debug, Default)]
pub(super) struct Responders {
    all: Mutex<BTreeMap<String, Responder>>,
    made: Condvar,
}

/// That one is being made, also if whoever makes it panics.
struct Making<'a> {
    responders: &'a Responders,
    ca: &'a str,
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        if let Some(responder) = self.responders.lock().get_mut(self.ca) {
            responder.in_making = false;
        }
        self.responders.made.notify_all();
    }
}

impl Responders {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Responder>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The end of the validity of an authority's, where there is one.
    pub(super) fn not_after(&self, ca: &str) -> Option<SystemTime> {
        let all = self.lock();
        let known = all.get(ca)?.certificate.as_ref()?;
        Some(known.not_after)
    }

    /// The certificate for this key: the known one while it need not be renewed, or is being renewed, or could not be; otherwise what `make`
    /// gives, which nobody else calls for this authority meanwhile. `clock` says what time it is.
    ///
    /// # Errors
    /// Those of `make`, where no certificate is valid; that the deadline is over before another request has made one.
    pub(super) fn get(
        &self,
        ca: &str,
        spki: &[u8],
        deadline: Instant,
        clock: impl Fn() -> SystemTime,
        make: impl FnOnce() -> Result<Delegated, Refusal>,
    ) -> Result<Delegated, Refusal> {
        let mut all = self.lock();
        loop {
            let responder = all.entry(ca.to_owned()).or_default();
            let now = clock();
            let waits = responder.in_making
                || responder
                    .not_before
                    .is_some_and(|not_before| Instant::now() < not_before);
            if let Some(known) = responder.serving(spki, now)
                && (waits || now < known.renew_at)
            {
                return Ok(known.clone());
            }
            if !responder.in_making {
                responder.in_making = true;
                break;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Refusal::deadline());
            }
            (all, _) = self
                .made
                .wait_timeout(all, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
        drop(all);
        let _making = Making {
            responders: self,
            ca,
        };
        let made = make();
        let mut all = self.lock();
        let responder = all.entry(ca.to_owned()).or_default();
        match made {
            Ok(new) => {
                responder.not_before = None;
                responder.certificate = Some(new.clone());
                Ok(new)
            }
            Err(refusal) => match responder.serving(spki, clock()).cloned() {
                Some(old) => {
                    tracing::error!(
                        ca,
                        reason = refusal.reason,
                        "the OCSP responder's certificate could not be renewed, the old one serves on: {}",
                        refusal.detail
                    );
                    responder.not_before = Instant::now().checked_add(PAUSE);
                    Ok(old)
                }
                None => Err(refusal),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, missing_docs)]
    use super::*;
    use crate::engine::api::FailureCode;
    use std::cell::Cell;
    use std::sync::mpsc::channel;

    const DAY: Duration = Duration::from_secs(86_400);

    fn at(days: u32) -> SystemTime {
        SystemTime::UNIX_EPOCH + DAY * (20_000 + days)
    }

    /// Made on a day: to be renewed a week later, valid for two.
    fn certificate(day: u32) -> Delegated {
        Delegated {
            certificate: day.to_be_bytes().to_vec(),
            spki: b"key".to_vec(),
            renew_at: at(day + 7),
            not_after: at(day + 14),
        }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    fn get(
        responders: &Responders,
        day: u32,
        made: Result<Delegated, Refusal>,
    ) -> Result<Delegated, FailureCode> {
        responders
            .get("ca", b"key", soon(), || at(day), || made)
            .map_err(|refusal| refusal.told.code)
    }

    #[test]
    fn while_one_is_made_nobody_is_kept_and_who_has_none_waits_no_longer_than_it_may() {
        let responders = &Responders::default();
        let (begin, begun) = channel();
        let (go, gone) = channel::<()>();
        std::thread::scope(|scope| {
            let first = scope.spawn(move || {
                responders.get(
                    "ca",
                    b"key",
                    soon(),
                    || at(0),
                    || {
                        begin.send(()).unwrap();
                        gone.recv().unwrap();
                        Ok(certificate(0))
                    },
                )
            });
            begun.recv().unwrap();
            // Another authority's, and a status.
            let other = responders.get("other", b"key", soon(), || at(0), || Ok(certificate(0)));
            assert_eq!(other.unwrap(), certificate(0));
            assert_eq!(responders.not_after("ca"), None);
            let impatient = responders.get(
                "ca",
                b"key",
                Instant::now(),
                || at(0),
                || panic!("two at once"),
            );
            assert_eq!(
                impatient.unwrap_err().told.code,
                FailureCode::DeadlineExceeded
            );
            let second = scope
                .spawn(|| responders.get("ca", b"key", soon(), || at(0), || panic!("two at once")));
            go.send(()).unwrap();
            assert_eq!(first.join().unwrap().unwrap(), certificate(0));
            assert_eq!(second.join().unwrap().unwrap(), certificate(0));
        });
        assert_eq!(responders.not_after("ca"), Some(at(14)));
    }

    #[test]
    fn the_old_one_serves_while_it_is_renewed() {
        let responders = Responders::default();
        get(&responders, 0, Ok(certificate(0))).unwrap();
        let renewed = responders.get(
            "ca",
            b"key",
            soon(),
            || at(8),
            || {
                let meanwhile = responders.get("ca", b"key", soon(), || at(8), || panic!("twice"));
                assert_eq!(meanwhile.unwrap(), certificate(0));
                Ok(certificate(8))
            },
        );
        assert_eq!(renewed.unwrap(), certificate(8));
        assert_eq!(
            get(&responders, 9, Err(Refusal::deadline())).unwrap(),
            certificate(8)
        );
    }

    #[test]
    fn a_renewal_that_fails_is_not_tried_by_every_request_and_matters_once_the_old_one_has_ended() {
        let responders = Responders::default();
        get(&responders, 0, Ok(certificate(0))).unwrap();
        let tries = Cell::new(0);
        let fails = |day| {
            responders.get(
                "ca",
                b"key",
                soon(),
                || at(day),
                || {
                    tries.set(tries.get() + 1);
                    Err(Refusal::deadline())
                },
            )
        };
        for _ in 0..3 {
            assert_eq!(fails(10).unwrap(), certificate(0));
        }
        assert_eq!(tries.get(), 1);
        assert_eq!(
            fails(14).unwrap_err().told.code,
            FailureCode::DeadlineExceeded
        );
        assert_eq!(tries.get(), 2);
        assert_eq!(
            get(&responders, 14, Ok(certificate(14))).unwrap(),
            certificate(14)
        );
    }

    #[test]
    fn a_certificate_is_for_one_key() {
        let responders = Responders::default();
        get(&responders, 0, Ok(certificate(0))).unwrap();
        let new = Delegated {
            spki: b"new".to_vec(),
            ..certificate(1)
        };
        let made = responders.get("ca", b"new", soon(), || at(1), || Ok(new.clone()));
        assert_eq!(made.unwrap(), new);
    }
}
