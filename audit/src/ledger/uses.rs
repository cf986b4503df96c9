//! How often each ciphertext was decrypted, and for how many devices.
//!
//! Exact for as many ciphertexts as there is room for. When there is none, those that were used least are forgotten, and every ciphertext
//! that is not known is from then on taken to have been used as often as the most used of those: the numbers may be too high, never too
//! low. A snapshot keeps fewer, by the same rule.

use super::asked::CiphertextId;
use super::limits::{DAY, counts};
use super::short::Short;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Ciphertexts and devices that are counted at once, together: some 20 MiB at most.
const CAPACITY: usize = 131_072;
/// Of them in a snapshot: a quarter of a MiB at most.
const IN_SNAPSHOT: usize = 2048;

/// What is known of one ciphertext, since its first use within a day.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Count {
    since_ms: i64,
    uses: u32,
    /// Devices before those that are named.
    #[serde(default, skip_serializing_if = "is_zero")]
    earlier_devices: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    devices: Vec<Short>,
    /// It was decrypted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    decrypts: bool,
    /// The record whose PFX its password opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    opened: Option<Short>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form that serde calls"
)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Count {
    pub(super) fn uses(&self) -> u32 {
        self.uses
    }

    /// Whether it cannot fail: it did not when the same was asked of it.
    pub(super) fn is_proven_for(&self, opens: Option<Short>) -> bool {
        match opens {
            None => self.decrypts,
            Some(_) => self.opened == opens,
        }
    }

    pub(super) fn has_device(&self, device: Short) -> bool {
        self.devices.contains(&device)
    }

    pub(super) fn devices(&self) -> u32 {
        self.earlier_devices
            .saturating_add(u32::try_from(self.devices.len()).unwrap_or(u32::MAX))
    }

    fn weight(&self) -> (u32, u32) {
        (self.devices(), self.uses)
    }

    /// What it takes of the capacity.
    fn room(&self) -> usize {
        self.devices.len().saturating_add(1)
    }
}

/// One use, to be counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct OneUse {
    /// The token decrypted it (and it is not somebody else's result that is shared).
    pub(super) by_token: bool,
    pub(super) device: Option<Short>,
    pub(super) opens: Option<Short>,
    /// It did what was asked of it.
    pub(super) delivered: bool,
}

/// The counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Uses {
    known: HashMap<CiphertextId, Count>,
    /// What a ciphertext that is not known is taken to have.
    floor: Floor,
    capacity: Capacity,
    taken: usize,
}

/// As small as tests want it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Capacity(usize);

impl Default for Capacity {
    fn default() -> Self {
        Self(CAPACITY)
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Floor {
    since_ms: i64,
    uses: u32,
    devices: u32,
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
            since_ms: now_ms.max(old.since_ms).max(by.since_ms),
            uses: old.uses.max(by.uses),
            devices: old.devices.max(by.devices()),
        };
    }
}

impl Uses {
    #[cfg(test)]
    pub(super) fn of_capacity(capacity: usize) -> Self {
        Self {
            capacity: Capacity(capacity),
            ..Self::default()
        }
    }

    /// Whether anything is known of a ciphertext itself.
    pub(super) fn knows(&self, id: &CiphertextId) -> bool {
        self.known.contains_key(id)
    }

    /// What is known of a ciphertext now.
    pub(super) fn of(&self, id: &CiphertextId, now_ms: i64) -> Count {
        if let Some(count) = self.known.get(id) {
            return if counts(count.since_ms, now_ms, DAY) {
                count.clone()
            } else {
                Count {
                    since_ms: now_ms,
                    ..Count::default()
                }
            };
        }
        let floor = self.floor.at(now_ms);
        Count {
            since_ms: now_ms,
            uses: floor.uses,
            earlier_devices: floor.devices,
            ..Count::default()
        }
    }

    /// Counts a use. `most_devices` is how many are remembered of one ciphertext: beyond the limit they are only counted.
    pub(super) fn add(&mut self, now_ms: i64, id: CiphertextId, one: OneUse, most_devices: usize) {
        let mut count = self.of(&id, now_ms);
        count.uses = count.uses.saturating_add(u32::from(one.by_token));
        if one.delivered {
            count.decrypts = true;
            count.opened = one.opens.or(count.opened);
        }
        if let Some(device) = one.device
            && one.delivered
            && !count.has_device(device)
        {
            if count.devices.len() < most_devices {
                count.devices.push(device);
            } else {
                count.earlier_devices = count.earlier_devices.saturating_add(1);
            }
        }
        self.taken = self.taken.saturating_add(count.room());
        if let Some(old) = self.known.insert(id, count) {
            self.taken = self.taken.saturating_sub(old.room());
        }
        if self.taken > self.capacity.0 {
            self.make_room(now_ms);
        }
    }

    /// Forgets what is over; if that is not enough, those that were used least, and raises the floor.
    fn make_room(&mut self, now_ms: i64) {
        self.known
            .retain(|_, count| counts(count.since_ms, now_ms, DAY));
        for count in most_used(&mut self.known, self.capacity.0 / 2) {
            self.floor.raise(now_ms, &count);
        }
        self.taken = taken(&self.known);
    }

    /// What a snapshot keeps.
    pub(super) fn snapshot(&self, now_ms: i64) -> UsesSnapshot {
        let mut known: HashMap<CiphertextId, Count> = self
            .known
            .iter()
            .filter(|(_, count)| counts(count.since_ms, now_ms, DAY))
            .map(|(id, count)| (*id, count.clone()))
            .collect();
        let mut floor = self.floor.at(now_ms);
        for count in most_used(&mut known, IN_SNAPSHOT) {
            floor.raise(now_ms, &count);
        }
        let mut known: Vec<_> = known.into_iter().collect();
        known.sort_by_key(|(id, _)| *id);
        UsesSnapshot { floor, known }
    }
}

fn taken(known: &HashMap<CiphertextId, Count>) -> usize {
    known.values().map(Count::room).sum()
}

/// Leaves those that were used most, as many as there is room for, and gives back the others.
fn most_used(known: &mut HashMap<CiphertextId, Count>, room: usize) -> Vec<Count> {
    if taken(known) <= room {
        return Vec::new();
    }
    let mut order: Vec<_> = known
        .iter()
        .map(|(id, count)| (std::cmp::Reverse(count.weight()), *id, count.room()))
        .collect();
    order.sort_unstable();
    let mut left = room;
    let mut is_full = false;
    order
        .into_iter()
        .filter(|(_, _, takes)| {
            // Nobody who was used less stays for being smaller.
            match left.checked_sub(*takes) {
                Some(rest) if !is_full => left = rest,
                _ => is_full = true,
            }
            is_full
        })
        .filter_map(|(_, id, _)| known.remove(&id))
        .collect()
}

/// The uses in a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct UsesSnapshot {
    floor: Floor,
    known: Vec<(CiphertextId, Count)>,
}

impl From<UsesSnapshot> for Uses {
    fn from(snapshot: UsesSnapshot) -> Self {
        let known: HashMap<_, _> = snapshot.known.into_iter().collect();
        Self {
            taken: taken(&known),
            known,
            floor: snapshot.floor,
            capacity: Capacity::default(),
        }
    }
}
