//! What is in flight: admitted, and not ended.

use super::asked::{Asked, CiphertextId};
use super::short::Short;
use crate::text::Hash;
use std::collections::HashMap;

/// A ciphertext in flight. Several requests may share it.
#[derive(Debug, Clone)]
struct Flight {
    holders: u32,
    /// The devices of the requests, one for each.
    devices: Vec<Short>,
    /// The importer and the caller that it is reserved with, if it may fail.
    reserved: Option<(Option<Hash>, Option<u32>)>,
    /// What the password has to open for each of the requests that may fail.
    may_fail: Vec<Option<Short>>,
    worked: bool,
    failed: bool,
}

impl Flight {
    /// Its room, once one of its requests has worked and none of the others may fail.
    fn room_not_needed(&mut self) -> Option<(Option<Hash>, Option<u32>)> {
        if self.worked && self.may_fail.is_empty() {
            self.reserved.take()
        } else {
            None
        }
    }
}

/// A request's place in a flight.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    id: CiphertextId,
    device: Option<Short>,
    opens: Option<Short>,
}

/// All of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Flights {
    flights: HashMap<CiphertextId, Flight>,
    importers: HashMap<Option<Hash>, u32>,
    callers: HashMap<Option<u32>, u32>,
}

impl Flights {
    /// Requests that share a ciphertext in flight, and their devices.
    pub(super) fn of(&self, id: &CiphertextId) -> (u32, &[Short]) {
        self.flights
            .get(id)
            .map_or((0, &[]), |flight| (flight.holders, &flight.devices))
    }

    /// Ciphertexts in flight that may fail and would count for this importer.
    pub(super) fn of_importer(&self, importer: Option<Hash>) -> u32 {
        self.importers.get(&importer).copied().unwrap_or(0)
    }

    /// Ciphertexts in flight that may fail and would count for this caller.
    pub(super) fn of_caller(&self, caller: Option<u32>) -> u32 {
        self.callers.get(&caller).copied().unwrap_or(0)
    }

    /// Ciphertexts in flight that may fail.
    pub(super) fn unproven(&self) -> usize {
        self.flights
            .values()
            .filter(|flight| flight.reserved.is_some())
            .count()
    }

    /// Whether this ciphertext is reserved already.
    pub(super) fn is_reserved(&self, id: &CiphertextId) -> bool {
        self.flights
            .get(id)
            .is_some_and(|flight| flight.reserved.is_some())
    }

    pub(super) fn begin(&mut self, id: CiphertextId, asked: &Asked, may_fail: bool) -> Place {
        let (device, opens) = (asked.device(), asked.opens());
        let flight = self.flights.entry(id).or_insert_with(|| Flight {
            holders: 0,
            devices: Vec::new(),
            reserved: None,
            may_fail: Vec::new(),
            worked: false,
            failed: false,
        });
        flight.holders = flight.holders.saturating_add(1);
        flight.devices.extend(device);
        if may_fail {
            flight.may_fail.push(opens);
        }
        if may_fail && flight.reserved.is_none() {
            flight.reserved = Some((asked.importer, asked.caller));
            let importer = self.importers.entry(asked.importer).or_default();
            *importer = importer.saturating_add(1);
            let caller = self.callers.entry(asked.caller).or_default();
            *caller = caller.saturating_add(1);
        }
        Place { id, device, opens }
    }

    /// Whether it is known to fail.
    pub(super) fn has_failed(&self, id: &CiphertextId) -> bool {
        self.flights.get(id).is_some_and(|flight| flight.failed)
    }

    pub(super) fn failed(&mut self, place: &Place) {
        if let Some(flight) = self.flights.get_mut(&place.id) {
            flight.failed = true;
        }
    }

    pub(super) fn worked(&mut self, place: &Place) {
        let reserved = self.flights.get_mut(&place.id).and_then(|flight| {
            flight.worked = true;
            // It decrypts; whether it opens another PFX is not known by that.
            flight
                .may_fail
                .retain(|opens| opens.is_some() && *opens != place.opens);
            flight.room_not_needed()
        });
        self.give_back(reserved);
    }

    fn give_back(&mut self, reserved: Option<(Option<Hash>, Option<u32>)>) {
        if let Some((importer, caller)) = reserved {
            less_one(&mut self.importers, &importer);
            less_one(&mut self.callers, &caller);
        }
    }

    pub(super) fn end(&mut self, place: Place) {
        let Some(flight) = self.flights.get_mut(&place.id) else {
            return;
        };
        flight.holders = flight.holders.saturating_sub(1);
        let named = flight
            .devices
            .iter()
            .position(|device| Some(*device) == place.device);
        if let Some(position) = named {
            flight.devices.swap_remove(position);
        }
        let asked = flight
            .may_fail
            .iter()
            .position(|opens| *opens == place.opens);
        if let Some(position) = asked {
            flight.may_fail.swap_remove(position);
        }
        let reserved = if flight.holders > 0 {
            flight.room_not_needed()
        } else {
            self.flights
                .remove(&place.id)
                .and_then(|flight| flight.reserved)
        };
        self.give_back(reserved);
    }
}

fn less_one<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, u32>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}
