//! The queue: what is taken in goes to one consumer, and no consumer sleeps while something may begin.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use loom::thread::{JoinHandle, spawn};

use super::queue::{Measure, Next, Queue, Rejected, Turn};
use crate::clock::Clock;
use crate::model::{Model, Moved, Standing, Tally};
use crate::{Lane, Terms};

pub(crate) const MODELS: &[Model] = &[
    Model {
        name: "queue: two consumers, each request to one of them, none forgotten",
        preemptions: Some(3),
        cases: &["each consumer did one", "one consumer did both"],
        run: two_consumers,
    },
    Model {
        name: "queue: who waits while a caller has the only turn is woken at its end",
        preemptions: None,
        cases: &["the caller had the turn", "the other request was first"],
        run: own_thread_has_the_turn,
    },
    Model {
        name: "queue: an interactive request begins beside batch work that is taken before it",
        preemptions: None,
        cases: &["the consumer that slept did it", "the other one did it"],
        run: beside_batch_work,
    },
    Model {
        name: "queue: who waits for a place gets one, in both lanes",
        preemptions: Some(2),
        cases: &["all are done"],
        run: places,
    },
    Model {
        name: "queue: a deadline that passes meanwhile: worked on or told, never both or neither",
        preemptions: None,
        cases: &["told that it is late", "worked on"],
        run: deadline,
    },
    Model {
        name: "queue: a request that comes while it closes is done or refused",
        preemptions: None,
        cases: &["done", "refused"],
        run: closing,
    },
];

const BATCH: u32 = 1000;

fn queue(threads: usize, capacity: usize, clock: Arc<dyn Clock>) -> Arc<Queue<u32>> {
    Arc::new(Queue::new(threads, capacity, clock))
}

fn work(queue: &Queue<u32>) -> (u32, Turn) {
    match queue.next() {
        Some(Next::Work(item, turn)) => (item, turn),
        _ => panic!("there is work"),
    }
}

/// Does everything until the queue is closed; tells what it did.
fn consume(queue: &Queue<u32>, done: &Tally) -> Vec<u32> {
    let mut mine = Vec::new();
    while let Some(next) = queue.next() {
        match next {
            Next::Work(item, turn) => {
                mine.push(item);
                queue.finished(turn, Measure::Other);
                done.add();
            }
            Next::Late(late) => panic!("nothing has a deadline: {late:?}"),
        }
    }
    mine
}

fn consumer(queue: &Arc<Queue<u32>>, done: &Arc<Tally>) -> JoinHandle<Vec<u32>> {
    let (queue, done) = (Arc::clone(queue), Arc::clone(done));
    spawn(move || consume(&queue, &done))
}

/// Closed only after everything is done: closing wakes everybody, and would hide who was forgotten.
fn two_consumers() -> &'static str {
    let (queue, done) = (queue(2, 2, Arc::new(Standing)), Tally::new());
    let consumers = [(); 2].map(|()| consumer(&queue, &done));
    for item in [1, 2] {
        queue.push(item, Terms::default()).unwrap();
    }
    done.wait_for(2);
    queue.close();
    let [first, second] = consumers.map(|consumer| consumer.join().unwrap());
    let mut all = [first.clone(), second.clone()].concat();
    all.sort_unstable();
    assert_eq!(all, [1, 2]);
    if first.len() == 1 {
        "each consumer did one"
    } else {
        "one consumer did both"
    }
}

fn own_thread_has_the_turn() -> &'static str {
    let (queue, done) = (queue(1, 2, Arc::new(Standing)), Tally::new());
    let consumer = consumer(&queue, &done);
    let other = {
        let queue = Arc::clone(&queue);
        spawn(move || queue.push(2, Terms::default()).unwrap())
    };
    let own = Terms::within(Duration::from_secs(1)).on_own_thread();
    let turn = queue.begin_at_once(own);
    let case = match turn {
        Some(turn) => {
            assert_eq!(queue.load().running, 1, "nobody else runs");
            queue.finished(turn, Measure::Other);
            done.add();
            "the caller had the turn"
        }
        None => {
            queue.push(1, own).unwrap();
            "the other request was first"
        }
    };
    done.wait_for(2);
    other.join().unwrap();
    queue.close();
    assert_eq!(
        consumer.join().unwrap().len(),
        if turn.is_some() { 1 } else { 2 }
    );
    case
}

/// The consumer that takes the batch work has it until the interactive request is done, as if it were the generation of a key.
fn beside_batch_work() -> &'static str {
    let queue = queue(2, 8, Arc::new(Standing));
    queue.push(0, Terms::default()).unwrap();
    let (_, turn) = work(&queue);
    // The token is given one at once from now on.
    queue.finished(turn, Measure::NoRoom);
    queue.push(BATCH, Terms::batch()).unwrap();
    // Its turn comes after seven others, of which the last is not finished yet.
    let mut held: Option<Turn> = None;
    for item in 1..=7 {
        if let Some(turn) = held {
            queue.finished(turn, Measure::Other);
        }
        queue.push(item, Terms::default()).unwrap();
        held = Some(work(&queue).1);
    }
    let (interactive, done) = (Tally::new(), Tally::new());
    let consume = {
        let (interactive, done) = (Arc::clone(&interactive), Arc::clone(&done));
        move |queue: &Queue<u32>| {
            let mut did_it = false;
            while let Some(next) = queue.next() {
                let Next::Work(item, turn) = next else {
                    panic!("nothing has a deadline");
                };
                if item == BATCH {
                    interactive.wait_for(1);
                } else {
                    interactive.add();
                    did_it = true;
                }
                queue.finished(turn, Measure::Other);
                if done.add() == 2 {
                    queue.close();
                }
            }
            did_it
        }
    };
    let other = {
        let (queue, consume) = (Arc::clone(&queue), consume.clone());
        spawn(move || consume(&queue))
    };
    queue.push(8, Terms::default()).unwrap();
    queue.finished(held.unwrap(), Measure::Other);
    let here = consume(&queue);
    assert_ne!(other.join().unwrap(), here, "one of them did it");
    if here {
        "the other one did it"
    } else {
        "the consumer that slept did it"
    }
}

fn places() -> &'static str {
    let (queue, done) = (queue(1, 1, Arc::new(Standing)), Tally::new());
    let consumer = consumer(&queue, &done);
    let other = {
        let queue = Arc::clone(&queue);
        spawn(move || {
            for item in [1, 2] {
                queue.push_when_there_is_a_place(item, Lane::Batch).unwrap();
            }
        })
    };
    for item in [3, 4] {
        queue
            .push_when_there_is_a_place(item, Lane::Interactive)
            .unwrap();
    }
    other.join().unwrap();
    done.wait_for(4);
    queue.close();
    let mut all = consumer.join().unwrap();
    all.sort_unstable();
    assert_eq!(all, [1, 2, 3, 4]);
    "all are done"
}

fn deadline() -> &'static str {
    let clock = Moved::new();
    let queue = queue(1, 2, clock.clone());
    let ends = Arc::new(Mutex::new(Vec::new()));
    let consumer = {
        let (queue, ends) = (Arc::clone(&queue), Arc::clone(&ends));
        spawn(move || {
            while let Some(next) = queue.next() {
                match next {
                    Next::Work(item, turn) => {
                        ends.lock().unwrap().push(("worked on", item));
                        queue.finished(turn, Measure::Other);
                    }
                    Next::Late(late) => {
                        let late = late.into_iter().map(|item| ("told that it is late", item));
                        ends.lock().unwrap().extend(late);
                    }
                }
            }
        })
    };
    queue
        .push(1, Terms::within(Duration::from_millis(1)))
        .unwrap();
    clock.advance(Duration::from_millis(1));
    queue.close();
    consumer.join().unwrap();
    let ends = ends.lock().unwrap();
    assert_eq!(ends.len(), 1, "{ends:?}");
    ends[0].0
}

fn closing() -> &'static str {
    let (queue, done) = (queue(1, 1, Arc::new(Standing)), Tally::new());
    let consumer = consumer(&queue, &done);
    let other = {
        let queue = Arc::clone(&queue);
        spawn(move || queue.push(1, Terms::default()))
    };
    queue.close();
    let pushed = other.join().unwrap();
    let did = consumer.join().unwrap();
    match pushed {
        Ok(()) => {
            assert_eq!(did, [1]);
            "done"
        }
        Err(refused) => {
            assert_eq!(refused, (1, Rejected::Closed));
            assert_eq!(did, []);
            "refused"
        }
    }
}
