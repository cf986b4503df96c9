//! An authority with what keeps it from being overrun: how many ask at once, and a breaker that leaves it alone when it fails. Orders and revocations
//! have a breaker each: an authority that cannot revoke may well issue.

use super::breaker::{Breaker, Heard, Pass};
use crate::ca::{Asked, AuthorityState};
use crate::config::{AuthorityKind, WhenUnknown};
use ca::{CertificationAuthority, Error, ErrorClass};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, SemaphorePermit};

/// What is expected of an authority's certificates, and how it is asked.
pub(crate) struct Terms {
    /// Certificates (DER) that what it issues has to chain to.
    pub(crate) roots: Vec<Vec<u8>>,
    /// Certificates (DER) that may lie between.
    pub(crate) intermediates: Vec<Vec<u8>>,
    /// What to do with an order that got lost.
    pub(crate) when_unknown: WhenUnknown,
    /// How long an order may stay pending.
    pub(crate) pending: Duration,
    /// How long an authority that does not answer is asked again.
    pub(crate) patience: Duration,
    /// First and longest pause between two attempts.
    pub(crate) pauses: (Duration, Duration),
}

/// What became of requests for its certificates, in this process.
#[derive(Default)]
pub(crate) struct Figures {
    /// Delivered.
    pub(crate) issued: AtomicU64,
    /// Failed for good.
    pub(crate) failed: AtomicU64,
    /// Orders that it decides later, when the journal was last asked.
    pub(crate) pending: AtomicU64,
}

/// An authority of the configuration.
pub(crate) struct Authority {
    pub(crate) ca: Arc<dyn CertificationAuthority>,
    pub(crate) terms: Terms,
    pub(crate) figures: Figures,
    kind: AuthorityKind,
    concurrency: usize,
    slots: Semaphore,
    /// Of orders.
    issuing: Mutex<Breaker>,
    revoking: Mutex<Breaker>,
    /// What it said of itself when it was last asked.
    asked: Mutex<Option<Asked>>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authority({})", self.ca.name())
    }
}

/// What an authority is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Issue,
    Revoke,
}

/// The right to ask an authority now.
pub(crate) struct Slot<'a> {
    breaker: &'a Mutex<Breaker>,
    deed: Deed,
    pass: Pass,
    settled: bool,
    _permit: SemaphorePermit<'a>,
}

impl Authority {
    pub(crate) fn new(
        ca: Arc<dyn CertificationAuthority>,
        kind: AuthorityKind,
        terms: Terms,
        concurrency: usize,
    ) -> Self {
        let concurrency = concurrency.max(1);
        Self {
            ca,
            terms,
            figures: Figures::default(),
            kind,
            concurrency,
            slots: Semaphore::new(concurrency),
            issuing: Mutex::default(),
            revoking: Mutex::default(),
            asked: Mutex::default(),
        }
    }

    /// Notes what it said of itself; what it had said before.
    pub(crate) fn note_asked(&self, asked: Asked) -> Option<Asked> {
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(asked)
    }

    /// How it fares, with what it said when it was last asked.
    pub(crate) fn state(&self) -> AuthorityState {
        let asked = self
            .asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let (breaker, left, failures) = {
            let breaker = locked(&self.issuing);
            let (state, left) = breaker.state(Instant::now());
            (state, left, breaker.failures())
        };
        let in_flight = self
            .concurrency
            .saturating_sub(self.slots.available_permits());
        let small = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        AuthorityState {
            asked,
            breaker,
            left_alone_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
            revocation_breaker: locked(&self.revoking).state(Instant::now()).0,
            failures_in_a_row: failures,
            in_flight: small(in_flight),
            concurrency: small(self.concurrency),
            pending: self.figures.pending.load(Ordering::Relaxed),
            issued: self.figures.issued.load(Ordering::Relaxed),
            failed: self.figures.failed.load(Ordering::Relaxed),
            ..AuthorityState::new(self.ca.name(), self.kind, self.ca.capabilities())
        }
    }

    /// Waits for one's turn to order, or to ask about an order, `patience` at most.
    ///
    /// # Errors
    /// After how long to come again.
    pub(crate) async fn enter(&self, patience: Duration) -> Result<Slot<'_>, Duration> {
        self.enter_for(Deed::Issue, patience).await
    }

    /// Waits for one's turn to have something revoked, `patience` at most.
    ///
    /// # Errors
    /// After how long to come again.
    pub(crate) async fn enter_to_revoke(&self, patience: Duration) -> Result<Slot<'_>, Duration> {
        self.enter_for(Deed::Revoke, patience).await
    }

    async fn enter_for(&self, deed: Deed, patience: Duration) -> Result<Slot<'_>, Duration> {
        let permit = match tokio::time::timeout(patience, self.slots.acquire()).await {
            Ok(Ok(permit)) => permit,
            _ => return Err(self.terms.pauses.0),
        };
        let breaker = match deed {
            Deed::Issue => &self.issuing,
            Deed::Revoke => &self.revoking,
        };
        let pass = locked(breaker)
            .enter(Instant::now())
            .map_err(|left| left.max(self.terms.pauses.0))?;
        Ok(Slot {
            breaker,
            deed,
            pass,
            settled: false,
            _permit: permit,
        })
    }
}

fn locked(breaker: &Mutex<Breaker>) -> MutexGuard<'_, Breaker> {
    breaker.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Deed {
    /// What an answer says of how the authority fares.
    fn heard<T>(self, answer: &Result<T, Error>) -> Heard {
        match answer {
            Ok(_) => Heard::Well,
            // It has the revocation.
            Err(error) if error.is_undecided() => Heard::Well,
            Err(error) => match (error.class(), self) {
                (ErrorClass::Rejected | ErrorClass::Unsupported, _) => Heard::Well,
                // A right that is missing: the authority is there, and each revocation waits by itself until an operator has acted.
                (ErrorClass::Credential, Self::Revoke) => Heard::Nothing,
                _ => Heard::Failed,
            },
        }
    }
}

impl Slot<'_> {
    /// Takes note of how the authority answered.
    pub(crate) fn note<T>(mut self, answer: Result<T, Error>) -> Result<T, Error> {
        self.settled = true;
        let heard = self.deed.heard(&answer);
        locked(self.breaker).note(self.pass, heard, Instant::now());
        answer
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        // Given up half-way: the next one probes.
        if !self.settled {
            locked(self.breaker).note(self.pass, Heard::Nothing, Instant::now());
        }
    }
}
