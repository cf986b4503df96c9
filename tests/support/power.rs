//! A file system in memory that loses, tears and reorders what was not synced, as a power cut may.
//!
//! It is more malicious than any real one. Un-synced writes and truncations survive or not, each by itself, and of a write any of its
//! sectors of 512 bytes; where a file grew without its data, there are zeros or rubbish. New, removed and renamed names survive or
//! not, each by itself, until their folder is synced. Promised is only what a file system and a disk must promise: what was synced
//! stays, a rename happens or does not, and sectors that nobody writes to stay as they are.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation
)]

use std::collections::{BTreeMap, HashMap};

/// Which of the files that ever were.
pub type FileId = usize;

/// The content of a folder, by relative path.
pub type Files = BTreeMap<String, Vec<u8>>;

const SECTOR: usize = 512;

/// What a program did, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// A new empty file has this name now.
    Create {
        name: String,
        file: FileId,
    },
    /// A further name of a file.
    Link {
        name: String,
        file: FileId,
    },
    Write {
        file: FileId,
        offset: usize,
        bytes: Vec<u8>,
    },
    Truncate {
        file: FileId,
        length: usize,
    },
    /// All that was done to the content is durable.
    Sync {
        file: FileId,
    },
    /// All that was done to the names in it is durable.
    SyncFolder {
        folder: String,
    },
    Remove {
        name: String,
    },
    Rename {
        from: String,
        to: String,
    },
    /// Nothing on the disk: what the program knows at this moment.
    Mark(String),
}

/// In short, for messages.
impl std::fmt::Display for Op {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Write {
                file,
                offset,
                bytes,
            } => write!(f, "a write of {} bytes to {file} at {offset}", bytes.len()),
            other => write!(f, "{other:?}"),
        }
    }
}

/// splitmix64: the same numbers from the same seed, everywhere.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of `0..limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        ((self.next() >> 11) % limit.max(1) as u64) as usize
    }

    /// `true` so many times in eight.
    fn eighths(&mut self, eighths: usize) -> bool {
        self.below(8) < eighths
    }
}

/// What ends the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It is killed; the system lives on, and everything that it did is there, of the write in hand perhaps a part.
    Kill,
    /// The power fails: only what was synced is sure.
    PowerCut,
}

/// How far un-synced changes came.
#[derive(Clone, Copy)]
enum Fate {
    /// None of them.
    Nothing,
    /// All before this operation, and of it a part.
    Until(usize),
    /// Each with this probability in eighths.
    Each(usize),
}

#[derive(Default, Clone)]
struct Image {
    durable: Vec<u8>,
    /// Operations on the content since it was synced.
    pending: Vec<usize>,
}

/// The disk while a recorded program runs.
pub struct Disk<'a> {
    ops: &'a [Op],
    at: usize,
    images: HashMap<FileId, Image>,
    names: BTreeMap<String, FileId>,
    /// Operations on names since their folder was synced.
    entries: Vec<usize>,
}

fn folder_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

impl<'a> Disk<'a> {
    /// Before the first operation. Files that are there have the ids 0, 1, 2 ... in the order of their names.
    pub fn new(start: &Files, ops: &'a [Op]) -> Self {
        let image = |content: &Vec<u8>| Image {
            durable: content.clone(),
            pending: Vec::new(),
        };
        Self {
            ops,
            at: 0,
            images: start.values().map(image).enumerate().collect(),
            names: start.keys().cloned().zip(0..).collect(),
            entries: Vec::new(),
        }
    }

    /// How many operations are done.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Does the next operation; `None` at the end.
    pub fn advance(&mut self) -> Option<&'a Op> {
        let op = self.ops.get(self.at)?;
        match op {
            Op::Create { file, .. } => {
                self.images.insert(*file, Image::default());
                self.entries.push(self.at);
            }
            Op::Link { .. } | Op::Remove { .. } | Op::Rename { .. } => self.entries.push(self.at),
            Op::Write { file, .. } | Op::Truncate { file, .. } => self
                .images
                .get_mut(file)
                .expect("written to before it was made")
                .pending
                .push(self.at),
            Op::Sync { file } => {
                let image = self.images.get_mut(file).expect("a known file");
                for at in std::mem::take(&mut image.pending) {
                    change(&mut image.durable, &self.ops[at]);
                }
            }
            Op::SyncFolder { folder } => {
                let (done, open): (Vec<usize>, Vec<usize>) = std::mem::take(&mut self.entries)
                    .into_iter()
                    .partition(|at| match &self.ops[*at] {
                        Op::Create { name, .. }
                        | Op::Link { name, .. }
                        | Op::Remove { name }
                        | Op::Rename { to: name, .. } => folder_of(name) == folder,
                        _ => true,
                    });
                for at in done {
                    rename(&mut self.names, &self.ops[at]);
                }
                self.entries = open;
            }
            Op::Mark(_) => {}
        }
        self.at += 1;
        Some(op)
    }

    /// What is found after an end at this moment.
    pub fn after(&self, end: End, random: &mut Random) -> Files {
        let fate = match end {
            End::Kill => Fate::Until(self.at),
            End::PowerCut => match random.below(8) {
                0 => Fate::Nothing,
                1 | 2 => Fate::Until(self.somewhere(random)),
                _ => Fate::Each([1, 4, 7][random.below(3)]),
            },
        };
        let mut names = self.names.clone();
        for at in &self.entries {
            let survives = match fate {
                Fate::Nothing => false,
                Fate::Until(until) => *at < until,
                Fate::Each(eighths) => random.eighths(eighths),
            };
            if survives {
                rename(&mut names, &self.ops[*at]);
            }
        }
        let mut files = Files::new();
        for (name, file) in names {
            let mut content = self.content(file, fate, random);
            // Of the write that it was about to do, the system may have done a part.
            if let (End::Kill, Some(Op::Write { file: id, .. })) = (end, self.ops.get(self.at))
                && *id == file
            {
                begin_of(&mut content, &self.ops[self.at], random);
            }
            files.insert(name, content);
        }
        files
    }

    /// Everything that was done, as the running system sees it.
    pub fn now(&self) -> Files {
        let mut names = self.names.clone();
        for at in &self.entries {
            rename(&mut names, &self.ops[*at]);
        }
        let content = |file| self.content(file, Fate::Until(self.at), &mut Random::new(0));
        names
            .into_iter()
            .map(|(name, file)| (name, content(file)))
            .collect()
    }

    fn content(&self, file: FileId, fate: Fate, random: &mut Random) -> Vec<u8> {
        let image = &self.images[&file];
        let mut content = image.durable.clone();
        for at in &image.pending {
            let op = &self.ops[*at];
            match fate {
                Fate::Nothing => {}
                Fate::Until(until) if *at < until => change(&mut content, op),
                Fate::Until(until) if *at == until => begin_of(&mut content, op, random),
                Fate::Until(_) => {}
                Fate::Each(eighths) => match op {
                    Op::Write { offset, bytes, .. } => {
                        scatter(&mut content, *offset, bytes, eighths, random);
                    }
                    _ if random.eighths(eighths) => change(&mut content, op),
                    _ => {}
                },
            }
        }
        content
    }

    /// An operation at or after the first that is not durable.
    fn somewhere(&self, random: &mut Random) -> usize {
        let pending = self
            .images
            .values()
            .filter_map(|image| image.pending.first());
        let first = pending.chain(self.entries.first()).min();
        let first = first.copied().unwrap_or(self.at);
        first + random.below(self.at + 1 - first)
    }
}

fn change(content: &mut Vec<u8>, op: &Op) {
    match op {
        Op::Write { offset, bytes, .. } => put(content, *offset, bytes),
        Op::Truncate { length, .. } => content.resize(*length, 0),
        _ => panic!("no operation on a content: {op:?}"),
    }
}

fn put(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if content.len() < offset + bytes.len() {
        content.resize(offset + bytes.len(), 0);
    }
    content[offset..offset + bytes.len()].copy_from_slice(bytes);
}

/// The first bytes of a write.
fn begin_of(content: &mut Vec<u8>, op: &Op, random: &mut Random) {
    if let Op::Write { offset, bytes, .. } = op {
        let length = random.below(bytes.len() + 1);
        if length > 0 {
            put(content, *offset, &bytes[..length]);
        }
    }
}

/// Some sectors of a write.
fn scatter(
    content: &mut Vec<u8>,
    offset: usize,
    bytes: &[u8],
    eighths: usize,
    random: &mut Random,
) {
    let whole = random.eighths(4);
    let survives = random.eighths(eighths);
    // The length may be known to the file system although the data never arrived.
    let end = offset + bytes.len();
    if content.len() < end && random.eighths(eighths) {
        let old = content.len();
        content.resize(end, 0);
        if random.eighths(2) {
            content[old..].fill_with(|| random.next() as u8);
        }
    }
    let mut from = offset;
    while from < end {
        let to = (from / SECTOR * SECTOR + SECTOR).min(end);
        let lands = if whole {
            survives
        } else {
            random.eighths(eighths)
        };
        if lands {
            put(content, from, &bytes[from - offset..to - offset]);
        }
        from = to;
    }
}

fn rename(names: &mut BTreeMap<String, FileId>, op: &Op) {
    match op {
        Op::Create { name, file } | Op::Link { name, file } => {
            names.insert(name.clone(), *file);
        }
        Op::Remove { name } => {
            names.remove(name);
        }
        Op::Rename { from, to } => {
            // Where its creation was lost there is nothing to rename.
            if let Some(file) = names.remove(from) {
                names.insert(to.clone(), file);
            }
        }
        _ => panic!("no operation on a name: {op:?}"),
    }
}
