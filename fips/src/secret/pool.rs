//! Places for secrets in locked memory: taken and given back without a system call.
//!
//! ```text
//! sizes      64 B   256 B   1 KiB   4 KiB   16 KiB      a secret takes the smallest place that holds it
//! regions    64 KiB each of places of one size, between guard pages, made when the first is wanted and kept; 32 at most, of the largest
//!            places 16: whole messages are in those, and must not take the room of the passwords and keys in them
//! ```
//!
//! What is free holds zeros: a place is overwritten before it is given back, and a new region is zeros. So a place that is taken has zeros
//! in it, whoever had it before.

use super::region::{Protection, Region};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use zeroize::Zeroize;

/// Bytes of the places.
const SIZES: [usize; 5] = [64, 256, 1024, 4096, 16 * 1024];

/// Bytes of a region: a multiple of every size, and of the pages of every system (up to 64 KiB).
pub(super) const REGION_BYTES: usize = 64 * 1024;

/// Regions of all sizes together: 2 MiB, a quarter of what Linux lets a user lock.
pub(super) const MOST_REGIONS: usize = 32;

/// The longest secret that has a place.
pub(super) const LONGEST: usize = 16 * 1024;

/// Regions of places of that size.
pub(super) const MOST_OF_LONGEST: usize = MOST_REGIONS / 2;

/// Words of the largest bitmap: 1024 places of 64 bytes.
const WORDS: usize = REGION_BYTES / 64 / 64;

/// One region and which of its places are taken: a bit each, set also for those that do not exist.
struct Shelf {
    region: Region,
    taken: [u64; WORDS],
    free: usize,
}

impl Shelf {
    fn new(size: usize) -> Option<Self> {
        let places = REGION_BYTES.checked_div(size)?;
        let mut taken = [u64::MAX; WORDS];
        for place in 0..places {
            if let Some(word) = taken.get_mut(place / 64) {
                *word &= !(1 << (place % 64));
            }
        }
        Some(Self {
            region: Region::new(REGION_BYTES)?,
            taken,
            free: places,
        })
    }

    /// Takes the first free place.
    fn take(&mut self) -> Option<usize> {
        if self.free == 0 {
            return None;
        }
        let (at, word) = self
            .taken
            .iter_mut()
            .enumerate()
            .find(|(_, word)| **word != u64::MAX)?;
        let bit = word.trailing_ones();
        *word |= 1 << bit;
        self.free -= 1;
        Some(at * 64 + usize::try_from(bit).ok()?)
    }

    fn give_back(&mut self, place: usize) {
        if let Some(word) = self.taken.get_mut(place / 64) {
            let bit = 1 << (place % 64);
            debug_assert!(*word & bit != 0, "given back twice");
            *word &= !bit;
            self.free += 1;
        }
    }
}

/// All places.
pub(super) struct Pool {
    shelves: [Mutex<Vec<Shelf>>; SIZES.len()],
    regions: AtomicUsize,
}

/// What a pool has, in bytes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stock {
    pub(super) reserved: usize,
    pub(super) locked: usize,
    pub(super) not_dumped: usize,
    pub(super) wiped_on_fork: usize,
    /// Places that are taken.
    pub(super) taken: usize,
}

impl Pool {
    pub(super) const fn new() -> Self {
        Self {
            shelves: [const { Mutex::new(Vec::new()) }; SIZES.len()],
            regions: AtomicUsize::new(0),
        }
    }

    fn shelves(&self, class: usize) -> Option<MutexGuard<'_, Vec<Shelf>>> {
        let shelves = self.shelves.get(class)?;
        // Nothing in here panics half-way; and if it did, at worst a place is lost.
        Some(shelves.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A place of `len` zeros. `None` when it is too long, or all places are taken and there is no room for another region.
    pub(super) fn take(&self, len: usize) -> Option<Place<'_>> {
        let (class, size) = SIZES.iter().enumerate().find(|(_, size)| **size >= len)?;
        let mut shelves = self.shelves(class)?;
        let found = shelves
            .iter_mut()
            .enumerate()
            .find_map(|(at, shelf)| Some((at, shelf.take()?)));
        let (at, place) = match found {
            Some(found) => found,
            None => {
                if *size == LONGEST && shelves.len() >= MOST_OF_LONGEST {
                    return None;
                }
                self.admit_region()?;
                let Some(mut shelf) = Shelf::new(*size) else {
                    self.regions.fetch_sub(1, Ordering::Relaxed);
                    return None;
                };
                let place = shelf.take()?;
                shelves.push(shelf);
                (shelves.len() - 1, place)
            }
        };
        let base = shelves.get(at)?.region.start();
        // SAFETY: pointer::add: the region has `REGION_BYTES / size` places of `size` bytes, and this is one of them.
        let start = unsafe { base.add(place * size) };
        Some(Place {
            pool: self,
            start,
            len,
            class,
            shelf: at,
            index: place,
        })
    }

    /// Counts one region more, if there may be one.
    fn admit_region(&self) -> Option<()> {
        let more = |regions| (regions < MOST_REGIONS).then_some(regions + 1);
        self.regions
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .ok()
            .map(drop)
    }

    /// What there is at the moment.
    pub(super) fn stock(&self) -> Stock {
        let mut stock = Stock::default();
        for (class, size) in SIZES.iter().enumerate() {
            let Some(shelves) = self.shelves(class) else {
                continue;
            };
            for shelf in shelves.iter() {
                let Protection {
                    locked,
                    not_dumped,
                    wiped_on_fork,
                } = shelf.region.protection();
                let bytes = |granted| if granted { REGION_BYTES } else { 0 };
                stock.reserved += REGION_BYTES;
                stock.locked += bytes(locked);
                stock.not_dumped += bytes(not_dumped);
                stock.wiped_on_fork += bytes(wiped_on_fork);
                stock.taken += REGION_BYTES / size - shelf.free;
            }
        }
        stock
    }
}

/// A place that is taken: overwritten and given back when dropped. It cannot grow.
pub(super) struct Place<'pool> {
    pool: &'pool Pool,
    start: NonNull<u8>,
    len: usize,
    class: usize,
    shelf: usize,
    index: usize,
}

// SAFETY: a place is memory that belongs to its holder alone, whichever thread that is in; the pool behind it is Sync.
unsafe impl Send for Place<'_> {}
// SAFETY: with a shared reference the bytes can only be read.
unsafe impl Sync for Place<'_> {}

impl Place<'_> {
    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: slice::from_raw_parts: `len` bytes, at most the size of the place, within a region that lives as long as the pool and
        // was zeros at first; nobody else has this place until it is given back, and for `&self` nobody writes to it.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: slice::from_raw_parts_mut: as above, and `&mut self` is the only way to these bytes.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        // Before anybody else can have it.
        self.bytes_mut().zeroize();
        if let Some(mut shelves) = self.pool.shelves(self.class)
            && let Some(shelf) = shelves.get_mut(self.shelf)
        {
            shelf.give_back(self.index);
        }
    }
}

#[cfg(test)]
mod tests;
