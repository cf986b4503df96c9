//! The ledger's state as it stands in the first line of each file of the log.

use super::quarantine::Quarantine;
use super::subjects::Subjects;
use super::uses::UsesSnapshot;
use super::{Flights, Ledger};
use crate::text::Hash;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The version that this program writes.
///
/// Version 1 kept 64 bits of what is counted by, and did not know of importers' shares of the quarantine. Up to version 2 all sealed keys
/// counted in one name, and by their ciphertexts alone. Up to version 3 it was not known whose ciphertext was used how often.
const VERSION: u32 = 4;

/// A ledger's state. A ledger made from it admits nothing that the one that it was made of would have refused.
///
/// It is bounded: what is over is left out, and of the numbers of uses only the greatest are kept, with a lower bound for all others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LedgerSnapshot {
    version: u32,
    importers: Subjects<Option<Hash>>,
    callers: Subjects<Option<u32>>,
    quarantine: Quarantine,
    full_told: bool,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    full_shares_told: BTreeSet<Option<Hash>>,
    uses: UsesSnapshot,
}

/// The snapshot is of a later release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the ledger's snapshot has version {0}, this program knows {VERSION}: use the release that wrote it, or a later one"
)]
pub struct NewerSnapshot(u32);

impl Default for LedgerSnapshot {
    fn default() -> Self {
        Ledger::default().snapshot(0)
    }
}

impl Ledger {
    /// The state at this time.
    #[must_use]
    pub fn snapshot(&self, now_ms: i64) -> LedgerSnapshot {
        LedgerSnapshot {
            version: VERSION,
            importers: self.importers.pruned(now_ms),
            callers: self.callers.pruned(now_ms),
            quarantine: self.quarantine.clone(),
            full_told: self.full_told,
            full_shares_told: self.full_shares_told.clone(),
            uses: self.uses.snapshot(now_ms),
        }
    }

    /// A ledger in this state, with nothing in flight.
    ///
    /// # Errors
    /// [`NewerSnapshot`].
    pub fn restore(snapshot: LedgerSnapshot) -> Result<Self, NewerSnapshot> {
        if snapshot.version > VERSION {
            return Err(NewerSnapshot(snapshot.version));
        }
        Ok(Self {
            importers: snapshot.importers,
            callers: snapshot.callers,
            quarantine: snapshot.quarantine,
            full_told: snapshot.full_told,
            full_shares_told: snapshot.full_shares_told,
            uses: snapshot.uses.into(),
            flights: Flights::default(),
            latest_ms: 0,
        })
    }
}
