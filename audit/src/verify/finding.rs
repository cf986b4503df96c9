//! What can be wrong with a log.

use crate::chain::ChainFault;
use crate::entry::NotAnEntry;
use crate::text::Hash;
use crate::walk::Place;

/// Something that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where it shows. What was changed is there or directly before it.
    pub place: Place,
    /// What it is.
    pub what: What,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum What {
    /// There is no file of a log.
    #[error("there are no files of a log here")]
    NoFiles,
    /// Files are not there.
    #[error("the files {from:08} to {to:08} are missing")]
    MissingFiles {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// A file with nothing in it.
    #[error("the file is empty")]
    EmptyFile,
    /// The file ends within a line.
    #[error(
        "the file ends within a line: it was cut off there, or the line is being written just now"
    )]
    EndsWithinALine,
    /// A line that is longer than any that was written.
    #[error("the line is longer than any that was written; the rest of the file is not read")]
    TooLong,
    /// Bytes that are no text.
    #[error("the line is not UTF-8")]
    NotText,
    /// No entry.
    #[error(transparent)]
    NotAnEntry(NotAnEntry),
    /// An entry that does not follow the one before it.
    #[error(transparent)]
    Chain(ChainFault),
    /// A seal of a key that was not named.
    #[error("a seal of another key than those that were named: {0}")]
    OtherKey(Hash),
    /// The signature is not of this seal.
    #[error("the seal's signature does not verify")]
    BadSeal,
    /// The signature is good, and of other entries.
    #[error("the seal is of another chain: entry {upto} has another hash here")]
    SealOfOthers {
        /// The entry that it names.
        upto: u64,
    },
    /// No seal at all.
    #[error("no entry is under a seal of the keys that were named")]
    NoSeal,
    /// An anchor that the audit key did not sign.
    #[error("the anchor of entry {upto} is not signed by one of the keys that were named")]
    BadAnchor {
        /// The entry that it names.
        upto: u64,
    },
    /// Another entry than the anchored one.
    #[error("entry {upto} is not the one that was anchored, or the log another one")]
    NotAsAnchored {
        /// The entry.
        upto: u64,
    },
    /// The log ends before an anchor.
    #[error("the log was cut off: it ends with entry {last}, and entry {anchored} was anchored")]
    CutOff {
        /// The entry that was there.
        anchored: u64,
        /// The last that is.
        last: u64,
    },
}

impl What {
    /// Stable name.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoFiles => "no_files",
            Self::MissingFiles { .. } => "missing_files",
            Self::EmptyFile => "empty_file",
            Self::EndsWithinALine => "ends_within_a_line",
            Self::TooLong => "line_too_long",
            Self::NotText => "not_text",
            Self::NotAnEntry(_) => "not_an_entry",
            Self::Chain(_) => "chain_broken",
            Self::OtherKey(_) => "seal_of_other_key",
            Self::BadSeal => "seal_does_not_verify",
            Self::SealOfOthers { .. } => "seal_of_other_entries",
            Self::NoSeal => "no_seal",
            Self::BadAnchor { .. } => "anchor_does_not_verify",
            Self::NotAsAnchored { .. } => "not_as_anchored",
            Self::CutOff { .. } => "cut_off",
        }
    }
}
