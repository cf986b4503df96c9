//! OCSP: what clients send is read here, in a process without keys; the engine signs what is known.

use super::LocalCa;
use crate::clock::{Clock, SystemClock};
use crate::encoding::Base64Bytes;
use crate::engine::api::{SerialStatus, SignOcspRequest};
use pki::ocsp::{IdHash, Query, Unanswered, refusal};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// How long the engine may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// Answers that are signed at once: the token has other work.
const SIGNING: usize = 4;
/// Answers that are kept.
const KEPT: usize = 4096;
/// An answer is given again for this part of its life.
const PART_OF_LIFE: i64 = 4;

/// Answers without a nonce, which are as good for the next client.
#[derive(Debug)]
pub(super) struct Answers {
    kept: Mutex<HashMap<(Vec<u8>, IdHash), Kept>>,
    signing: Semaphore,
    number: AtomicU64,
}

#[derive(Debug, Clone)]
struct Kept {
    der: Vec<u8>,
    until_ms: i64,
    /// Revocations that were known then.
    changes: i64,
}

impl Default for Answers {
    fn default() -> Self {
        Self {
            kept: Mutex::default(),
            signing: Semaphore::new(SIGNING),
            number: AtomicU64::new(0),
        }
    }
}

impl LocalCa {
    /// The answer to an OCSP request (both DER). Never fails: what cannot be answered says so in its way (RFC 6960, section 2.3).
    pub async fn ocsp(&self, request: &[u8]) -> Vec<u8> {
        match self.answer(request).await {
            Ok(answer) => answer,
            Err(why) => refusal(why),
        }
    }

    async fn answer(&self, request: &[u8]) -> Result<Vec<u8>, Unanswered> {
        let query = Query::read(request).map_err(|_| Unanswered::MalformedRequest)?;
        let mut statuses = Vec::new();
        let mut known_changes = 0;
        for asked in &query.asked {
            let (Some(hash), true) = (asked.hash, asked.is_of(&self.subject_der, &self.spki_der))
            else {
                return Err(Unanswered::Unauthorized);
            };
            let serial = asked.serial.clone();
            let (state, changes) = self
                .with(move |store| store.status(&serial))
                .await
                .map_err(|error| {
                    tracing::error!("OCSP: {error}");
                    Unanswered::InternalError
                })?;
            known_changes = changes;
            statuses.push((hash, asked.serial.clone(), state));
        }
        let key = query
            .is_cacheable()
            .then(|| {
                statuses
                    .first()
                    .map(|(hash, serial, _)| (serial.clone(), *hash))
            })
            .flatten();
        let now = SystemClock.now_ms();
        if let Some(key) = &key
            && let Some(kept) = self.kept().get(key)
            && kept.until_ms > now
            && kept.changes == known_changes
        {
            return Ok(kept.der.clone());
        }
        let _place = self
            .answers
            .signing
            .try_acquire()
            .map_err(|_| Unanswered::TryLater)?;
        let number = self.answers.number.fetch_add(1, Ordering::Relaxed);
        let request = SignOcspRequest {
            request_id: format!("{}-ocsp-{number}", self.settings.name),
            ca: self.settings.name.clone(),
            statuses: statuses
                .into_iter()
                .map(|(hash, serial, state)| SerialStatus {
                    serial: serial.into(),
                    by_sha256: hash == IdHash::Sha256,
                    state,
                })
                .collect(),
            nonce: query.nonce.map(Base64Bytes),
        };
        let signed = self
            .engine
            .sign_ocsp(request, DEADLINE)
            .await
            .map_err(|error| {
                tracing::warn!("OCSP: {error}");
                Unanswered::TryLater
            })?;
        if let Some(key) = key {
            let life = signed.next_update_ms.saturating_sub(now);
            let mut kept = self.kept();
            if kept.len() >= KEPT {
                kept.retain(|_, one| one.until_ms > now);
            }
            if kept.len() >= KEPT {
                kept.clear();
            }
            kept.insert(
                key,
                Kept {
                    der: signed.response.0.clone(),
                    until_ms: now.saturating_add(life / PART_OF_LIFE),
                    changes: known_changes,
                },
            );
        }
        Ok(signed.response.0)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, HashMap<(Vec<u8>, IdHash), Kept>> {
        self.answers
            .kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
