//! Figures of the engine's budgets and quarantine: those of its status.

use crate::engine::api::EngineStatus;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::atomic::Ordering;

/// The figures.
#[derive(Debug, Default)]
pub(super) struct OracleMetrics {
    suspended: Gauge,
    quarantined: Gauge,
    refused: Counter,
    alarms: Counter,
    late: Counter,
}

impl OracleMetrics {
    pub(super) fn register(&self, to: &mut Registry) {
        to.register(
            "oracle_suspended",
            "Importers and callers that the engine has suspended, because too many ciphertexts of theirs failed",
            self.suspended.clone(),
        );
        to.register(
            "oracle_quarantined",
            "Ciphertexts that failed and are not decrypted again before an operator releases them",
            self.quarantined.clone(),
        );
        to.register(
            "oracle_refused",
            "Requests that the engine refused without a use of the key: quarantine, budgets and limits",
            self.refused.clone(),
        );
        to.register(
            "oracle_alarms",
            "Alarms of the engine: a suspension, a full quarantine, or a clock that was set",
            self.alarms.clone(),
        );
        to.register(
            "oracle_late_answers",
            "Failing answers that missed the first multiple of the grid they leave on",
            self.late.clone(),
        );
    }

    /// Takes over what the engine says; nothing: it does not answer, and what is not known does not change.
    pub(super) fn take(&self, status: Option<&EngineStatus>) {
        let Some(oracle) = status.and_then(|status| status.oracle.as_ref()) else {
            return;
        };
        let suspended = oracle
            .importers
            .iter()
            .chain(&oracle.callers)
            .filter(|subject| subject.suspended_until.is_some())
            .count();
        self.suspended
            .set(i64::try_from(suspended).unwrap_or(i64::MAX));
        self.quarantined
            .set(i64::try_from(oracle.quarantined).unwrap_or(i64::MAX));
        // A figure that falls is a process that was started again.
        for (counter, value) in [
            (&self.refused, oracle.refused),
            (&self.alarms, oracle.alarms),
            (&self.late, oracle.late_answers),
        ] {
            counter.inner().store(value, Ordering::Relaxed);
        }
    }
}
