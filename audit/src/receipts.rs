//! The handle by which custody records: cheap to clone, and nobody waits longer than a deadline.

use crate::event::Event;
use crate::text::Hash;
use std::time::Instant;

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
    /// The log cannot be written: for the operator. It comes back by itself when it can.
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

/// The log, open for writing. Cloned for each thread that records.
#[derive(Clone)]
pub struct Receipts {}

/// An entry on its way to the disk.
pub struct Ticket {}

impl Receipts {
    /// Hands an entry to the writer; does not wait.
    #[must_use]
    pub fn record(&self, event: Event) -> Ticket {
        let _ = event;
        Ticket {}
    }

    /// Whether the log can be written now: asked before the key is used, so that a use that could not be recorded is not begun.
    ///
    /// # Errors
    /// [`ReceiptError::Broken`] and [`ReceiptError::Closed`].
    pub fn check(&self) -> Result<(), ReceiptError> {
        Err(ReceiptError::Closed)
    }
}

impl Ticket {
    /// Waits until the entry is durable.
    ///
    /// # Errors
    /// [`ReceiptError`]: nothing may leave then.
    pub fn wait(self, deadline: Instant) -> Result<Written, ReceiptError> {
        let _ = deadline;
        Err(ReceiptError::Closed)
    }
}
