//! What this connector has taken on and how far it got, so that a crash at any point ends in exactly one delivery and one Admin event.
//!
//! ```text
//!            +--> Released ---(offered again)--+
//!            |                                 v
//! (offered) Leased --> Outcome --> Settled --> Reported --> pruned
//!            |            |  ^
//!            |            v  | (offered again: the stored outcome is uploaded under the new fence)
//!            +-------> Superseded
//! ```
//!
//! `Outcome`: the result is durable here, the gateway may or may not have it. `Settled`: the gateway took it from this instance. `Reported`:
//! its Admin event is durable in the log. Nothing in here is secret: results are encrypted to the device, PFX files are not kept, and the
//! private keys of certificates that are being issued are sealed to a custody key.

mod brake;
mod entry;
mod schema;
mod store;
#[cfg(test)]
mod tests;
mod thread;

pub use brake::{BrakeFigures, Permission};
pub use entry::{Admission, Entry, JournalFigures, Kind, Offer, Outcome, State, Subject};
pub use thread::Journal;

use std::path::PathBuf;

/// Why the journal could not be opened or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The limit is reached or the disk is full.
    #[error("the journal is full: {0}")]
    Full(String),
    /// The file system or SQLite failed.
    #[error("the journal cannot be used: {0}")]
    Failed(String),
    /// Another process has it.
    #[error("{0} is in use by another connector; each instance needs a journal of its own")]
    InUse(PathBuf),
    /// Written by a newer release.
    #[error(
        "the journal has version {found}; this release knows up to {known}: use the newer release"
    )]
    Newer {
        /// Version of the file.
        found: i64,
        /// Newest version known here.
        known: i64,
    },
    /// The file is some other database.
    #[error("{0} is not a connector's journal")]
    Foreign(PathBuf),
    /// The program is about to end.
    #[error("the journal has been closed")]
    Closed,
}

impl From<rusqlite::Error> for JournalError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::Full(error.to_string()),
            _ => Self::Failed(error.to_string()),
        }
    }
}
