//! Ciphertexts that failed: none is decrypted again before an operator says so.

use super::asked::CiphertextId;
use crate::text::Hash;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// So many are remembered. When it is full, no ciphertext is decrypted that did not decrypt before: forgetting one would let it be tried
/// again.
pub const QUARANTINE_CAPACITY: usize = 2048;

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

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Quarantine(BTreeMap<CiphertextId, Quarantined>);

impl Quarantine {
    pub(super) fn contains(&self, id: &CiphertextId) -> bool {
        self.0.contains_key(id)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes one in, also beyond its capacity: admission is what keeps it below.
    pub(super) fn add(&mut self, id: CiphertextId, quarantined: Quarantined) {
        self.0.entry(id).or_insert(quarantined);
    }

    /// Lets those go that `is_meant` names.
    pub(super) fn release(&mut self, is_meant: impl Fn(&CiphertextId, &Quarantined) -> bool) {
        self.0.retain(|id, quarantined| !is_meant(id, quarantined));
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&CiphertextId, &Quarantined)> {
        self.0.iter()
    }
}
