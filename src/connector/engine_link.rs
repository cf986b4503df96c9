//! The engine as the loop sees it: whether it answers, whether its token does, and the work given to it.

mod troubles;

use super::backoff::Backoff;
use super::result::DeviceResult;
use crate::config::RetryConfig;
use crate::engine::api::{
    DeliverRequest, Delivery, EngineStatus, FailureCode, JudgeDeviceRequest, MadeKey,
    MakeKeyRequest, PackRequest, Packed, Pkcs1KeyStatus, RecryptRequest, StoredPfx, TOKEN_OPENING,
};
use crate::engine::client::{EngineClient, RecryptError};
use crate::gateway::api::WorkItem;
use crate::telemetry::catalogue::EventKind;
use crate::telemetry::{Draft, EventLog};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use troubles::Troubles;

/// Pause between two looks at a healthy engine.
const LOOK: Duration = Duration::from_secs(10);

/// Reasons told of one outage at most.
const MOST_REASONS: usize = 8;

/// How the engine fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum EngineHealth {
    /// Not asked yet.
    Unknown,
    /// It and its token answer.
    Up,
    /// It does not answer.
    EngineDown(String),
    /// It answers, its token does not.
    TokenDown(String),
    /// It answers, but cannot record uses of the key, and so decrypts nothing.
    AuditDown(String),
    /// It answers, but its cryptographic module has failed: only its restart helps.
    ModuleFailed(String),
}

/// The connection to the engine.
#[derive(Debug)]
pub(super) struct EngineLink {
    path: PathBuf,
    client: tokio::sync::Mutex<Option<EngineClient>>,
    /// SHA-256 of the certificate that the gateway is shown.
    certificate: Mutex<Option<[u8; 32]>>,
    health: watch::Sender<EngineHealth>,
    last_status: Mutex<Option<EngineStatus>>,
    /// When the last look began, and what it saw.
    looked: tokio::sync::Mutex<Option<(Instant, EngineHealth)>>,
}

/// What the engine is asked for.
#[derive(Debug, Clone)]
pub(super) enum Work {
    /// A password is encrypted to a device.
    Recrypt(RecryptRequest),
    /// PFX files are opened.
    Deliver(DeliverRequest),
}

impl From<WorkItem> for Work {
    fn from(item: WorkItem) -> Self {
        if item.delivery.is_password() {
            return Self::Recrypt(RecryptRequest {
                request_id: item.request_id,
                record: item.record,
                pfx: item.pfx,
                device: item.device,
                format: item.format,
            });
        }
        let first = StoredPfx {
            record: item.record,
            pfx: item.pfx,
        };
        Self::Deliver(DeliverRequest {
            request_id: item.request_id,
            delivery: item.delivery,
            certificates: std::iter::once(first).chain(item.others).collect(),
            device: item.device,
            format: item.format,
        })
    }
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Worked {
    /// For the device.
    pub(super) result: DeviceResult,
    /// Fingerprints of the custody keys that were used.
    pub(super) custody_keys: Vec<String>,
}

impl EngineLink {
    pub(super) fn new(path: PathBuf, certificate: Option<[u8; 32]>) -> Arc<Self> {
        Arc::new(Self {
            path,
            client: tokio::sync::Mutex::new(None),
            certificate: Mutex::new(certificate),
            health: watch::Sender::new(EngineHealth::Unknown),
            last_status: Mutex::new(None),
            looked: tokio::sync::Mutex::new(None),
        })
    }

    /// The gateway is shown another certificate from now on.
    pub(super) async fn state_certificate(&self, certificate: Option<[u8; 32]>) {
        let slot = self.client.lock().await;
        *self
            .certificate
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = certificate;
        if let Some(client) = slot.as_ref() {
            client.state_certificate(certificate);
        }
    }

    /// How it fares, to look at or to wait on.
    pub(super) fn health(&self) -> watch::Receiver<EngineHealth> {
        self.health.subscribe()
    }

    /// Whether it and its token answer.
    pub(super) fn is_up(&self) -> bool {
        *self.health.borrow() == EngineHealth::Up
    }

    /// Returns when the engine and its token answer.
    pub(super) async fn until_up(&self) {
        let mut health = self.health();
        // The sender lives as long as this.
        let _ = health.wait_for(|health| *health == EngineHealth::Up).await;
    }

    /// What it delivers besides passwords, as it said when it was last asked.
    pub(super) fn deliveries(&self) -> Vec<Delivery> {
        self.last_status()
            .map(|status| status.deliveries)
            .unwrap_or_default()
    }

    /// Gives it work; what the answer says of its health is noted.
    pub(super) async fn work(
        &self,
        work: &Work,
        deadline: Duration,
    ) -> Result<Worked, RecryptError> {
        let result = match (self.client().await, work) {
            (Ok(client), Work::Recrypt(request)) => client
                .recrypt(request.clone(), deadline)
                .await
                .map(|done| Worked {
                    result: DeviceResult::password(done.cms),
                    custody_keys: vec![done.custody_key],
                }),
            (Ok(client), Work::Deliver(request)) => client
                .deliver(request.clone(), deadline)
                .await
                .map(|done| Worked {
                    custody_keys: done.custody_keys.clone(),
                    result: done.into(),
                }),
            (Err(error), _) => Err(error),
        };
        self.note_answer(&result);
        result
    }

    /// Has it make a key; what the answer says of its health is noted.
    pub(super) async fn make_key(
        &self,
        request: MakeKeyRequest,
        deadline: Duration,
    ) -> Result<MadeKey, RecryptError> {
        let result = match self.client().await {
            Ok(client) => client.make_key(request, deadline).await,
            Err(error) => Err(error),
        };
        self.note_answer(&result);
        result
    }

    /// Has it judge a device; what the answer says of its health is noted.
    pub(super) async fn judge_device(
        &self,
        request: JudgeDeviceRequest,
        deadline: Duration,
    ) -> Result<(), RecryptError> {
        let result = match self.client().await {
            Ok(client) => client.judge_device(request, deadline).await,
            Err(error) => Err(error),
        };
        // No token is asked: that it worked says nothing of them.
        if result.is_err() {
            self.note_answer(&result);
        }
        result
    }

    /// Has it pack a certificate; what the answer says of its health is noted.
    pub(super) async fn pack(
        &self,
        request: PackRequest,
        deadline: Duration,
    ) -> Result<Packed, RecryptError> {
        let result = match self.client().await {
            Ok(client) => client.pack(request, deadline).await,
            Err(error) => Err(error),
        };
        self.note_answer(&result);
        result
    }

    fn note_answer<T>(&self, result: &Result<T, RecryptError>) {
        match result {
            Ok(_) => self.note(EngineHealth::Up),
            Err(RecryptError::Unavailable(reason)) => {
                self.note(EngineHealth::EngineDown(reason.clone()));
            }
            Err(RecryptError::Failed(failure)) if failure.code == FailureCode::TokenUnavailable => {
                self.note(EngineHealth::TokenDown(failure.message.clone()));
            }
            Err(RecryptError::Failed(failure)) if failure.code == FailureCode::AuditUnavailable => {
                self.note(EngineHealth::AuditDown(failure.message.clone()));
            }
            Err(RecryptError::Failed(failure))
                if failure.code == FailureCode::ModuleOutOfService =>
            {
                self.note(EngineHealth::ModuleFailed(failure.message.clone()));
            }
            Err(RecryptError::Failed(_)) => {}
        }
    }

    /// Asks how it fares, and notes it. Of those who want to know at once one asks, and the others take what it saw: the engine makes few reports
    /// at a time for one connection.
    pub(super) async fn look(&self) -> EngineHealth {
        let wanted = Instant::now();
        let mut looked = self.looked.lock().await;
        if let Some((since, seen)) = looked.as_ref()
            && *since >= wanted
        {
            return seen.clone();
        }
        let since = Instant::now();
        let seen = self.look_now().await;
        *looked = Some((since, seen.clone()));
        seen
    }

    async fn look_now(&self) -> EngineHealth {
        let status = match self.client().await {
            Ok(client) => client.status().await,
            Err(error) => Err(error),
        };
        let health = match &status {
            Ok(EngineStatus {
                module_fault: Some(fault),
                ..
            }) => EngineHealth::ModuleFailed(format!("{}: {}", fault.code, fault.message)),
            Ok(EngineStatus {
                audit:
                    Some(audit::Status {
                        problem: Some(problem),
                        ..
                    }),
                ..
            }) => EngineHealth::AuditDown(problem.clone()),
            Ok(status) if status.token.is_some() => EngineHealth::Up,
            Ok(status) => EngineHealth::TokenDown(
                status
                    .token_problem
                    .clone()
                    .unwrap_or_else(|| "the engine has no token".to_owned()),
            ),
            Err(error) => EngineHealth::EngineDown(error.to_string()),
        };
        *self
            .last_status
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = status.ok();
        self.note(health.clone());
        health
    }

    /// What the engine said of itself when it was last asked; nothing when it did not answer.
    pub(super) fn last_status(&self) -> Option<EngineStatus> {
        self.last_status
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    async fn client(&self) -> Result<EngineClient, RecryptError> {
        let mut slot = self.client.lock().await;
        if let Some(client) = slot.as_ref() {
            return Ok(client.clone());
        }
        let client = EngineClient::connect(&self.path).await?;
        client.state_certificate(
            *self
                .certificate
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        *slot = Some(client.clone());
        Ok(client)
    }

    fn note(&self, health: EngineHealth) {
        self.health.send_if_modified(|now| {
            let changed = *now != health;
            *now = health;
            changed
        });
    }

    /// Looks after the engine for ever: events when it goes and comes, looks at it often while it is away.
    pub(super) async fn watch(&self, log: &EventLog, retry: RetryConfig) {
        let mut health = self.health();
        let mut outage = Outage::default();
        let mut endings = Endings::default();
        let mut troubles = Troubles::default();
        let mut backoff = Backoff::new(retry).at_most(Duration::from_secs(2));
        let mut now = self.look().await;
        loop {
            let status = self.last_status();
            let keys = status.as_ref().map(|status| status.pkcs1_keys.as_slice());
            let endings = endings.tell(keys.unwrap_or_default());
            let troubles = troubles.tell(status.as_ref().and_then(|status| status.audit.as_ref()));
            let drafts = outage.tell(&now).into_iter().chain(endings).chain(troubles);
            for draft in drafts {
                log.record(draft).await;
            }
            if now != EngineHealth::Up {
                tokio::time::sleep(backoff.next()).await;
                now = self.look().await;
                continue;
            }
            let _ = health.borrow_and_update();
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {
                    // Pauses start small again only when it stayed up: a token that comes and goes is not asked all the time.
                    backoff.reset();
                    now = self.look().await;
                }
                _ = health.changed() => {
                    let noted = health.borrow_and_update().clone();
                    // The status knows the reason better than an answer does, which says it to the outside.
                    let seen = self.look().await;
                    now = if seen == EngineHealth::Up { noted } else { seen };
                }
            }
        }
    }
}

/// What was told of keys that decrypt records of old imports: once for each number of days that are left.
#[derive(Debug, Default)]
struct Endings(HashMap<String, Option<u32>>);

impl Endings {
    /// The events that are due. An engine that does not answer says nothing of its keys, and nothing is forgotten.
    fn tell(&mut self, keys: &[Pkcs1KeyStatus]) -> Vec<Draft> {
        keys.iter()
            .filter(|key| key.is_ending())
            .filter(|key| {
                self.0.insert(key.fingerprint.clone(), key.days_left) != Some(key.days_left)
            })
            .map(|key| {
                Draft::new(EventKind::Pkcs1KeyEnding, key.words())
                    .field("custodyKey", key.fingerprint.clone())
                    .field("until", key.until.clone())
            })
            .collect()
    }
}

/// What was told since the engine last answered: each reason is worth an event, but only once.
#[derive(Debug, Default)]
struct Outage {
    told: Vec<EngineHealth>,
    /// Whether the engine was ever told to answer.
    connected: bool,
}

impl Outage {
    /// The events that are due.
    fn tell(&mut self, now: &EngineHealth) -> Vec<Draft> {
        if *now == EngineHealth::Up {
            return self.end();
        }
        let draft = match now {
            EngineHealth::EngineDown(reason) => Draft::new(
                EventKind::EngineUnavailable,
                "the engine does not answer; requests wait",
            )
            .field("reason", reason.clone()),
            EngineHealth::TokenDown(reason) => Draft::new(
                EventKind::TokenUnavailable,
                "the token does not answer; requests wait",
            )
            .field("reason", reason.clone()),
            EngineHealth::AuditDown(reason) => Draft::new(
                EventKind::AuditUnavailable,
                "the engine cannot record uses of the custody key; requests wait",
            )
            .field("reason", reason.clone()),
            EngineHealth::ModuleFailed(reason) => Draft::new(
                EventKind::CryptographicModuleFailed,
                "the engine's cryptographic module has failed; requests wait until the engine is restarted",
            )
            .field("reason", reason.clone()),
            EngineHealth::Up | EngineHealth::Unknown => return Vec::new(),
        };
        // A start is no outage: what comes of it is told.
        if matches!(now, EngineHealth::TokenDown(reason) if reason == TOKEN_OPENING) {
            return Vec::new();
        }
        if self.told.contains(now) || self.told.len() >= MOST_REASONS {
            return Vec::new();
        }
        self.told.push(now.clone());
        vec![draft]
    }

    fn end(&mut self) -> Vec<Draft> {
        let told = std::mem::take(&mut self.told);
        let was = |kind: fn(&EngineHealth) -> bool| told.iter().any(kind);
        let mut drafts = Vec::new();
        if !self.connected
            || was(|told| {
                matches!(
                    told,
                    EngineHealth::EngineDown(_) | EngineHealth::ModuleFailed(_)
                )
            })
        {
            self.connected = true;
            drafts.push(Draft::new(EventKind::EngineConnected, "the engine answers"));
        }
        if was(|told| matches!(told, EngineHealth::AuditDown(_))) {
            drafts.push(Draft::new(
                EventKind::AuditRecovered,
                "the engine can record uses of the custody key again",
            ));
        }
        if was(|told| matches!(told, EngineHealth::TokenDown(_))) {
            drafts.push(Draft::new(
                EventKind::TokenRecovered,
                "the token answers again",
            ));
        }
        drafts
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        missing_docs
    )]
    use super::*;

    const NOTHING: [u16; 0] = [];

    #[test]
    fn the_end_of_a_key_for_old_imports_is_told_once_a_day() {
        let mut endings = Endings::default();
        let mut told = |days_left: Option<u32>| {
            let key = Pkcs1KeyStatus {
                fingerprint: "ab".to_owned(),
                until: "2027-03-31".to_owned(),
                days_left,
            };
            let drafts = endings.tell(&[key]);
            assert!(drafts.iter().all(|draft| draft.kind().id() == 27));
            drafts.len()
        };
        assert_eq!((told(Some(31)), told(Some(30)), told(Some(30))), (0, 1, 0));
        assert_eq!((told(Some(0)), told(None), told(None)), (1, 1, 0));
        assert_eq!(endings.tell(&[]).len(), 0);
    }

    #[test]
    fn a_log_that_cannot_be_written_is_told_and_so_is_its_end() {
        let mut outage = Outage::default();
        assert_eq!(told(&mut outage, EngineHealth::Up), [20]);
        let down = || EngineHealth::AuditDown("no space left".to_owned());
        assert_eq!(told(&mut outage, down()), [25]);
        assert_eq!(told(&mut outage, down()), NOTHING);
        assert_eq!(told(&mut outage, EngineHealth::Up), [26]);
    }

    fn told(outage: &mut Outage, now: EngineHealth) -> Vec<u16> {
        let drafts = outage.tell(&now);
        drafts.iter().map(|draft| draft.kind().id()).collect()
    }

    #[test]
    fn each_reason_of_an_outage_is_told_once_and_its_end_once() {
        let token = |reason: &str| EngineHealth::TokenDown(reason.to_owned());
        let engine = || EngineHealth::EngineDown("gone".to_owned());
        let mut outage = Outage::default();
        assert_eq!(told(&mut outage, EngineHealth::Up), [20]);
        assert_eq!(told(&mut outage, EngineHealth::Up), NOTHING);
        assert_eq!(told(&mut outage, engine()), [21]);
        assert_eq!(told(&mut outage, token("being opened")), [22]);
        assert_eq!(told(&mut outage, token("wrong PIN")), [22]);
        assert_eq!(told(&mut outage, token("being opened")), NOTHING);
        assert_eq!(told(&mut outage, engine()), NOTHING);
        assert_eq!(told(&mut outage, EngineHealth::Up), [20, 23]);
        assert_eq!(told(&mut outage, token("wrong PIN")), [22]);
        assert_eq!(told(&mut outage, EngineHealth::Up), [23]);
        let module = || EngineHealth::ModuleFailed("integrity_failed".to_owned());
        assert_eq!(told(&mut outage, module()), [24]);
        assert_eq!(told(&mut outage, module()), NOTHING);
        assert_eq!(told(&mut outage, EngineHealth::Up), [20]);
    }

    #[test]
    fn reasons_without_end_are_not_told_without_end() {
        let mut outage = Outage::default();
        let events: usize = (0..100)
            .map(|number| told(&mut outage, EngineHealth::TokenDown(number.to_string())).len())
            .sum();
        assert_eq!(events, MOST_REASONS);
    }
}
