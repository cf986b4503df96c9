//! When what the service depends on ends: the same calendar as in its status.

use crate::calendar::{Calendar, Level};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Labels `kind` and `name`: a key of the configuration, or the number of a token; a calendar has 256 entries at most.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, EncodeLabelSet)]
struct EndLabel {
    kind: &'static str,
    name: String,
}

/// Label `level`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LevelLabel {
    level: &'static str,
}

/// The figures.
#[derive(Debug, Default)]
pub(crate) struct CalendarMetrics {
    ends: Family<EndLabel, Gauge>,
    levels: Family<LevelLabel, Gauge>,
    known: Mutex<BTreeSet<EndLabel>>,
}

impl CalendarMetrics {
    pub(crate) fn register(&self, to: &mut Registry) {
        to.register(
            "expiry_timestamp_seconds",
            "When a certificate, list, token or key that the service depends on ends, in seconds since 1970, by kind and by name in the configuration",
            self.ends.clone(),
        );
        to.register(
            "expiry_entries",
            "How many of them are how near to their end: fine, soon, urgent, expired; those that nothing depends on are not counted",
            self.levels.clone(),
        );
        for level in Level::ALL {
            let _ = self.levels.get_or_create(&label(level));
        }
    }

    /// Takes over a calendar; what is not in it any more is forgotten.
    pub(crate) fn take(&self, calendar: &Calendar) {
        let mut now = BTreeSet::new();
        for entry in &calendar.entries {
            let label = EndLabel {
                kind: entry.kind.name(),
                name: entry.name.clone(),
            };
            self.ends
                .get_or_create(&label)
                .set(entry.not_after_ms.div_euclid(1000));
            now.insert(label);
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for gone in known.difference(&now) {
            self.ends.remove(gone);
        }
        *known = now;
        drop(known);
        for level in Level::ALL {
            let count = match level {
                Level::Fine => calendar
                    .entries
                    .len()
                    .saturating_sub(calendar.calling().count()),
                level => calendar
                    .calling()
                    .filter(|entry| entry.level == level)
                    .count(),
            };
            self.levels
                .get_or_create(&label(level))
                .set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}

fn label(level: Level) -> LevelLabel {
    LevelLabel {
        level: level.name(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use crate::calendar::{Calendar, DAY_MS, Dated, Effect, Kind};
    use crate::telemetry::metrics::Metrics;

    fn page(metrics: &Metrics, ends: &[(&str, i64)]) -> String {
        let dated: Vec<_> = ends
            .iter()
            .map(|(name, days)| Dated {
                kind: Kind::GatewayCa,
                name: (*name).to_owned(),
                subject: "CN=in no label".to_owned(),
                begins_ms: None,
                ends_ms: days * DAY_MS,
                effect: Effect::Weakens,
            })
            .collect();
        metrics.take_calendar(&Calendar::of(&dated, 100 * DAY_MS));
        metrics.encode()
    }

    #[test]
    fn each_end_is_a_series_until_it_is_gone() {
        let metrics = Metrics::new();
        let text = page(&metrics, &[("a", 101), ("b", 1000), ("c", 99)]);
        for line in [
            "expiry_timestamp_seconds{kind=\"gateway-ca\",name=\"a\"} 8726400",
            "expiry_entries{level=\"fine\"} 1",
            "expiry_entries{level=\"soon\"} 0",
            "expiry_entries{level=\"urgent\"} 1",
            "expiry_entries{level=\"expired\"} 1",
        ] {
            assert!(
                text.contains(&format!("pfx_connector_{line}\n")),
                "{line} in {text}"
            );
        }
        assert!(!text.contains("in no label"));
        let text = page(&metrics, &[("b", 1000)]);
        assert!(
            !text.contains("name=\"a\"") && text.contains("name=\"b\""),
            "{text}"
        );
    }
}
