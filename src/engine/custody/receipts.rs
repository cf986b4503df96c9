//! The log of every use of the key, as custody keeps it: what cannot be recorded is not begun, and what is not durable does not leave.

mod signer;

use super::CustodyError;
use super::approvals::Start;
use super::refusal::Refusal;
use super::tokens::Tokens;
use crate::config::AuditConfig;
use crate::engine::api::FailureCode;
use audit::approval::ApprovalMemory;
use audit::event::{Canary, Event, Opened};
use audit::issued::IssuedMemory;
use audit::ledger::Ledger;
use audit::storage::Folder;
use audit::{Expected, Hash, Log, Options, ReceiptError, Receipts, Status, Trouble};
use hsm::KeyFingerprint;
use hsm::pkcs11::CanaryObserver;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What its snapshots are called in a log.
const LEDGER: &str = "ledger";
/// How long the end of the process waits for the last entries.
const FAREWELL: Duration = Duration::from_secs(2);

/// How often a key decrypted known ciphertexts: worked, failed.
type Counts = BTreeMap<(String, KeyFingerprint), (u64, u64)>;

/// What follows from the log, and is fed by it.
#[derive(Default)]
pub(super) struct Folds {
    pub(super) ledger: Arc<Mutex<Ledger>>,
    /// Which approvals were used.
    pub(super) memory: Arc<Mutex<ApprovalMemory>>,
    /// What orders at authorities got.
    pub(super) issued: Arc<Mutex<IssuedMemory>>,
}

/// The log; without one under the exception `no-receipts`.
pub(super) struct Book {
    receipts: Option<Receipts>,
    canaries: Arc<Mutex<Counts>>,
    /// What is wrong with the log and was told.
    troubles: Mutex<Vec<Trouble>>,
}

impl Book {
    /// Opens the log and goes on with it, if what was in force at the last start says that this start may be; what it may is recorded.
    /// `folds` are what follows from the log.
    ///
    /// # Errors
    /// [`CustodyError::Audit`]: a folder or key that cannot be used, a log that is damaged. What `may_start` says: nothing is written then.
    pub(super) fn open(
        config: Option<&AuditConfig>,
        tokens: &Arc<Tokens>,
        folds: &Folds,
        canaries: Canaries,
        may_start: impl FnOnce(Option<&Opened>) -> Result<Start, CustodyError>,
    ) -> Result<Self, CustodyError> {
        let canaries = canaries.0;
        let Some(config) = config else {
            return Ok(Self {
                receipts: None,
                canaries,
                troubles: Mutex::default(),
            });
        };
        let failed = |error: &dyn std::fmt::Display| CustodyError::Audit(error.to_string());
        let signer = signer::of(config, tokens)?;
        let folder = Folder::open(&config.folder).map_err(|error| {
            CustodyError::Audit(format!("{}: {error}", config.folder.display()))
        })?;
        let options = Options {
            max_file_bytes: config.max_file_bytes,
            anchor_file: config.anchor_file.clone(),
            ..Options::default()
        }
        .with_fold(LEDGER, Arc::clone(&folds.ledger))
        .with_fold(ApprovalMemory::NAME, Arc::clone(&folds.memory))
        .with_fold(IssuedMemory::NAME, Arc::clone(&folds.issued));
        let log = Log::open(Arc::new(folder), options).map_err(|error| failed(&error))?;
        tracing::info!(entries = log.seq(), folder = %config.folder.display(), "the audit log is open");
        if log.seq() == 0 {
            tracing::warn!(
                folder = %config.folder.display(),
                "ATTENTION: a new audit log begins, WITHOUT A PAST: nothing is known of uses, failures, quarantine, policies and approvals before now. Where there was a log, somebody has taken it away or named another folder"
            );
        }
        let start = may_start(log.opened())?;
        let receipts = log.start(signer).map_err(|error| failed(&error))?;
        if let Err(error) = receipts.check() {
            tracing::error!("{error}: nothing is decrypted until it can");
        }
        let book = Self {
            receipts: Some(receipts),
            canaries,
            troubles: Mutex::default(),
        };
        start.record(&book)?;
        Ok(book)
    }

    #[cfg(test)]
    pub(super) fn none() -> Self {
        Self {
            receipts: None,
            canaries: Arc::default(),
            troubles: Mutex::default(),
        }
    }

    /// Whether there is a log; without one the caller feeds the ledger itself.
    pub(super) const fn is_kept(&self) -> bool {
        self.receipts.is_some()
    }

    /// Whether a use of the key could be recorded now.
    ///
    /// # Errors
    /// The refusal that tells so: the key is not used then.
    pub(super) fn ready(&self) -> Result<(), Refusal> {
        match &self.receipts {
            Some(receipts) => receipts.check().map_err(|error| unrecorded(&error)),
            None => Ok(()),
        }
    }

    /// Records; with a deadline, returns when it is durable.
    ///
    /// # Errors
    /// The refusal that takes the place of the answer, which must not leave.
    pub(super) fn record(&self, event: Event, until: Option<Instant>) -> Result<(), Refusal> {
        let Some(receipts) = &self.receipts else {
            return Ok(());
        };
        match until {
            Some(until) => receipts
                .record(event)
                .wait(until)
                .map(drop)
                .map_err(|error| unrecorded(&error)),
            None => {
                receipts.note(event);
                Ok(())
            }
        }
    }

    /// Says that a use is under way, whose entry will come.
    pub(super) fn expect(&self) -> Option<Expected> {
        self.receipts.as_ref().map(Receipts::expect)
    }

    /// Tells the operator's log of what is wrong with this one although it is written, and of its end.
    fn tell_troubles(&self, log: &Status) {
        let now = log.troubles();
        let mut told = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        for trouble in now.iter().filter(|trouble| !told.contains(trouble)) {
            tracing::error!(what = trouble.name(), "{}", trouble.words(log));
        }
        for trouble in told.iter().filter(|trouble| !now.contains(trouble)) {
            tracing::info!(what = trouble.name(), "{}", trouble.over());
        }
        *told = now;
    }

    /// Records the uses of keys for known ciphertexts since the last time, and tells of trouble with the log.
    pub(super) fn now_and_then(&self) {
        let Some(receipts) = &self.receipts else {
            return;
        };
        self.tell_troubles(&receipts.status());
        self.take_canaries()
            .into_iter()
            .for_each(|canary| receipts.note(canary));
    }

    fn take_canaries(&self) -> Vec<Event> {
        let counts =
            std::mem::take(&mut *self.canaries.lock().unwrap_or_else(PoisonError::into_inner));
        counts
            .into_iter()
            .map(|((token, key), (worked, failed))| {
                Event::Canary(Canary {
                    token,
                    key: Hash::from_bytes(*key.as_bytes()),
                    worked,
                    failed,
                })
            })
            .collect()
    }

    /// Records the uses of keys for known ciphertexts since the last time, and waits until they are durable, but not for ever: the process is
    /// about to be replaced.
    pub(super) fn flush(&self) {
        let Some(receipts) = &self.receipts else {
            return;
        };
        let until = Instant::now() + FAREWELL;
        let tickets: Vec<_> = self
            .take_canaries()
            .into_iter()
            .map(|canary| receipts.record(canary))
            .collect();
        for ticket in tickets {
            if let Err(error) = ticket.wait(until) {
                tracing::error!("uses of a key for known ciphertexts are not recorded: {error}");
            }
        }
    }

    /// For a report.
    pub(super) fn status(&self) -> Option<Status> {
        self.receipts.as_ref().map(Receipts::status)
    }

    /// The process is about to end.
    pub(super) fn close(&self, why: &str) {
        if let Some(receipts) = &self.receipts {
            self.now_and_then();
            let _ = receipts.close(why, Instant::now() + FAREWELL);
        }
    }
}

/// Counts the uses of keys for known ciphertexts, until they are recorded together.
#[derive(Clone, Default)]
pub(super) struct Canaries(Arc<Mutex<Counts>>);

impl Canaries {
    /// What a token of this name tells.
    pub(super) fn observer(&self, token: &str) -> CanaryObserver {
        let (counts, token) = (Arc::clone(&self.0), token.to_owned());
        CanaryObserver::new(move |key, is_well| {
            let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
            let (worked, failed) = counts.entry((token.clone(), key)).or_default();
            let count = if is_well { worked } else { failed };
            *count = count.saturating_add(1);
        })
    }
}

fn unrecorded(error: &ReceiptError) -> Refusal {
    Refusal::new(
        FailureCode::AuditUnavailable,
        "the use of the custody key cannot be recorded, so nothing is decrypted: see the engine's status and log",
        error.code(),
        error.to_string(),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use std::ops::ControlFlow;

    #[test]
    fn what_is_counted_of_known_ciphertexts_is_durable_before_the_process_is_replaced() {
        fips::start(fips::policy::in_force()).unwrap();
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("log");
        let receipts = Log::open(Arc::new(Folder::open(&folder).unwrap()), Options::default())
            .unwrap()
            .start(Arc::new(audit::AuditKey::generate().unwrap()))
            .unwrap();
        let canaries = Canaries::default();
        let book = Book {
            receipts: Some(receipts),
            canaries: Arc::clone(&canaries.0),
            troubles: Mutex::default(),
        };
        let key = KeyFingerprint::of_spki(b"a key");
        *canaries.0.lock().unwrap() = BTreeMap::from([(("main".to_owned(), key), (3, 2))]);
        book.flush();
        let mut found = Vec::new();
        audit::read::entries(&Folder::for_reading(&folder).unwrap(), |_, entry, _| {
            if let Event::Canary(canary) = &entry.event {
                found.push((canary.token.clone(), canary.worked, canary.failed));
            }
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(found, [("main".to_owned(), 3, 2)]);
    }
}
