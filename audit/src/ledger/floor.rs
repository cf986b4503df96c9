//! What ciphertexts are taken to have been used that are not known any more: as often as the most used that was given up, of the same
//! importer.

use super::limits::{DAY, counts};
use super::short::Short;
use super::uses::Count;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Importers with a floor of their own within a day; of more, the floor is everybody's. Importers are configured by name, so this is never
/// reached where nobody changes the configuration hundreds of times a day.
const MOST_OWN: usize = 1024;

/// A lower bound, and since when it counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Floor {
    since_ms: i64,
    pub(super) uses: u32,
    pub(super) devices: u32,
}

impl Floor {
    fn at(self, now_ms: i64) -> Self {
        if counts(self.since_ms, now_ms, DAY) {
            self
        } else {
            Self::default()
        }
    }

    fn raise(&mut self, now_ms: i64, by: &Count) {
        let old = self.at(now_ms);
        *self = Self {
            // Those that a clock set back has made of a future count until then.
            since_ms: now_ms.max(old.since_ms).max(by.since_ms()),
            uses: old.uses.max(by.uses()),
            devices: old.devices.max(by.devices()),
        };
    }
}

/// The bounds of each importer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Floors {
    /// Of what nobody knows any more whose it was.
    all: Floor,
    own: BTreeMap<Short, Floor>,
}

impl Floors {
    /// What is taken of a ciphertext of this importer.
    pub(super) fn of(&self, owner: Short, now_ms: i64) -> Floor {
        let all = self.all.at(now_ms);
        let own = self.own.get(&owner).copied().unwrap_or_default().at(now_ms);
        Floor {
            since_ms: all.since_ms.max(own.since_ms),
            uses: all.uses.max(own.uses),
            devices: all.devices.max(own.devices),
        }
    }

    /// This one was given up.
    pub(super) fn raise(&mut self, now_ms: i64, by: &Count) {
        let Some(owner) = by.owner() else {
            return self.all.raise(now_ms, by);
        };
        if !self.own.contains_key(&owner) && self.own.len() >= MOST_OWN {
            self.own
                .retain(|_, floor| counts(floor.since_ms, now_ms, DAY));
            if self.own.len() >= MOST_OWN {
                return self.all.raise(now_ms, by);
            }
        }
        self.own.entry(owner).or_default().raise(now_ms, by);
    }

    /// An operator lets this importer go.
    pub(super) fn forget(&mut self, owner: Short) {
        self.own.remove(&owner);
    }

    pub(super) fn snapshot(mut self, now_ms: i64) -> FloorsSnapshot {
        self.own
            .retain(|_, floor| counts(floor.since_ms, now_ms, DAY));
        let Floor {
            since_ms,
            uses,
            devices,
        } = self.all.at(now_ms);
        FloorsSnapshot {
            since_ms,
            uses,
            devices,
            own: self.own,
        }
    }
}

/// The bounds in a snapshot. Up to version 3 there was one for all importers: that of those whose importer is not known now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct FloorsSnapshot {
    since_ms: i64,
    uses: u32,
    devices: u32,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    own: BTreeMap<Short, Floor>,
}

impl From<FloorsSnapshot> for Floors {
    fn from(snapshot: FloorsSnapshot) -> Self {
        Self {
            all: Floor {
                since_ms: snapshot.since_ms,
                uses: snapshot.uses,
                devices: snapshot.devices,
            },
            own: snapshot.own,
        }
    }
}
