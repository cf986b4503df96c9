//! How many requests a token is given at once: as many as make it do more, and not one more.
//!
//! A token works on so many requests at a time (its cores, its crypto engines, what the way to it lets through); what it is given
//! beyond that only waits inside of it, where nothing can be shed, put in order or given to another token. How many it is cannot be
//! asked, and changes. So it is tried: the limit is moved a step up, and stays there if the token then does more by a good part of
//! the step; if not, a step down, where it stays if the token does not do less by more than a small part of the step. Throughput is
//! what is compared, not the time of a request: that depends on the size of the keys that happen to be used.
//!
//! Nothing is tried while requests do not wait: then the limit makes no difference. Trials become rarer while they change nothing.
//!
//! A pure state machine, told what happened and when; no clock of its own.

use std::time::Duration;

/// The limit to begin with, where there are as many threads.
const START: usize = 4;
/// A measurement needs this many finished requests, and this many for each that runs at once ...
const SAMPLES: usize = 32;
const SAMPLES_PER_PLACE: usize = 4;
/// ... and this much time.
const MEASURE_AT_LEAST: Duration = Duration::from_millis(20);
/// A step up stays if it gains at least this part, in percent, of what it would gain if the token had no bounds.
const GAIN_PERCENT: u128 = 40;
/// A step down stays if it loses at most this part, in percent, of what it would lose if the token were not full.
const LOSS_PERCENT: u128 = 15;
/// A trial that takes this many times as long as the measurement before it is given up: the requests ran out.
const PATIENCE: u32 = 4;
/// The pause after trials that changed nothing, doubled each time up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Requests finished in a time.
#[derive(Clone, Copy, Debug)]
struct Rate {
    finished: u128,
    nanos: u128,
}

impl Rate {
    /// Whether this rate is at least `percent_of_step` of the step from `from` to `to` places above `base` (below it, if negative).
    fn reaches(self, base: Self, from: usize, to: usize, percent: u128) -> bool {
        // self / base >= 1 + percent / 100 * (to - from) / from, all integers.
        let (from, to) = (from as u128, to as u128);
        let factor = if to >= from {
            100 * from + percent * (to - from)
        } else {
            (100 * from).saturating_sub(percent * (from - to))
        };
        let left = self
            .finished
            .saturating_mul(base.nanos)
            .saturating_mul(100 * from);
        let right = base
            .finished
            .saturating_mul(self.nanos)
            .saturating_mul(factor);
        left >= right
    }
}

/// What is being measured.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The limit as it is.
    Base,
    /// A step up from a limit that does `base`.
    Up { base: Rate, from: usize },
    /// A step down.
    Down { base: Rate, from: usize },
    /// Nothing before this time.
    Pause { until: Duration },
}

/// The state.
#[derive(Debug)]
pub(super) struct Limiter {
    threads: usize,
    limit: usize,
    phase: Phase,
    /// Whether no step up has failed yet: steps are as large as the limit.
    starting: bool,
    /// Begin of the measurement; none before its first request has finished.
    since: Option<Duration>,
    finished: usize,
    pause: Duration,
}

impl Limiter {
    pub(super) fn new(threads: usize) -> Self {
        let threads = threads.max(1);
        Self {
            threads,
            limit: threads.min(START),
            phase: Phase::Base,
            starting: true,
            since: None,
            finished: 0,
            pause: FIRST_PAUSE,
        }
    }

    /// Requests that the token is given at once: 1 to the number of threads.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// A request has finished at `now`, while `waiting` others waited for a place.
    pub(super) fn finished(&mut self, waiting: usize, now: Duration) {
        if let Phase::Pause { until } = self.phase {
            if now < until {
                return;
            }
            self.begin(Phase::Base);
        }
        match self.phase {
            // Without somebody who waits it is not the token that is measured.
            Phase::Base if waiting == 0 => return self.begin(Phase::Base),
            Phase::Up { base, from } | Phase::Down { base, from } if self.is_stuck(base, now) => {
                self.limit = from;
                return self.rest(now);
            }
            _ => {}
        }
        let Some(since) = self.since else {
            // The requests of before the step are not counted; the next ones are.
            self.since = Some(now);
            return;
        };
        self.finished += 1;
        let passed = now.saturating_sub(since);
        if self.finished < SAMPLES.max(self.limit * SAMPLES_PER_PLACE) || passed < MEASURE_AT_LEAST
        {
            return;
        }
        let rate = Rate {
            finished: self.finished as u128,
            nanos: passed.as_nanos(),
        };
        self.measured(rate, now);
    }

    /// The token had no room for a request (CKR_SESSION_COUNT, CKR_DEVICE_MEMORY and the like): half of the limit, at once.
    pub(super) fn refused(&mut self, now: Duration) {
        self.limit = (self.limit / 2).max(1);
        self.starting = false;
        self.rest(now);
    }

    fn is_stuck(&self, base: Rate, now: Duration) -> bool {
        let base = Duration::from_nanos(u64::try_from(base.nanos).unwrap_or(u64::MAX));
        self.since
            .is_some_and(|since| now.saturating_sub(since) > base.saturating_mul(PATIENCE))
    }

    fn begin(&mut self, phase: Phase) {
        self.phase = phase;
        self.since = None;
        self.finished = 0;
    }

    fn rest(&mut self, now: Duration) {
        self.begin(Phase::Pause {
            until: now.saturating_add(self.pause),
        });
        self.pause = self.pause.saturating_mul(2).min(LONGEST_PAUSE);
    }

    fn step(&self) -> usize {
        if self.starting {
            self.limit
        } else {
            (self.limit / 4).max(1)
        }
    }

    fn try_down(&mut self, base: Rate, now: Duration) {
        let from = self.limit;
        if from == 1 {
            return self.rest(now);
        }
        self.limit = from.saturating_sub((from / 4).max(1)).max(1);
        self.begin(Phase::Down { base, from });
    }

    fn measured(&mut self, rate: Rate, now: Duration) {
        match self.phase {
            Phase::Base if self.limit < self.threads => {
                let from = self.limit;
                self.limit = from.saturating_add(self.step()).min(self.threads);
                self.begin(Phase::Up { base: rate, from });
            }
            Phase::Base => self.try_down(rate, now),
            Phase::Up { base, from } => {
                if rate.reaches(base, from, self.limit, GAIN_PERCENT) {
                    self.changed();
                } else {
                    self.limit = from;
                    if std::mem::take(&mut self.starting) {
                        // It was a large step: smaller ones may gain.
                        self.begin(Phase::Base);
                    } else {
                        self.try_down(base, now);
                    }
                }
            }
            Phase::Down { base, from } => {
                self.starting = false;
                if rate.reaches(base, from, self.limit, LOSS_PERCENT) {
                    self.changed();
                } else {
                    self.limit = from;
                    self.rest(now);
                }
            }
            Phase::Pause { .. } => {}
        }
    }

    /// The limit has changed for good: what comes next is tried at once.
    fn changed(&mut self) {
        self.pause = FIRST_PAUSE;
        self.begin(Phase::Base);
    }
}

#[cfg(test)]
mod tests;
