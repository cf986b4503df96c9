//! One line of the log.

use crate::event::Event;
use crate::text::{Hash, Timestamp};
use serde::{Deserialize, Serialize};

/// The version of the format that is written and read here; `v` of every line. Newer ones are refused.
pub const FORMAT_VERSION: u32 = 1;

/// The longest line: a `begin` with its snapshots. Longer ones are refused unread.
pub const MAX_LINE_BYTES: usize = 4 * 1024 * 1024;

/// An entry: `{"v":1,"seq":7,"time":"...","boot":"...","prev":"...","event":"keyUse", ...}`, in exactly the form that
/// [`Entry::to_line`] gives it, on one line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// [`FORMAT_VERSION`].
    pub v: u32,
    /// Its number: 1 for the first of a log, one more with each entry, through all files.
    pub seq: u64,
    /// When it happened, by the machine's clock, which may have been set back between two entries.
    pub time: Timestamp,
    /// Which start of the machine that was: Linux' boot id, or a random one for each start of the process where there is none.
    pub boot: String,
    /// SHA-256 of the line before it, without its newline; [`Hash::NONE`] for the first of a log.
    pub prev: Hash,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// Why a line is no entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAnEntry {
    /// Another version.
    #[error("the line has format version {0}; this release reads {FORMAT_VERSION}")]
    Version(u32),
    /// Not an entry of this version.
    #[error("the line is no entry: {0}")]
    Malformed(String),
    /// It can be read, but it is not what the log would have written: other spaces, order, members or escapes.
    #[error("the line is not in the form in which it was written")]
    OtherForm,
}

#[derive(Deserialize)]
struct Version {
    v: u32,
}

impl Entry {
    /// The line, without a newline.
    ///
    /// # Errors
    /// [`NotAnEntry::Malformed`] if it cannot be written as JSON, which no entry of this crate is.
    pub fn to_line(&self) -> Result<String, NotAnEntry> {
        serde_json::to_string(self).map_err(|error| NotAnEntry::Malformed(error.to_string()))
    }

    /// Reads a line without its newline, and holds it against what [`Entry::to_line`] makes of it, so that every byte of it counts and nothing
    /// can hide in a second member of the same name.
    ///
    /// # Errors
    /// [`NotAnEntry`].
    pub fn from_line(line: &str) -> Result<Self, NotAnEntry> {
        let malformed = |error: serde_json::Error| NotAnEntry::Malformed(error.to_string());
        let Version { v } = serde_json::from_str(line).map_err(malformed)?;
        if v != FORMAT_VERSION {
            return Err(NotAnEntry::Version(v));
        }
        let entry: Self = serde_json::from_str(line).map_err(malformed)?;
        if entry.to_line()? == line {
            Ok(entry)
        } else {
            Err(NotAnEntry::OtherForm)
        }
    }
}
