//! The order in which waiting requests go to the token. Pure: no clock, no lock, no thread.
//!
//! * Interactive requests first; every [`BATCH_TURN`]th turn is the batch lane's if anything waits there.
//! * Batch work never has every thread, nor every place at the token, where there is more than one: it may be the generation of a key
//!   that takes minutes. For the same reason an interactive request may always begin while none is running.

use std::collections::VecDeque;
use std::time::Duration;

use crate::Lane;

/// Of so many turns in a row, one is the batch lane's.
const BATCH_TURN: usize = 8;

/// One request that waits.
pub(super) struct Waiting<T> {
    pub(super) item: T,
    pub(super) lane: Lane,
    /// When it was accepted.
    pub(super) since: Duration,
    /// When nobody wants it any more.
    pub(super) until: Option<Duration>,
}

/// How much may run at once.
#[derive(Clone, Copy)]
pub(super) struct Room {
    /// Threads there are.
    pub(super) threads: usize,
    /// Requests that the token is given at once: 1 to `threads`.
    pub(super) limit: usize,
}

/// Two bounded lanes, and what of each is running.
pub(super) struct Lanes<T> {
    interactive: VecDeque<Waiting<T>>,
    batch: VecDeque<Waiting<T>>,
    capacity: usize,
    running_interactive: usize,
    running_batch: usize,
    /// Interactive turns in a row while batch work waited.
    passed_over: usize,
    /// No deadline of what waits is before this.
    earliest: Option<Duration>,
}

impl<T> Lanes<T> {
    /// Two lanes with `capacity` places each.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            interactive: VecDeque::with_capacity(capacity),
            batch: VecDeque::with_capacity(capacity),
            capacity,
            running_interactive: 0,
            running_batch: 0,
            passed_over: 0,
            earliest: None,
        }
    }

    fn lane(&mut self, lane: Lane) -> &mut VecDeque<Waiting<T>> {
        match lane {
            Lane::Interactive => &mut self.interactive,
            Lane::Batch => &mut self.batch,
        }
    }

    /// Requests that wait in a lane.
    pub(super) fn waiting(&self, lane: Lane) -> usize {
        match lane {
            Lane::Interactive => self.interactive.len(),
            Lane::Batch => self.batch.len(),
        }
    }

    /// Requests that would have their turn before a new one in this lane.
    pub(super) fn ahead(&self, lane: Lane) -> usize {
        match lane {
            Lane::Interactive => self.interactive.len(),
            Lane::Batch => self.interactive.len() + self.batch.len(),
        }
    }

    /// Requests that run.
    pub(super) fn running(&self) -> usize {
        self.running_interactive + self.running_batch
    }

    /// Whether a lane has a place.
    pub(super) fn has_place(&self, lane: Lane) -> bool {
        self.waiting(lane) < self.capacity
    }

    /// Puts a request at the end of its lane, whether there is a place or not.
    pub(super) fn push(&mut self, waiting: Waiting<T>) {
        if let Some(until) = waiting.until {
            self.earliest = Some(self.earliest.map_or(until, |earliest| earliest.min(until)));
        }
        self.lane(waiting.lane).push_back(waiting);
    }

    /// Takes out those whose deadline is over at `now`.
    pub(super) fn take_late(&mut self, now: Duration) -> Vec<T> {
        if self.earliest.is_none_or(|earliest| earliest > now) {
            return Vec::new();
        }
        let mut late = Vec::new();
        let mut earliest: Option<Duration> = None;
        for lane in [&mut self.interactive, &mut self.batch] {
            for waiting in std::mem::take(lane) {
                match waiting.until {
                    Some(until) if until <= now => late.push(waiting.item),
                    until => {
                        earliest = match (earliest, until) {
                            (Some(a), Some(b)) => Some(a.min(b)),
                            (a, b) => a.or(b),
                        };
                        lane.push_back(waiting);
                    }
                }
            }
        }
        self.earliest = earliest;
        late
    }

    fn interactive_may_begin(&self, room: Room) -> bool {
        !self.interactive.is_empty()
            && self.running() < room.threads
            && (self.running() < room.limit || self.running_interactive == 0)
    }

    fn batch_may_begin(&self, room: Room) -> bool {
        !self.batch.is_empty()
            && self.running() < room.limit.min(room.threads)
            && self.running_batch < room.limit.min(room.threads).saturating_sub(1).max(1)
    }

    /// Whether something waits that may begin.
    pub(super) fn may_begin(&self, room: Room) -> bool {
        self.interactive_may_begin(room) || self.batch_may_begin(room)
    }

    /// The next request, which runs until [`finished`](Self::finished). `None`: nothing waits that may begin.
    pub(super) fn next(&mut self, room: Room) -> Option<Waiting<T>> {
        let batch = self.batch_may_begin(room);
        let batch_turn = batch && self.passed_over + 1 >= BATCH_TURN;
        if self.interactive_may_begin(room) && !batch_turn {
            let next = self.interactive.pop_front()?;
            self.running_interactive += 1;
            if !self.batch.is_empty() {
                self.passed_over = self.passed_over.saturating_add(1);
            }
            return Some(next);
        }
        if !batch {
            return None;
        }
        let next = self.batch.pop_front()?;
        self.running_batch += 1;
        self.passed_over = 0;
        Some(next)
    }

    /// Whether an interactive request that has not waited may run now, because nothing waits; it runs until [`finished`](Self::finished)
    /// then.
    pub(super) fn begin_at_once(&mut self, room: Room) -> bool {
        let may_begin = self.is_empty() && self.running() < room.limit.min(room.threads);
        if may_begin {
            self.running_interactive += 1;
        }
        may_begin
    }

    /// A request of this lane does not run any more.
    pub(super) fn finished(&mut self, lane: Lane) {
        let running = match lane {
            Lane::Interactive => &mut self.running_interactive,
            Lane::Batch => &mut self.running_batch,
        };
        *running = running.saturating_sub(1);
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.interactive.is_empty() && self.batch.is_empty()
    }
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;

    const FOUR: Room = Room {
        threads: 4,
        limit: 4,
    };

    fn lanes(interactive: usize, batch: usize) -> Lanes<usize> {
        let mut lanes = Lanes::new(256);
        for item in 0..interactive {
            push(&mut lanes, item, Lane::Interactive, None);
        }
        for item in 0..batch {
            push(&mut lanes, 1000 + item, Lane::Batch, None);
        }
        lanes
    }

    fn push(lanes: &mut Lanes<usize>, item: usize, lane: Lane, until: Option<u64>) {
        lanes.push(Waiting {
            item,
            lane,
            since: Duration::ZERO,
            until: until.map(Duration::from_secs),
        });
    }

    /// What has its turn, one after the other.
    fn one_by_one(lanes: &mut Lanes<usize>, room: Room) -> Vec<usize> {
        let mut order = Vec::new();
        while let Some(next) = lanes.next(room) {
            lanes.finished(next.lane);
            order.push(next.item);
        }
        order
    }

    #[test]
    fn interactive_is_first_and_batch_has_every_eighth_turn() {
        let order = one_by_one(&mut lanes(21, 5), FOUR);
        let turns: Vec<_> = (0..order.len())
            .filter(|turn| order.get(*turn).is_some_and(|item| *item >= 1000))
            .collect();
        assert_eq!(turns, [7, 15, 23, 24, 25]);
    }

    #[test]
    fn batch_never_has_every_thread() {
        let mut lanes = lanes(0, 9);
        for _ in 0..3 {
            assert!(lanes.next(FOUR).is_some());
        }
        assert!(lanes.next(FOUR).is_none());
        push(&mut lanes, 1, Lane::Interactive, None);
        assert_eq!(lanes.next(FOUR).map(|next| next.item), Some(1));
    }

    #[test]
    fn batch_is_not_starved_by_interactive_requests_that_follow_each_other() {
        let two = Room {
            threads: 2,
            limit: 2,
        };
        let mut lanes = lanes(40, 1);
        assert_eq!(lanes.next(two).map(|next| next.item), Some(0));
        let turns = (1..40).find(|_| {
            let next = lanes.next(two);
            lanes.finished(Lane::Interactive);
            next.is_some_and(|next| next.lane == Lane::Batch)
        });
        assert_eq!(turns, Some(7));
    }

    #[test]
    fn one_thread_does_both_one_after_the_other() {
        let one = Room {
            threads: 1,
            limit: 1,
        };
        assert_eq!(one_by_one(&mut lanes(1, 2), one), [0, 1000, 1001]);
        let mut lanes = lanes(0, 2);
        assert!(lanes.next(one).is_some() && lanes.next(one).is_none());
    }

    #[test]
    fn an_interactive_request_begins_beside_long_batch_work_even_where_the_limit_is_one() {
        let room = Room {
            threads: 4,
            limit: 1,
        };
        let mut lanes = lanes(2, 2);
        assert_eq!(one_by_one(&mut lanes, room).len(), 4);
        for item in 0..2 {
            push(&mut lanes, 1000 + item, Lane::Batch, None);
        }
        assert_eq!(lanes.next(room).map(|next| next.item), Some(1000));
        assert!(!lanes.may_begin(room) && lanes.next(room).is_none());
        for item in 0..2 {
            push(&mut lanes, item, Lane::Interactive, None);
        }
        assert!(lanes.may_begin(room));
        assert_eq!(lanes.next(room).map(|next| next.item), Some(0));
        assert!(!lanes.may_begin(room) && lanes.next(room).is_none());
    }

    #[test]
    fn who_has_not_waited_overtakes_nobody_and_takes_no_more_room_than_there_is() {
        let room = Room {
            threads: 4,
            limit: 2,
        };
        let mut lanes = lanes(0, 0);
        assert!(lanes.begin_at_once(room) && lanes.begin_at_once(room));
        assert!(!lanes.begin_at_once(room));
        lanes.finished(Lane::Interactive);
        push(&mut lanes, 1000, Lane::Batch, None);
        assert!(!lanes.begin_at_once(room), "somebody waits");
        assert!(lanes.next(room).is_some());
        lanes.finished(Lane::Interactive);
        assert!(lanes.begin_at_once(room));
    }

    #[test]
    fn what_is_late_is_taken_out_wherever_it_stands() {
        let mut lanes = Lanes::new(8);
        push(&mut lanes, 1, Lane::Interactive, Some(5));
        push(&mut lanes, 2, Lane::Interactive, Some(2));
        push(&mut lanes, 3, Lane::Batch, Some(3));
        push(&mut lanes, 4, Lane::Batch, None);
        assert!(lanes.take_late(Duration::from_secs(1)).is_empty());
        assert_eq!(lanes.take_late(Duration::from_secs(3)), [2, 3]);
        assert_eq!(lanes.take_late(Duration::from_secs(9)), [1]);
        assert_eq!(one_by_one(&mut lanes, FOUR), [4]);
    }
}
