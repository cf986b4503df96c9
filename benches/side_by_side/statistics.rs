//! Medians of rounds and percentiles of single operations.

use serde::Serialize;
use std::fmt;
use std::time::Duration;

/// What the rounds said: the middle one, and how far the others were from it.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Spread {
    /// The median.
    pub(crate) median: f64,
    /// The lowest.
    pub(crate) min: f64,
    /// The highest.
    pub(crate) max: f64,
}

impl Spread {
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let upper = values.get(values.len() / 2);
        let lower = values.get(values.len().saturating_sub(1) / 2);
        match (lower, upper, values.first(), values.last()) {
            (Some(lower), Some(upper), Some(min), Some(max)) => Self {
                median: f64::midpoint(*lower, *upper),
                min: *min,
                max: *max,
            },
            _ => Self::default(),
        }
    }

    /// As a share: `81 % (77 to 84)`.
    pub(crate) fn percent(&self) -> String {
        let hundred = |value: f64| value * 100.0;
        format!(
            "{:.0} % ({:.0} to {:.0})",
            hundred(self.median),
            hundred(self.min),
            hundred(self.max)
        )
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:.0}", self.median))
    }
}

/// Two percentiles of how long single operations took, in microseconds.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Percentiles {
    /// Half of the operations took at most this long.
    pub(crate) p50_us: f64,
    /// All but one in a hundred took at most this long.
    pub(crate) p99_us: f64,
}

impl Percentiles {
    pub(crate) fn of(mut took: Vec<Duration>) -> Self {
        took.sort_unstable();
        let at = |hundredths: usize| {
            let index = took.len().saturating_sub(1) * hundredths / 100;
            took.get(index).copied().map_or(0.0, micros)
        };
        Self {
            p50_us: at(50),
            p99_us: at(99),
        }
    }
}

pub(crate) fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// How many a second. `count` is far below what a floating-point number holds exactly.
#[expect(clippy::cast_precision_loss, reason = "counts of some thousands")]
pub(crate) fn per_second(count: usize, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64()
}
