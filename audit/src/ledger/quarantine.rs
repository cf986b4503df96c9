//! Ciphertexts that failed: none is decrypted again before an operator says so.
//!
//! None is ever forgotten to make room: that would let it be tried again. So there is an end, and it is one importer's own:
//!
//! ```text
//! 0 ........................................ 1536 ................ 2048
//! | for everybody, 512 of one importer at most | for those with less |
//! |                                            | than 32 of their own |
//! ```
//!
//! An importer whose share is full has no ciphertext decrypted that did not decrypt before; what others may is not touched. Three importers
//! that fill theirs leave sixteen others 32 each. Only then is the quarantine full for all.

use super::asked::CiphertextId;
use crate::text::Hash;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// So many are remembered.
pub const QUARANTINE_CAPACITY: usize = 2048;
/// So many of one importer, at most. Records that nobody signed are one importer's.
pub const QUARANTINE_SHARE: usize = 512;
/// So much of the capacity is kept for importers that have fewer than [`QUARANTINE_KEPT_EACH`] in it.
const KEPT: usize = 512;
/// What an importer may have of [`KEPT`].
pub const QUARANTINE_KEPT_EACH: usize = 32;

/// A ciphertext that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Quarantined {
    /// When it failed, in milliseconds since 1970.
    pub since_ms: i64,
    /// Fingerprint of its importer's key; null for a record that nobody signed.
    pub importer: Option<Hash>,
    /// SHA-256 of the ciphertext.
    pub ciphertext: Hash,
}

/// Whether one more could be taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// It could.
    Free,
    /// The importer's own share is full.
    NotOfThisImporter,
    /// What is there for importers like this one is full.
    Nowhere,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    from = "BTreeMap<CiphertextId, Quarantined>",
    into = "BTreeMap<CiphertextId, Quarantined>"
)]
pub(super) struct Quarantine {
    held: BTreeMap<CiphertextId, Quarantined>,
    /// How many of them are of each importer.
    of: BTreeMap<Option<Hash>, usize>,
}

impl From<BTreeMap<CiphertextId, Quarantined>> for Quarantine {
    fn from(held: BTreeMap<CiphertextId, Quarantined>) -> Self {
        let of = counted(&held);
        Self { held, of }
    }
}

impl From<Quarantine> for BTreeMap<CiphertextId, Quarantined> {
    fn from(quarantine: Quarantine) -> Self {
        quarantine.held
    }
}

fn counted(held: &BTreeMap<CiphertextId, Quarantined>) -> BTreeMap<Option<Hash>, usize> {
    let mut of = BTreeMap::<_, usize>::new();
    for quarantined in held.values() {
        let count = of.entry(quarantined.importer).or_default();
        *count = count.saturating_add(1);
    }
    of
}

impl Quarantine {
    pub(super) fn contains(&self, id: &CiphertextId) -> bool {
        self.held.contains_key(id)
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    fn of(&self, importer: &Option<Hash>) -> usize {
        self.of.get(importer).copied().unwrap_or(0)
    }

    /// Whether there is room for one more of this importer, if so many of its own, and of all, came before.
    pub(super) fn room(&self, importer: &Option<Hash>, own_coming: usize, coming: usize) -> Room {
        let own = self.of(importer).saturating_add(own_coming);
        let all = self.len().saturating_add(coming);
        if own >= QUARANTINE_SHARE {
            Room::NotOfThisImporter
        } else if all < QUARANTINE_CAPACITY - KEPT
            || (all < QUARANTINE_CAPACITY && own < QUARANTINE_KEPT_EACH)
        {
            Room::Free
        } else {
            Room::Nowhere
        }
    }

    /// Whether what everybody may have is full.
    pub(super) fn is_full(&self) -> bool {
        self.len() >= QUARANTINE_CAPACITY - KEPT
    }

    /// Importers whose own share is full.
    pub(super) fn full_shares(&self) -> impl Iterator<Item = Option<Hash>> {
        self.of
            .iter()
            .filter(|(_, count)| **count >= QUARANTINE_SHARE)
            .map(|(importer, _)| *importer)
    }

    /// Takes one in, also beyond its capacity: admission is what keeps it below.
    pub(super) fn add(&mut self, id: CiphertextId, quarantined: Quarantined) {
        let importer = quarantined.importer;
        let mut is_new = false;
        self.held.entry(id).or_insert_with(|| {
            is_new = true;
            quarantined
        });
        if is_new {
            let count = self.of.entry(importer).or_default();
            *count = count.saturating_add(1);
        }
    }

    /// Lets those go that `is_meant` names.
    pub(super) fn release(&mut self, is_meant: impl Fn(&CiphertextId, &Quarantined) -> bool) {
        self.held
            .retain(|id, quarantined| !is_meant(id, quarantined));
        self.of = counted(&self.held);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&CiphertextId, &Quarantined)> {
        self.held.iter()
    }
}
