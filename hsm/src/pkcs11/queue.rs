//! The bounded queue between the callers and the worker threads: two lanes, deadlines, and how many run at once.
//!
//! Nothing is answered while the lock is held: what is late comes out, and whoever took it answers.

use std::sync::Arc;
use std::time::Duration;

use super::lanes::{Lanes, Room, Waiting};
use super::limiter::Limiter;
use crate::clock::Clock;
use crate::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use crate::{Lane, Load, Terms};

/// Of the mean time at the token, how much a new time counts: one part of so many.
const MEMORY: u32 = 8;

struct State<T> {
    lanes: Lanes<T>,
    limiter: Limiter,
    /// Mean time at the token of the requests whose time says something about the next one's. `None`: none yet.
    usual: Option<Duration>,
    load: Load,
    closed: bool,
}

/// Two lanes for any number of producers, and a fixed number of consumers.
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    threads: usize,
    clock: Arc<dyn Clock>,
    work: Condvar,
    place: Condvar,
}

/// Why a request is not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rejected {
    /// Nothing is taken in any more.
    Closed,
    /// It would have to wait longer than it has time, or there is no place.
    Overloaded,
}

/// What a consumer has to do next.
pub(super) enum Next<T> {
    /// This; [`Queue::finished`] afterwards.
    Work(T, Turn),
    /// Tell these that they are too late.
    Late(Vec<T>),
}

/// The turn of a request at the token.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    lane: Lane,
    began: Duration,
    /// No consumer has it.
    at_once: bool,
}

/// What a request's time at the token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measure {
    /// It is like that of others.
    Usual,
    /// Nothing about others: the generation of a key, a list.
    Other,
    /// The token had no room for it.
    NoRoom,
}

impl<T> Queue<T> {
    /// A queue for `threads` consumers with `capacity` places in each lane.
    pub(super) fn new(threads: usize, capacity: usize, clock: Arc<dyn Clock>) -> Self {
        Self {
            state: Mutex::new(State {
                lanes: Lanes::new(capacity),
                limiter: Limiter::new(threads),
                usual: None,
                load: Load::default(),
                closed: false,
            }),
            threads,
            clock,
            work: Condvar::new(),
            place: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A turn for a request of the caller's own thread, if it need not wait; [`finished`](Self::finished) afterwards.
    pub(super) fn begin_at_once(&self, terms: Terms) -> Option<Turn> {
        let has_time = terms.within.is_none_or(|within| !within.is_zero());
        if !terms.own_thread || !has_time || terms.lane != Lane::Interactive {
            return None;
        }
        let began = self.clock.now();
        let mut state = self.lock();
        let room = Room {
            threads: self.threads,
            limit: state.limiter.limit(),
        };
        if state.closed || !state.lanes.begin_at_once(room) {
            return None;
        }
        state.load.queue_time.add(Duration::ZERO);
        Some(Turn {
            lane: Lane::Interactive,
            began,
            at_once: true,
        })
    }

    /// Takes a request in, at once or not at all.
    pub(super) fn push(&self, item: T, terms: Terms) -> Result<(), (T, Rejected)> {
        let state = self.lock();
        self.admit(state, item, terms)
    }

    /// Waits for a place, and takes a request without a deadline in.
    pub(super) fn push_when_there_is_a_place(
        &self,
        item: T,
        lane: Lane,
    ) -> Result<(), (T, Rejected)> {
        let state = self
            .place
            .wait_while(self.lock(), |state| {
                !state.closed && !state.lanes.has_place(lane)
            })
            .unwrap_or_else(PoisonError::into_inner);
        let terms = Terms {
            lane,
            ..Terms::default()
        };
        self.admit(state, item, terms)
    }

    fn admit(
        &self,
        mut state: MutexGuard<'_, State<T>>,
        item: T,
        terms: Terms,
    ) -> Result<(), (T, Rejected)> {
        if state.closed {
            return Err((item, Rejected::Closed));
        }
        let Terms { within, lane, .. } = terms;
        let hopeless = within.is_some_and(|within| state.wait_for(lane) > within);
        if hopeless || !state.lanes.has_place(lane) {
            state.load.shed = state.load.shed.saturating_add(1);
            return Err((item, Rejected::Overloaded));
        }
        let since = self.clock.now();
        state.lanes.push(Waiting {
            item,
            lane,
            since,
            until: within.map(|within| since.saturating_add(within)),
        });
        drop(state);
        self.work.notify_one();
        Ok(())
    }

    /// Waits for something to do. `None`: the queue is closed and empty.
    pub(super) fn next(&self) -> Option<Next<T>> {
        let mut state = self.lock();
        loop {
            let now = self.clock.now();
            let room = Room {
                threads: self.threads,
                limit: state.limiter.limit(),
            };
            let late = state.lanes.take_late(now);
            if !late.is_empty() {
                let count = u64::try_from(late.len()).unwrap_or(u64::MAX);
                state.load.late = state.load.late.saturating_add(count);
                self.leave_with_something(state, room);
                return Some(Next::Late(late));
            }
            if let Some(next) = state.lanes.next(room) {
                state.load.queue_time.add(now.saturating_sub(next.since));
                self.leave_with_something(state, room);
                let turn = Turn {
                    lane: next.lane,
                    began: now,
                    at_once: false,
                };
                return Some(Next::Work(next.item, turn));
            }
            if state.closed && state.lanes.is_empty() {
                return None;
            }
            state = self
                .work
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A consumer goes away with something, for however long. What may begin beside that was perhaps announced to this one alone, or was
    /// not able to before: an interactive request that waited for another may begin beside the batch work that was taken instead.
    fn leave_with_something(&self, state: MutexGuard<'_, State<T>>, room: Room) {
        let is_more = state.lanes.may_begin(room);
        drop(state);
        if is_more {
            self.work.notify_one();
        }
        // Not only one: those who wait may wait for places of different lanes.
        self.place.notify_all();
    }

    /// The request of this turn is at the token no more.
    pub(super) fn finished(&self, turn: Turn, measure: Measure) {
        let now = self.clock.now();
        let mut state = self.lock();
        state.lanes.finished(turn.lane);
        let limit = state.limiter.limit();
        match measure {
            Measure::Usual => {
                let took = now.saturating_sub(turn.began);
                state.load.token_time.add(took);
                state.usual = Some(state.usual.map_or(took, |usual| {
                    usual.saturating_mul(MEMORY - 1).saturating_add(took) / MEMORY
                }));
                let waiting = Lane::ALL
                    .into_iter()
                    .map(|lane| state.lanes.waiting(lane))
                    .sum();
                state.limiter.finished(waiting, now);
            }
            Measure::Other => {}
            Measure::NoRoom => state.limiter.refused(now),
        }
        // This consumer comes back by itself; others only if there is more room than for one, or nothing more to come.
        let wake_others = state.limiter.limit() > limit || state.closed;
        let waits = turn.at_once && !state.lanes.is_empty();
        drop(state);
        if wake_others {
            self.work.notify_all();
        } else if waits {
            self.work.notify_one();
        }
    }

    /// Lets nothing in any more; what is in is still given out.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.work.notify_all();
        self.place.notify_all();
    }

    /// The figures.
    pub(super) fn load(&self) -> Load {
        let state = self.lock();
        Load {
            waiting_interactive: state.lanes.waiting(Lane::Interactive),
            waiting_batch: state.lanes.waiting(Lane::Batch),
            running: state.lanes.running(),
            limit: state.limiter.limit(),
            ..state.load.clone()
        }
    }
}

impl<T> State<T> {
    /// How long a new request would wait for its turn, as far as can be told.
    fn wait_for(&self, lane: Lane) -> Duration {
        let Some(usual) = self.usual else {
            return Duration::ZERO;
        };
        let ahead = u32::try_from(self.lanes.ahead(lane)).unwrap_or(u32::MAX);
        let limit = u32::try_from(self.limiter.limit()).unwrap_or(u32::MAX);
        usual.saturating_mul(ahead) / limit.max(1)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, missing_docs)]
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::clock::ManualClock;

    fn queue(threads: usize, capacity: usize) -> (Arc<ManualClock>, Queue<u32>) {
        let clock = Arc::new(ManualClock::default());
        let queue = Queue::new(threads, capacity, clock.clone());
        (clock, queue)
    }

    fn work(queue: &Queue<u32>) -> (u32, Turn) {
        match queue.next() {
            Some(Next::Work(item, turn)) => (item, turn),
            _ => panic!("there is work"),
        }
    }

    #[test]
    fn a_closed_queue_gives_out_what_is_in_and_takes_nothing() {
        let (_, queue) = queue(2, 2);
        queue.push(1, Terms::default()).unwrap();
        queue.push(2, Terms::default()).unwrap();
        queue.close();
        assert_eq!(queue.push(3, Terms::default()), Err((3, Rejected::Closed)));
        assert_eq!((work(&queue).0, work(&queue).0), (1, 2));
        assert!(queue.next().is_none());
    }

    #[test]
    fn a_full_queue_makes_producers_wait_and_loses_nothing() {
        let (_, queue) = queue(1, 1);
        let each = if cfg!(miri) { 6 } else { 100 };
        let sum = std::thread::scope(|scope| {
            for lane in [Lane::Interactive, Lane::Batch, Lane::Interactive] {
                let queue = &queue;
                scope.spawn(move || {
                    (1..=each).for_each(|item| {
                        queue.push_when_there_is_a_place(item, lane).unwrap();
                    });
                });
            }
            let consumer = scope.spawn(|| {
                let one = |_| {
                    let (item, turn) = work(&queue);
                    queue.finished(turn, Measure::Usual);
                    item
                };
                (0..3 * each).map(one).sum::<u32>()
            });
            consumer.join().unwrap()
        });
        assert_eq!(sum, 3 * (each * (each + 1) / 2));
    }

    /// Stands, and counts how often it is asked.
    #[derive(Debug, Default)]
    struct Asked(AtomicU64);

    impl Clock for Asked {
        fn now(&self) -> Duration {
            self.0.fetch_add(1, Ordering::SeqCst);
            Duration::ZERO
        }

        fn pause(&self, _: Duration) {}
    }

    /// Returns when the clock has been asked so often, and whoever did so holds the lock no more.
    fn when_asked(clock: &Asked, queue: &Queue<u32>, times: u64) {
        while clock.0.load(Ordering::SeqCst) < times {
            std::thread::yield_now();
        }
        queue.load();
    }

    #[test]
    fn an_interactive_request_that_waits_begins_beside_batch_work_that_is_taken_before_it() {
        let clock = Arc::new(Asked::default());
        let queue = Queue::new(2, 8, clock.clone());
        queue.push(0, Terms::default()).unwrap();
        let (_, turn) = work(&queue);
        // The token is given one at once from now on.
        queue.finished(turn, Measure::NoRoom);
        queue.push(1000, Terms::batch()).unwrap();
        // Its turn comes after seven others.
        let mut held = None;
        for item in 1..=7 {
            if let Some(turn) = held {
                queue.finished(turn, Measure::Usual);
            }
            queue.push(item, Terms::default()).unwrap();
            let (taken, turn) = work(&queue);
            assert_eq!(taken, item);
            held = Some(turn);
        }
        let asked = clock.0.load(Ordering::SeqCst);
        std::thread::scope(|scope| {
            let (sender, receiver) = std::sync::mpsc::channel();
            let consumers_queue = &queue;
            scope.spawn(move || sender.send(work(consumers_queue).0));
            when_asked(&clock, &queue, asked + 1);
            queue.push(8, Terms::default()).unwrap();
            // The other consumer has looked, and sleeps: the token is full.
            when_asked(&clock, &queue, asked + 3);
            queue.finished(held.unwrap(), Measure::Usual);
            assert_eq!(work(&queue).0, 1000);
            // This one does not come back for long.
            let taken = receiver.recv_timeout(Duration::from_secs(60));
            queue.close();
            assert_eq!(taken, Ok(8));
        });
    }

    #[test]
    fn a_full_lane_sheds_who_does_not_wait_and_leaves_the_other_lane_alone() {
        let (_, queue) = queue(2, 1);
        queue.push(1, Terms::batch()).unwrap();
        assert_eq!(
            queue.push(2, Terms::batch()),
            Err((2, Rejected::Overloaded))
        );
        queue.push(3, Terms::default()).unwrap();
        let load = queue.load();
        assert_eq!(
            (load.waiting_interactive, load.waiting_batch, load.shed),
            (1, 1, 1)
        );
    }

    #[test]
    fn what_is_late_when_its_turn_comes_is_handed_out_as_late() {
        let (clock, queue) = queue(1, 4);
        queue
            .push(1, Terms::within(Duration::from_millis(10)))
            .unwrap();
        queue.push(2, Terms::default()).unwrap();
        clock.advance(Duration::from_millis(10));
        match queue.next() {
            Some(Next::Late(late)) => assert_eq!(late, [1]),
            _ => panic!("one is late"),
        }
        assert_eq!(work(&queue).0, 2);
        assert_eq!(queue.load().late, 1);
    }

    #[test]
    fn a_request_that_would_wait_longer_than_it_has_time_is_shed_at_once() {
        let (clock, queue) = queue(1, 64);
        queue.push(0, Terms::default()).unwrap();
        let (_, turn) = work(&queue);
        clock.advance(Duration::from_millis(10));
        queue.finished(turn, Measure::Usual);
        for item in 0..5 {
            queue.push(item, Terms::default()).unwrap();
        }
        let within = |ms| Terms::within(Duration::from_millis(ms));
        assert_eq!(queue.push(6, within(49)), Err((6, Rejected::Overloaded)));
        queue.push(7, within(50)).unwrap();
        assert_eq!(queue.load().token_time.mean(), Duration::from_millis(10));
    }

    #[test]
    fn time_in_the_queue_and_at_the_token_are_measured_apart_and_generation_in_neither_mean() {
        let (clock, queue) = queue(4, 4);
        queue.push(0, Terms::default()).unwrap();
        clock.advance(Duration::from_millis(3));
        let (_, turn) = work(&queue);
        clock.advance(Duration::from_millis(5));
        queue.finished(turn, Measure::Usual);
        queue.push(1, Terms::batch()).unwrap();
        let (_, turn) = work(&queue);
        clock.advance(Duration::from_secs(100));
        queue.finished(turn, Measure::Other);
        let load = queue.load();
        assert_eq!(load.queue_time.sum_us, 3_000);
        assert_eq!((load.token_time.sum_us, load.token_time.count), (5_000, 1));
    }
}
