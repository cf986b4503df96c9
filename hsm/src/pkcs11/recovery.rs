//! The ladder by which a request comes through a token's trouble, and its pace.
//!
//! | level | done when | what |
//! |---|---|---|
//! | handles | a handle is not good any more | the keys are looked up again |
//! | session | anything else | a new session, and handles looked up again |
//! | login | nobody is logged in | C_Logout and C_Login on a new session |
//! | module | a new session did not help | C_Finalize and C_Initialize, everything looked up again: the slot by serial number or label, keys by fingerprint |
//! | process | the module was initialised again several times in vain, or cannot be | [`Health::needs_restart`](crate::Health::needs_restart): whoever supervises starts another process |
//!
//! A request climbs it until it is done or its deadline is over; one without a deadline climbs it once. Where it begins is said by
//! the [table of return values](super::classify).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::classify::{Class, Healing, Level};
use super::counters::count;
use super::module::Renewal;
use super::worker::Worker;
use crate::Error;
use crate::error::ErrorClass;

/// The pause before the module is initialised again is this after the first time, doubled each time up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(1000);
/// After so much time without, it begins with the first pause again.
const FORGETTING: Duration = Duration::from_secs(30);
/// The pause between two tries where the module cannot be initialised again.
const PAUSE_WITHOUT: Duration = Duration::from_millis(250);
/// Trouble that has lasted so long, and so many initialisations, is a case for a new process.
const PATIENCE: Duration = Duration::from_secs(20);
const PATIENT_RENEWALS: u32 = 3;

#[derive(Default)]
struct State {
    /// Since when no new session has helped.
    since: Option<Duration>,
    renewals: u32,
    last_renewal: Option<Duration>,
    pause: Duration,
}

/// What is remembered of a custody's trouble.
#[derive(Default)]
pub(super) struct Recovery {
    state: Mutex<State>,
    in_trouble: AtomicBool,
}

impl Recovery {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token did what it was asked to.
    pub(super) fn well(&self) {
        if self.in_trouble.swap(false, Ordering::Relaxed) {
            let mut state = self.lock();
            state.since = None;
            state.renewals = 0;
        }
    }

    /// A new session did not help, or there was no time for one. Tells how long that has been so.
    fn trouble(&self, now: Duration) -> Duration {
        self.in_trouble.store(true, Ordering::Relaxed);
        now.saturating_sub(*self.lock().since.get_or_insert(now))
    }

    /// How long to wait until the module may be initialised again. Zero: it may now, and the next time only after a pause.
    fn take_turn(&self, now: Duration) -> Duration {
        let mut state = self.lock();
        let since = state.last_renewal.map(|last| now.saturating_sub(last));
        match since {
            Some(since) if since < state.pause => return state.pause.saturating_sub(since),
            Some(since) if since < FORGETTING => {
                state.pause = state.pause.saturating_mul(2).min(LONGEST_PAUSE);
            }
            _ => state.pause = FIRST_PAUSE,
        }
        state.last_renewal = Some(now);
        state.renewals += 1;
        Duration::ZERO
    }

    /// True if nothing in this process has helped for long.
    fn is_hopeless(&self, now: Duration) -> bool {
        let state = self.lock();
        state.renewals >= PATIENT_RENEWALS
            && state
                .since
                .is_some_and(|since| now.saturating_sub(since) >= PATIENCE)
    }
}

/// Where healing begins after an error of the token's.
fn begin(error: &Error) -> Level {
    match error {
        Error::Token(refusal) => match refusal.class().healing() {
            Healing::From(level) => level,
            // The canary was asked and did not answer; or the token does not do what it did before.
            Healing::AskCanary | Healing::Nothing => Level::Session,
        },
        // It may be in another slot, or be found after the module was initialised again.
        _ => Level::Session,
    }
}

fn is_stuck(error: &Error) -> bool {
    matches!(error, Error::Token(refusal) if refusal.class() == Class::Stuck)
}

/// The state in which an action failed. What is newer than that was not seen to be bad.
#[derive(Clone, Copy)]
struct Seen {
    /// Generation of the key handles.
    handles: u64,
    /// Number of the login.
    logins: u64,
    /// Generation of the library's state.
    module: u64,
}

/// What came of an attempt to heal.
enum Healed {
    /// The action may be tried again; the next level, should it fail.
    Next(Level),
    /// Nothing more can be done for this request.
    No,
}

impl Worker {
    /// Runs `action`, and again as long as the token is in trouble, something is left to be done about it, and `deadline` (on the
    /// clock of custody) is not over. `None`: every level once.
    pub(super) fn with_recovery<T>(
        &mut self,
        deadline: Option<Duration>,
        mut action: impl FnMut(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut next = Level::Handles;
        let mut may_be_stuck = true;
        loop {
            let handles = self.shared().cache.generation();
            let logins = self.shared().credentials.logins();
            let module = self.enter();
            let seen = Seen {
                handles,
                logins,
                module,
            };
            let result = action(self);
            self.leave();
            let error = match result {
                Err(error) if error.class() == ErrorClass::Token => error,
                Err(error) => {
                    if error.class() == ErrorClass::BadInput {
                        count(&self.shared().counters.bad_inputs);
                    }
                    return Err(error);
                }
                Ok(value) => return Ok(value),
            };
            if may_be_stuck && is_stuck(&error) {
                may_be_stuck = false;
                self.enter();
                self.replace_session();
                self.leave();
                continue;
            }
            let level = next.max(begin(&error));
            tracing::warn!(%error, token = %self.shared().token().label, ?level, "the token is in trouble");
            match self.heal(level, seen, deadline) {
                Healed::Next(level) => next = level,
                Healed::No => {
                    tracing::error!(%error, token = %self.shared().token().label, "the token is not well again in time");
                    let shared = self.shared();
                    count(&shared.counters.token_failures);
                    shared.cache.invalidate(shared.cache.generation());
                    self.drop_session();
                    return Err(error);
                }
            }
        }
    }

    fn heal(&mut self, level: Level, seen: Seen, deadline: Option<Duration>) -> Healed {
        let now = self.shared().clock.now();
        if deadline.is_some_and(|deadline| now >= deadline) {
            // Too late for this request, not for the next ones: if each call took longer than the requests have time, nobody would
            // ever get to the module.
            if self.shared().recovery.trouble(now) >= FIRST_PAUSE {
                return self.renew_module(seen.module, deadline);
            }
            return Healed::No;
        }
        self.shared().cache.invalidate(seen.handles);
        match level {
            Level::Handles => Healed::Next(Level::Session),
            Level::Session => {
                self.drop_session();
                count(&self.shared().counters.reconnects);
                Healed::Next(Level::Module)
            }
            Level::Login => {
                self.drop_session();
                count(&self.shared().counters.reconnects);
                self.log_in_anew(seen.logins);
                Healed::Next(Level::Module)
            }
            Level::Module => self.renew_module(seen.module, deadline),
            // Once around. What did not help may help later: the pace is that of the module's renewals.
            Level::Process => match deadline {
                Some(_) => Healed::Next(Level::Session),
                None => Healed::No,
            },
        }
    }

    fn renew_module(&mut self, seen: u64, deadline: Option<Duration>) -> Healed {
        self.drop_session();
        let shared = std::sync::Arc::clone(self.shared());
        let clock = &*shared.clock;
        shared.recovery.trouble(clock.now());
        // Somebody else has done it, or is allowed to do it before.
        while shared.module.generation() == seen {
            let wait = shared.recovery.take_turn(clock.now());
            if wait.is_zero() {
                match shared.module.renew(seen, clock) {
                    Renewal::Done => {
                        tracing::warn!(token = %shared.token().label, "the module was initialised again");
                    }
                    // The next try is after a pause.
                    Renewal::Failed(error) => {
                        tracing::warn!(%error, token = %shared.token().label, "the module could not be initialised again");
                    }
                    Renewal::Occupied => {
                        tracing::error!(
                            "a call into the module does not come back; it cannot be initialised again"
                        );
                        // A key that is being generated is worth the wait.
                        if !shared.counters.is_generating() {
                            shared.counters.set_needs_restart(true);
                        }
                        return self.pause(PAUSE_WITHOUT, deadline);
                    }
                    Renewal::NotOurs => {
                        shared.counters.set_needs_restart(true);
                        return self.pause(PAUSE_WITHOUT, deadline);
                    }
                }
                break;
            }
            if let Healed::No = self.pause(wait, deadline) {
                return Healed::No;
            }
        }
        self.judge();
        match deadline {
            Some(deadline) if clock.now() >= deadline => Healed::No,
            _ => Healed::Next(Level::Process),
        }
    }

    /// Waits, if the request has the time, and goes on with a new session.
    fn pause(&self, pause: Duration, deadline: Option<Duration>) -> Healed {
        let clock = &self.shared().clock;
        match deadline {
            Some(deadline) if clock.now() + pause < deadline => {
                clock.pause(pause);
                Healed::Next(Level::Session)
            }
            _ => {
                self.judge();
                Healed::No
            }
        }
    }

    /// Says that only a new process can help, if so.
    fn judge(&self) {
        let shared = self.shared();
        if shared.recovery.is_hopeless(shared.clock.now()) {
            shared.counters.set_needs_restart(true);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_module_is_initialised_at_once_and_then_at_growing_pauses() {
        let recovery = Recovery::default();
        let mut now = ms(5);
        let mut pauses = Vec::new();
        for _ in 0..7 {
            assert_eq!(recovery.take_turn(now), Duration::ZERO);
            let pause = recovery.take_turn(now);
            pauses.push(pause.as_millis());
            now += pause;
        }
        assert_eq!(pauses, [100, 200, 400, 800, 1000, 1000, 1000]);
        assert_eq!(recovery.take_turn(now + FORGETTING), Duration::ZERO);
        assert_eq!(recovery.take_turn(now + FORGETTING), FIRST_PAUSE);
    }

    #[test]
    fn a_new_process_is_asked_for_when_several_initialisations_have_not_helped_for_long() {
        let recovery = Recovery::default();
        recovery.trouble(ms(0));
        for turn in 0..PATIENT_RENEWALS {
            assert!(!recovery.is_hopeless(PATIENCE));
            assert!(recovery.take_turn(ms(2000) * turn).is_zero());
        }
        assert!(!recovery.is_hopeless(PATIENCE.saturating_sub(ms(1))));
        assert!(recovery.is_hopeless(PATIENCE));
        recovery.well();
        recovery.trouble(ms(20_000));
        assert!(!recovery.is_hopeless(ms(90_000)));
    }
}
