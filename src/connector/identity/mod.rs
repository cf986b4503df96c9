//! The connector's own certificate, where `[connector.identity]` is configured: its key on the engine's token, got by a one-time token and
//! renewed by itself (docs/identity.md).

mod enrol;
mod folder;
mod renewal;
mod state;
#[cfg(test)]
mod tests;

pub use enrol::{EnrolError, Enrolment, enrol};
pub(crate) use state::IdentityState;

use super::backoff::Backoff;
use super::error::CallError;
use super::gateway_client::GatewayClient;
use super::shared::{Phase, Shared};
use crate::calendar::{Dated, Effect, Kind, Source};
use crate::clock::rfc3339;
use crate::config::{IdentityConfig, RetryConfig};
use crate::encoding::{Base64Bytes, hex};
use crate::engine::api::{SignClientCsrRequest, SignedClientCsr};
use crate::engine::client::EngineClient;
use crate::gateway::enrolment_api::Enrolled;
use crate::telemetry::Draft;
use crate::telemetry::catalogue::EventKind;
use folder::{Folder, Kept};
use renewal::{Then, Trouble, World, due_at_ms, step};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The clock is looked at so often: it may have been set.
const LOOK: Duration = Duration::from_secs(5);
/// The longest pause between two attempts that failed.
const LONGEST_PAUSE_MS: u64 = 600_000;
/// After a renewal there is no other for so long, in milliseconds: a certificate is valid for days.
const REST_MS: i64 = 3_600_000;
/// An attempt that fails for the same reason is told again after so long, in milliseconds.
const TELL_AGAIN_MS: i64 = 3_600_000;

/// The running connector as a renewal needs it.
struct Running {
    shared: Arc<Shared>,
    key: String,
    engine: EngineClient,
    /// The client that showed the next certificate with success.
    tried: Mutex<Option<GatewayClient>>,
}

impl World for Running {
    async fn sign_request(&self) -> Result<SignedClientCsr, String> {
        sign_request(
            &self.engine,
            &self.key,
            Duration::from_millis(self.shared.config().engine_timeout_ms),
        )
        .await
    }

    async fn renew(&self, csr: &Base64Bytes) -> Result<Enrolled, CallError> {
        self.shared.gateway().renew(csr.clone()).await
    }

    async fn try_next(&self, next: &Kept) -> Result<(), CallError> {
        let config = self.shared.config();
        let client = GatewayClient::with_certificate(&config, &next.chain)
            .map_err(|error| CallError::unusable(error.to_string()))?;
        let in_flight = u32::try_from(self.shared.in_flight()).unwrap_or(u32::MAX);
        let engine = &self.shared.engine;
        client
            .heartbeat(in_flight, engine.is_up(), &engine.deliveries())
            .await?;
        *self.tried.lock().unwrap_or_else(PoisonError::into_inner) = Some(client);
        Ok(())
    }

    async fn take(&self, current: &Kept) {
        let tried = self
            .tried
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(client) = tried else {
            return;
        };
        self.shared
            .engine
            .state_certificate(Some(current.facts.digest))
            .await;
        // Calls under way keep the client that they began with, and its connection, until they are over.
        self.shared.take_gateway(client);
    }
}

/// Has the engine sign a request for the key's certificate.
async fn sign_request(
    engine: &EngineClient,
    key: &str,
    deadline: Duration,
) -> Result<SignedClientCsr, String> {
    let id = fips::random::array::<8>().map_err(|error| error.to_string())?;
    let request = SignClientCsrRequest {
        request_id: format!("csr-{}", hex(&id)),
        key: key.to_owned(),
    };
    engine
        .sign_client_csr(request, deadline)
        .await
        .map_err(|error| error.to_string())
}

/// Renews the certificate whenever it is time, until the connector stops.
pub(super) async fn keep(shared: Arc<Shared>, config: IdentityConfig) {
    let engine = EngineClient::unconnected(&shared.config().engine_socket);
    let world = Running {
        key: config.client_key.clone(),
        engine,
        tried: Mutex::new(None),
        shared: Arc::clone(&shared),
    };
    let retry = shared.config().retry;
    let mut backoff = Backoff::new(RetryConfig {
        max_ms: retry.max_ms.max(LONGEST_PAUSE_MS),
        ..retry
    });
    let mut told = Told::default();
    let mut renewed_ms = None;
    loop {
        let now_ms = shared.clock.0.now_ms();
        // Made again where somebody has moved it away.
        let stepped = match Folder::open(&config) {
            Ok(_) if is_resting(renewed_ms, now_ms) => Ok(Then::WaitUntil(i64::MAX)),
            Ok(folder) => {
                let stepped = step(&folder, &world, now_ms).await;
                if let Ok(Some(current)) = folder.current() {
                    shared.identity.note(&current.facts, due_at_ms(&current));
                    shared.calendar.set(Source::Identity, ends_of(&current));
                }
                stepped
            }
            Err(error) => Err(error.into()),
        };
        if let Some(known) = shared.identity.known() {
            shared
                .metrics
                .identity
                .take(known.not_after_ms, known.due_ms);
        }
        let pause = match stepped {
            Ok(Then::Go) => Duration::ZERO,
            Ok(Then::WaitUntil(due_ms)) => {
                shared.identity.clear();
                let left = u64::try_from(due_ms.saturating_sub(now_ms)).unwrap_or(0);
                Duration::from_millis(left).min(LOOK)
            }
            Ok(Then::AskAgain(pause)) => pause,
            Ok(Then::Renewed) => {
                backoff.reset();
                told = Told::default();
                shared.identity.clear();
                shared.metrics.identity.renewed();
                shared.log.record(renewed(&shared)).await;
                // Where the clocks of authority and connector differ by months, the new one is due at once: it must not order without end.
                renewed_ms = Some(now_ms);
                Duration::ZERO
            }
            Err(trouble) => {
                shared.metrics.identity.failed();
                let problem = trouble.to_string();
                shared.identity.trouble(problem.clone());
                if told.is_news(&problem, now_ms) {
                    shared.log.record(failed(&shared, &trouble, now_ms)).await;
                }
                backoff.next()
            }
        };
        if *shared.phase.borrow() != Phase::Running {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shared.until_phase(|phase| phase != Phase::Running) => return,
        }
    }
}

/// The ends of the certificate in use and of those above it.
fn ends_of(current: &Kept) -> Vec<Dated> {
    Dated::chain(
        Kind::ConnectorCertificate,
        "connector.identity",
        current.chain.iter().map(Vec::as_slice),
        Effect::Stops,
    )
}

/// Whether the last renewal was so short a time ago that there is no other.
fn is_resting(renewed_ms: Option<i64>, now_ms: i64) -> bool {
    renewed_ms.is_some_and(|renewed| (0..REST_MS).contains(&now_ms.saturating_sub(renewed)))
}

/// What was told of trouble, so that a renewal that fails for days does not fill the log.
#[derive(Default)]
struct Told {
    problem: String,
    at_ms: i64,
}

impl Told {
    fn is_news(&mut self, problem: &str, now_ms: i64) -> bool {
        let is_news = self.problem != problem
            || now_ms.saturating_sub(self.at_ms) >= TELL_AGAIN_MS
            || now_ms < self.at_ms;
        if is_news {
            problem.clone_into(&mut self.problem);
            self.at_ms = now_ms;
        }
        is_news
    }
}

fn renewed(shared: &Shared) -> Draft {
    let mut draft = Draft::new(
        EventKind::IdentityRenewed,
        "the connector's certificate was renewed and is in use",
    );
    if let Some(known) = shared.identity.known() {
        draft = draft
            .field("certificate", hex(&known.digest))
            .field("notAfter", rfc3339(known.not_after_ms))
            .field("renewsAt", rfc3339(known.due_ms));
    }
    draft
}

fn failed(shared: &Shared, trouble: &Trouble, now_ms: i64) -> Draft {
    let mut draft = Draft::new(
        EventKind::IdentityRenewalFailed,
        "the connector's certificate could not be renewed; it is tried again with growing pauses",
    )
    .field("reason", trouble.to_string());
    if let Some(known) = shared.identity.known() {
        let left = known.not_after_ms.saturating_sub(now_ms) / 3_600_000;
        draft = draft
            .field("notAfter", rfc3339(known.not_after_ms))
            .field("hoursLeft", left);
    }
    draft
}
