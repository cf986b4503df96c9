//! Requests that wait for a thread, and threads that wait for the formats process.

use crate::engine::ipc::{Caller, Frame, Payload};
use audit::Verb;
use std::collections::{HashMap, VecDeque};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// One request.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: u64,
    /// What is asked for, by the frame's header.
    pub(super) verb: Option<Verb>,
    /// Who asks: the user is the supervisor's word, the certificate the caller's.
    pub(super) caller: Caller,
    pub(super) payload: Payload,
    pub(super) deadline: Instant,
    /// When it came, on the clock of the answers' release.
    pub(super) received: Duration,
}

impl Job {
    pub(super) fn new(frame: Frame, now: Instant, received: Duration) -> Self {
        Self {
            id: frame.id,
            verb: frame.verb,
            caller: frame.caller,
            payload: frame.payload,
            deadline: now + Duration::from_millis(u64::from(frame.time_left_ms)),
            received,
        }
    }
}

#[derive(Debug, Default)]
struct Jobs {
    waiting: VecDeque<Job>,
    /// What threads are busy with, and since when.
    busy: HashMap<u64, Instant>,
    leaving: bool,
}

/// The requests that wait. Their number is bounded by the supervisor's lane.
#[derive(Debug, Default)]
pub(super) struct Queue {
    jobs: Mutex<Jobs>,
    changed: Condvar,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a request; gives it back when this process is about to end.
    pub(super) fn push(&self, job: Job) -> Result<(), Job> {
        let mut jobs = self.lock();
        if jobs.leaving {
            return Err(job);
        }
        jobs.waiting.push_back(job);
        self.changed.notify_one();
        Ok(())
    }

    /// Waits for a request; `None` when this process is about to end.
    pub(super) fn take(&self) -> Option<Job> {
        // Of the request before.
        fips::secret::clear_registers();
        let mut jobs = self.lock();
        loop {
            if jobs.leaving {
                return None;
            }
            if let Some(job) = jobs.waiting.pop_front() {
                jobs.busy.insert(job.id, Instant::now());
                return Some(job);
            }
            jobs = self
                .changed
                .wait(jobs)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A request that was taken has been answered.
    pub(super) fn finished(&self, id: u64) {
        self.lock().busy.remove(&id);
    }

    /// Removes a request that nobody has begun.
    pub(super) fn forget(&self, id: u64) -> bool {
        let mut jobs = self.lock();
        let before = jobs.waiting.len();
        jobs.waiting.retain(|job| job.id != id);
        jobs.waiting.len() != before
    }

    /// Nothing more is begun; what waited comes back.
    pub(super) fn leave(&self) -> Vec<Job> {
        let mut jobs = self.lock();
        jobs.leaving = true;
        self.changed.notify_all();
        jobs.waiting.drain(..).collect()
    }

    /// Nothing waits, and no thread is busy.
    pub(super) fn is_idle(&self) -> bool {
        let jobs = self.lock();
        jobs.busy.is_empty() && jobs.waiting.is_empty()
    }

    /// Requests that threads are busy with, each with when it was begun.
    pub(super) fn busy(&self) -> Vec<(u64, Instant)> {
        let jobs = self.lock();
        jobs.busy.iter().map(|(id, since)| (*id, *since)).collect()
    }
}

/// What a thread waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// What it only wants for whoever asked: when nobody does any more, it is of no use.
    ForCaller,
    /// What has to be known of a use of the key, whether anybody waits for the request or not.
    ForVerdict,
}

#[derive(Debug)]
struct Waiting {
    wait: Wait,
    sender: SyncSender<Option<Payload>>,
}

/// Threads that wait for the formats process, by the request they work on.
#[derive(Debug, Default)]
pub(super) struct Calls(Mutex<HashMap<u64, Waiting>>);

impl Calls {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Announces that the thread of this request is going to wait.
    pub(super) fn announce(&self, id: u64, wait: Wait) -> Receiver<Option<Payload>> {
        let (sender, receiver) = sync_channel(1);
        self.lock().insert(id, Waiting { wait, sender });
        receiver
    }

    /// The answer is there, or (`None`) there will be none. Nobody may wait any more: then it is dropped.
    pub(super) fn answer(&self, id: u64, payload: Option<Payload>) {
        let waiting = self.lock().remove(&id);
        if let Some(waiting) = waiting {
            let _ = waiting.sender.try_send(payload);
        }
    }

    /// Nobody wants the request any more: what was only for its caller ends.
    pub(super) fn abandon(&self, id: u64) {
        let mut calls = self.lock();
        let is_for_caller = calls
            .get(&id)
            .is_some_and(|waiting| waiting.wait == Wait::ForCaller);
        if is_for_caller && let Some(waiting) = calls.remove(&id) {
            let _ = waiting.sender.try_send(None);
        }
    }

    /// The thread waits no longer.
    pub(super) fn forget(&self, id: u64) {
        self.lock().remove(&id);
    }
}
