//! What a start finds out about a log before anything is written: where it goes on, what is damaged at its end, what was in force.

use crate::chain::{Chain, ChainFault};
use crate::entry::{Entry, NotAnEntry};
use crate::event::{Event, Opened};
use crate::files;
use crate::fold::Fold;
use crate::lines::{Ending, Lines};
use crate::storage::Storage;
use crate::text::{Hash, Timestamp};
use fips::digest::{Hash as Function, Hasher};
use std::io::{self, Read};

/// The most that one write puts into a file: more cannot be unfinished at its end.
pub(crate) const MAX_BATCH_BYTES: usize = 1024 * 1024;
/// A line is not split between writes, so that the last write may be larger by one line.
const MAX_TORN_BYTES: u64 = (MAX_BATCH_BYTES + crate::MAX_LINE_BYTES) as u64;

/// Why a log is not opened. Each is for the operator.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The folder cannot be used.
    #[error("the audit log: {0}")]
    Io(#[from] io::Error),
    /// What is in the newest file is not what this program wrote, and no unfinished write explains it.
    #[error(
        "the audit log is damaged: {file}, line {line}: {what}. `audit verify` says more; keep the folder as it is, and name another one to go on"
    )]
    Damaged {
        /// The file.
        file: String,
        /// The line, from 1 on.
        line: u64,
        /// What is wrong.
        what: String,
    },
    /// A newer release wrote it.
    #[error("the audit log: {file}: {what}")]
    Newer {
        /// The file.
        file: String,
        /// What is wrong.
        what: String,
    },
    /// A snapshot cannot be restored.
    #[error("the audit log: {file}: its snapshot of {name}: {what}")]
    Snapshot {
        /// The file.
        file: String,
        /// The fold's name.
        name: String,
        /// What is wrong.
        what: String,
    },
}

/// An end that is no entry: an unfinished write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Torn {
    pub(crate) bytes: u64,
    pub(crate) hash: Hash,
}

/// Where the log goes on.
pub(crate) struct Found {
    /// After its last whole line; [`Chain::START`] where there is no log yet.
    pub(crate) chain: Chain,
    /// Bytes of the newest file up to there.
    pub(crate) len: u64,
    /// Bytes of its first line.
    pub(crate) begin_len: u64,
    pub(crate) torn: Option<Torn>,
    pub(crate) opened: Option<Opened>,
    /// Entries since the last seal.
    pub(crate) unsealed: u64,
}

/// Folds by the names that their snapshots have in the log.
pub(crate) type Folds = Vec<(&'static str, Box<dyn Fold>)>;

/// When the log began; `None` where there is none, or its first file is kept elsewhere or not readable.
pub(crate) fn begins(storage: &dyn Storage) -> Result<Option<Timestamp>, OpenError> {
    if files::numbers(storage)?.first() != Some(&1) {
        return Ok(None);
    }
    let mut lines = Lines::new(storage.read(&files::name(1))?);
    let first = match lines.next()? {
        Some(Ending::Whole) => std::str::from_utf8(lines.line()).ok(),
        _ => None,
    };
    Ok(first
        .and_then(|line| Entry::from_line(line).ok())
        .map(|entry| entry.time))
}

/// Reads the newest file, and feeds the folds.
pub(crate) fn look(storage: &dyn Storage, folds: &mut Folds) -> Result<Found, OpenError> {
    let mut found = Found {
        chain: Chain::START,
        len: 0,
        begin_len: 0,
        torn: None,
        opened: None,
        unsealed: 0,
    };
    let Some(number) = files::numbers(storage)?.pop() else {
        return Ok(found);
    };
    let file = files::name(number);
    let mut lines = Lines::new(storage.read(&file)?);
    let mut count = 0_u64;
    loop {
        let ending = lines.next()?;
        count = count.saturating_add(1);
        let bad = match ending {
            None => break,
            Some(Ending::Whole) => match follow(&mut found, &lines, number, count == 1) {
                Ok(entry) => {
                    take_in(&mut found, folds, &entry, &file)?;
                    found.len = lines.offset();
                    if count == 1 {
                        found.begin_len = lines.offset();
                    }
                    continue;
                }
                Err(BadLine::Entry(NotAnEntry::Version(v))) => {
                    return Err(OpenError::Newer {
                        file,
                        what: NotAnEntry::Version(v).to_string(),
                    });
                }
                Err(bad) => bad.to_string(),
            },
            Some(Ending::Torn) => "the line is not whole".to_owned(),
            Some(Ending::TooLong) => "the line is too long".to_owned(),
        };
        let damaged = |what| OpenError::Damaged {
            file: file.clone(),
            line: count,
            what,
        };
        // The first line of a file is durable before the file has its name.
        if count == 1 {
            return Err(damaged(bad));
        }
        let seq = found.chain.seq.saturating_add(1);
        found.torn = Some(torn(lines, seq)?.ok_or_else(|| damaged(bad))?);
        break;
    }
    if count == 1 {
        return Err(OpenError::Damaged {
            file,
            line: 1,
            what: "the file is empty".to_owned(),
        });
    }
    Ok(found)
}

/// Why a line is not the next one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadLine {
    #[error("the line is not UTF-8")]
    NotText,
    #[error(transparent)]
    Entry(#[from] NotAnEntry),
    #[error(transparent)]
    Chain(#[from] ChainFault),
}

fn follow<R: Read>(
    found: &mut Found,
    lines: &Lines<R>,
    number: u64,
    is_first: bool,
) -> Result<Entry, BadLine> {
    let text = std::str::from_utf8(lines.line()).map_err(|_| BadLine::NotText)?;
    let entry = Entry::from_line(text)?;
    if let (true, Event::Begin(begin)) = (is_first, &entry.event) {
        found.chain = Chain::before(&entry, begin);
    }
    found.chain.follows(&entry, number, is_first)?;
    found.chain.advance(&entry, lines.line());
    Ok(entry)
}

fn take_in(
    found: &mut Found,
    folds: &mut Folds,
    entry: &Entry,
    file: &str,
) -> Result<(), OpenError> {
    if let Event::Begin(begin) = &entry.event {
        found.opened.clone_from(&begin.opened);
        for (name, fold) in folds.iter_mut() {
            // A log from before there was this fold has no snapshot of it.
            if let Some(snapshot) = begin.state.get(*name) {
                fold.restore(snapshot).map_err(|what| OpenError::Snapshot {
                    file: file.to_owned(),
                    name: (*name).to_owned(),
                    what,
                })?;
            }
        }
    }
    if let Event::Opened(opened) = &entry.event {
        found.opened = Some((**opened).clone());
    }
    found.unsealed = match entry.event {
        Event::Seal(_) => 0,
        _ => found.unsealed.saturating_add(1),
    };
    for (_, fold) in folds.iter_mut() {
        fold.apply(entry);
    }
    Ok(())
}

/// The line that was read last and what follows it; `None` if that is more than one write, or if a seal in it says that entry `seq`, which
/// should begin it, was durable.
fn torn<R: Read>(mut lines: Lines<R>, seq: u64) -> io::Result<Option<Torn>> {
    let mut seen = Seen::new();
    loop {
        seen.add(lines.line());
        // A whole line's newline was taken off.
        if lines.ended_whole() {
            seen.add(b"\n");
        }
        if seen.bytes > MAX_TORN_BYTES || is_seal_of(lines.line(), seq) {
            return Ok(None);
        }
        if lines.next()?.is_none() {
            break;
        }
    }
    seen.read(io::empty(), MAX_TORN_BYTES).map(Some)
}

/// Whether a line is a seal over this entry: one is asked for when the entry is durable.
fn is_seal_of(line: &[u8], seq: u64) -> bool {
    let text = std::str::from_utf8(line).unwrap_or_default();
    Entry::from_line(text)
        .is_ok_and(|entry| matches!(&entry.event, Event::Seal(seal) if seal.upto >= seq))
}

/// What follows the lines that were read; `None` if that is nothing.
pub(crate) fn rest_of<R: Read>(lines: Lines<R>) -> io::Result<Option<Torn>> {
    let torn = Seen::new().read(lines.rest(), u64::MAX)?;
    Ok((torn.bytes > 0).then_some(torn))
}

/// Bytes that are counted and hashed.
struct Seen {
    hasher: Hasher,
    bytes: u64,
}

impl Seen {
    fn new() -> Self {
        Self {
            hasher: Hasher::new(Function::Sha256),
            bytes: 0,
        }
    }

    fn add(&mut self, piece: &[u8]) {
        self.hasher.update(piece);
        self.bytes = self
            .bytes
            .saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
    }

    /// All that is left, or the first `most` bytes and a few more.
    fn read(mut self, mut from: impl Read, most: u64) -> io::Result<Torn> {
        let mut buffer = [0; 8192];
        loop {
            let read = from.read(&mut buffer)?;
            let Some(piece) = buffer.get(..read).filter(|piece| !piece.is_empty()) else {
                break;
            };
            self.add(piece);
            if self.bytes > most {
                break;
            }
        }
        Ok(Torn {
            bytes: self.bytes,
            hash: Hash::from_slice(self.hasher.finish().as_ref()),
        })
    }
}
