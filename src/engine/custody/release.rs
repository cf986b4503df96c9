//! When answers leave: failing ones at the next multiple of the grid since their request came, whatever took how long before.
//!
//! Why a decryption failed can be seen in the time that the answer took: a ciphertext whose padding is wrong costs the token a second
//! decryption, a password that does not open its PFX costs a key derivation. So no thread that works sends such an answer; this one thread
//! does, when it is time. The thread that worked is free meanwhile, and the supervisor is told that it is.

use crate::engine::ipc::{Frame, Kind};
use hsm::clock::Clock;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long it sleeps at most: what else is to be done now and then is done then.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);

/// An answer that waits for its time; the earlier one is the greater.
#[derive(Debug, PartialEq, Eq)]
struct Held {
    key: Reverse<(Duration, u64)>,
    frame: Frame,
}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Held {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

#[derive(Debug, Default)]
struct Heap {
    held: BinaryHeap<Held>,
    next_number: u64,
}

/// The answers that wait. As many as there are requests in flight, at most.
#[derive(Debug)]
pub(super) struct Release {
    clock: Arc<dyn Clock>,
    grid: Duration,
    heap: Mutex<Heap>,
    added: Condvar,
    late: AtomicU64,
}

impl Release {
    pub(super) fn new(clock: Arc<dyn Clock>, grid: Duration) -> Self {
        Self {
            clock,
            grid: grid.max(Duration::from_millis(1)),
            heap: Mutex::default(),
            added: Condvar::new(),
            late: AtomicU64::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Heap> {
        self.heap.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the grid is counted from: the time at which a request came.
    pub(super) fn now(&self) -> Duration {
        self.clock.now()
    }

    /// Answers that were not there for the first multiple of the grid.
    pub(super) fn late(&self) -> u64 {
        self.late.load(Ordering::Relaxed)
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().held.is_empty()
    }

    /// Keeps the answer to a request that came at `received`. What the supervisor has to be told at once is given back.
    pub(super) fn hold(&self, received: Duration, frame: Frame) -> Frame {
        let told = Frame::bare(Kind::Held, frame.id);
        let taken = self.clock.now().saturating_sub(received).as_nanos();
        let slots = taken
            .checked_div(self.grid.as_nanos())
            .unwrap_or_default()
            .saturating_add(1);
        if slots > 1 {
            self.late.fetch_add(1, Ordering::Relaxed);
        }
        let slots = u32::try_from(slots).unwrap_or(u32::MAX);
        let at = received.saturating_add(self.grid.saturating_mul(slots));
        let mut heap = self.lock();
        let number = heap.next_number;
        heap.next_number = number.saturating_add(1);
        heap.held.push(Held {
            key: Reverse((at, number)),
            frame,
        });
        self.added.notify_one();
        told
    }

    /// The answers whose time has come, in the order in which they were to leave, and how long it is until the next.
    fn due(&self) -> (Vec<Frame>, Duration) {
        let now = self.clock.now();
        let mut heap = self.lock();
        let mut due = Vec::new();
        while let Some(next) = heap.held.peek() {
            let Reverse((at, _)) = next.key;
            if at > now {
                return (due, at.saturating_sub(now).min(LONGEST_SLEEP));
            }
            due.extend(heap.held.pop().map(|held| held.frame));
        }
        (due, LONGEST_SLEEP)
    }

    /// Sends every answer at its time, for ever; `now_and_then` is called at least every few seconds.
    pub(super) fn run(&self, send: impl Fn(Frame), now_and_then: impl Fn()) -> ! {
        loop {
            let (due, until_next) = self.due();
            due.into_iter().for_each(&send);
            now_and_then();
            let heap = self.lock();
            let first = heap.held.peek().map(|held| held.key.0.0);
            let left = first.map_or(until_next, |at| at.saturating_sub(self.clock.now()));
            if !left.is_zero() {
                drop(
                    self.added
                        .wait_timeout(heap, left.min(LONGEST_SLEEP))
                        .unwrap_or_else(PoisonError::into_inner),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]
    use super::*;
    use hsm::clock::ManualClock;

    const GRID: Duration = Duration::from_millis(50);

    fn scene() -> (Arc<ManualClock>, Release) {
        let clock = Arc::new(ManualClock::default());
        let release = Release::new(Arc::clone(&clock) as Arc<dyn Clock>, GRID);
        (clock, release)
    }

    fn reply(id: u64) -> Frame {
        Frame::bare(Kind::Reply, id)
    }

    fn ids(release: &Release) -> Vec<u64> {
        release.due().0.into_iter().map(|frame| frame.id).collect()
    }

    #[test]
    fn an_answer_leaves_at_the_next_multiple_whatever_it_took() {
        for taken_us in [0, 1, 7_600, 49_999] {
            let (clock, release) = scene();
            clock.advance(Duration::from_millis(3));
            let received = release.now();
            clock.advance(Duration::from_micros(taken_us));
            let told = release.hold(received, reply(9));
            assert_eq!((told.kind, told.id), (Kind::Held, 9));
            clock.advance(GRID - Duration::from_micros(taken_us) - Duration::from_nanos(1));
            assert!(ids(&release).is_empty(), "{taken_us}");
            clock.advance(Duration::from_nanos(1));
            assert_eq!(ids(&release), [9], "{taken_us}");
            assert_eq!(release.late(), 0);
        }
    }

    #[test]
    fn what_misses_a_multiple_waits_for_the_next_and_is_counted() {
        for (taken_ms, leaves_ms) in [(50, 100), (99, 100), (100, 150), (120, 150)] {
            let (clock, release) = scene();
            clock.advance(Duration::from_millis(taken_ms));
            release.hold(Duration::ZERO, reply(1));
            clock.advance(Duration::from_millis(leaves_ms - taken_ms - 1));
            assert!(ids(&release).is_empty());
            clock.advance(Duration::from_millis(1));
            assert_eq!(ids(&release), [1]);
            assert_eq!(release.late(), 1);
        }
    }

    #[test]
    fn answers_leave_in_the_order_of_their_times_and_then_of_their_coming() {
        let (clock, release) = scene();
        release.hold(Duration::from_millis(20), reply(1));
        release.hold(Duration::from_millis(10), reply(2));
        release.hold(Duration::from_millis(10), reply(3));
        assert!(!release.is_empty());
        clock.advance(Duration::from_millis(200));
        assert_eq!(ids(&release), [2, 3, 1]);
        assert!(release.is_empty());
    }

    #[test]
    fn the_thread_sends_what_is_due_and_is_woken_for_what_comes() {
        let release = Arc::new(Release::new(
            hsm::clock::MonotonicClock::start(),
            Duration::from_millis(1),
        ));
        let (sender, sent) = std::sync::mpsc::channel();
        let running = Arc::clone(&release);
        std::thread::spawn(move || {
            running.run(
                move |frame| {
                    let _ = sender.send(frame.id);
                },
                || {},
            )
        });
        for id in 1..=3 {
            release.hold(release.now(), reply(id));
            assert_eq!(sent.recv().unwrap(), id);
        }
    }
}
