//! How the engine's audit log fares: as its status says it.

use crate::engine::api::EngineStatus;
use audit::Trouble;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// That it cannot be written at all.
const UNWRITABLE: &str = "unwritable";

/// Label `what`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TroubleLabel {
    what: &'static str,
}

/// The figures.
#[derive(Debug, Default)]
pub(super) struct AuditMetrics {
    trouble: Family<TroubleLabel, Gauge>,
    seal_waited: Gauge,
}

impl AuditMetrics {
    pub(super) fn register(&self, to: &mut Registry) {
        to.register(
            "audit_trouble",
            "1 while the engine's audit log is so: unwritable, unsealed, unanchored, notRotated, lost (entries, since its custody started)",
            self.trouble.clone(),
        );
        to.register(
            "audit_seal_waited_seconds",
            "Seconds for which the audit log has waited for a seal; 0 while it waits for none",
            self.seal_waited.clone(),
        );
    }

    /// Takes over what the engine says; nothing: it does not answer, and what is not known is not told.
    pub(super) fn take(&self, status: Option<&EngineStatus>) {
        let Some(log) = status.and_then(|status| status.audit.as_ref()) else {
            self.trouble.clear();
            return;
        };
        let set = |what, is: bool| {
            self.trouble
                .get_or_create(&TroubleLabel { what })
                .set(i64::from(is));
        };
        set(UNWRITABLE, log.problem.is_some());
        let troubles = log.troubles();
        for trouble in Trouble::ALL {
            set(trouble.name(), troubles.contains(&trouble));
        }
        self.seal_waited
            .set(i64::try_from(log.seal_waited_ms / 1000).unwrap_or(i64::MAX));
    }
}
