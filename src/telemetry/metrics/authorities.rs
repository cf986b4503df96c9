//! Figures of the certification authorities: those of the status.

use crate::ca::{AuthorityState, BreakerState};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::atomic::Ordering;

/// Labels `authority` (its name in the configuration, which does not change while the connector runs) and `kind`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AuthorityLabel {
    authority: String,
    kind: String,
}

/// Labels `authority`, `kind` and `right`: enroll, revoke.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RightLabel {
    authority: String,
    kind: String,
    right: &'static str,
}

/// The figures.
#[derive(Debug, Default)]
pub(super) struct AuthorityMetrics {
    up: Family<AuthorityLabel, Gauge>,
    rights: Family<RightLabel, Gauge>,
    breaker: Family<AuthorityLabel, Gauge>,
    in_flight: Family<AuthorityLabel, Gauge>,
    pending: Family<AuthorityLabel, Gauge>,
    issued: Family<AuthorityLabel, Counter>,
    failed: Family<AuthorityLabel, Counter>,
}

impl AuthorityMetrics {
    pub(super) fn register(&self, to: &mut Registry) {
        for (name, help, family) in [
            (
                "authority_up",
                "1 while the certification authority answers when it is asked how it fares; no series where that cannot be asked",
                &self.up,
            ),
            (
                "authority_breaker_open",
                "1 while the authority is left alone because it kept failing",
                &self.breaker,
            ),
            (
                "authority_in_flight",
                "Calls of the authority that are under way",
                &self.in_flight,
            ),
            (
                "authority_pending",
                "Orders that the authority decides later, as far as this connector's journal knows",
                &self.pending,
            ),
        ] {
            to.register(name, help, family.clone());
        }
        to.register(
            "authority_right",
            "1 where the connector's credential has the right at the authority, 0 where it has not, by right: enroll, revoke; no series where that cannot be asked",
            self.rights.clone(),
        );
        to.register(
            "authority_issued",
            "Requests whose certificate was delivered, by authority",
            self.issued.clone(),
        );
        to.register(
            "authority_failed",
            "Requests for a certificate of the authority that failed for good",
            self.failed.clone(),
        );
    }

    /// Takes over how the authorities fare.
    pub(super) fn take(&self, states: &[AuthorityState]) {
        for state in states {
            let label = AuthorityLabel {
                authority: state.name.clone(),
                kind: state.kind.clone(),
            };
            let rights = state.asked.as_ref().map(|asked| {
                if let Some(reachable) = asked.reachable {
                    self.up.get_or_create(&label).set(i64::from(reachable));
                }
                [("enroll", asked.may_enroll), ("revoke", asked.may_revoke)]
            });
            for (right, known) in rights.into_iter().flatten() {
                let label = RightLabel {
                    authority: state.name.clone(),
                    kind: state.kind.clone(),
                    right,
                };
                match known {
                    Some(has) => {
                        self.rights.get_or_create(&label).set(i64::from(has));
                    }
                    None => {
                        self.rights.remove(&label);
                    }
                }
            }
            self.breaker
                .get_or_create(&label)
                .set(i64::from(state.breaker != BreakerState::Closed));
            self.in_flight
                .get_or_create(&label)
                .set(i64::from(state.in_flight));
            self.pending
                .get_or_create(&label)
                .set(i64::try_from(state.pending).unwrap_or(i64::MAX));
            for (counter, value) in [(&self.issued, state.issued), (&self.failed, state.failed)] {
                counter
                    .get_or_create(&label)
                    .inner()
                    .store(value, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use crate::ca::{Asked, AuthorityState, BreakerState};
    use crate::config::AuthorityKind;
    use crate::telemetry::metrics::Metrics;
    use ca::Capabilities;

    #[test]
    fn a_right_that_cannot_be_asked_has_no_series() {
        let metrics = Metrics::new();
        let can = Capabilities {
            revokes: false,
            pends: true,
            polls_by_reference: true,
            recovers: false,
        };
        let mut state = AuthorityState::new("company", AuthorityKind::Est, can);
        state.pending = 3;
        metrics.take_authorities(&[state.clone()]);
        let text = metrics.encode();
        assert!(
            text.contains(
                "pfx_connector_authority_pending{authority=\"company\",kind=\"est\"} 3\n"
            ),
            "{text}"
        );
        assert!(!text.contains("authority_up{"), "it was not asked: {text}");
        state.asked = Some(Asked {
            reachable: Some(true),
            may_revoke: Some(false),
            ..Asked::default()
        });
        state.breaker = BreakerState::Open;
        metrics.take_authorities(&[state]);
        let text = metrics.encode();
        for line in [
            "authority_up{authority=\"company\",kind=\"est\"} 1",
            "authority_breaker_open{authority=\"company\",kind=\"est\"} 1",
            "authority_right{authority=\"company\",kind=\"est\",right=\"revoke\"} 0",
        ] {
            assert!(
                text.contains(&format!("pfx_connector_{line}\n")),
                "{line} in {text}"
            );
        }
        assert!(!text.contains("right=\"enroll\""), "{text}");
    }
}
