//! How often each ciphertext was decrypted, and for how many devices.
//!
//! Exact for as many ciphertexts as there is room for. When there is none, those importers that take most of it give up some, each those of
//! its own that were used least; and every ciphertext *of that importer* that is not known is from then on taken to have been used as often
//! as the most used of those ([`floor`](super::floor)): the numbers may be too high, never too low, and nobody else's are touched. A snapshot
//! keeps fewer, by the same rule.

use super::asked::CiphertextId;
use super::floor::{Floors, FloorsSnapshot};
use super::limits::{DAY, counts};
use super::short::Short;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// Ciphertexts and devices that are counted at once, together: some 20 MiB at most.
const CAPACITY: usize = 131_072;
/// Of them in a snapshot: 2 MiB at most, of the 4 that its line may have.
const IN_SNAPSHOT: usize = 8192;

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
    /// Whose it is; none in snapshots up to version 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    of: Option<Short>,
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

    pub(super) fn since_ms(&self) -> i64 {
        self.since_ms
    }

    pub(super) fn owner(&self) -> Option<Short> {
        self.of
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
    /// Whose ciphertext it is.
    pub(super) owner: Short,
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
    /// What ciphertexts that are not known are taken to have.
    floors: Floors,
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

    /// What is known of a ciphertext of this importer now.
    pub(super) fn of(&self, id: &CiphertextId, owner: Short, now_ms: i64) -> Count {
        if let Some(count) = self.known.get(id) {
            return if counts(count.since_ms, now_ms, DAY) {
                count.clone()
            } else {
                Count {
                    since_ms: now_ms,
                    of: Some(owner),
                    ..Count::default()
                }
            };
        }
        let floor = self.floors.of(owner, now_ms);
        Count {
            since_ms: now_ms,
            uses: floor.uses,
            earlier_devices: floor.devices,
            of: Some(owner),
            ..Count::default()
        }
    }

    /// Counts a use. `most_devices` is how many are remembered of one ciphertext: beyond the limit they are only counted.
    pub(super) fn add(&mut self, now_ms: i64, id: CiphertextId, one: OneUse, most_devices: usize) {
        let mut count = self.of(&id, one.owner, now_ms);
        count.of = Some(one.owner);
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
        for count in give_up(&mut self.known, self.capacity.0 / 2) {
            self.floors.raise(now_ms, &count);
        }
        self.taken = taken(&self.known);
    }

    /// Forgets how often ciphertexts of this importer were used, and what is taken of those of it that are not known.
    pub(super) fn forget(&mut self, owner: Short) {
        self.known.retain(|_, count| count.of != Some(owner));
        self.floors.forget(owner);
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
        let mut floors = self.floors.clone();
        for count in give_up(&mut known, IN_SNAPSHOT) {
            floors.raise(now_ms, &count);
        }
        let mut known: Vec<_> = known.into_iter().collect();
        known.sort_by_key(|(id, _)| *id);
        UsesSnapshot {
            floors: floors.snapshot(now_ms),
            known,
        }
    }
}

fn taken(known: &HashMap<CiphertextId, Count>) -> usize {
    known.values().map(Count::room).sum()
}

/// Leaves as many as there is room for, and gives back the others: each importer keeps what it has up to the same share, and of what is
/// more than that those that were used most.
fn give_up(known: &mut HashMap<CiphertextId, Count>, room: usize) -> Vec<Count> {
    if taken(known) <= room {
        return Vec::new();
    }
    let mut each = BTreeMap::<Option<Short>, Vec<_>>::new();
    for (id, count) in known.iter() {
        let one = (std::cmp::Reverse(count.weight()), *id, count.room());
        each.entry(count.of).or_default().push(one);
    }
    let takes: Vec<usize> = each
        .values()
        .map(|own| own.iter().map(|(_, _, takes)| takes).sum())
        .collect();
    let share = share(takes, room);
    let mut over = Vec::new();
    for mut own in each.into_values() {
        own.sort_unstable();
        let mut left = share;
        let mut is_full = false;
        for (_, id, takes) in own {
            // Nobody who was used less stays for being smaller.
            match left.checked_sub(takes) {
                Some(rest) if !is_full => left = rest,
                _ => is_full = true,
            }
            if is_full {
                over.extend(known.remove(&id));
            }
        }
    }
    over
}

/// How much each may have if those that take less leave the rest to the others, and all together fit into `room`.
fn share(mut takes: Vec<usize>, room: usize) -> usize {
    takes.sort_unstable();
    let mut left = room;
    let mut others = takes.len();
    for one in takes {
        let share = left.checked_div(others).unwrap_or_default();
        if one > share {
            return share;
        }
        left = left.saturating_sub(one);
        others = others.saturating_sub(1);
    }
    room
}

/// The uses in a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct UsesSnapshot {
    /// Up to version 3 one for all importers.
    #[serde(rename = "floor")]
    floors: FloorsSnapshot,
    known: Vec<(CiphertextId, Count)>,
}

impl From<UsesSnapshot> for Uses {
    fn from(snapshot: UsesSnapshot) -> Self {
        let known: HashMap<_, _> = snapshot.known.into_iter().collect();
        Self {
            taken: taken(&known),
            known,
            floors: snapshot.floors.into(),
            capacity: Capacity::default(),
        }
    }
}
