//! Figures of the engine's tokens: those of its status, so that command and metrics cannot say different things. Time in the queue and
//! time at the token are apart: the one says that there is too much to do, the other that the token is slow.

use crate::engine::api::{EngineStatus, TokenStatus};
use hsm::Times;
use hsm::group::MemberState;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

/// Label `token`: the name in the engine's configuration, of which there are 16 at most.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TokenLabel {
    token: String,
}

/// Labels `token`, `lane`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LaneLabel {
    token: String,
    lane: &'static str,
}

/// Labels `token`, `quantile`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QuantileLabel {
    token: String,
    quantile: &'static str,
}

type Seconds = Counter<f64, AtomicU64>;
type SecondsGauge = Gauge<f64, AtomicU64>;

/// One kind of time.
#[derive(Debug, Default)]
struct TimeFigures {
    count: Family<TokenLabel, Counter>,
    sum: Family<TokenLabel, Seconds>,
    quantiles: Family<QuantileLabel, SecondsGauge>,
}

const QUANTILES: [(&str, u64); 2] = [("0.5", 500), ("0.99", 990)];
const LANES: [&str; 2] = ["interactive", "batch"];

/// The figures.
#[derive(Debug, Default)]
pub(super) struct TokenMetrics {
    up: Family<TokenLabel, Gauge>,
    drained: Family<TokenLabel, Gauge>,
    weight: Family<TokenLabel, Gauge>,
    in_flight: Family<TokenLabel, Gauge>,
    limit: Family<TokenLabel, Gauge>,
    waiting: Family<LaneLabel, Gauge>,
    requests: Family<TokenLabel, Counter>,
    failures: Family<TokenLabel, Counter>,
    shed: Family<TokenLabel, Counter>,
    late: Family<TokenLabel, Counter>,
    queue: TimeFigures,
    token: TimeFigures,
    failovers: Counter,
    rescues: Counter,
    hedges: Counter,
    hedges_won: Counter,
    shared: Counter,
    known: Mutex<BTreeSet<String>>,
}

impl TimeFigures {
    fn register(&self, to: &mut Registry, name: &str, what: &str) {
        to.register(
            format!("{name}_requests"),
            format!("Requests whose {what} was measured, by token"),
            self.count.clone(),
        );
        to.register(
            format!("{name}_seconds"),
            format!("Seconds of {what}, by token"),
            self.sum.clone(),
        );
        to.register(
            format!("{name}_seconds_quantile"),
            format!("Estimate of the {what} in seconds that half, and 99 of 100, requests did not exceed, by token and quantile, since the engine's custody process started"),
            self.quantiles.clone(),
        );
    }

    fn set(&self, token: &str, times: &Times) {
        let label = TokenLabel {
            token: token.to_owned(),
        };
        store(&self.count.get_or_create(&label), times.count);
        let sum = std::time::Duration::from_micros(times.sum_us).as_secs_f64();
        self.sum
            .get_or_create(&label)
            .inner()
            .store(sum.to_bits(), Ordering::Relaxed);
        for (quantile, per_mille) in QUANTILES {
            let label = QuantileLabel {
                token: token.to_owned(),
                quantile,
            };
            let time = times.quantile(per_mille).unwrap_or_default();
            self.quantiles.get_or_create(&label).set(time.as_secs_f64());
        }
    }

    fn remove(&self, token: &str) {
        let label = TokenLabel {
            token: token.to_owned(),
        };
        self.count.remove(&label);
        self.sum.remove(&label);
        for (quantile, _) in QUANTILES {
            self.quantiles.remove(&QuantileLabel {
                token: token.to_owned(),
                quantile,
            });
        }
    }
}

impl TokenMetrics {
    pub(super) fn register(&self, to: &mut Registry) {
        for (name, help, family) in [
            ("token_up", "1 while the token is open", &self.up),
            (
                "token_drained",
                "1 while the token is taken out of service",
                &self.drained,
            ),
            (
                "token_weight_thousandths",
                "Share of the requests that the token would get now, in thousandths",
                &self.weight,
            ),
            (
                "token_in_flight",
                "Requests that are at the token",
                &self.in_flight,
            ),
            (
                "token_limit",
                "Requests that the token is given at once, as measured: 1 to its threads",
                &self.limit,
            ),
        ] {
            to.register(name, help, family.clone());
        }
        to.register(
            "token_waiting",
            "Requests that wait for the token, by lane",
            self.waiting.clone(),
        );
        for (name, help, family) in [
            (
                "token_requests",
                "Requests given to the token",
                &self.requests,
            ),
            (
                "token_failures",
                "Requests that failed because of the token",
                &self.failures,
            ),
            (
                "token_shed",
                "Requests refused because they would have waited too long for the token",
                &self.shed,
            ),
            (
                "token_late",
                "Requests given up because their deadline passed while they waited for the token",
                &self.late,
            ),
        ] {
            to.register(name, help, family.clone());
        }
        self.queue.register(to, "token_queue", "time in the queue");
        self.token.register(to, "token_call", "time at the token");
        for (name, help, counter) in [
            (
                "token_failovers",
                "Requests that went to another token after one was in trouble or had no time",
                &self.failovers,
            ),
            (
                "token_rescues",
                "Requests that went to another token because nothing came back from theirs",
                &self.rescues,
            ),
            (
                "token_hedges",
                "Slow requests that were begun on a second token",
                &self.hedges,
            ),
            (
                "token_hedges_won",
                "Slow requests that the second token answered first",
                &self.hedges_won,
            ),
            (
                "decryptions_shared",
                "Requests that were answered by the decryption of another one for the same ciphertext",
                &self.shared,
            ),
        ] {
            to.register(name, help, counter.clone());
        }
    }

    /// Takes over what the engine says; nothing: it does not answer, and what is not known is not told.
    pub(super) fn take(&self, status: Option<&EngineStatus>) {
        let tokens = status.map_or(&[][..], |status| &status.tokens);
        let names: BTreeSet<_> = tokens.iter().map(|token| token.name.clone()).collect();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for gone in known.difference(&names) {
            self.remove(gone);
        }
        *known = names;
        drop(known);
        let coarse = status.is_some_and(|status| status.coarse);
        for token in tokens {
            self.set(token);
            if coarse {
                // To connectors of a user of their own the engine does not tell them.
                self.remove_figures(&token.name);
            } else {
                self.set_figures(token);
            }
        }
        if let Some(status) = status {
            let switching = status.switching;
            store(&self.failovers, switching.failovers);
            store(&self.rescues, switching.rescues);
            store(&self.hedges, switching.hedges);
            store(&self.hedges_won, switching.hedges_won);
            store(&self.shared, status.decryptions_shared);
        }
    }

    fn set(&self, token: &TokenStatus) {
        let label = TokenLabel {
            token: token.name.clone(),
        };
        let up = token.state == MemberState::Open;
        for (family, value) in [
            (&self.up, i64::from(up)),
            (&self.drained, i64::from(token.drained)),
        ] {
            family.get_or_create(&label).set(value);
        }
    }

    fn set_figures(&self, token: &TokenStatus) {
        let label = TokenLabel {
            token: token.name.clone(),
        };
        let load = token.load.clone().unwrap_or_default();
        for (family, value) in [
            (&self.weight, i64::from(token.weight_per_mille)),
            (&self.in_flight, gauge(load.running)),
            (&self.limit, gauge(load.limit)),
        ] {
            family.get_or_create(&label).set(value);
        }
        for (family, value) in [
            (&self.requests, token.requests),
            (&self.failures, token.failures),
            (&self.shed, load.shed),
            (&self.late, load.late),
        ] {
            store(&family.get_or_create(&label), value);
        }
        for (lane, value) in LANES
            .into_iter()
            .zip([load.waiting_interactive, load.waiting_batch])
        {
            let label = LaneLabel {
                token: token.name.clone(),
                lane,
            };
            self.waiting.get_or_create(&label).set(gauge(value));
        }
        self.queue.set(&token.name, &load.queue_time);
        self.token.set(&token.name, &load.token_time);
    }

    fn remove(&self, token: &str) {
        let label = TokenLabel {
            token: token.to_owned(),
        };
        for family in [&self.up, &self.drained] {
            family.remove(&label);
        }
        self.remove_figures(token);
    }

    fn remove_figures(&self, token: &str) {
        let label = TokenLabel {
            token: token.to_owned(),
        };
        for family in [&self.weight, &self.in_flight, &self.limit] {
            family.remove(&label);
        }
        for family in [&self.requests, &self.failures, &self.shed, &self.late] {
            family.remove(&label);
        }
        for lane in LANES {
            self.waiting.remove(&LaneLabel {
                token: token.to_owned(),
                lane,
            });
        }
        self.queue.remove(token);
        self.token.remove(token);
    }
}

fn gauge(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The engine counts; a figure that falls is a process that was started again, as Prometheus takes it.
fn store(counter: &Counter, value: u64) {
    counter.inner().store(value, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use crate::engine::api::{EngineStatus, TokenStatus};
    use crate::telemetry::metrics::Metrics;
    use hsm::Load;
    use hsm::group::MemberState;
    use std::time::Duration;

    fn token(name: &str) -> TokenStatus {
        let mut load = Load {
            limit: 3,
            waiting_batch: 2,
            ..Load::default()
        };
        load.queue_time.add(Duration::from_millis(500));
        load.token_time.add(Duration::from_millis(2));
        TokenStatus {
            name: name.to_owned(),
            state: MemberState::Open,
            problem: None,
            drained: false,
            in_hand: 0,
            avoided_ms: None,
            weight_per_mille: 400,
            requests: 7,
            failures: 1,
            certificate: None,
            token: None,
            capabilities: None,
            load: Some(load),
            healing: None,
        }
    }

    fn page(metrics: &Metrics, tokens: &[TokenStatus]) -> String {
        let json = serde_json::json!({
            "version": "", "moduleVersion": "", "token": null, "capabilities": null, "keys": [], "parts": [],
            "exceptions": [], "keyUses": 0, "answered": 0, "inFlight": 0, "tokens": tokens, "decryptionsShared": 5,
        });
        let status: Option<EngineStatus> = serde_json::from_value(json).ok();
        metrics.take_tokens(status.as_ref());
        metrics.encode()
    }

    #[test]
    fn what_the_engine_does_not_tell_a_connector_is_not_told_as_zero() {
        let metrics = Metrics::new();
        page(&metrics, &[token("a")]);
        let json = serde_json::json!({
            "version": "", "moduleVersion": "", "token": null, "capabilities": null, "keys": [], "parts": [],
            "exceptions": [], "keyUses": 0, "answered": 0, "inFlight": 0, "tokens": [token("a")], "coarse": true,
        });
        let status: Option<EngineStatus> = serde_json::from_value(json).ok();
        metrics.take_tokens(status.as_ref());
        let text = metrics.encode();
        assert!(text.contains("token_up{token=\"a\"} 1\n"), "{text}");
        assert!(text.contains("token_drained{token=\"a\"} 0\n"), "{text}");
        assert_eq!(text.matches("token=\"a\"").count(), 2, "{text}");
    }

    #[test]
    fn queue_time_and_token_time_are_apart_and_forgotten_with_the_token() {
        let metrics = Metrics::new();
        let text = page(&metrics, &[token("a"), token("b")]);
        for line in [
            "token_up{token=\"a\"} 1",
            "token_limit{token=\"b\"} 3",
            "token_waiting{token=\"a\",lane=\"batch\"} 2",
            "token_requests_total{token=\"a\"} 7",
            "token_queue_seconds_total{token=\"a\"} 0.5",
            "token_call_seconds_total{token=\"a\"} 0.002",
            "token_call_requests_total{token=\"a\"} 1",
            "decryptions_shared_total 5",
        ] {
            assert!(
                text.contains(&format!("pfx_connector_{line}\n")),
                "{line} in {text}"
            );
        }
        assert!(text.contains("token_call_seconds_quantile{token=\"a\",quantile=\"0.99\"} 0.00"));
        let text = page(&metrics, &[token("b")]);
        assert!(
            !text.contains("token=\"a\"") && text.contains("token=\"b\""),
            "{text}"
        );
        metrics.take_tokens(None);
        assert!(!metrics.encode().contains("token=\""));
    }
}
