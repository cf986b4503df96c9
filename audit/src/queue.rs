//! What is between those who record and the one thread that writes.

use crate::event::Event;
use crate::receipts::{ReceiptError, Written};
use crate::status::Status;
use crate::text::Timestamp;
use crate::waits::Waits;
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Entries that wait at once; custody has at most 130 threads that record.
const MAX_WAITING: usize = 8192;

/// With so many uses under way, others that end soon are waited for ...
const GATHER_FROM: usize = 4;
/// ... for this long. A commit costs a disk and its processor about as much whether it is for one entry or for ten.
const GATHER: Duration = Duration::from_millis(1);

type Answer = Result<Written, ReceiptError>;

/// An entry that is not written yet.
pub(crate) struct Pending {
    pub(crate) event: Event,
    pub(crate) time: Timestamp,
    ticket: Option<SyncSender<Answer>>,
}

impl Pending {
    pub(crate) fn with_ticket(event: Event, time: Timestamp) -> (Self, Receiver<Answer>) {
        let (ticket, receiver) = sync_channel(1);
        let pending = Self {
            event,
            time,
            ticket: Some(ticket),
        };
        (pending, receiver)
    }

    pub(crate) const fn without_ticket(event: Event, time: Timestamp) -> Self {
        Self {
            event,
            time,
            ticket: None,
        }
    }

    /// Tells whoever waits, once.
    pub(crate) fn answer(&mut self, answer: Answer) {
        if let Some(ticket) = self.ticket.take() {
            // Who does not wait any more does not need to know.
            let _ = ticket.try_send(answer);
        }
    }
}

#[derive(Default)]
struct Queue {
    pending: Vec<Pending>,
    closing: Option<String>,
    closed: bool,
}

/// What the writer finds when it looks.
pub(crate) struct Taken {
    pub(crate) batch: Vec<Pending>,
    /// Why it is to end.
    pub(crate) closing: Option<String>,
}

#[derive(Default)]
pub(crate) struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    closed: Condvar,
    status: Mutex<Status>,
    waits: Mutex<Waits>,
    /// Uses under way, each of which will want an entry: those that wait for theirs among them.
    expected: AtomicUsize,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waits(&self) -> MutexGuard<'_, Waits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A seal up to this entry is wanted.
    pub(crate) fn seal_asked(&self, upto: u64) {
        self.waits().seal_asked(upto, Instant::now());
    }

    /// A seal up to this entry is durable.
    pub(crate) fn sealed(&self, upto: u64) {
        self.waits().sealed(upto, Instant::now());
    }

    /// An anchor is being written to what has this name.
    pub(crate) fn anchor_begun(&self, name: &str) {
        self.waits().anchor_begun(name, Instant::now());
    }

    /// It is written, or not.
    pub(crate) fn anchor_ended(&self, problem: Option<String>) {
        self.waits().anchor_ended();
        self.status().anchor_problem = problem;
    }

    /// The status, with what hangs: nobody else tells of that.
    pub(crate) fn told(&self, patience: Duration) -> Status {
        let mut status = self.status().clone();
        self.waits().tell(&mut status, patience, Instant::now());
        status
    }

    /// One more use is under way, or one less.
    pub(crate) fn expect(&self, more: bool) {
        if more {
            self.expected.fetch_add(1, Ordering::Relaxed);
        } else {
            self.expected.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Whether a commit would be for few of many.
    fn more_will_come(&self, queue: &Queue) -> bool {
        let expected = self.expected.load(Ordering::Relaxed);
        expected >= GATHER_FROM && queue.pending.len() < expected && queue.closing.is_none()
    }

    pub(crate) fn check(&self) -> Result<(), ReceiptError> {
        if self.lock().closed {
            return Err(ReceiptError::Closed);
        }
        match &self.status().problem {
            None => Ok(()),
            Some(problem) => Err(ReceiptError::Broken(problem.clone())),
        }
    }

    pub(crate) fn push(&self, pending: Pending) -> Result<(), ReceiptError> {
        let mut queue = self.lock();
        if queue.closed {
            return Err(ReceiptError::Closed);
        }
        let waiting = queue.pending.len();
        if waiting >= MAX_WAITING {
            drop(queue);
            let mut status = self.status();
            status.lost = status.lost.saturating_add(1);
            return Err(ReceiptError::Overloaded(waiting));
        }
        queue.pending.push(pending);
        // A writer that gathers looks again when its time is over.
        let wake = waiting == 0 || !self.more_will_come(&queue);
        drop(queue);
        if wake {
            self.changed.notify_one();
        }
        Ok(())
    }

    /// For the writer: all that waits, as soon as there is something, or when the time has come.
    pub(crate) fn take(&self, until: Option<Instant>) -> Taken {
        let mut queue = self.lock();
        while queue.pending.is_empty() && queue.closing.is_none() {
            queue = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => self
                    .changed
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() => break,
                Some(left) => {
                    self.changed
                        .wait_timeout(queue, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
            };
        }
        queue = self.gather(queue);
        Taken {
            batch: mem::take(&mut queue.pending),
            closing: queue.closing.clone(),
        }
    }

    /// Waits a moment for more of what is under way, where that is much.
    fn gather<'a>(&'a self, mut queue: MutexGuard<'a, Queue>) -> MutexGuard<'a, Queue> {
        let begun = Instant::now();
        while !queue.pending.is_empty() && self.more_will_come(&queue) {
            let left = GATHER.saturating_sub(begun.elapsed());
            if left.is_zero() {
                break;
            }
            queue = self
                .changed
                .wait_timeout(queue, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        queue
    }

    /// For the writer at its end: what comes until then, `closing` or not.
    pub(crate) fn take_last(&self, until: Instant) -> Vec<Pending> {
        let mut queue = self.lock();
        while queue.pending.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            queue = self
                .changed
                .wait_timeout(queue, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        mem::take(&mut queue.pending)
    }

    pub(crate) fn close(&self, why: &str, deadline: Instant) -> bool {
        let mut queue = self.lock();
        queue.closing.get_or_insert_with(|| why.to_owned());
        self.changed.notify_one();
        while !queue.closed {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            queue = self
                .closed
                .wait_timeout(queue, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        drop(queue);
        self.status().problem.is_none()
    }

    /// The writer is gone: nobody waits in vain.
    pub(crate) fn writer_ended(&self) {
        let mut queue = self.lock();
        queue.closed = true;
        for mut pending in queue.pending.drain(..) {
            pending.answer(Err(ReceiptError::Closed));
        }
        drop(queue);
        self.closed.notify_all();
    }
}
