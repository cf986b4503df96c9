//! The way of a request to a worker and of its answer back.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use super::classify::Class;
use super::queue::{Measure, Next, Queue, Rejected, Turn};
use super::worker::Worker;
use crate::custody::Operation;
use crate::sync::{Mutex, MutexGuard, PoisonError, sync_channel};
use crate::{Error, Lane, Terms};

/// The work of a request with a worker, of that number; or without one, because of this error.
type Work = Box<dyn FnOnce(Result<(&mut Worker, usize), Error>) -> Done + Send>;

/// A request that waits.
pub(super) struct Job(Work);

/// The end of a request: how its time is to be taken, and its answer, which is given when the token is free again.
pub(super) struct Done {
    measure: Measure,
    answer: Box<dyn FnOnce()>,
}

/// Takes an answer.
type Answer<T> = Box<dyn FnOnce(Result<T, Error>) + Send>;

/// Who waits for the answer. Answers exactly once, even if a worker panics.
struct Waiter<T>(Option<Answer<T>>);

impl<T> Waiter<T> {
    fn answer(mut self, result: Result<T, Error>) {
        if let Some(waiter) = self.0.take() {
            waiter(result);
        }
    }
}

impl<T> Drop for Waiter<T> {
    fn drop(&mut self) {
        if let Some(waiter) = self.0.take() {
            waiter(Err(Error::Internal("a worker panicked")));
        }
    }
}

/// Lane of an operation that nobody chose one for: what takes long is batch.
fn lane_of(operation: Operation) -> Lane {
    match operation {
        Operation::Decrypt | Operation::Encrypt | Operation::Sign | Operation::Agree => {
            Lane::Interactive
        }
        Operation::Generate | Operation::ListKeys => Lane::Batch,
    }
}

fn measure<T>(lane: Lane, result: &Result<T, Error>) -> Measure {
    match result {
        Err(Error::Token(refusal)) if refusal.class() == Class::Room => Measure::NoRoom,
        _ if lane == Lane::Batch => Measure::Other,
        _ => Measure::Usual,
    }
}

impl Job {
    /// `action` with a worker, then `answer`.
    fn new<T: Send + 'static>(
        operation: Operation,
        action: impl FnOnce(&mut Worker) -> Result<T, Error> + Send + 'static,
        answer: Answer<T>,
    ) -> Self {
        let waiter = Waiter(Some(answer));
        Self(Box::new(move |worker| {
            let (result, measure) = match worker {
                Ok((worker, index)) => {
                    let shared = Arc::clone(worker.shared());
                    // Ends before the answer: whoever has it must not see the worker busy with it.
                    let _busy = shared.counters.begin(index, operation);
                    worker.enter();
                    let result = action(worker);
                    worker.leave();
                    let measure = measure(lane_of(operation), &result);
                    (result, measure)
                }
                Err(error) => (Err(error), Measure::Other),
            };
            Done {
                measure,
                answer: Box::new(move || waiter.answer(result)),
            }
        }))
    }

    /// Ends the request without a worker.
    fn end(self, error: Error) {
        let done = (self.0)(Err(error));
        (done.answer)();
    }
}

impl Queue<Job> {
    /// Has a worker do `action` on these terms, and returns; never waits for a place. Under [`Terms::own_thread`] it may be done before. `answer` is called exactly once, on a
    /// worker's thread or on this one.
    pub(super) fn begin<T: Send + 'static>(
        &self,
        bench: &Bench,
        operation: Operation,
        terms: Terms,
        action: impl FnOnce(&mut Worker) -> Result<T, Error> + Send + 'static,
        answer: Answer<T>,
    ) {
        let job = Job::new(operation, action, answer);
        if let Some(turn) = self.begin_at_once(terms) {
            bench.take_turn(self, job, turn);
            return;
        }
        if let Err((job, rejected)) = self.push(job, terms) {
            job.end(rejected.into());
        }
    }

    /// Has a worker do `action`, and waits: for a place and for the answer.
    pub(super) fn run<T: Send + 'static>(
        &self,
        operation: Operation,
        action: impl FnOnce(&mut Worker) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.run_in(lane_of(operation), operation, action)
    }

    /// As [`run`](Self::run), in another lane than the operation's own.
    pub(super) fn run_in<T: Send + 'static>(
        &self,
        lane: Lane,
        operation: Operation,
        action: impl FnOnce(&mut Worker) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (sender, receiver) = sync_channel(1);
        let answer = Box::new(move |result| {
            // The caller waits; only a panic of its thread could make this fail.
            let _ = sender.send(result);
        });
        let job = Job::new(operation, action, answer);
        if let Err((job, rejected)) = self.push_when_there_is_a_place(job, lane) {
            job.end(rejected.into());
        }
        receiver
            .recv()
            .unwrap_or(Err(Error::Internal("a request was never answered")))
    }
}

impl From<Rejected> for Error {
    fn from(rejected: Rejected) -> Self {
        match rejected {
            Rejected::Closed => Self::Internal("custody is closed"),
            Rejected::Overloaded => Self::Overloaded,
        }
    }
}

/// The workers that nobody uses. There are as many as requests may run, so whoever has a turn finds one.
pub(super) struct Bench(Mutex<Vec<(usize, Worker)>>);

impl Bench {
    /// All of them.
    pub(super) fn new(workers: Vec<Worker>) -> Self {
        Self(Mutex::new(workers.into_iter().enumerate().collect()))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(usize, Worker)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes their sessions.
    pub(super) fn close(&self) {
        let workers = std::mem::take(&mut *self.lock());
        drop(workers);
    }

    /// Does the work of a turn, and answers after the turn is over.
    fn take_turn(&self, queue: &Queue<Job>, Job(work): Job, turn: Turn) {
        let Some((index, mut worker)) = self.lock().pop() else {
            queue.finished(turn, Measure::Other);
            Job(work).end(Error::Internal("a turn without a worker"));
            return;
        };
        let run = std::panic::catch_unwind(AssertUnwindSafe(|| work(Ok((&mut worker, index)))));
        let (measure, done) = match run {
            Ok(done) => (done.measure, Some(done.answer)),
            Err(_) => {
                tracing::error!(index, "a worker panicked; its session is thrown away");
                worker.leave();
                worker.drop_session();
                (Measure::Other, None)
            }
        };
        // The one that was used last is taken first: it has the most objects that may be wanted again.
        self.lock().push((index, worker));
        queue.finished(turn, measure);
        if let Some(done) = done {
            answer(done);
        }
    }
}

/// The life of a thread that has requests done.
pub(super) fn serve(bench: &Bench, queue: &Queue<Job>) {
    while let Some(next) = queue.next() {
        match next {
            Next::Work(job, turn) => bench.take_turn(queue, job, turn),
            Next::Late(late) => {
                for job in late {
                    answer(Box::new(|| job.end(Error::Deadline)));
                }
            }
        }
        fips::secret::clear_registers();
    }
}

/// Whoever takes an answer may panic over it; the thread has more to do.
fn answer(answer: Box<dyn FnOnce()>) {
    if std::panic::catch_unwind(AssertUnwindSafe(answer)).is_err() {
        tracing::error!("who took an answer panicked");
    }
}
