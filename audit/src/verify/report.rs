//! What a look at a whole log says.

use super::finding::Finding;
use crate::entry::Entry;
use crate::event::Event;
use crate::text::{Hash, Timestamp};
use std::collections::BTreeMap;

/// What was read, and what is wrong with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The log's name.
    pub log: String,
    /// Files.
    pub files: u64,
    /// Entries that could be read.
    pub entries: u64,
    /// How many there are of each event.
    pub events: BTreeMap<&'static str, u64>,
    /// Number and time of the first entry.
    pub first_seq: u64,
    /// When that was.
    pub first_time: Option<Timestamp>,
    /// Number of the last entry.
    pub last_seq: u64,
    /// When that was.
    pub last_time: Option<Timestamp>,
    /// Hash of the last line.
    pub head: Option<Hash>,
    /// Seals that verify.
    pub seals: u64,
    /// The last entry under one of them.
    pub sealed_upto: u64,
    /// Entries behind that, seals apart: chained, but whoever can write to the folder could have replaced them.
    pub unsealed: u64,
    /// Anchors that fit.
    pub anchors: u64,
    /// The last entry with one.
    pub anchored_upto: u64,
    /// Anchors of entries before the first file that is here.
    pub anchors_before: u64,
    /// What is wrong, in the order of the log; the first hundred.
    pub findings: Vec<Finding>,
    /// How many things are wrong.
    pub problems: u64,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.problems == 0
    }

    pub(super) fn count(&mut self, entry: &Entry, head: Hash) {
        if self.entries == 0 {
            self.first_seq = entry.seq;
            self.first_time = Some(entry.time);
        }
        self.entries = self.entries.saturating_add(1);
        self.last_seq = entry.seq;
        self.last_time = Some(entry.time);
        self.head = Some(head);
        let count = self.events.entry(entry.event.name()).or_default();
        *count = count.saturating_add(1);
        if !matches!(entry.event, Event::Seal(_)) {
            self.unsealed = self.unsealed.saturating_add(1);
        }
    }
}
