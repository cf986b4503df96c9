//! Who is inside of a library, so that it can be finalised and initialised again while nobody is.
//!
//! Every use of a library happens inside of its gate, and knows the generation of the library's state: whatever was made in another
//! one (sessions, handles, slot numbers) is not to be used, not even to be closed, because the numbers may be somebody else's now.

use std::time::Duration;

use crate::clock::Clock;
use crate::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// How long somebody who wants to renew the library's state waits for those inside to come out. A call that has not come back then is
/// likely to hang.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// How often that wait looks at the clock.
const TICK: Duration = Duration::from_millis(1);

#[derive(Debug)]
struct State {
    inside: usize,
    /// Somebody waits for the others to come out, or is alone inside: nobody gets in.
    closed: bool,
    /// Somebody is alone inside.
    renewing: bool,
    generation: u64,
    is_up: bool,
}

/// One for each loaded library.
#[derive(Debug)]
pub(super) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

/// What the state of a library is after an attempt to renew it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// New.
    Up,
    /// There is none: C_Finalize was done, C_Initialize was not.
    Down,
    /// The old one: C_Finalize failed.
    Same,
}

/// Why the state of a library was not renewed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// Somebody else has done it since.
    Newer,
    /// Somebody is inside and does not come out.
    Occupied,
}

impl Gate {
    /// For a library whose state is of the first generation.
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                inside: 0,
                closed: false,
                renewing: false,
                generation: 1,
                is_up: true,
            }),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The generation of the library's state: 1 at first, counted up by each renewal.
    pub(super) fn generation(&self) -> u64 {
        self.lock().generation
    }

    /// False if the last C_Initialize failed.
    pub(super) fn is_up(&self) -> bool {
        self.lock().is_up
    }

    /// Goes in, and tells the generation, which stays until [`leave`](Self::leave). Nobody goes in twice: see
    /// [`enter_to_close`](Self::enter_to_close).
    pub(super) fn enter(&self) -> u64 {
        let mut state = self
            .changed
            .wait_while(self.lock(), |state| state.closed)
            .unwrap_or_else(PoisonError::into_inner);
        state.inside += 1;
        state.generation
    }

    /// Goes in to close something of `generation`, also for somebody who is inside already. False: it is gone with its generation,
    /// or is going.
    pub(super) fn enter_to_close(&self, generation: u64) -> bool {
        let mut state = self.lock();
        let there = !state.renewing && state.generation == generation;
        if there {
            state.inside += 1;
        }
        there
    }

    pub(super) fn leave(&self) {
        let mut state = self.lock();
        state.inside = state.inside.saturating_sub(1);
        // Nobody waits at an open gate.
        let is_awaited = state.closed;
        drop(state);
        if is_awaited {
            self.changed.notify_all();
        }
    }

    /// Waits until nobody is inside, and has `renew` make the next generation of the library's state; it says what came of that. The
    /// caller is not inside. `seen`: the generation that was found to be bad.
    pub(super) fn renew(
        &self,
        seen: u64,
        clock: &dyn Clock,
        renew: impl FnOnce() -> After,
    ) -> Result<(), Denied> {
        let began = clock.now();
        let mut state = self
            .changed
            .wait_while(self.lock(), |state| state.closed)
            .unwrap_or_else(PoisonError::into_inner);
        if state.generation != seen {
            return Err(Denied::Newer);
        }
        state.closed = true;
        while state.inside > 0 {
            let before = clock.now();
            if before.saturating_sub(began) >= LONGEST_WAIT {
                state.closed = false;
                drop(state);
                self.changed.notify_all();
                return Err(Denied::Occupied);
            }
            state = self
                .changed
                .wait_timeout(state, TICK)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            // A clock that stands by itself is moved, or the wait would have no end.
            if state.inside > 0 && clock.now() == before {
                clock.pause(TICK);
            }
        }
        state.renewing = true;
        drop(state);

        /// Opens the gate again, whatever happens.
        struct Opening<'a> {
            gate: &'a Gate,
            after: After,
        }
        impl Drop for Opening<'_> {
            fn drop(&mut self) {
                let mut state = self.gate.lock();
                if self.after != After::Same {
                    state.generation += 1;
                    state.is_up = self.after == After::Up;
                }
                state.renewing = false;
                state.closed = false;
                drop(state);
                self.gate.changed.notify_all();
            }
        }
        let mut opening = Opening {
            gate: self,
            after: After::Down,
        };
        opening.after = renew();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, missing_docs)]
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::clock::{ManualClock, MonotonicClock};

    #[test]
    fn nobody_is_inside_during_a_renewal_and_each_bad_generation_is_renewed_once() {
        let gate = Gate::new();
        let (inside, renewals) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let clock = MonotonicClock::start();
        let rounds = if cfg!(miri) { 4 } else { 200 };
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..rounds {
                        let generation = gate.enter();
                        inside.fetch_add(1, Ordering::SeqCst);
                        std::thread::yield_now();
                        assert_eq!(gate.generation(), generation);
                        inside.fetch_sub(1, Ordering::SeqCst);
                        gate.leave();
                        let renewed = gate.renew(generation, &*clock, || {
                            assert_eq!(inside.load(Ordering::SeqCst), 0);
                            renewals.fetch_add(1, Ordering::SeqCst);
                            After::Up
                        });
                        assert_ne!(renewed, Err(Denied::Occupied));
                    }
                });
            }
        });
        let renewals = u64::try_from(renewals.load(Ordering::SeqCst)).unwrap();
        assert_eq!(gate.generation(), 1 + renewals);
        assert!(gate.is_up());
    }

    #[test]
    fn a_call_that_hangs_is_waited_for_until_the_limit_on_the_clock_and_the_gate_stays_usable() {
        let gate = Gate::new();
        let clock = ManualClock::default();
        let generation = gate.enter();
        let denied = gate.renew(generation, &clock, || panic!("somebody is inside"));
        assert_eq!(denied, Err(Denied::Occupied));
        assert!(clock.now() >= LONGEST_WAIT);
        assert_eq!(gate.enter(), generation);
        gate.leave();
        gate.leave();
        assert_eq!(gate.renew(generation, &clock, || After::Same), Ok(()));
        assert!(gate.is_up());
        assert_eq!(gate.generation(), generation);
        assert_eq!(gate.renew(generation, &clock, || After::Down), Ok(()));
        assert!(!gate.is_up());
        assert_eq!(gate.enter(), generation + 1);
    }

    #[test]
    fn what_is_of_an_older_generation_is_not_closed() {
        let gate = Gate::new();
        let clock = ManualClock::default();
        let generation = gate.enter();
        assert!(gate.enter_to_close(generation));
        gate.leave();
        gate.leave();
        gate.renew(generation, &clock, || {
            assert!(!gate.enter_to_close(generation));
            After::Up
        })
        .unwrap();
        assert!(!gate.enter_to_close(generation));
        assert_eq!(
            gate.renew(generation, &clock, || After::Up),
            Err(Denied::Newer)
        );
    }
}
