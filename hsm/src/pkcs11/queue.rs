//! The bounded queue between the callers and the worker threads.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};

struct State<T> {
    items: VecDeque<T>,
    closed: bool,
}

/// First in, first out, for any number of producers and consumers. A producer waits while the queue is full.
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    capacity: usize,
    not_empty: Condvar,
    not_full: Condvar,
}

impl<T> Queue<T> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            state: Mutex::new(State {
                items: VecDeque::with_capacity(capacity),
                closed: false,
            }),
            capacity,
            not_empty: Condvar::new(),
            not_full: Condvar::new(),
        }
    }

    /// Waits for a place and puts `item` there; gives it back if the queue is closed.
    pub(super) fn push(&self, item: T) -> Result<(), T> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self
            .not_full
            .wait_while(state, |state| {
                !state.closed && state.items.len() >= self.capacity
            })
            .unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return Err(item);
        }
        state.items.push_back(item);
        drop(state);
        self.not_empty.notify_one();
        Ok(())
    }

    /// Waits for an item. `None`: the queue is closed and empty.
    pub(super) fn pop(&self) -> Option<T> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self
            .not_empty
            .wait_while(state, |state| !state.closed && state.items.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        let item = state.items.pop_front();
        drop(state);
        self.not_full.notify_one();
        item
    }

    /// Lets nothing in any more; what is in is still given out.
    pub(super) fn close(&self) {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .closed = true;
        self.not_empty.notify_all();
        self.not_full.notify_all();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    #[test]
    fn a_closed_queue_gives_out_what_is_in_and_takes_nothing() {
        let queue = Queue::new(2);
        queue.push(1).unwrap();
        queue.push(2).unwrap();
        queue.close();
        assert_eq!(queue.push(3), Err(3));
        assert_eq!(queue.pop(), Some(1));
        assert_eq!(queue.pop(), Some(2));
        assert_eq!(queue.pop(), None);
    }

    #[test]
    fn a_full_queue_makes_producers_wait_and_loses_nothing() {
        let queue = Queue::new(1);
        let sum = std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (1..=100).for_each(|item| queue.push(item).unwrap()));
            }
            let consumer = scope.spawn(|| (0..400).filter_map(|_| queue.pop()).sum::<u32>());
            consumer.join().unwrap()
        });
        assert_eq!(sum, 4 * 5050);
    }
}
