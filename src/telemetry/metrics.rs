//! Figures for Prometheus (OpenMetrics text); `status` shows the same counters.

mod audit;
mod authorities;
pub(crate) mod calendar;
mod fips;
mod identity;
mod oracle;
mod sandbox;
mod tokens;

use self::audit::AuditMetrics;
use self::authorities::AuthorityMetrics;
use self::calendar::CalendarMetrics;
use self::fips::FipsMetrics;
use self::identity::IdentityMetrics;
use self::oracle::OracleMetrics;
use self::sandbox::SandboxMetrics;
use self::tokens::TokenMetrics;
use crate::ca::AuthorityState;
use crate::calendar::Calendar;
use crate::engine::api::EngineStatus;
use crate::evidence::status::FipsStatus;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

/// Upper bounds of the latency histograms in seconds.
const BOUNDS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
];

/// How a leased request left the connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Outcome {
    /// The result was accepted.
    Delivered,
    /// A final failure was accepted.
    Failed,
    /// A final failure because attempts were used up.
    Parked,
    /// Given back for another attempt.
    Requeued,
    /// Belongs to another connector now.
    Superseded,
    /// Was finished before; the key was not used.
    OfferedAgain,
}

/// How a call to the engine ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Attempt {
    /// With a result.
    Succeeded,
    /// With a failure that may pass.
    Transient,
    /// With a failure that stays.
    Permanent,
}

/// Label `outcome`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: Outcome,
}

/// Label `result`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabel {
    result: Attempt,
}

/// Label `kind`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LogLabel {
    kind: &'static str,
}

/// Every metric of the connector.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<OutcomeLabel, Counter>,
    attempts: Family<AttemptLabel, Counter>,
    log_bytes: Family<LogLabel, Gauge>,
    fips: FipsMetrics,
    tokens: TokenMetrics,
    oracle: OracleMetrics,
    sandbox: SandboxMetrics,
    audit: AuditMetrics,
    /// The connector's own certificate.
    pub(crate) identity: IdentityMetrics,
    calendar: CalendarMetrics,
    authorities: AuthorityMetrics,
    /// Requests in flight.
    pub in_flight: Gauge,
    /// Seconds from the lease to the first call of the engine.
    pub queue_seconds: Histogram,
    /// Seconds that a call to the engine took.
    pub engine_seconds: Histogram,
    /// Seconds that an upload took until it was accepted.
    pub upload_seconds: Histogram,
    /// 1 while the engine and its token answer.
    pub engine_up: Gauge,
    /// 1 while the journal can be written.
    pub journal_ok: Gauge,
    /// Bytes of the journal that are in use.
    pub journal_bytes: Gauge,
    /// 1 while the event log can be written.
    pub log_ok: Gauge,
    /// Events that could not be written.
    pub log_lost: Gauge,
    /// 1 while the brake against mass revocation gives requests back.
    pub revocation_braked: Gauge,
    /// Certificates that authorities were asked to revoke within the last 24 hours, as of the last of them.
    pub revoked_last_day: Gauge,
    /// When the gateway last answered, in seconds since 1970; 0: not yet.
    pub last_contact_seconds: Gauge,
}

impl Metrics {
    /// All metrics at zero.
    #[must_use]
    pub fn new() -> Self {
        let metrics = Self {
            registry: Registry::with_prefix("pfx_connector"),
            requests: Family::default(),
            attempts: Family::default(),
            log_bytes: Family::default(),
            fips: FipsMetrics::default(),
            tokens: TokenMetrics::default(),
            oracle: OracleMetrics::default(),
            sandbox: SandboxMetrics::default(),
            audit: AuditMetrics::default(),
            identity: IdentityMetrics::default(),
            calendar: CalendarMetrics::default(),
            authorities: AuthorityMetrics::default(),
            in_flight: Gauge::default(),
            queue_seconds: Histogram::new(BOUNDS),
            engine_seconds: Histogram::new(BOUNDS),
            upload_seconds: Histogram::new(BOUNDS),
            engine_up: Gauge::default(),
            journal_ok: Gauge::default(),
            journal_bytes: Gauge::default(),
            log_ok: Gauge::default(),
            log_lost: Gauge::default(),
            revocation_braked: Gauge::default(),
            revoked_last_day: Gauge::default(),
            last_contact_seconds: Gauge::default(),
        };
        metrics.registered()
    }

    fn registered(mut self) -> Self {
        let to = &mut self.registry;
        to.register(
            "build",
            "Version of the program",
            Info::new(vec![("version", crate::VERSION)]),
        );
        to.register("requests", "Requests by how they left this connector: Delivered, Failed, Parked, Requeued, Superseded, OfferedAgain", self.requests.clone());
        to.register(
            "attempts",
            "Calls to the engine by their result: Succeeded, Transient, Permanent",
            self.attempts.clone(),
        );
        to.register("in_flight", "Requests in flight", self.in_flight.clone());
        to.register(
            "queue_seconds",
            "Seconds from the lease to the first call of the engine",
            self.queue_seconds.clone(),
        );
        to.register(
            "engine_seconds",
            "Seconds that a call to the engine took",
            self.engine_seconds.clone(),
        );
        to.register(
            "upload_seconds",
            "Seconds that an upload took until it was accepted",
            self.upload_seconds.clone(),
        );
        to.register(
            "engine_up",
            "1 while the engine and its token answer",
            self.engine_up.clone(),
        );
        to.register(
            "journal_ok",
            "1 while the journal can be written",
            self.journal_ok.clone(),
        );
        to.register(
            "journal_bytes",
            "Bytes of the journal in use",
            self.journal_bytes.clone(),
        );
        to.register(
            "log_ok",
            "1 while the event log can be written",
            self.log_ok.clone(),
        );
        to.register(
            "log_lost_events",
            "Events since the start that could not be written; never one that reports a request",
            self.log_lost.clone(),
        );
        to.register(
            "log_bytes",
            "Bytes of the event log by kind: current, archived",
            self.log_bytes.clone(),
        );
        to.register(
            "revocation_braked",
            "1 while the brake against mass revocation gives requests back",
            self.revocation_braked.clone(),
        );
        to.register(
            "revoked_last_day",
            "Certificates that authorities were asked to revoke within 24 hours, as of the last of them",
            self.revoked_last_day.clone(),
        );
        to.register(
            "last_contact_timestamp_seconds",
            "When the gateway last answered, in seconds since 1970; 0 when it has not",
            self.last_contact_seconds.clone(),
        );
        self.fips.register(to);
        self.tokens.register(to);
        self.oracle.register(to);
        self.sandbox.register(to);
        self.audit.register(to);
        self.identity.register(to);
        self.calendar.register(to);
        self.authorities.register(to);
        // Series that exist from the start make rates and alerts simple.
        for outcome in [
            Outcome::Delivered,
            Outcome::Failed,
            Outcome::Parked,
            Outcome::Requeued,
            Outcome::Superseded,
            Outcome::OfferedAgain,
        ] {
            let _ = self.requests.get_or_create(&OutcomeLabel { outcome });
        }
        for result in [Attempt::Succeeded, Attempt::Transient, Attempt::Permanent] {
            let _ = self.attempts.get_or_create(&AttemptLabel { result });
        }
        for kind in ["current", "archived"] {
            let _ = self.log_bytes.get_or_create(&LogLabel { kind });
        }
        self
    }

    /// Counts a request.
    pub fn count(&self, outcome: Outcome) {
        self.requests.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// How many requests left in this way since the start.
    #[must_use]
    pub fn counted(&self, outcome: Outcome) -> u64 {
        self.requests.get_or_create(&OutcomeLabel { outcome }).get()
    }

    /// Counts a call to the engine.
    pub fn count_attempt(&self, result: Attempt) {
        self.attempts.get_or_create(&AttemptLabel { result }).inc();
    }

    /// How many calls to the engine ended in this way since the start.
    #[must_use]
    pub fn attempts(&self, result: Attempt) -> u64 {
        self.attempts.get_or_create(&AttemptLabel { result }).get()
    }

    /// Takes over the figures of the event log.
    pub fn take_log_figures(&self, figures: &super::log::LogFigures) {
        let as_gauge = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        self.log_bytes
            .get_or_create(&LogLabel { kind: "current" })
            .set(as_gauge(figures.bytes));
        self.log_bytes
            .get_or_create(&LogLabel { kind: "archived" })
            .set(as_gauge(figures.archived_bytes));
        self.log_ok.set(i64::from(figures.ok));
        self.log_lost.set(as_gauge(figures.lost));
    }

    /// Takes over the figures of FIPS mode.
    pub fn take_fips_status(&self, status: &FipsStatus) {
        self.fips.take(status);
    }

    /// Takes over the figures of the engine's tokens, its sandbox and its audit log from its status.
    pub fn take_tokens(&self, status: Option<&EngineStatus>) {
        self.tokens.take(status);
        self.oracle.take(status);
        self.sandbox.take(status);
        self.audit.take(status);
    }

    /// Takes over when what the service depends on ends.
    pub fn take_calendar(&self, calendar: &Calendar) {
        self.calendar.take(calendar);
    }

    /// Takes over how the certification authorities fare.
    pub fn take_authorities(&self, states: &[AuthorityState]) {
        self.authorities.take(states);
    }

    /// The page that Prometheus reads (`application/openmetrics-text; version=1.0.0`).
    #[must_use]
    pub fn encode(&self) -> String {
        let mut page = String::new();
        // Writing into a String does not fail.
        let _ = encode(&mut page, &self.registry);
        page
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
