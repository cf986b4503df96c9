//! Wakes requests that are to be looked at at a certain time. One thread for all of them; what has been answered is taken out at once, so
//! there are never more than requests in hand.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::sync::{Condvar, Mutex, MutexGuard, PoisonError};

struct State<T> {
    /// By time and number.
    due: BTreeMap<(Duration, u64), Arc<T>>,
    next: u64,
    /// When who waits wakes by itself.
    asleep_until: Duration,
    closed: bool,
}

/// The alarms.
pub(super) struct Alarm<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

/// An alarm that was set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Set(Duration, u64);

impl<T> Alarm<T> {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                due: BTreeMap::new(),
                next: 0,
                asleep_until: Duration::MAX,
                closed: false,
            }),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes `sleeper` at `time`.
    pub(super) fn set(&self, time: Duration, sleeper: Arc<T>) -> Set {
        let mut state = self.lock();
        let set = Set(time, state.next);
        state.next = state.next.wrapping_add(1);
        // Requests set and unset alarms all the time, and most of them at times when nobody need wake earlier for.
        let is_first = time < state.asleep_until;
        state.due.insert((set.0, set.1), sleeper);
        drop(state);
        if is_first {
            self.changed.notify_one();
        }
        set
    }

    /// Takes an alarm back.
    pub(super) fn unset(&self, set: Set) {
        let sleeper = self.lock().due.remove(&(set.0, set.1));
        drop(sleeper);
    }

    /// Everybody whose time has come at `now`.
    pub(super) fn take_due(&self, now: Duration) -> Vec<Arc<T>> {
        let mut state = self.lock();
        let mut due = Vec::new();
        while let Some(first) = state.due.first_entry() {
            if first.key().0 > now {
                break;
            }
            due.push(first.remove());
        }
        due
    }

    /// Waits until the first alarm is due by `now`, or another one is set. `false`: closed.
    pub(super) fn wait(&self, now: impl Fn() -> Duration) -> bool {
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        let first = state.due.first_key_value().map(|(first, _)| first.0);
        state.asleep_until = first.unwrap_or(Duration::MAX);
        match first.map(|first| first.saturating_sub(now())) {
            Some(Duration::ZERO) => true,
            Some(left) => {
                let waited = self.changed.wait_timeout(state, left);
                !waited.unwrap_or_else(PoisonError::into_inner).0.closed
            }
            None => {
                let waited = self.changed.wait(state);
                !waited.unwrap_or_else(PoisonError::into_inner).closed
            }
        }
    }

    /// No alarm rings any more.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let left = std::mem::take(&mut state.due);
        drop(state);
        drop(left);
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;

    #[test]
    fn alarms_ring_in_the_order_of_their_times_unless_taken_back() {
        let alarm = Alarm::new();
        let seconds = Duration::from_secs;
        alarm.set(seconds(3), Arc::new('c'));
        alarm.set(seconds(1), Arc::new('a'));
        let back = alarm.set(seconds(2), Arc::new('b'));
        alarm.set(seconds(2), Arc::new('B'));
        alarm.unset(back);
        let due = |now| -> Vec<char> {
            let due = alarm.take_due(seconds(now));
            due.into_iter().map(|sleeper| *sleeper).collect()
        };
        assert_eq!(due(0), []);
        assert_eq!(due(2), ['a', 'B']);
        assert_eq!(due(9), ['c']);
    }
}
