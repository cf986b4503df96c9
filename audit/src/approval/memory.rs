//! What follows from the log about approvals: which nonces were used, and how late it is at least.

use super::statement::Nonce;
use crate::entry::Entry;
use crate::event::Event;
use crate::fold::Fold;
use crate::text::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Nonces that are remembered at most: each has been used with the signatures of several people, within seven days.
const MAX_REMEMBERED: usize = 4096;

/// A [`Fold`] over the log; its snapshots are called [`ApprovalMemory::NAME`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalMemory {
    /// The latest time of an entry.
    latest: Timestamp,
    /// Used ones, with the time after which they would be of no use anyway.
    used: BTreeMap<Nonce, Timestamp>,
    /// Granted by this process and not in the log yet.
    #[serde(skip)]
    pending: BTreeSet<Nonce>,
}

impl ApprovalMemory {
    /// What its snapshots are called in a log.
    pub const NAME: &'static str = "approvals";

    /// Now, or the time of the newest entry where the clock was set back behind it.
    #[must_use]
    pub fn not_before(&self, now: Timestamp) -> Timestamp {
        now.max(self.latest)
    }

    /// Whether it was used, also when that is not in the log yet.
    pub(super) fn is_used(&self, nonce: &Nonce) -> bool {
        self.used.contains_key(nonce) || self.pending.contains(nonce)
    }

    /// Whether one more can be remembered.
    pub(super) fn has_room(&self) -> bool {
        self.used.len().saturating_add(self.pending.len()) < MAX_REMEMBERED
    }

    /// From now on it counts as used.
    pub(super) fn reserve(&mut self, nonce: Nonce) {
        self.pending.insert(nonce);
    }
}

impl Fold for ApprovalMemory {
    fn apply(&mut self, entry: &Entry) {
        self.latest = self.latest.max(entry.time);
        if let Event::Approved(approved) = &entry.event {
            for nonce in approved.nonces.iter().filter_map(|text| text.parse().ok()) {
                self.pending.remove(&nonce);
                self.used
                    .insert(nonce, Timestamp::from_ms(approved.expires_ms));
            }
        }
        let latest = self.latest;
        self.used.retain(|_, expires| *expires >= latest);
    }

    fn snapshot(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    fn restore(&mut self, snapshot: &Value) -> Result<(), String> {
        *self = Self::deserialize(snapshot).map_err(|error| error.to_string())?;
        Ok(())
    }
}
