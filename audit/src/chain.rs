//! The chain: which line may follow which. The writer builds by it, the start and the verifier hold lines against it.

use crate::entry::Entry;
use crate::event::{Begin, Event};
use crate::text::Hash;

/// Where in a log one is: after a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chain {
    /// The log's name; none before its first line.
    pub(crate) log: Option<String>,
    /// Number of the file that the line is in; 0 before the first.
    pub(crate) file: u64,
    /// Number of the line; 0 before the first.
    pub(crate) seq: u64,
    /// Hash of the line.
    pub(crate) head: Hash,
}

/// Why a line does not follow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainFault {
    /// A number is missing, there twice, or out of its order.
    #[error("entry {found} is where entry {expected} should be")]
    Sequence {
        /// The number that should be here.
        expected: u64,
        /// The number that is.
        found: u64,
    },
    /// The line before is not the one that this one was written after.
    #[error(
        "it was written after a line with the hash {named}, and the line before it has {found}"
    )]
    Previous {
        /// What the line says.
        named: Hash,
        /// What the line before it has.
        found: Hash,
    },
    /// The first line of a file is no `begin`.
    #[error("the file does not start with a `begin`")]
    NoBegin,
    /// A `begin` within a file.
    #[error("a `begin` within the file")]
    BeginWithin,
    /// The file says that it is another one.
    #[error("the file says that it is number {says}; by its name it is {is}")]
    FileNumber {
        /// What its first line says.
        says: u64,
        /// What its name says.
        is: u64,
    },
    /// A line of another log.
    #[error("the file is of the log {found}, the one before it of {expected}")]
    OtherLog {
        /// The log's name in the files before.
        expected: String,
        /// The name here.
        found: String,
    },
}

impl Chain {
    /// Before the first line of a log.
    pub(crate) const START: Self = Self {
        log: None,
        file: 0,
        seq: 0,
        head: Hash::NONE,
    };

    /// Before a file whose predecessors are not here: its first line is taken at its word.
    pub(crate) fn before(entry: &Entry, begin: &Begin) -> Self {
        Self {
            log: Some(begin.log.clone()),
            file: begin.file.saturating_sub(1),
            seq: entry.seq.saturating_sub(1),
            head: entry.prev,
        }
    }

    /// Whether the entry is the next one of the file with this number, as its first line or within.
    pub(crate) fn follows(
        &self,
        entry: &Entry,
        file: u64,
        is_first_of_file: bool,
    ) -> Result<(), ChainFault> {
        match (&entry.event, is_first_of_file) {
            (Event::Begin(begin), true) => {
                if begin.file != file {
                    return Err(ChainFault::FileNumber {
                        says: begin.file,
                        is: file,
                    });
                }
                if let Some(log) = &self.log
                    && *log != begin.log
                {
                    return Err(ChainFault::OtherLog {
                        expected: log.clone(),
                        found: begin.log.clone(),
                    });
                }
            }
            (Event::Begin(_), false) => return Err(ChainFault::BeginWithin),
            (_, true) => return Err(ChainFault::NoBegin),
            (_, false) => {}
        }
        let expected = self.seq.saturating_add(1);
        if entry.seq != expected {
            return Err(ChainFault::Sequence {
                expected,
                found: entry.seq,
            });
        }
        if entry.prev != self.head {
            return Err(ChainFault::Previous {
                named: entry.prev,
                found: self.head,
            });
        }
        Ok(())
    }

    /// Goes on to this line, of which is known that it follows or that it was just made.
    pub(crate) fn advance(&mut self, entry: &Entry, line: &[u8]) {
        if let Event::Begin(begin) = &entry.event {
            self.log = Some(begin.log.clone());
            self.file = begin.file;
        }
        self.seq = entry.seq;
        self.head = Hash::of(line);
    }
}
