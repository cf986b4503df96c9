//! How much a token has to do, and how long it takes: time in the queue and time at the token apart.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Upper bounds of the classes of [`Times`], in microseconds; the last class has none.
const BOUNDS_US: [u64; 17] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 30_000_000,
];
const CLASSES: usize = BOUNDS_US.len() + 1;

/// Durations by class: never more memory, however many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Times {
    /// How many were measured.
    pub count: u64,
    /// Their sum in microseconds.
    pub sum_us: u64,
    /// How many were in each class, the shortest first.
    classes: [u64; CLASSES],
}

impl Times {
    /// Counts one.
    pub fn add(&mut self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.count = self.count.saturating_add(1);
        self.sum_us = self.sum_us.saturating_add(us);
        let class = BOUNDS_US.partition_point(|bound| *bound < us);
        if let Some(class) = self.classes.get_mut(class) {
            *class = class.saturating_add(1);
        }
    }

    /// Adds what another one has counted.
    pub fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.sum_us = self.sum_us.saturating_add(other.sum_us);
        for (own, other) in self.classes.iter_mut().zip(other.classes) {
            *own = own.saturating_add(other);
        }
    }

    /// The mean; zero of none.
    #[must_use]
    pub fn mean(&self) -> Duration {
        Duration::from_micros(self.sum_us.checked_div(self.count).unwrap_or_default())
    }

    /// An estimate of the time that `per_mille` of 1000 did not exceed: the place within its class is taken as if its times were
    /// spread evenly, so it is right to the class. `None` of none; beyond the last bound, the bound.
    #[must_use]
    pub fn quantile(&self, per_mille: u64) -> Option<Duration> {
        // In thousandths of one.
        let wanted = self.count.checked_mul(per_mille.min(1000))?;
        let mut below = 0_u64;
        let mut lower = 0;
        for (in_class, upper) in self.classes.iter().zip(BOUNDS_US) {
            let up_to_here = below.saturating_add(*in_class);
            if *in_class > 0 && up_to_here.saturating_mul(1000) >= wanted {
                let rank = wanted.saturating_sub(below.saturating_mul(1000));
                let part = (upper - lower).saturating_mul(rank) / in_class.saturating_mul(1000);
                return Some(Duration::from_micros(lower + part));
            }
            below = up_to_here;
            lower = upper;
        }
        (self.count > 0).then_some(Duration::from_micros(lower))
    }
}

/// The load of one token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Load {
    /// Interactive requests that wait for the token.
    pub waiting_interactive: usize,
    /// Batch requests that wait for the token.
    pub waiting_batch: usize,
    /// Requests that are at the token.
    pub running: usize,
    /// How many may be there at once, as measured (see `limiter`): 1 to the number of threads.
    pub limit: usize,
    /// Requests refused because they would have waited too long, or had no place to wait ([`Error::Overloaded`](crate::Error)).
    pub shed: u64,
    /// Requests given up because their deadline passed while they waited ([`Error::Deadline`](crate::Error)).
    pub late: u64,
    /// Time that requests waited for the token.
    pub queue_time: Times,
    /// Time that requests were at the token, recovery included; generation and lists of keys are not counted.
    pub token_time: Times,
}

impl Load {
    /// Adds the load of another token.
    pub fn merge(&mut self, other: &Self) {
        self.waiting_interactive += other.waiting_interactive;
        self.waiting_batch += other.waiting_batch;
        self.running += other.running;
        self.limit += other.limit;
        self.shed = self.shed.saturating_add(other.shed);
        self.late = self.late.saturating_add(other.late);
        self.queue_time.merge(&other.queue_time);
        self.token_time.merge(&other.token_time);
    }
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs, clippy::unwrap_used)]
    use super::*;

    #[test]
    fn quantiles_are_right_to_the_class_and_sums_are_exact() {
        let mut times = Times::default();
        assert_eq!(times.quantile(500), None);
        for ms in 1..=100 {
            times.add(Duration::from_millis(ms));
        }
        assert_eq!(times.count, 100);
        assert_eq!(times.mean(), Duration::from_micros(50_500));
        let p50 = times.quantile(500).unwrap();
        assert!(
            (Duration::from_millis(25)..=Duration::from_millis(50)).contains(&p50),
            "{p50:?}"
        );
        let p99 = times.quantile(990).unwrap();
        assert!(
            (Duration::from_millis(90)..=Duration::from_millis(100)).contains(&p99),
            "{p99:?}"
        );
    }

    #[test]
    fn what_is_longer_than_every_bound_is_the_longest_bound() {
        let mut times = Times::default();
        times.add(Duration::from_secs(3600));
        assert_eq!(times.quantile(1), Some(Duration::from_secs(30)));
        times.add(Duration::MAX);
        assert_eq!(times.sum_us, u64::MAX);
    }

    #[test]
    fn the_sum_of_two_loads_has_the_times_of_both() {
        let mut one = Load {
            limit: 2,
            ..Load::default()
        };
        one.token_time.add(Duration::from_millis(1));
        let mut both = one.clone();
        both.merge(&one);
        assert_eq!((both.limit, both.token_time.count), (4, 2));
    }
}
