//! OCSP: what clients send is read here, in a process without keys; the engine signs what is known.

use super::LocalCa;
use crate::clock::{Clock, SystemClock};
use crate::encoding::Base64Bytes;
use crate::engine::api::{SerialState, SerialStatus, SignOcspRequest, SignedOcsp};
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
    /// About a certificate that was issued here.
    is_known: bool,
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
        // RFC 5019, section 2.1.1: one certificate, and what is said of it is as good for the next client.
        let key = match statuses.as_slice() {
            [(hash, serial, _)] => Some((serial.clone(), *hash)),
            _ => None,
        };
        if query.is_cacheable()
            && let Some(der) = self.kept_answer(key.as_ref(), known_changes)
        {
            return Ok(der);
        }
        match self.sign_answer(&statuses, query.nonce.clone()).await {
            Ok(signed) if query.is_cacheable() => {
                Ok(self.keep_answer(key, &statuses, known_changes, signed))
            }
            Ok(signed) => Ok(signed.response.0),
            // Extensions are optional for responders (RFC 6960, section 4.4): better an answer that is as fresh as the last revocation than none.
            Err(Unanswered::TryLater) if query.nonce.is_some() && key.is_some() => {
                if let Some(der) = self.kept_answer(key.as_ref(), known_changes) {
                    return Ok(der);
                }
                let signed = self.sign_answer(&statuses, None).await?;
                Ok(self.keep_answer(key, &statuses, known_changes, signed))
            }
            Err(why) => Err(why),
        }
    }

    async fn sign_answer(
        &self,
        statuses: &[(IdHash, Vec<u8>, SerialState)],
        nonce: Option<Vec<u8>>,
    ) -> Result<SignedOcsp, Unanswered> {
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
                .iter()
                .map(|(hash, serial, state)| SerialStatus {
                    serial: serial.clone().into(),
                    by_sha256: *hash == IdHash::Sha256,
                    state: *state,
                })
                .collect(),
            nonce: nonce.map(Base64Bytes),
        };
        self.engine
            .sign_ocsp(request, DEADLINE)
            .await
            .map_err(|error| {
                tracing::warn!("OCSP: {error}");
                Unanswered::TryLater
            })
    }

    /// An answer without a nonce that is still as good.
    fn kept_answer(&self, key: Option<&(Vec<u8>, IdHash)>, known_changes: i64) -> Option<Vec<u8>> {
        let now = SystemClock.now_ms();
        let kept = self.kept();
        let kept = kept.get(key?)?;
        (kept.until_ms > now && kept.changes == known_changes).then(|| kept.der.clone())
    }

    /// Keeps an answer without a nonce, and gives it out.
    fn keep_answer(
        &self,
        key: Option<(Vec<u8>, IdHash)>,
        statuses: &[(IdHash, Vec<u8>, SerialState)],
        changes: i64,
        signed: SignedOcsp,
    ) -> Vec<u8> {
        let now = SystemClock.now_ms();
        let life = signed.next_update_ms.saturating_sub(now);
        let der = signed.response.0;
        if let Some(key) = key {
            let kept = Kept {
                der: der.clone(),
                until_ms: now.saturating_add(life / PART_OF_LIFE),
                changes,
                is_known: statuses
                    .iter()
                    .all(|(.., state)| *state != SerialState::Unknown),
            };
            make_room(&mut self.kept(), key, kept, now);
        }
        der
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, HashMap<(Vec<u8>, IdHash), Kept>> {
        self.answers
            .kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps an answer among [`KEPT`] others. Serial numbers that were never issued are whoever's to make up: they take the place of nothing that is known.
fn make_room(
    all: &mut HashMap<(Vec<u8>, IdHash), Kept>,
    key: (Vec<u8>, IdHash),
    new: Kept,
    now_ms: i64,
) {
    let is_full = |all: &HashMap<_, _>| all.len() >= KEPT && !all.contains_key(&key);
    if is_full(all) {
        all.retain(|_, one| one.until_ms > now_ms);
    }
    if is_full(all) {
        if !new.is_known {
            return;
        }
        all.retain(|_, one| one.is_known);
    }
    if is_full(all) {
        all.clear();
    }
    all.insert(key, new);
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;

    fn kept(is_known: bool) -> Kept {
        Kept {
            der: Vec::new(),
            until_ms: 10,
            changes: 0,
            is_known,
        }
    }

    #[test]
    fn serial_numbers_that_somebody_made_up_take_the_place_of_nothing_that_is_known() {
        let key = |number: usize| (number.to_be_bytes().to_vec(), IdHash::Sha256);
        let mut all = HashMap::new();
        for number in 0..KEPT {
            make_room(&mut all, key(number), kept(number % 2 == 0), 0);
        }
        make_room(&mut all, key(KEPT), kept(false), 0);
        assert!(all.len() == KEPT && !all.contains_key(&key(KEPT)));
        // One that is known has theirs.
        make_room(&mut all, key(KEPT), kept(true), 0);
        assert_eq!(all.len(), KEPT / 2 + 1);
        assert!(all.contains_key(&key(0)) && all.contains_key(&key(KEPT)));
        // What has ended goes first.
        for number in 0..KEPT {
            make_room(&mut all, key(number), kept(true), 0);
            assert!(all.len() <= KEPT);
        }
        let mut all: HashMap<_, _> = (0..KEPT).map(|number| (key(number), kept(true))).collect();
        make_room(&mut all, key(KEPT), kept(false), 10);
        assert_eq!(all.len(), 1);
    }
}
