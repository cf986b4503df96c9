//! Keeps requests away from a token that fails, and finds out when it is well again. Pure.
//!
//! Only what [`ErrorClass::Token`](crate::ErrorClass) says about the token moves it: no input can open it, because a bad input is told
//! from a bad token by the token's own canary before it comes here.

use std::time::Duration;

/// The first pause, doubled with each failed probe up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Whether requests go to a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Well,
    /// None before this time.
    Pause {
        until: Duration,
    },
    /// One does, and decides.
    Probing,
}

/// The breaker of one token.
#[derive(Debug)]
pub(super) struct Breaker {
    state: State,
    pause: Duration,
}

/// What is known of a request that went to the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The token did what it should.
    Well,
    /// It is in trouble.
    Sick,
    /// The request says nothing about it.
    Unknown,
}

impl Breaker {
    pub(super) fn new() -> Self {
        Self {
            state: State::Well,
            pause: FIRST_PAUSE,
        }
    }

    /// Whether a request may go there now without being the worse for it.
    pub(super) fn admits(&self, now: Duration) -> bool {
        match self.state {
            State::Well => true,
            State::Pause { until } => now >= until,
            State::Probing => false,
        }
    }

    /// For how much longer nothing goes there.
    pub(super) fn pause_left(&self, now: Duration) -> Option<Duration> {
        match self.state {
            State::Pause { until } => Some(until.saturating_sub(now)),
            State::Well | State::Probing => None,
        }
    }

    /// A request goes there.
    pub(super) fn begin(&mut self, now: Duration) {
        if matches!(self.state, State::Pause { until } if now >= until) {
            self.state = State::Probing;
        }
    }

    /// A request has come back.
    pub(super) fn end(&mut self, verdict: Verdict, now: Duration) {
        match (verdict, self.state) {
            (Verdict::Well, _) => *self = Self::new(),
            (Verdict::Sick, State::Well) => self.state = self.paused(now),
            (Verdict::Sick, State::Probing) => {
                self.pause = self.pause.saturating_mul(2).min(LONGEST_PAUSE);
                self.state = self.paused(now);
            }
            // It began before the pause did: known already.
            (Verdict::Sick, State::Pause { .. }) => {}
            // The next one probes.
            (Verdict::Unknown, State::Probing) => self.state = State::Pause { until: now },
            (Verdict::Unknown, _) => {}
        }
    }

    fn paused(&self, now: Duration) -> State {
        State::Pause {
            until: now.saturating_add(self.pause),
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
    fn a_failure_is_followed_by_a_pause_and_one_probe() {
        let mut breaker = Breaker::new();
        breaker.begin(ms(0));
        breaker.end(Verdict::Sick, ms(0));
        assert!(!breaker.admits(ms(249)));
        assert!(breaker.admits(ms(250)));
        breaker.begin(ms(250));
        assert!(!breaker.admits(ms(250)), "one probe is enough");
        breaker.end(Verdict::Well, ms(260));
        assert!(breaker.admits(ms(260)));
    }

    #[test]
    fn pauses_grow_while_probes_fail_and_are_short_again_afterwards() {
        let mut breaker = Breaker::new();
        let mut now = ms(0);
        let mut pauses = Vec::new();
        breaker.end(Verdict::Sick, now);
        for _ in 0..9 {
            let pause = breaker.pause_left(now).unwrap_or_default();
            pauses.push(pause.as_millis());
            now += pause;
            breaker.begin(now);
            breaker.end(Verdict::Sick, now);
        }
        assert_eq!(
            pauses,
            [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]
        );
        breaker.end(Verdict::Well, now);
        breaker.end(Verdict::Sick, now);
        assert_eq!(breaker.pause_left(now), Some(ms(250)));
    }

    #[test]
    fn what_says_nothing_changes_nothing_and_frees_the_place_of_the_probe() {
        let mut breaker = Breaker::new();
        breaker.end(Verdict::Unknown, ms(0));
        assert!(breaker.admits(ms(0)));
        breaker.end(Verdict::Sick, ms(0));
        breaker.end(Verdict::Unknown, ms(1));
        assert!(!breaker.admits(ms(1)));
        breaker.begin(ms(250));
        breaker.end(Verdict::Unknown, ms(251));
        assert!(breaker.admits(ms(251)));
    }

    #[test]
    fn failures_of_requests_that_were_under_way_do_not_make_the_pause_longer() {
        let mut breaker = Breaker::new();
        for _ in 0..50 {
            breaker.end(Verdict::Sick, ms(0));
        }
        assert_eq!(breaker.pause_left(ms(0)), Some(ms(250)));
    }
}
