//! An authority with what keeps it from being overrun: how many ask at once, and a breaker that leaves it alone when it fails.

use crate::ca::{Asked, AuthorityState, BreakerState};
use crate::config::{AuthorityKind, WhenUnknown};
use ca::{CertificationAuthority, Error, ErrorClass};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Failures in a row after which an authority is left alone.
const FAILURES: u32 = 5;
/// The first pause then, and the longest: each probe that fails doubles it.
const PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

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

#[derive(Default)]
struct Breaker {
    failures: u32,
    pauses: u32,
    open_until: Option<Instant>,
    /// While it is open, one order goes through when its time has come.
    probing: bool,
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
    breaker: Mutex<Breaker>,
    /// What it said of itself when it was last asked.
    asked: Mutex<Option<Asked>>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authority({})", self.ca.name())
    }
}

/// The right to ask an authority now.
pub(crate) struct Slot<'a> {
    authority: &'a Authority,
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
            breaker: Mutex::default(),
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
            let breaker = self.breaker();
            let left = breaker
                .open_until
                .map(|until| until.saturating_duration_since(Instant::now()));
            let state = match left {
                None => BreakerState::Closed,
                Some(left) if breaker.probing || left.is_zero() => BreakerState::Probing,
                Some(_) => BreakerState::Open,
            };
            (state, left.unwrap_or_default(), breaker.failures)
        };
        let in_flight = self
            .concurrency
            .saturating_sub(self.slots.available_permits());
        let small = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        AuthorityState {
            asked,
            breaker,
            left_alone_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
            failures_in_a_row: failures,
            in_flight: small(in_flight),
            concurrency: small(self.concurrency),
            pending: self.figures.pending.load(Ordering::Relaxed),
            issued: self.figures.issued.load(Ordering::Relaxed),
            failed: self.figures.failed.load(Ordering::Relaxed),
            ..AuthorityState::new(self.ca.name(), self.kind, self.ca.capabilities())
        }
    }

    fn breaker(&self) -> std::sync::MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for one's turn, `patience` at most.
    ///
    /// # Errors
    /// After how long to come again.
    pub(crate) async fn enter(&self, patience: Duration) -> Result<Slot<'_>, Duration> {
        let permit = match tokio::time::timeout(patience, self.slots.acquire()).await {
            Ok(Ok(permit)) => permit,
            _ => return Err(self.terms.pauses.0),
        };
        let mut breaker = self.breaker();
        if let Some(until) = breaker.open_until {
            let left = until.saturating_duration_since(Instant::now());
            if breaker.probing || !left.is_zero() {
                return Err(left.max(self.terms.pauses.0));
            }
            breaker.probing = true;
        }
        drop(breaker);
        Ok(Slot {
            authority: self,
            settled: false,
            _permit: permit,
        })
    }
}

impl Slot<'_> {
    /// Takes note of how the authority answered.
    pub(crate) fn note<T>(mut self, answer: Result<T, Error>) -> Result<T, Error> {
        self.settled = true;
        let mut breaker = self.authority.breaker();
        breaker.probing = false;
        let failed = answer.as_ref().err().is_some_and(|error| {
            !matches!(
                error.class(),
                ErrorClass::Rejected | ErrorClass::Unsupported
            )
        });
        if !failed {
            *breaker = Breaker::default();
            drop(breaker);
            return answer;
        }
        breaker.failures = breaker.failures.saturating_add(1);
        let again = breaker.open_until.is_some();
        if again || breaker.failures >= FAILURES {
            let pause = PAUSE
                .saturating_mul(
                    1_u32
                        .checked_shl(breaker.pauses.min(16))
                        .unwrap_or(u32::MAX),
                )
                .min(LONGEST_PAUSE);
            breaker.pauses = breaker.pauses.saturating_add(1);
            breaker.open_until = Some(Instant::now() + pause);
        }
        drop(breaker);
        answer
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        // Given up half-way: the next one probes.
        if !self.settled {
            self.authority.breaker().probing = false;
        }
    }
}
