//! The event log: three files of JSON lines, archives beside them, one thread that writes and one that compresses.
//!
//! Guarantees: a line that [`EventLog::record_durably`] confirmed survives a power cut; a file never keeps half a line; a rotation or
//! an archive loses no line; what is removed to stay under the cap, or could not be written, is reported by an event.

mod archive;
mod archiver;
mod line_file;
mod query;
#[cfg(test)]
mod tests;
mod writer;

pub use query::{Filter, Snapshot};
pub use writer::{EventLog, Followed, LogFigures};

use std::path::PathBuf;

/// Why a log could not be opened, written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The file system refused.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The log's thread is gone: the program is about to end.
    #[error("the event log has been closed")]
    Closed,
}

impl LogError {
    fn io(action: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}
