//! What the tasks of a running connector share.

use super::engine_link::{EngineHealth, EngineLink};
use super::error::{CallError, CallErrorKind};
use super::gateway_client::GatewayClient;
use super::identity::IdentityState;
use super::journal::{Journal, JournalError};
use super::pkcs::Issuance;
use super::revoke::Revoking;
use super::turn::Turn;
use crate::ca::AuthorityState;
use crate::calendar::{Book, Calendar};
use crate::clock::Clock;
use crate::config::ConnectorConfig;
use crate::evidence::process::ProcessEvidence;
use crate::evidence::status::FipsStatus;
use crate::telemetry::catalogue::EventKind;
use crate::telemetry::health::{Health, Reason};
use crate::telemetry::metrics::{Metrics, Outcome as Counted};
use crate::telemetry::{Draft, EventLog};
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, Semaphore, watch};

/// How far the connector is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Takes work.
    Running,
    /// Takes no more; finishes what it has.
    Draining,
    /// Gives back what is not finished.
    Releasing,
}

/// How the gateway fares, seen from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ServiceHealth {
    /// Not asked yet.
    Unknown,
    /// It answers.
    Up,
    /// It does not, or with errors.
    Down(String),
    /// It refuses this connector.
    Refused(String),
}

/// A request in the hands of one of the tasks; nobody else touches it meanwhile.
#[derive(Debug)]
pub(super) struct Flight {
    fence: AtomicU64,
    content: String,
    /// Until when the lease is held for certain, as far as is known here.
    held_until: Mutex<Instant>,
}

/// What became of a newer fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refence {
    /// Whoever has the request goes on under it.
    Noted,
    /// Whoever has the request works on other content, which must not be delivered under it.
    OtherContent,
    /// Nobody has the request.
    NotInFlight,
}

impl Flight {
    /// The newest fence that it was leased under.
    pub(super) fn fence(&self) -> u64 {
        self.fence.load(Ordering::SeqCst)
    }

    /// Digest of what is being worked on.
    pub(super) fn content(&self) -> &str {
        &self.content
    }

    /// The lease lasts for so long from now.
    pub(super) fn hold(&self, lease: Duration) {
        *self
            .held_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Instant::now() + lease;
    }

    /// Whether nobody else can have it leased.
    pub(super) fn is_held(&self) -> bool {
        let until = self
            .held_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Instant::now() < *until
    }
}

/// Removes the request from those in flight when dropped.
#[derive(Debug)]
pub(super) struct Claim {
    shared: Arc<Shared>,
    request_id: String,
    pub(super) flight: Arc<Flight>,
}

impl Drop for Claim {
    fn drop(&mut self) {
        let left = {
            let mut flights = self.shared.flights();
            flights.remove(&self.request_id);
            flights.len()
        };
        self.shared
            .metrics
            .in_flight
            .set(i64::try_from(left).unwrap_or(i64::MAX));
        self.shared.freed.notify_one();
    }
}

/// Shared by all tasks.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: RwLock<Arc<ConnectorConfig>>,
    pub(super) gateway: RwLock<Arc<GatewayClient>>,
    pub(super) engine: Arc<EngineLink>,
    pub(super) journal: Journal,
    pub(super) log: EventLog,
    pub(super) metrics: Arc<Metrics>,
    /// What ends when.
    pub(super) calendar: Book,
    /// Whoever has certificates issued, where that is configured.
    issuance: OnceLock<Arc<Issuance>>,
    pub(super) clock: ClockHandle,
    pub(super) phase: watch::Sender<Phase>,
    pub(super) service: watch::Sender<ServiceHealth>,
    /// How its own certificate fares, where it renews it itself.
    pub(super) identity: IdentityState,
    /// Why the journal cannot be written, when it cannot.
    pub(super) journal_fault: watch::Sender<Option<String>>,
    /// Calls of the engine at once.
    pub(super) slots: Semaphore,
    flights: Mutex<HashMap<String, Arc<Flight>>>,
    /// Of those in flight, how many wait for their next attempt.
    pub(super) sleeping: AtomicUsize,
    /// Of those in flight, how many are certificates to be issued: they have a budget of their own.
    pub(super) pkcs: AtomicUsize,
    /// Revocations: how many are in hand, and the brake.
    pub(super) revoking: Revoking,
    /// Told when a request left.
    pub(super) freed: Notify,
    /// Told when there is something for the sweeper.
    pub(super) sweep: Notify,
    /// Where the loop that asks for work stands.
    pub(super) turn: Turn,
    pub(super) last_contact_ms: AtomicI64,
    pub(super) started_at_ms: i64,
    pub(super) started: Instant,
}

/// The clock; it has no `Debug` of its own.
#[derive(Clone)]
pub(super) struct ClockHandle(pub(super) Arc<dyn Clock>);

impl std::fmt::Debug for ClockHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

impl Shared {
    pub(super) fn new(
        config: ConnectorConfig,
        gateway: GatewayClient,
        journal: Journal,
        log: EventLog,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        let concurrency = usize::try_from(config.concurrency.max(1)).unwrap_or(1);
        let metrics = Metrics::new();
        metrics.journal_ok.set(1);
        Arc::new(Self {
            engine: EngineLink::new(config.engine_socket.clone(), gateway.certificate()),
            config: RwLock::new(Arc::new(config)),
            gateway: RwLock::new(Arc::new(gateway)),
            journal,
            log,
            metrics: Arc::new(metrics),
            calendar: Book::default(),
            issuance: OnceLock::new(),
            phase: watch::Sender::new(Phase::Running),
            service: watch::Sender::new(ServiceHealth::Unknown),
            identity: IdentityState::default(),
            journal_fault: watch::Sender::new(None),
            slots: Semaphore::new(concurrency),
            flights: Mutex::new(HashMap::new()),
            sleeping: AtomicUsize::new(0),
            pkcs: AtomicUsize::new(0),
            revoking: Revoking::default(),
            freed: Notify::new(),
            sweep: Notify::new(),
            turn: Turn::new(),
            last_contact_ms: AtomicI64::new(0),
            started_at_ms: clock.now_ms(),
            started: Instant::now(),
            clock: ClockHandle(clock),
        })
    }

    /// Certificates are issued by these authorities; said once.
    pub(super) fn issues_by(&self, issuance: Arc<Issuance>) {
        let _ = self.issuance.set(issuance);
    }

    /// How the authorities fare.
    pub(super) fn authorities(&self) -> Vec<AuthorityState> {
        self.issuance
            .get()
            .map(|issuance| issuance.states())
            .unwrap_or_default()
    }

    /// What ends when, as of now.
    pub(super) fn calendar(&self) -> Calendar {
        self.calendar.calendar(self.clock.0.now_ms())
    }

    pub(super) fn config(&self) -> Arc<ConnectorConfig> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn gateway(&self) -> Arc<GatewayClient> {
        Arc::clone(&self.gateway.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Calls that begin from now on are made with this client.
    pub(super) fn take_gateway(&self, client: GatewayClient) {
        *self.gateway.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(client);
    }

    fn flights(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Flight>>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a request into one's hands; `None` when another task has it.
    pub(super) fn claim(
        self: &Arc<Self>,
        request_id: &str,
        fence: u64,
        content: &str,
    ) -> Option<Claim> {
        let mut flights = self.flights();
        if flights.contains_key(request_id) {
            return None;
        }
        let flight = Arc::new(Flight {
            fence: AtomicU64::new(fence),
            content: content.to_owned(),
            held_until: Mutex::new(Instant::now()),
        });
        flights.insert(request_id.to_owned(), Arc::clone(&flight));
        self.metrics
            .in_flight
            .set(i64::try_from(flights.len()).unwrap_or(i64::MAX));
        Some(Claim {
            shared: Arc::clone(self),
            request_id: request_id.to_owned(),
            flight,
        })
    }

    /// Gives a request that is in somebody's hands its newer fence, if it is still the same work.
    pub(super) fn refence(&self, request_id: &str, fence: u64, content: &str) -> Refence {
        match self.flights().get(request_id) {
            // Journals of older releases do not know the content.
            Some(flight) if flight.content.is_empty() || flight.content == content => {
                flight.fence.fetch_max(fence, Ordering::SeqCst);
                Refence::Noted
            }
            Some(_) => Refence::OtherContent,
            None => Refence::NotInFlight,
        }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.flights().len()
    }

    /// How many more requests may be leased.
    pub(super) fn free(&self) -> u32 {
        let busy = self
            .in_flight()
            .saturating_sub(self.sleeping.load(Ordering::SeqCst))
            .saturating_sub(self.pkcs.load(Ordering::SeqCst))
            .saturating_sub(self.revoking.in_hand());
        self.config()
            .concurrency
            .max(1)
            .saturating_sub(u32::try_from(busy).unwrap_or(u32::MAX))
    }

    /// Counts a call to the gateway that worked.
    pub(super) async fn service_answered(&self) {
        let now_ms = self.clock.0.now_ms();
        self.last_contact_ms.store(now_ms, Ordering::Relaxed);
        self.metrics.last_contact_seconds.set(now_ms / 1000);
        let before = self.service.send_replace(ServiceHealth::Up);
        if matches!(before, ServiceHealth::Down(_) | ServiceHealth::Refused(_)) {
            self.log
                .record(Draft::new(
                    EventKind::ServiceRecovered,
                    "the service answers again",
                ))
                .await;
        }
    }

    /// Counts a call to the gateway that did not work; an event when that is new.
    pub(super) async fn service_failed(&self, error: &CallError) {
        let (now, draft) = match error.kind {
            // These are answers.
            CallErrorKind::Stale | CallErrorKind::Gone => return,
            CallErrorKind::Refused => (
                ServiceHealth::Refused(error.message.clone()),
                Draft::new(
                    EventKind::ServiceRefused,
                    "the service refuses this connector",
                ),
            ),
            CallErrorKind::Unavailable | CallErrorKind::Garbage => (
                ServiceHealth::Down(error.message.clone()),
                Draft::new(
                    EventKind::ServiceUnavailable,
                    "the service does not answer as it should",
                ),
            ),
        };
        let before = self.service.send_replace(now.clone());
        if std::mem::discriminant(&before) != std::mem::discriminant(&now) {
            let draft = draft
                .correlation(error.correlation.as_deref())
                .field("reason", error.message.clone());
            self.log
                .record(match error.tls {
                    Some(problem) => draft
                        .field("tls", problem.code())
                        .field("hint", problem.hint()),
                    None => draft,
                })
                .await;
        }
    }

    /// Stops leasing until the journal can be written again; an event when that is new.
    pub(super) async fn journal_failed(&self, error: &JournalError) {
        let before = self.journal_fault.send_replace(Some(error.to_string()));
        self.metrics.journal_ok.set(0);
        if before.is_none() {
            self.log
                .record(
                    Draft::new(
                        EventKind::JournalUnavailable,
                        "the journal cannot be written; no new work is taken until it can",
                    )
                    .field("reason", error.to_string()),
                )
                .await;
        }
    }

    /// The journal can be written again.
    pub(super) async fn journal_recovered(&self) {
        self.metrics.journal_ok.set(1);
        if self.journal_fault.send_replace(None).is_some() {
            self.log
                .record(Draft::new(
                    EventKind::JournalRecovered,
                    "the journal can be written again",
                ))
                .await;
        }
    }

    pub(super) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Returns when the connector is at least that far.
    pub(super) async fn until_phase(&self, wanted: fn(Phase) -> bool) {
        let mut phase = self.phase.subscribe();
        let _ = phase.wait_for(|phase| wanted(*phase)).await;
    }

    /// Sleeps, or returns early when the connector stops taking work.
    pub(super) async fn pause(&self, duration: Duration) {
        tokio::select! {
            () = tokio::time::sleep(duration) => {}
            () = self.until_phase(|phase| phase != Phase::Running) => {}
        }
    }

    /// What is known of the cryptography here and, as of its last answer, in the engine.
    pub(super) fn fips_status(&self) -> FipsStatus {
        let own = ProcessEvidence::of_this("connector");
        FipsStatus::of_connector(Some(&own), self.engine.last_status().as_ref())
    }

    /// How the service fares, for `/healthz` and `status`.
    pub(super) fn health(&self) -> Health {
        let mut reasons = Vec::new();
        match &*self.engine.health().borrow() {
            EngineHealth::Up => {}
            EngineHealth::Unknown => {
                reasons.push(Reason::new("engine", "the engine has not answered yet"))
            }
            EngineHealth::EngineDown(reason) => reasons.push(Reason::new("engine", reason.clone())),
            EngineHealth::TokenDown(reason) => reasons.push(Reason::new("token", reason.clone())),
            EngineHealth::AuditDown(reason) => reasons.push(Reason::new("audit", reason.clone())),
            EngineHealth::ModuleFailed(reason) => {
                reasons.push(Reason::new("module", reason.clone()));
            }
        }
        match &*self.service.borrow() {
            ServiceHealth::Up => {}
            ServiceHealth::Unknown => {
                reasons.push(Reason::new("service", "the service has not answered yet"))
            }
            ServiceHealth::Down(reason) | ServiceHealth::Refused(reason) => {
                reasons.push(Reason::new("service", reason.clone()));
            }
        }
        reasons.extend(self.identity.reason(self.clock.0.now_ms()));
        if let Some(reason) = &*self.journal_fault.borrow() {
            reasons.push(Reason::new("journal", reason.clone()));
        }
        if self.revoking.is_braked() {
            reasons.push(Reason::new(
                "revocation",
                "more certificates are to be revoked than [connector.revocation] lets through: if that is meant, `revocation release --count N`",
            ));
        }
        if !self.log.figures().ok {
            reasons.push(Reason::new("log", "the event log cannot be written"));
        }
        if self.phase() != Phase::Running {
            reasons.push(Reason::new("draining", "the connector is about to stop"));
        }
        let fips = self.fips_status();
        if !reasons.iter().any(|reason| reason.code == "module") {
            let problems = fips.module_problems.iter();
            reasons.extend(problems.map(|problem| Reason::new("module", problem.clone())));
        }
        let mut warnings: Vec<_> = self
            .authorities()
            .iter()
            .filter_map(AuthorityState::trouble)
            .map(|trouble| Reason::new("authority", trouble))
            .collect();
        if let Some(log) = self.engine.last_status().and_then(|status| status.audit) {
            let troubles = log.troubles().into_iter();
            warnings.extend(troubles.map(|trouble| Reason::new("audit", trouble.words(&log))));
        }
        Health::of_calendar(&self.calendar(), &mut reasons, &mut warnings);
        Health::of(reasons)
            .with_warnings(warnings)
            .with_fips(fips.summary())
    }

    pub(super) fn count(&self, outcome: Counted) {
        self.metrics.count(outcome);
    }
}
