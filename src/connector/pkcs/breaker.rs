//! A breaker: whoever keeps failing is left alone for a while.
//!
//! Closed -> five failures in a row -> open for 10 s -> one call probes -> closed, or open for twice as long, up to 5 minutes. What was under way when
//! it opened says nothing about what is so now: it neither counts nor ends a probe.

use crate::ca::BreakerState;
use std::time::{Duration, Instant};

/// Failures in a row after which one is left alone.
const FAILURES: u32 = 5;
/// The first pause then, and the longest: each probe that fails doubles it.
const PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// The breaker.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    pauses: u32,
    open_until: Option<Instant>,
    /// While it is open, one call goes through when its time has come.
    probing: bool,
    /// How often it opened or closed: a call that was let through before is of another time.
    turns: u64,
}

/// The right to call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pass {
    turn: u64,
    is_probe: bool,
}

/// What came of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// It was answered.
    Well,
    /// It failed.
    Failed,
    /// Nothing is known, or it says nothing of how whoever was called fares.
    Nothing,
}

impl Breaker {
    /// Lets a call through.
    ///
    /// # Errors
    /// How much of the pause is left.
    pub(super) fn enter(&mut self, now: Instant) -> Result<Pass, Duration> {
        if let Some(until) = self.open_until {
            let left = until.saturating_duration_since(now);
            if self.probing || !left.is_zero() {
                return Err(left);
            }
            self.probing = true;
        }
        Ok(Pass {
            turn: self.turns,
            is_probe: self.open_until.is_some(),
        })
    }

    /// Takes note of what came of a call that was let through.
    pub(super) fn note(&mut self, pass: Pass, heard: Heard, now: Instant) {
        if pass.turn != self.turns {
            return;
        }
        if pass.is_probe {
            self.probing = false;
        }
        match heard {
            Heard::Nothing => {}
            Heard::Well if pass.is_probe => {
                *self = Self {
                    turns: self.turns.wrapping_add(1),
                    ..Self::default()
                };
            }
            Heard::Well => self.failures = 0,
            Heard::Failed => {
                self.failures = self.failures.saturating_add(1);
                if pass.is_probe || self.failures >= FAILURES {
                    self.open(now);
                }
            }
        }
    }

    fn open(&mut self, now: Instant) {
        let times = 1_u32.checked_shl(self.pauses.min(16)).unwrap_or(u32::MAX);
        let pause = PAUSE.saturating_mul(times).min(LONGEST_PAUSE);
        self.pauses = self.pauses.saturating_add(1);
        self.open_until = now.checked_add(pause);
        self.turns = self.turns.wrapping_add(1);
    }

    /// How it stands, and how much of the pause is left.
    pub(super) fn state(&self, now: Instant) -> (BreakerState, Duration) {
        let left = self
            .open_until
            .map(|until| until.saturating_duration_since(now));
        let state = match left {
            None => BreakerState::Closed,
            Some(left) if self.probing || left.is_zero() => BreakerState::Probing,
            Some(_) => BreakerState::Open,
        };
        (state, left.unwrap_or_default())
    }

    /// Failures in a row.
    pub(super) const fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    /// One that has just opened for the first time, with the passes of calls that are still under way.
    fn opened(now: Instant) -> (Breaker, Vec<Pass>) {
        let mut breaker = Breaker::default();
        let mut passes: Vec<Pass> = (0..8).map(|_| breaker.enter(now).unwrap()).collect();
        for pass in passes.drain(..5) {
            breaker.note(pass, Heard::Failed, now);
        }
        assert_eq!(breaker.state(now), (BreakerState::Open, PAUSE));
        (breaker, passes)
    }

    #[test]
    fn what_was_under_way_when_it_opened_makes_the_pause_no_longer() {
        let now = Instant::now();
        let (mut breaker, late) = opened(now);
        for pass in late {
            breaker.note(pass, Heard::Failed, now);
        }
        assert_eq!(breaker.state(now), (BreakerState::Open, PAUSE));
        assert_eq!(breaker.failures(), 5);
    }

    #[test]
    fn one_call_probes_at_a_time_whatever_late_answers_come() {
        let now = Instant::now();
        let (mut breaker, late) = opened(now);
        assert_eq!(breaker.enter(now), Err(PAUSE));
        let then = now + PAUSE;
        let probe = breaker.enter(then).unwrap();
        for (pass, heard) in late
            .into_iter()
            .zip([Heard::Well, Heard::Failed, Heard::Nothing])
        {
            breaker.note(pass, heard, then);
            assert!(breaker.enter(then).is_err(), "{heard:?}");
        }
        // It fails: twice as long.
        breaker.note(probe, Heard::Failed, then);
        assert_eq!(breaker.state(then), (BreakerState::Open, PAUSE * 2));
        // One that is given up half-way: the next one probes.
        let then = then + PAUSE * 2;
        let probe = breaker.enter(then).unwrap();
        breaker.note(probe, Heard::Nothing, then);
        assert_eq!(breaker.state(then).0, BreakerState::Probing);
        let probe = breaker.enter(then).unwrap();
        breaker.note(probe, Heard::Well, then);
        assert_eq!(breaker.state(then).0, BreakerState::Closed);
        assert_eq!(breaker.failures(), 0);
    }

    #[test]
    fn failures_are_counted_in_a_row_and_pauses_have_an_end() {
        let mut now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..4 {
            for heard in [Heard::Failed; 4].into_iter().chain([Heard::Well]) {
                let pass = breaker.enter(now).unwrap();
                breaker.note(pass, heard, now);
            }
        }
        assert_eq!(breaker.state(now).0, BreakerState::Closed);
        let (mut breaker, _) = opened(now);
        for _ in 0..40 {
            now += breaker.state(now).1;
            let probe = breaker.enter(now).unwrap();
            breaker.note(probe, Heard::Failed, now);
        }
        assert_eq!(breaker.state(now), (BreakerState::Open, LONGEST_PAUSE));
    }
}
