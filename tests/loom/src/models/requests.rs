//! Requests and workers: whoever has a turn finds a worker, nobody gets two, and every request is answered exactly once.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use loom::thread::{JoinHandle, ThreadId, current, spawn};

use super::queue::Queue;
use super::requests::{Bench, Job, serve};
use super::worker::Worker;
use crate::custody::Operation;
use crate::model::{Model, Standing, Tally, panic_silently};
use crate::{Error, Lane, Terms};

pub(crate) const MODELS: &[Model] = &[
    Model {
        name: "requests: two callers, two workers, one of the callers on its own thread if it can",
        preemptions: Some(2),
        cases: &["the consumer did both", "the consumer did one"],
        run: two_callers,
    },
    Model {
        name: "requests: two callers on their own threads if they can, and one worker",
        preemptions: Some(3),
        cases: &["both callers did their own", "the consumer did one"],
        run: two_callers_and_one_worker,
    },
    Model {
        name: "requests: a worker that panics answers its request, and does the next one",
        preemptions: Some(3),
        cases: &["the one has an error, the other its answer"],
        run: panicking_worker,
    },
    Model {
        name: "requests: who takes an answer panics, and the others have theirs",
        preemptions: Some(3),
        cases: &["the other one has its answer"],
        run: panicking_caller,
    },
    Model {
        name: "requests: callers that wait each get their own answer",
        preemptions: Some(2),
        cases: &["each has its own answer"],
        run: waiting_callers,
    },
    Model {
        name: "requests: one that comes while custody closes is answered once",
        preemptions: Some(3),
        cases: &["done", "refused"],
        run: closing,
    },
];

/// What came back for each request.
type Answers = Arc<Mutex<Vec<(u32, Result<u32, Error>)>>>;

/// On which threads requests were done.
type Threads = Arc<Mutex<Vec<ThreadId>>>;

struct World {
    queue: Queue<Job>,
    bench: Bench,
    answers: Answers,
    answered: Arc<Tally>,
    threads: Threads,
}

impl World {
    fn new(workers: usize) -> Arc<Self> {
        Arc::new(Self {
            queue: Queue::new(workers, 4, Arc::new(Standing)),
            bench: Bench::new((0..workers).map(|_| Worker::new()).collect()),
            answers: Answers::default(),
            answered: Tally::new(),
            threads: Threads::default(),
        })
    }

    fn serve(self: &Arc<Self>) -> JoinHandle<()> {
        let world = Arc::clone(self);
        spawn(move || serve(&world.bench, &world.queue))
    }

    /// Begins a request whose answer is its number; noted when it comes.
    fn begin(&self, number: u32, terms: Terms, action: fn(u32) -> u32) {
        let (answers, answered) = (Arc::clone(&self.answers), Arc::clone(&self.answered));
        let threads = Arc::clone(&self.threads);
        self.queue.begin(
            &self.bench,
            Operation::Decrypt,
            terms,
            move |_| {
                threads.lock().unwrap().push(current().id());
                Ok(action(number))
            },
            Box::new(move |result| {
                answers.lock().unwrap().push((number, result));
                // Not while a panic goes by: whoever waits is told by the next answer.
                if !std::thread::panicking() {
                    answered.add();
                }
            }),
        );
    }

    /// Every request's answer, in the order of their numbers, after the consumer has ended.
    fn end(self: &Arc<Self>, server: JoinHandle<()>) -> Vec<(u32, Result<u32, Error>)> {
        self.queue.close();
        server.join().unwrap();
        let mut answers = std::mem::take(&mut *self.answers.lock().unwrap());
        answers.sort_by_key(|(number, _)| *number);
        answers
    }
}

fn own_thread() -> Terms {
    Terms::within(Duration::from_secs(1)).on_own_thread()
}

fn each_has_its_own(answers: &[(u32, Result<u32, Error>)]) -> &'static str {
    assert!(matches!(answers, [(1, Ok(1)), (2, Ok(2))]), "{answers:?}");
    "each has its own answer"
}

fn two(workers: usize, terms: [Terms; 2]) -> &'static str {
    let world = World::new(workers);
    let server = world.serve();
    let other = {
        let world = Arc::clone(&world);
        spawn(move || world.begin(1, terms[0], |number| number))
    };
    world.begin(2, terms[1], |number| number);
    world.answered.wait_for(2);
    other.join().unwrap();
    let consumer = server.thread().id();
    let by_it = |threads: &[ThreadId]| threads.iter().filter(|one| **one == consumer).count();
    let by_it = by_it(&world.threads.lock().unwrap());
    each_has_its_own(&world.end(server));
    match by_it {
        0 => "both callers did their own",
        1 => "the consumer did one",
        _ => "the consumer did both",
    }
}

fn two_callers() -> &'static str {
    two(2, [Terms::default(), own_thread()])
}

fn two_callers_and_one_worker() -> &'static str {
    two(1, [own_thread(), own_thread()])
}

fn panicking_worker() -> &'static str {
    let world = World::new(1);
    let server = world.serve();
    world.begin(1, Terms::default(), |_| panic_silently());
    world.begin(2, Terms::default(), |number| number);
    world.answered.wait_for(1);
    let answers = world.end(server);
    assert!(
        matches!(
            answers.as_slice(),
            [(1, Err(Error::Internal("a worker panicked"))), (2, Ok(2))]
        ),
        "{answers:?}"
    );
    "the one has an error, the other its answer"
}

fn panicking_caller() -> &'static str {
    let world = World::new(1);
    let server = world.serve();
    world.queue.begin(
        &world.bench,
        Operation::Decrypt,
        Terms::default(),
        |_| Ok(()),
        Box::new(|_| panic_silently()),
    );
    world.begin(2, Terms::default(), |number| number);
    world.answered.wait_for(1);
    let answers = world.end(server);
    assert!(matches!(answers.as_slice(), [(2, Ok(2))]), "{answers:?}");
    "the other one has its answer"
}

fn waiting_callers() -> &'static str {
    let world = World::new(1);
    let server = world.serve();
    let ask = |world: &World, number| {
        let answer = world
            .queue
            .run_in(Lane::Interactive, Operation::ListKeys, move |_| Ok(number));
        (number, answer)
    };
    let other = {
        let world = Arc::clone(&world);
        spawn(move || ask(&world, 1))
    };
    let mine = ask(&world, 2);
    let theirs = other.join().unwrap();
    assert!(world.end(server).is_empty());
    each_has_its_own(&[theirs, mine])
}

fn closing() -> &'static str {
    let world = World::new(1);
    let server = world.serve();
    let other = {
        let world = Arc::clone(&world);
        spawn(move || world.begin(1, Terms::default(), |number| number))
    };
    world.queue.close();
    other.join().unwrap();
    let answers = world.end(server);
    match answers.as_slice() {
        [(1, Ok(1))] => "done",
        [(1, Err(Error::Internal("custody is closed")))] => "refused",
        _ => panic!("{answers:?}"),
    }
}
