//! The connector's own certificate, where it renews it itself.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The figures.
#[derive(Debug, Default)]
pub(crate) struct IdentityMetrics {
    not_after_seconds: Gauge,
    due_seconds: Gauge,
    renewals: Counter,
    failures: Counter,
}

impl IdentityMetrics {
    pub(super) fn register(&self, to: &mut Registry) {
        to.register(
            "identity_not_after_seconds",
            "When the connector's own certificate ends, in seconds since 1970; 0: it renews none itself",
            self.not_after_seconds.clone(),
        );
        to.register(
            "identity_renewal_due_seconds",
            "When the connector's own certificate is renewed, in seconds since 1970; 0: it renews none itself",
            self.due_seconds.clone(),
        );
        to.register(
            "identity_renewals",
            "Renewals of the connector's own certificate that worked",
            self.renewals.clone(),
        );
        to.register(
            "identity_renewal_failures",
            "Attempts at a renewal of the connector's own certificate that failed",
            self.failures.clone(),
        );
    }

    /// The certificate in use: its end, and when it is renewed, in milliseconds since 1970.
    pub(crate) fn take(&self, not_after_ms: i64, due_ms: i64) {
        self.not_after_seconds.set(not_after_ms.div_euclid(1_000));
        self.due_seconds.set(due_ms.div_euclid(1_000));
    }

    /// One worked.
    pub(crate) fn renewed(&self) {
        self.renewals.inc();
    }

    /// One failed.
    pub(crate) fn failed(&self) {
        self.failures.inc();
    }
}
