//! What waits for a part of the engine and what it has in hand.
//!
//! A part gets only so much at once, for two reasons: when it dies, everything in its hand is a suspect; and a request that has
//! one chance left gets it alone, so that an innocent one is never condemned for what its neighbour did.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

/// The order of work for one part. Ids only: the bytes are kept elsewhere.
#[derive(Debug)]
pub(super) struct Lane {
    waiting: VecDeque<u64>,
    in_hand: HashMap<u64, Instant>,
    width: usize,
}

impl Lane {
    /// A lane whose part gets `width` pieces of work at once.
    pub(super) fn new(width: usize) -> Self {
        Self {
            waiting: VecDeque::new(),
            in_hand: HashMap::new(),
            width: width.max(1),
        }
    }

    /// New work, behind everything else.
    pub(super) fn push(&mut self, id: u64) {
        self.waiting.push_back(id);
    }

    /// Work that the part did not do, before everything else.
    pub(super) fn give_back(&mut self, id: u64) {
        self.in_hand.remove(&id);
        self.waiting.push_front(id);
    }

    /// The next piece for the part, taken into its hand; `None` when it has enough or nothing waits.
    pub(super) fn next(&mut self, now: Instant, last_chance: impl Fn(u64) -> bool) -> Option<u64> {
        if self.in_hand.len() >= self.width || self.in_hand.keys().any(|id| last_chance(*id)) {
            return None;
        }
        let next = *self.waiting.front()?;
        if last_chance(next) && !self.in_hand.is_empty() {
            return None;
        }
        self.waiting.pop_front();
        self.in_hand.insert(next, now);
        Some(next)
    }

    /// What comes next.
    pub(super) fn front(&self) -> Option<u64> {
        self.waiting.front().copied()
    }

    /// Whether what comes next, or what the part has in hand, is one of these.
    pub(super) fn has_in_front_or_in_hand(&self, which: impl Fn(u64) -> bool) -> bool {
        self.front().is_some_and(&which) || self.in_hand.keys().any(|id| which(*id))
    }

    /// The part is done with it. `false` when it was not in its hand.
    pub(super) fn done(&mut self, id: u64) -> bool {
        self.in_hand.remove(&id).is_some()
    }

    /// Nobody wants it any more: it is not handed out. Whether the part has it in hand already.
    pub(super) fn forget(&mut self, id: u64) -> bool {
        self.waiting.retain(|waiting| *waiting != id);
        self.in_hand.contains_key(&id)
    }

    /// The part is dead: what it had in hand, oldest first.
    pub(super) fn lost(&mut self) -> Vec<u64> {
        let mut lost: Vec<_> = self.in_hand.drain().collect();
        lost.sort_by_key(|(id, since)| (*since, *id));
        lost.into_iter().map(|(id, _)| id).collect()
    }

    /// What the part has in hand, in the order of the ids.
    #[cfg(test)]
    pub(super) fn in_hand(&self) -> Vec<u64> {
        let mut ids: Vec<_> = self.in_hand.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    /// Since when the part has had its oldest piece of work in hand.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.in_hand.values().min().copied()
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        missing_docs
    )]
    use super::*;

    #[test]
    fn a_part_gets_no_more_than_the_width() {
        let mut lane = Lane::new(2);
        (1..=3).for_each(|id| lane.push(id));
        let now = Instant::now();
        assert_eq!(lane.next(now, |_| false), Some(1));
        assert_eq!(lane.next(now, |_| false), Some(2));
        assert_eq!(lane.next(now, |_| false), None);
        assert!(lane.done(1));
        assert!(!lane.done(1));
        assert_eq!(lane.next(now, |_| false), Some(3));
    }

    #[test]
    fn what_has_one_chance_left_is_in_hand_alone() {
        let mut lane = Lane::new(4);
        (1..=3).for_each(|id| lane.push(id));
        let now = Instant::now();
        let suspect = |id| id == 2;
        assert_eq!(lane.next(now, suspect), Some(1));
        assert_eq!(lane.next(now, suspect), None);
        assert!(lane.done(1));
        assert_eq!(lane.next(now, suspect), Some(2));
        assert_eq!(lane.next(now, suspect), None);
        assert!(lane.done(2));
        assert_eq!(lane.next(now, suspect), Some(3));
    }

    #[test]
    fn lost_work_comes_back_in_its_order_and_first() {
        let mut lane = Lane::new(2);
        (1..=3).for_each(|id| lane.push(id));
        let now = Instant::now();
        lane.next(now, |_| false);
        lane.next(now, |_| false);
        let lost = lane.lost();
        assert_eq!(lost, [1, 2]);
        lost.into_iter().rev().for_each(|id| lane.give_back(id));
        assert_eq!(lane.next(now, |_| false), Some(1));
    }

    #[test]
    fn what_is_forgotten_is_not_handed_out() {
        let mut lane = Lane::new(1);
        lane.push(1);
        lane.push(2);
        let now = Instant::now();
        assert_eq!(lane.next(now, |_| false), Some(1));
        assert!(lane.forget(1));
        assert!(!lane.forget(2));
        assert!(lane.done(1));
        assert_eq!(lane.next(now, |_| false), None);
    }
}
