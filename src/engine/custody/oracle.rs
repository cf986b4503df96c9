//! What stands between a request and the key: the ledger, asked before the token is touched and told what came of it.
//!
//! A request that is admitted is in flight until its receipt has been folded into the ledger. One that would have to be refused if all
//! that is in flight failed waits until some of it has ended; two threads wait only for moments, so that they are there for everybody else.

mod clock;
mod refused;

use super::authorise::Leave;
use super::receipts::Book;
use super::refusal::{DECRYPTION_FAILED, Refusal};
use crate::clock::{Clock, SystemClock};
use crate::config::OracleConfig;
use crate::engine::api::{
    FailureCode, OracleReport, OracleStatus, QuarantinedCiphertext, SubjectStatus,
};
use crate::engine::recrypt::importers::Importer;
use audit::event::{Caller, Event};
use audit::ledger::{
    Admission, Alarm, Asked, CiphertextId, Denied, Ledger, Limits, Release, sealed_keys_of,
};
use audit::{Entry, FORMAT_VERSION, Hash, Timestamp, Verb};
use clock::ClockWatch;
use refused::RefusedRequests;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long an alarm may take to be recorded.
const ALARM_LIMIT: Duration = Duration::from_secs(5);

/// How long the last free threads wait: then they are there for somebody else.
const SHORT_WAIT: Duration = Duration::from_millis(50);
/// So many threads wait no longer than that.
const FREE_THREADS: usize = 2;

/// The ledger with those who wait for room in it.
pub(super) struct Oracle {
    ledger: Arc<Mutex<Ledger>>,
    book: Book,
    limits: Limits,
    grid_ms: u64,
    importers: Vec<Importer>,
    has_ended: Condvar,
    waiting: AtomicUsize,
    most_waiting: usize,
    /// Failures that were not recorded when their time was over: most of them are a moment later.
    late: Mutex<Vec<(CiphertextId, Admission)>>,
    refused: RefusedRequests,
    clock: ClockWatch,
    /// Alarms that are being recorded: nobody else tells them.
    telling: Mutex<Vec<Alarm>>,
    alarms: AtomicU64,
    refusals: AtomicU64,
}

/// A use that may go ahead: in flight until it is dropped.
pub(super) struct Admitted<'a> {
    oracle: &'a Oracle,
    id: CiphertextId,
    admission: Option<Admission>,
}

impl Admitted<'_> {
    /// It is known not to fail.
    pub(super) fn worked(&self) {
        if let Some(admission) = &self.admission {
            self.oracle.lock().worked(admission);
            self.oracle.has_ended.notify_all();
        }
    }

    /// It is known to fail.
    pub(super) fn failed(&self) {
        if let Some(admission) = &self.admission {
            self.oracle.lock().failed(admission);
        }
    }

    /// Its failure is not recorded yet: it counts as in flight until it is, or else for as long as this process lives, as if it had been.
    pub(super) fn stay(mut self) {
        if let Some(admission) = self.admission.take() {
            self.oracle.late().push((self.id, admission));
        }
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        if let Some(admission) = self.admission.take() {
            self.oracle.lock().ended(admission);
            self.oracle.has_ended.notify_all();
        }
    }
}

impl Oracle {
    /// With this ledger, which the log feeds. Of `threads` that work all but two may wait for room until their deadline.
    pub(super) fn new(
        ledger: Arc<Mutex<Ledger>>,
        book: Book,
        config: &OracleConfig,
        importers: Vec<Importer>,
        threads: usize,
    ) -> Self {
        Self {
            ledger,
            book,
            limits: Limits {
                importer_per_hour: config.importer_failures_per_hour,
                importer_per_day: config.importer_failures_per_day,
                caller_per_hour: config.caller_failures_per_hour,
                uses_per_ciphertext: config.uses_per_ciphertext,
                devices_per_ciphertext: config.devices_per_ciphertext,
            },
            grid_ms: config.grid_ms,
            importers,
            has_ended: Condvar::new(),
            waiting: AtomicUsize::new(0),
            most_waiting: threads.saturating_sub(FREE_THREADS),
            late: Mutex::default(),
            refused: RefusedRequests::default(),
            clock: ClockWatch::start(Instant::now(), SystemClock.now_ms()),
            telling: Mutex::default(),
            alarms: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
        }
    }

    /// The log.
    pub(super) const fn book(&self) -> &Book {
        &self.book
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn late(&self) -> MutexGuard<'_, Vec<(CiphertextId, Admission)>> {
        self.late.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends what failed and has been recorded since: it counts as a failure now, and must not count as in flight besides.
    fn end_late(&self) {
        let mut late = self.late();
        if late.is_empty() {
            return;
        }
        let mut ledger = self.lock();
        let (recorded, left): (Vec<_>, Vec<_>) = late
            .drain(..)
            .partition(|(id, _)| ledger.is_quarantined(id));
        for (_, admission) in recorded {
            ledger.ended(admission);
        }
        *late = left;
        drop(ledger);
        drop(late);
        self.has_ended.notify_all();
    }

    /// Lets a use go ahead, or says why not.
    pub(super) fn admit(
        &self,
        asked: &Asked,
        request_id: &str,
        caller: &Caller,
        deadline: Instant,
    ) -> Result<Admitted<'_>, Refusal> {
        let denied = match self.admit_when_there_is_room(asked, deadline) {
            Ok(admission) => {
                return Ok(Admitted {
                    oracle: self,
                    id: asked.id(),
                    admission: Some(admission),
                });
            }
            Err(denied) => denied,
        };
        // What only has to wait is nobody's doing.
        if denied != Denied::InFlight {
            self.refusals.fetch_add(1, Ordering::Relaxed);
            self.refused
                .count(denied.name(), asked, request_id, caller, |event| {
                    let _ = self.record(event, None);
                });
        }
        Err(refusal(denied))
    }

    fn admit_when_there_is_room(
        &self,
        asked: &Asked,
        deadline: Instant,
    ) -> Result<Admission, Denied> {
        struct Waiting<'a>(&'a AtomicUsize);
        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        let mut ledger = self.lock();
        let mut waiting = None;
        let mut until = deadline;
        loop {
            match ledger.admit(SystemClock.now_ms(), asked, &self.limits) {
                Err(Denied::InFlight) => {}
                other => return other,
            }
            if waiting.is_none() {
                let others = self.waiting.fetch_add(1, Ordering::SeqCst);
                waiting = Some(Waiting(&self.waiting));
                if others >= self.most_waiting {
                    until = until.min(Instant::now() + SHORT_WAIT);
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Denied::InFlight);
            }
            (ledger, _) = self
                .has_ended
                .wait_timeout(ledger, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Hands an event to the log, which feeds the ledger; with a deadline, returns when it is durable.
    pub(super) fn record(&self, event: Event, until: Option<Instant>) -> Result<(), Refusal> {
        if self.book.is_kept() {
            return self.book.record(event, until);
        }
        // Under the exception `no-receipts` the ledger lives as long as this process.
        let entry = Entry {
            v: FORMAT_VERSION,
            seq: 0,
            time: Timestamp::from_ms(SystemClock.now_ms()),
            boot: String::new(),
            prev: Hash::NONE,
            event,
        };
        self.lock().apply(&entry);
        Ok(())
    }

    /// Tells the operator of what is suspended now, once: an entry of the log and a line at the level of errors.
    pub(super) fn raise_alarms(&self) {
        for alarm in self.alarms_to_tell() {
            let event = alarm.entry();
            if let Event::Alarm(told) = &event {
                tracing::error!(
                    alarm = told.what,
                    importer = told.importer.map(|importer| importer.to_string()),
                    importer_name = told
                        .importer
                        .and_then(|importer| self.name_of(&importer.to_string())),
                    uid = told.caller.as_ref().and_then(|caller| caller.uid),
                    "ALARM: {}",
                    told.detail
                );
            }
            let until = Instant::now() + ALARM_LIMIT;
            // No lock is held while it is waited for the disk.
            let _ = self.record(event, Some(until));
            self.alarms.fetch_add(1, Ordering::Relaxed);
            // The ledger knows by now, or it is due again.
            self.telling().retain(|told| *told != alarm);
        }
    }

    fn telling(&self) -> MutexGuard<'_, Vec<Alarm>> {
        self.telling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is due and told by no other thread; it is this one's to tell from now on.
    fn alarms_to_tell(&self) -> Vec<Alarm> {
        // In this order also where one is taken out: what is not being told any more is known to the ledger.
        let mut telling = self.telling();
        let mut due = self.lock().alarms_due(SystemClock.now_ms(), &self.limits);
        due.retain(|alarm| !telling.contains(alarm));
        telling.extend(&due);
        due
    }

    /// Tells the operator that somebody has set the clock that budgets go by.
    fn watch_clock(&self) {
        if let Some(alarm) = self.clock.alarm(Instant::now(), SystemClock.now_ms()) {
            tracing::error!(alarm = alarm.what, "ALARM: {}", alarm.detail);
            self.alarms.fetch_add(1, Ordering::Relaxed);
            // Nothing waits for it.
            let _ = self.record(Event::Alarm(alarm), None);
        }
    }

    /// Writes what is counted and not told yet.
    pub(super) fn now_and_then(&self) {
        self.watch_clock();
        self.book.now_and_then();
        self.end_late();
        self.refused.flush(|event| {
            let _ = self.record(event, None);
        });
    }

    fn name_of(&self, fingerprint: &str) -> Option<String> {
        let configured = self
            .importers
            .iter()
            .find(|importer| importer.fingerprint() == fingerprint);
        match configured {
            Some(importer) => Some(importer.name().to_owned()),
            None => self.asks_for_sealed_keys(fingerprint),
        }
    }

    /// Whose sealed keys count under this fingerprint: a caller's, who has failures of its own then.
    fn asks_for_sealed_keys(&self, fingerprint: &str) -> Option<String> {
        let callers = self.lock().callers(SystemClock.now_ms(), &self.limits);
        callers
            .into_iter()
            .map(|standing| standing.name.and_then(|name| name.parse().ok()))
            .find(|caller| sealed_keys_of(*caller).to_string() == fingerprint)
            .map(|caller| match caller {
                Some(uid) => format!("keys made here, for user {uid}"),
                None => "keys made here, for nobody knows whom".to_owned(),
            })
    }

    /// For a status.
    pub(super) fn status(&self, late_answers: u64) -> OracleStatus {
        let now = SystemClock.now_ms();
        let (importers, callers, quarantined) = {
            let ledger = self.lock();
            (
                ledger.importers(now, &self.limits),
                ledger.callers(now, &self.limits),
                ledger.quarantined_len(),
            )
        };
        OracleStatus {
            late_answers,
            importers: importers
                .into_iter()
                .map(|standing| {
                    let name = standing.name.as_deref().and_then(|name| self.name_of(name));
                    SubjectStatus::of(standing, name)
                })
                .collect(),
            callers: callers
                .into_iter()
                .map(|standing| SubjectStatus::of(standing, None))
                .collect(),
            quarantined: u64::try_from(quarantined).unwrap_or(u64::MAX),
            refused: self.refusals.load(Ordering::Relaxed),
            alarms: self.alarms.load(Ordering::Relaxed),
            ..OracleStatus::under(&self.limits, self.grid_ms)
        }
    }

    /// For an operator.
    pub(super) fn report(&self, late_answers: u64) -> OracleReport {
        OracleReport {
            status: self.status(late_answers),
            quarantine: self
                .lock()
                .quarantined()
                .map(|(_, quarantined)| QuarantinedCiphertext::from(quarantined))
                .collect(),
        }
    }

    /// Lets somebody or something go, at the asking of this user, who has leave for that.
    pub(super) fn release(
        &self,
        release: &Release,
        uid: Option<u32>,
        deadline: Instant,
        leave: Leave,
    ) -> Result<(), Refusal> {
        let approved_by = leave.spend(Verb::OracleRelease)?;
        tracing::warn!(
            ?release,
            uid,
            ?approved_by,
            "an operator lifts a quarantine or suspension"
        );
        // Before what was recorded of them is forgotten.
        self.end_late();
        self.record(release.entry(uid), Some(deadline))?;
        self.has_ended.notify_all();
        Ok(())
    }
}

/// What the caller is told.
fn refusal(denied: Denied) -> Refusal {
    let detail = denied.to_string();
    let reason = denied.name();
    match denied {
        Denied::Quarantined => Refusal {
            on_grid: true,
            ..Refusal::new(
                FailureCode::DecryptionFailed,
                DECRYPTION_FAILED,
                reason,
                detail,
            )
        },
        Denied::ImporterSuspended { .. } => Refusal::new(
            FailureCode::ImporterSuspended,
            "the importer of this record is suspended, because too many of its records failed: see the engine's status and log",
            reason,
            detail,
        ),
        Denied::CallerSuspended { .. } => Refusal::new(
            FailureCode::BudgetExceeded,
            "this caller is suspended, because too many records that it asked for failed: see the engine's status and log",
            reason,
            detail,
        ),
        Denied::QuarantineShareFull => Refusal::new(
            FailureCode::BudgetExceeded,
            "this importer's share of the quarantine is full: no record of it is decrypted that was not decrypted before, see the engine's status and log",
            reason,
            detail,
        ),
        Denied::QuarantineFull => Refusal::new(
            FailureCode::BudgetExceeded,
            "the quarantine is full: no record is decrypted that was not decrypted before, see the engine's status and log",
            reason,
            detail,
        ),
        Denied::UsedTooOften => Refusal::new(
            FailureCode::BudgetExceeded,
            "the password of this record was decrypted as often as it may be in a day (`engine.oracle.uses_per_ciphertext`)",
            reason,
            detail,
        ),
        Denied::TooManyDevices => Refusal::new(
            FailureCode::BudgetExceeded,
            "the password of this record went to as many devices as it may in a day (`engine.oracle.devices_per_ciphertext`)",
            reason,
            detail,
        ),
        _ => Refusal::new(
            FailureCode::Busy,
            "too many records of this importer or caller that were not decrypted before are in flight: ask again later",
            reason,
            detail,
        ),
    }
}
