//! Statistics of two sets of times.

use serde::Serialize;

/// Times of one class, in the order in which they were taken.
#[derive(Debug, Clone, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    pub(crate) fn add(&mut self, time: f64) {
        self.0.push(time);
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn mean(&self) -> f64 {
        mean(&self.0)
    }

    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let place = sorted.len().saturating_mul(percent) / 100;
        let last = sorted.last().copied().unwrap_or_default();
        sorted.get(place).copied().unwrap_or(last)
    }
}

/// What two classes look like beside each other; positive: the first takes longer.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Comparison {
    /// Welch's t.
    pub(crate) welch_t: f64,
    /// The same of the times below the 95th percentile of both together: what is rare hides what is small.
    pub(crate) welch_t_cropped: f64,
    /// The rank-sum statistic of Mann and Whitney, as a normal deviate, corrected for ties.
    pub(crate) rank_sum_z: f64,
}

impl Comparison {
    pub(crate) fn of(first: &Samples, second: &Samples) -> Self {
        let mut both = first.clone();
        both.extend(second.clone());
        let limit = both.percentile(95);
        let below = |samples: &Samples| -> Vec<f64> {
            samples
                .0
                .iter()
                .copied()
                .filter(|time| *time < limit)
                .collect()
        };
        Self {
            welch_t: welch_t(&first.0, &second.0),
            welch_t_cropped: welch_t(&below(first), &below(second)),
            rank_sum_z: rank_sum_z(&first.0, &second.0),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 samples")]
fn count(number: usize) -> f64 {
    number as f64
}

fn mean(times: &[f64]) -> f64 {
    times.iter().sum::<f64>() / count(times.len().max(1))
}

fn variance(times: &[f64]) -> f64 {
    let mean = mean(times);
    let sum: f64 = times.iter().map(|time| (time - mean).powi(2)).sum();
    sum / count(times.len().saturating_sub(1).max(1))
}

fn welch_t(first: &[f64], second: &[f64]) -> f64 {
    let error =
        variance(first) / count(first.len().max(1)) + variance(second) / count(second.len().max(1));
    if error > 0.0 {
        (mean(first) - mean(second)) / error.sqrt()
    } else {
        0.0
    }
}

fn rank_sum_z(first: &[f64], second: &[f64]) -> f64 {
    let mut all: Vec<(f64, bool)> = first
        .iter()
        .map(|time| (*time, true))
        .chain(second.iter().map(|time| (*time, false)))
        .collect();
    all.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (mut rank_sum, mut ties, mut before) = (0.0, 0.0, 0);
    for equal in all.chunk_by(|one, other| one.0.total_cmp(&other.0).is_eq()) {
        let number = count(equal.len());
        // Those that are equal have the mean of their ranks.
        let rank = count(before) + (number + 1.0) / 2.0;
        rank_sum += rank * count(equal.iter().filter(|(_, is_first)| *is_first).count());
        ties += number.powi(3) - number;
        before += equal.len();
    }
    let (m, n) = (count(first.len()), count(second.len()));
    let total = m + n;
    let u = rank_sum - m * (m + 1.0) / 2.0;
    let variance = m * n / 12.0 * ((total + 1.0) - ties / (total * (total - 1.0)).max(1.0));
    if variance > 0.0 {
        (u - m * n / 2.0) / variance.sqrt()
    } else {
        0.0
    }
}
