//! The authority as the rest of the program sees it: [`CertificationAuthority`] over the store and the engine.

use super::store::{OrderState, Revoking, Store, StoreFigures};
use super::{ListKind, OrderFacts, Settings, StoreError};
use crate::clock::{Clock, SystemClock};
use crate::encoding::{Base64Bytes, hex};
use crate::engine::api::{AuthorityStatus, FailureCode, IssueRequest, SerialState};
use crate::engine::client::{EngineClient, RecryptError};
use ca::{
    Answer, Capabilities, CertificationAuthority, Enrolment, Error, ErrorClass, Health, Issued,
    ListLife, Order, Pending, Recovered, Revocation, Revoked,
};
use der::{Decode, Encode};
use fips::digest::{Hash, digest};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use x509_cert::Certificate;

/// How long the engine may take.
pub(super) const DEADLINE: Duration = Duration::from_secs(30);

/// An authority whose key is on the engine's token.
pub struct LocalCa {
    pub(super) settings: Settings,
    pub(super) engine: EngineClient,
    store: Arc<Mutex<Store>>,
    /// The issuer's Name (DER).
    pub(super) subject_der: Vec<u8>,
    /// Its key (DER SubjectPublicKeyInfo).
    pub(super) spki_der: Vec<u8>,
    /// One list is made at a time in this process.
    pub(super) lists: tokio::sync::Mutex<()>,
    pub(super) answers: super::responder::Answers,
}

impl std::fmt::Debug for LocalCa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LocalCa({:?})", self.settings.name)
    }
}

impl LocalCa {
    /// Opens its store; the engine is asked when it is needed.
    ///
    /// # Errors
    /// [`StoreError`], also for a certificate that cannot be read.
    pub fn open(settings: Settings, engine: EngineClient) -> Result<Self, StoreError> {
        let unreadable = || {
            StoreError::Failed(format!(
                "the certificate of the authority `{}` cannot be read",
                settings.name
            ))
        };
        let der = settings.chain.first().ok_or_else(unreadable)?;
        let certificate = Certificate::from_der(der).map_err(|_| unreadable())?;
        let tbs = certificate.tbs_certificate();
        let subject_der = tbs.subject().to_der().map_err(|_| unreadable())?;
        let spki_der = tbs
            .subject_public_key_info()
            .to_der()
            .map_err(|_| unreadable())?;
        let store = Store::open(&settings.folder, &settings.name)?;
        Ok(Self {
            store: Arc::new(Mutex::new(store)),
            settings,
            engine,
            subject_der,
            spki_der,
            lists: tokio::sync::Mutex::default(),
            answers: super::responder::Answers::default(),
        })
    }

    /// Uses the store on a thread that may wait for the disk.
    pub(super) async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = Arc::clone(&self.store);
        tokio::task::spawn_blocking(move || {
            work(&mut store.lock().unwrap_or_else(PoisonError::into_inner))
        })
        .await
        .map_err(|error| StoreError::Failed(error.to_string()))?
    }

    /// What the engine says of this authority.
    ///
    /// # Errors
    /// [`Error`] when it does not answer or does not have it.
    pub async fn status(&self) -> Result<AuthorityStatus, Error> {
        let status = self.engine.status().await.map_err(failed)?;
        let own = status
            .authorities
            .into_iter()
            .find(|one| one.name == self.settings.name);
        own.ok_or_else(|| {
            Error::new(
                ErrorClass::Unavailable,
                format!(
                    "the engine has no authority `{}`, or does not report: see [[engine.ca]] and `status`",
                    self.settings.name
                ),
            )
        })
    }

    /// How much is in its store.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn figures(&self) -> Result<StoreFigures, StoreError> {
        self.with(|store| store.figures()).await
    }

    /// The certificates that were issued last.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn newest(&self, limit: u32) -> Result<Vec<OrderFacts>, StoreError> {
        self.with(move |store| store.newest(limit)).await
    }

    /// Whether a certificate is revoked, by its serial number (content of its INTEGER).
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn serial_state(&self, serial: Vec<u8>) -> Result<SerialState, StoreError> {
        self.with(move |store| Ok(store.status(&serial)?.0)).await
    }

    /// The newest list (DER) of a kind.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list(&self, kind: ListKind) -> Result<Option<Vec<u8>>, StoreError> {
        self.with(move |store| Ok(store.list(kind)?.map(|made| made.der)))
            .await
    }

    /// Its certificate (DER).
    #[must_use]
    pub fn certificate_der(&self) -> &[u8] {
        self.settings.chain.first().map_or(&[], Vec::as_slice)
    }

    /// Its name in the engine's configuration.
    #[must_use]
    pub fn authority_name(&self) -> &str {
        &self.settings.name
    }

    fn profile_of(&self, order: &Order) -> Result<String, Error> {
        let profile = order
            .profile
            .clone()
            .or_else(|| self.settings.profile.clone());
        profile.ok_or_else(|| {
            Error::new(
                ErrorClass::Rejected,
                "the order names no profile, and the authority has no usual one",
            )
        })
    }

    async fn issue(&self, order: &Order) -> Result<Enrolment, Error> {
        let profile = self.profile_of(order)?;
        let csr = digest(Hash::Sha256, &order.csr_der).as_ref().to_vec();
        let (id, named) = (order.id.clone(), profile.clone());
        let state = self
            .with(move |store| store.order(&id, &named, &csr, SystemClock.now_ms()))
            .await
            .map_err(not_stored)?;
        if let OrderState::Issued(certificate) = state {
            return Ok(self.issued(certificate));
        }
        let request = IssueRequest {
            request_id: order.id.clone(),
            ca: self.settings.name.clone(),
            profile,
            csr: Base64Bytes(order.csr_der.clone()),
        };
        let answer = self.engine.issue(request, DEADLINE).await.map_err(failed)?;
        let certificate = answer.certificate.0;
        let (serial, not_after_ms) = facts(&certificate).ok_or_else(|| {
            Error::new(
                ErrorClass::Protocol,
                "the engine answered with something that is no certificate",
            )
        })?;
        let id = order.id.clone();
        let stored = self
            .with(move |store| {
                store.issued(
                    &id,
                    &certificate,
                    &serial,
                    not_after_ms,
                    SystemClock.now_ms(),
                )
            })
            .await
            .map_err(|error| Error::new(ErrorClass::Unknown, error.to_string()))?;
        Ok(self.issued(stored))
    }

    fn issued(&self, certificate_der: Vec<u8>) -> Enrolment {
        Enrolment::Issued(Issued {
            certificate_der,
            others: self.settings.chain.clone(),
        })
    }

    async fn find(&self, order: &Order) -> Result<Recovered, Error> {
        let id = order.id.clone();
        let known = self
            .with(move |store| Ok((store.known(&id)?, store.asked(&id)?)))
            .await
            .map_err(not_stored)?;
        let csr = digest(Hash::Sha256, &order.csr_der);
        Ok(match known {
            (Some(OrderState::Issued(certificate)), _) => {
                Recovered::Known(self.issued(certificate))
            }
            // It was ordered. The engine's log knows whether it issued: asking again for the same order gives what it gave.
            (_, Some((profile, asked)))
                if asked == csr.as_ref() && profile == self.profile_of(order)? =>
            {
                Recovered::Known(self.issue(order).await?)
            }
            // For no such request.
            _ => Recovered::NeverAsked,
        })
    }

    /// Whether the certificate that came with a revocation is the one that it names, and the authority's own.
    fn has_signed(&self, revocation: &Revocation) -> bool {
        let read = revocation
            .certificate_der
            .as_deref()
            .map(pki::path::Certificate::read);
        read.and_then(Result::ok).is_some_and(|certificate| {
            certificate.serial() == revocation.serial
                && certificate.issuer_der() == self.subject_der
                && certificate.is_signed_by(&self.spki_der).is_ok()
        })
    }

    async fn revoke_one(&self, revocation: &Revocation) -> Result<Revoked, Error> {
        let rejected = |why: String| Err(Error::new(ErrorClass::Rejected, why));
        let serial = revocation.serial.clone();
        if revocation.issuer_der != self.subject_der {
            return rejected(format!(
                "the certificate {} was issued by another authority than `{}`",
                hex(&serial),
                self.settings.name
            ));
        }
        let reason = revocation.reason.code();
        let outcome = self
            .with(move |store| store.revoke(&serial, reason, SystemClock.now_ms()))
            .await
            .map_err(not_stored)?;
        let revoked = match outcome {
            Revoking::Now => Revoked::Now,
            Revoking::Already => Revoked::Already,
            Revoking::NotIssued if self.has_signed(revocation) => {
                return Err(Error::new(
                    ErrorClass::Unavailable,
                    format!(
                        "the certificate {} is of the authority `{}`, and its store here does not know it: it was issued with another store, on another host or \
                         before this one was restored, and can be revoked with that one alone",
                        hex(&revocation.serial),
                        self.settings.name
                    ),
                )
                .of_undecided());
            }
            Revoking::NotIssued => {
                let problem = format!(
                    "the authority `{}` issued no certificate with the serial number {}",
                    self.settings.name,
                    hex(&revocation.serial)
                );
                return Err(Error::new(ErrorClass::Rejected, problem).of_unknown_certificate());
            }
            Revoking::Full => {
                return rejected(format!(
                    "the revocation list of the authority `{0}` has as many entries as it may: the certificate {1} is not revoked. Let another authority issue from now on, \
                     and `{0}` publish until enough of its revoked certificates have ended",
                    self.settings.name,
                    hex(&revocation.serial)
                ));
            }
            Revoking::Final => {
                return rejected(format!(
                    "the certificate {} is revoked for good: only a hold can be taken back",
                    hex(&revocation.serial)
                ));
            }
        };
        // Also after `Already`: the process that revoked it may have died before it published.
        self.publish_changes().await?;
        Ok(revoked)
    }
}

/// Of milliseconds since 1970.
fn moment(ms: i64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_millis(u64::try_from(ms).ok()?))
}

/// Serial number and end of a certificate.
fn facts(der: &[u8]) -> Option<(Vec<u8>, i64)> {
    let certificate = Certificate::from_der(der).ok()?;
    let tbs = certificate.tbs_certificate();
    let end = tbs.validity().not_after.to_unix_duration().as_millis();
    Some((
        tbs.serial_number().as_bytes().to_vec(),
        i64::try_from(end).ok()?,
    ))
}

pub(super) fn not_stored(error: StoreError) -> Error {
    let class = match error {
        StoreError::OtherOrder(_) => ErrorClass::Rejected,
        _ => ErrorClass::Unavailable,
    };
    Error::new(class, error.to_string())
}

/// What a failure of the engine means: whether it may have signed.
pub(super) fn failed(error: RecryptError) -> Error {
    let class = match &error {
        RecryptError::Unavailable(_) => ErrorClass::Unknown,
        RecryptError::Failed(failure) => match failure.code {
            FailureCode::IssuanceRefused | FailureCode::BadRequest => ErrorClass::Rejected,
            // The receipt of what was signed may only be late: the engine keeps it for the same order.
            FailureCode::AuditUnavailable
            | FailureCode::DeadlineExceeded
            | FailureCode::EngineFault => ErrorClass::Unknown,
            code if code.is_transient() => ErrorClass::Unavailable,
            _ => ErrorClass::Rejected,
        },
    };
    Error::new(class, error.to_string())
}

impl CertificationAuthority for LocalCa {
    fn name(&self) -> &str {
        &self.settings.name
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            revokes: true,
            pends: false,
            polls_by_reference: false,
            recovers: true,
        }
    }

    fn enroll<'a>(&'a self, order: &'a Order) -> Answer<'a, Enrolment> {
        Box::pin(self.issue(order))
    }

    fn poll<'a>(&'a self, order: &'a Order, _: &'a Pending) -> Answer<'a, Enrolment> {
        Box::pin(self.issue(order))
    }

    fn recover<'a>(&'a self, order: &'a Order, _: Option<&'a Pending>) -> Answer<'a, Recovered> {
        Box::pin(self.find(order))
    }

    fn revoke<'a>(&'a self, revocation: &'a Revocation) -> Answer<'a, Revoked> {
        Box::pin(self.revoke_one(revocation))
    }

    fn chain(&self) -> Answer<'_, Vec<Vec<u8>>> {
        Box::pin(async { Ok(self.settings.chain.clone()) })
    }

    fn health(&self) -> Answer<'_, Health> {
        Box::pin(async {
            let status = self.status().await?;
            let list = self.with(|store| store.list(ListKind::Full)).await;
            let list = list.map_err(not_stored)?;
            Ok(Health {
                answered: true,
                // Whoever the engine tells its status to may have it issue and sign lists as well.
                may_enroll: Some(!status.profiles.is_empty()),
                may_revoke: Some(true),
                credential_expires: moment(status.not_after_ms),
                revocation_list: list.and_then(|list| {
                    Some(ListLife {
                        this_update: moment(list.this_update_ms)?,
                        next_update: moment(list.next_update_ms)?,
                    })
                }),
                note: format!(
                    "{}: profiles {}; last revocation list {}",
                    status.subject,
                    status.profiles.join(", "),
                    status
                        .last_crl
                        .map_or_else(|| "none".to_owned(), |number| number.to_string())
                ),
            })
        })
    }
}
