//! The handle by which custody records: cheap to clone, and nobody waits longer than a deadline.

use crate::anchors::{self, Anchors};
use crate::chain::Chain;
use crate::event::{Event, Opened};
use crate::fold::Fold;
use crate::opening::{self, Folds, Found, OpenError};
use crate::queue::{Pending, Shared};
use crate::seal::Signer;
use crate::sealer::Sealer;
use crate::status::Status;
use crate::storage::Storage;
use crate::text::{Hash, Timestamp};
use crate::writer::Writer;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// So often [`Options::seal_after`] a seal, or the writing of an anchor, may take before the status says that it hangs.
const PATIENCE: u32 = 6;

/// An entry that is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Its number.
    pub seq: u64,
    /// SHA-256 of its line.
    pub hash: Hash,
}

/// Why something is not recorded: nothing may leave the engine for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// The log cannot be written: for the operator. It comes back by itself when it can; what happened meanwhile is written then.
    #[error("the audit log cannot be written: {0}")]
    Broken(String),
    /// It was not durable by the deadline; it may become so later.
    #[error("the audit log did not have the entry durable by the deadline")]
    Deadline,
    /// More entries wait than are kept.
    #[error("the audit log is too slow: {0} entries wait")]
    Overloaded(usize),
    /// The log was closed.
    #[error("the audit log is closed")]
    Closed,
}

impl ReceiptError {
    /// Stable name, for logs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Broken(_) => "audit_broken",
            Self::Deadline => "audit_deadline",
            Self::Overloaded(_) => "audit_overloaded",
            Self::Closed => "audit_closed",
        }
    }
}

/// How a log is kept.
pub struct Options {
    /// A file that has so many bytes of entries is followed by another one.
    pub max_file_bytes: u64,
    /// So many entries get a seal.
    pub seal_entries: u64,
    /// The oldest entry without a seal gets one after this. When there is none after six times as long, the status says so.
    pub seal_after: Duration,
    /// How often a log that cannot be written is tried again.
    pub retry_pause: Duration,
    /// File (elsewhere, where it may) that seals are written to as well, at most one each minute and one at the end.
    pub anchor_file: Option<PathBuf>,
    /// State that follows from the log, by the names that its snapshots have.
    pub folds: Folds,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_file_bytes: 16 * 1024 * 1024,
            seal_entries: 256,
            seal_after: Duration::from_secs(5),
            retry_pause: Duration::from_millis(250),
            anchor_file: None,
            folds: Vec::new(),
        }
    }
}

impl Options {
    /// Also computes this from the log.
    #[must_use]
    pub fn with_fold(mut self, name: &'static str, fold: impl Fold + 'static) -> Self {
        self.folds.push((name, Box::new(fold)));
        self
    }
}

/// A log that was looked at and not yet written to: what was in force can be compared with what is to be.
pub struct Log {
    storage: Arc<dyn Storage>,
    options: Options,
    found: Found,
    begins: Option<Timestamp>,
}

impl Log {
    /// Reads the newest file, checks its chain and feeds the folds. Writes nothing.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(storage: Arc<dyn Storage>, mut options: Options) -> Result<Self, OpenError> {
        let found = opening::look(&*storage, &mut options.folds)?;
        Ok(Self {
            begins: opening::begins(&*storage)?,
            storage,
            options,
            found,
        })
    }

    /// The last `opened` of the log: what was in force.
    #[must_use]
    pub const fn opened(&self) -> Option<&Opened> {
        self.found.opened.as_ref()
    }

    /// Number of the last entry; 0 where there is none.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.found.chain.seq
    }

    /// Starts to write: cuts an unfinished end off, then takes entries. Where it cannot be written now, it is tried again and again, and
    /// [`Receipts::check`] says why.
    ///
    /// # Errors
    /// When the system gives no thread, or the module no random bytes.
    pub fn start(self, signer: Arc<dyn Signer>) -> io::Result<Receipts> {
        let shared = Arc::<Shared>::default();
        let Self {
            storage,
            options,
            found,
            begins,
        } = self;
        let is_new = found.chain == Chain::START;
        shared.status().begins = begins.or_else(|| is_new.then(Timestamp::now));
        let patience = options.seal_after.saturating_mul(PATIENCE);
        let anchors = match options.anchor_file.clone() {
            Some(path) => {
                let name = path.display().to_string();
                let append = Box::new(move |line: &str| anchors::append(&path, line));
                Some(Anchors::start(Arc::clone(&shared), name, append)?)
            }
            None => None,
        };
        let sealer = Sealer::start(Arc::clone(&shared), signer, anchors)?;
        Writer::start(storage, options, found, Arc::clone(&shared), sealer)?;
        Ok(Receipts { shared, patience })
    }
}

/// The log, open for writing. Cloned for each thread that records.
#[derive(Clone)]
pub struct Receipts {
    shared: Arc<Shared>,
    /// What takes longer than this is said to hang.
    patience: Duration,
}

/// A use that is under way and will want an entry, until this is dropped. The writer then knows whether it is worth to wait a moment for more
/// entries: one commit is for all that wait.
pub struct Expected(Arc<Shared>);

impl Drop for Expected {
    fn drop(&mut self) {
        self.0.expect(false);
    }
}

/// An entry on its way to the disk.
pub struct Ticket(Result<Receiver<Result<Written, ReceiptError>>, ReceiptError>);

impl Receipts {
    /// Says that an entry will come. Nobody has to; without it the writer waits for nobody.
    #[must_use]
    pub fn expect(&self) -> Expected {
        self.shared.expect(true);
        Expected(Arc::clone(&self.shared))
    }

    /// Hands an entry to the writer; does not wait.
    #[must_use]
    pub fn record(&self, event: Event) -> Ticket {
        let (pending, receiver) = Pending::with_ticket(event, Timestamp::now());
        Ticket(self.shared.push(pending).map(|()| receiver))
    }

    /// The same for what nobody waits for. It is lost when too many entries wait; status counts that.
    pub fn note(&self, event: Event) {
        let _ = self
            .shared
            .push(Pending::without_ticket(event, Timestamp::now()));
    }

    /// Whether the log can be written now: asked before the key is used, so that a use that could not be recorded is not begun.
    ///
    /// # Errors
    /// [`ReceiptError::Broken`] and [`ReceiptError::Closed`].
    pub fn check(&self) -> Result<(), ReceiptError> {
        self.shared.check()
    }

    /// What is written and what is wrong: also that a seal, or the writing of an anchor, takes much longer than it should.
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared.told(self.patience)
    }

    /// Writes what waits, a `closed` and a last seal, and ends; waits for that until the deadline. Whether all of it is durable.
    #[must_use]
    pub fn close(&self, why: &str, deadline: Instant) -> bool {
        self.shared.close(why, deadline)
    }
}

impl Ticket {
    /// Waits until the entry is durable.
    ///
    /// # Errors
    /// [`ReceiptError`]: nothing may leave then.
    pub fn wait(self, deadline: Instant) -> Result<Written, ReceiptError> {
        let receiver = self.0?;
        match receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(outcome) => outcome,
            Err(RecvTimeoutError::Timeout) => Err(ReceiptError::Deadline),
            Err(RecvTimeoutError::Disconnected) => Err(ReceiptError::Closed),
        }
    }
}
