//! Connectors' certificates from the configured authority: each order is done once, whatever is lost between authority, gateway and connector.
//!
//! ```text
//! token or current certificate -> the request is the instance's and nobody else's -> order durable -> authority -> certificate held against the
//! request -> certificate durable, accepted beside the one in use -> answer
//! ```

use super::enrolment_api::Enrolled;
use super::error::{ApiError, GatewayError};
use super::http::App;
use super::routes::REFUSED;
use super::store::{Actor, Begun, EnrolmentOrder, IssuedIdentity, Orderer, StoreError};
use crate::ca::{self, AuthorityError};
use crate::config::{EnrolmentConfig, GatewayConfig, LocalCaConfig, WhenUnknown};
use crate::encoding::{Base64Bytes, hex};
use crate::identity::{self, Expected, MAX_COMMON_NAME};
use crate::tls;
use ::ca::{
    CertificationAuthority, Enrolment as Answered, Error as CaError, ErrorClass, Issued, Order,
    Pending, Recovered, Revocation, RevocationReason,
};
use axum::http::StatusCode;
use pki::algorithm::KeyKind;
use pki::csr::Csr;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The largest reference of a pending order that is kept, in bytes.
const MAX_REFERENCE_BYTES: usize = 4096;
/// A connector is told to ask again after so long at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

const NOT_OFFERED: (u16, &str) = (404, "enrolmentNotOffered");
const NOT_ISSUED: (u16, &str) = (
    502,
    "authorityFailed: the authority did not issue, or what it issued is refused",
);
const AWAY: (u16, &str) = (
    503,
    "enrolmentBusy: the authority does not answer, or the order is being worked on",
);
/// What whoever enrols may be told.
pub(super) const ENROL_REFUSALS: &[(u16, &str)] = &[NOT_OFFERED, NOT_ISSUED, AWAY];
/// What whoever renews may be told.
pub(super) const RENEW_REFUSALS: &[(u16, &str)] = &[REFUSED, NOT_OFFERED, NOT_ISSUED, AWAY];

/// The authority that connectors' certificates come from.
pub(super) struct Enrolment {
    authority: Arc<dyn CertificationAuthority>,
    roots: Vec<Vec<u8>>,
    intermediates: Vec<Vec<u8>>,
    max_days: u32,
    profile: Option<String>,
    when_unknown: WhenUnknown,
    in_hand: Mutex<HashSet<String>>,
}

/// Who asks, for what.
pub(super) struct Asked<'a> {
    pub(super) order_id: String,
    pub(super) instance: String,
    pub(super) csr: Vec<u8>,
    /// The id of the token, or the certificate that was shown.
    pub(super) by: By<'a>,
    pub(super) actor: Actor,
}

/// Who orders.
pub(super) enum By<'a> {
    Token(&'a str),
    Connector(super::store::Contact),
}

struct InHand<'a> {
    enrolment: &'a Enrolment,
    id: String,
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        self.enrolment.hands().remove(&self.id);
    }
}

impl From<AuthorityError> for GatewayError {
    fn from(error: AuthorityError) -> Self {
        Self::Authority(error.to_string())
    }
}

impl Enrolment {
    /// Of the configuration; `None` where there is none.
    ///
    /// # Errors
    /// [`GatewayError`] when the authority cannot be used, or its certificates would not be accepted by this gateway.
    pub(super) fn new(
        config: &GatewayConfig,
        local: &[LocalCaConfig],
    ) -> Result<Option<Self>, GatewayError> {
        let Some(EnrolmentConfig {
            max_days,
            old_minutes: _,
            ca: authority,
        }) = &config.enrolment
        else {
            return Ok(None);
        };
        let roots = ca::certificates(&authority.roots)?;
        let accepted = tls::certificates(&config.connector_ca)?;
        if let Some(root) = roots
            .iter()
            .find(|root| !accepted.iter().any(|one| one.as_ref() == root.as_slice()))
        {
            let subject = identity_of_root(root);
            return Err(GatewayError::Authority(format!(
                "`gateway.enrolment.ca.roots` has the certificate of {subject}, and `gateway.connector_ca` does not: what is issued under it would not be accepted; add it there"
            )));
        }
        Ok(Some(Self {
            authority: ca::build(authority, local, None)?,
            roots,
            intermediates: match &authority.intermediates {
                Some(path) => ca::certificates(path)?,
                None => Vec::new(),
            },
            max_days: *max_days,
            profile: authority.profile.clone(),
            when_unknown: authority.when_unknown,
            in_hand: Mutex::default(),
        }))
    }

    fn hands(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.in_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The certificate of an order, or when to ask again.
    ///
    /// # Errors
    /// [`ApiError`].
    pub(super) async fn certificate(
        &self,
        app: &App,
        asked: Asked<'_>,
    ) -> Result<Enrolled, ApiError> {
        let csr = held_against(&asked.instance, &asked.csr)?;
        let spki = csr.spki_der().to_vec();
        drop(csr);
        if !self.hands().insert(asked.order_id.clone()) {
            return Err(later(
                "this order is being worked on",
                Duration::from_secs(2),
            ));
        }
        let _in_hand = InHand {
            enrolment: self,
            id: asked.order_id.clone(),
        };
        let begun = {
            let (id, instance, csr) = (
                asked.order_id.clone(),
                asked.instance.clone(),
                asked.csr.clone(),
            );
            let (token, contact) = match &asked.by {
                By::Token(token) => (Some((*token).to_owned()), None),
                By::Connector(contact) => (None, Some(contact.clone())),
            };
            app.stored(move |store| {
                store.begin_enrolment(&EnrolmentOrder {
                    id: &id,
                    instance: &instance,
                    csr: &csr,
                    by: match (&token, &contact) {
                        (Some(token), _) => Orderer::Token(token),
                        (None, Some(contact)) => Orderer::Connector(contact),
                        (None, None) => return Err(StoreError::NotFound),
                    },
                })
            })
            .await?
        };
        let order = Order {
            id: asked.order_id.clone(),
            csr_der: asked.csr.clone(),
            profile: self.profile.clone(),
        };
        let answered = match begun {
            Begun::Issued(issued) => return Ok(answer(issued)),
            Begun::New => self.authority.enroll(&order).await,
            Begun::Unsettled(reference) => self.resume(&order, reference).await,
        };
        match answered {
            Ok(Answered::Pending(pending)) => self.wait(app, &asked, pending).await,
            Ok(Answered::Issued(issued)) => self.issued(app, asked, issued, &spki).await,
            Err(error) => Err(self.failed(app, &asked, &error).await),
        }
    }

    /// What became of an order whose answer never arrived here.
    async fn resume(&self, order: &Order, reference: Option<Vec<u8>>) -> Result<Answered, CaError> {
        let pending = reference.map(|reference| Pending {
            reference,
            ask_again_in: Duration::ZERO,
        });
        if let Some(pending) = &pending {
            return self.authority.poll(order, pending).await;
        }
        match self.authority.recover(order, None).await? {
            Recovered::Known(answered) => Ok(answered),
            Recovered::NeverAsked => self.authority.enroll(order).await,
            Recovered::CannotTell if self.when_unknown == WhenUnknown::AskAgain => {
                self.authority.enroll(order).await
            }
            Recovered::CannotTell => Err(CaError::new(
                ErrorClass::Unknown,
                "the authority cannot tell what became of the order: look there, revoke what it issued, and use a new token; or set `when_unknown = \"ask-again\"`",
            )),
        }
    }

    async fn wait(
        &self,
        app: &App,
        asked: &Asked<'_>,
        pending: Pending,
    ) -> Result<Enrolled, ApiError> {
        if pending.reference.len() > MAX_REFERENCE_BYTES {
            return Err(bad_authority(
                "its reference of the pending order is too long",
            ));
        }
        let (id, reference) = (asked.order_id.clone(), pending.reference);
        app.stored(move |store| store.keep_pending_enrolment(&id, &reference))
            .await?;
        let pause = pending
            .ask_again_in
            .clamp(Duration::from_secs(1), LONGEST_PAUSE);
        Ok(Enrolled {
            certificate: None,
            chain: Vec::new(),
            ask_again_ms: u64::try_from(pause.as_millis()).ok(),
        })
    }

    async fn issued(
        &self,
        app: &App,
        asked: Asked<'_>,
        issued: Issued,
        spki: &[u8],
    ) -> Result<Enrolled, ApiError> {
        let others: Vec<Vec<u8>> = self
            .intermediates
            .iter()
            .chain(&issued.others)
            .take(identity::MAX_OTHERS)
            .cloned()
            .collect();
        let expected = Expected {
            common_name: &asked.instance,
            spki,
            max_days: self.max_days,
            roots: Some(&self.roots),
            now_ms: app.store.now_ms(),
        };
        let facts = match identity::check(&issued.certificate_der, &others, &expected) {
            Ok(facts) => facts,
            Err(problem) => {
                self.withdraw(&issued, spki, &problem).await;
                return Err(bad_authority(&problem));
            }
        };
        let chain = others
            .into_iter()
            .filter(|one| !self.roots.contains(one) && *one != issued.certificate_der)
            .collect();
        let stored = IssuedIdentity {
            certificate: issued.certificate_der,
            chain,
        };
        let digest = hex(&facts.digest);
        let (id, actor, instance) = (asked.order_id, asked.actor, asked.instance);
        let done = app
            .stored(move |store| {
                store.finish_enrolment(&actor, &id, &stored, facts.not_after_ms, &digest)
            })
            .await?;
        tracing::info!(instance, "a connector's certificate was issued");
        Ok(answer(done))
    }

    /// A certificate that nobody may use must not be one that somebody could. One for another key is left alone: it may be somebody's.
    async fn withdraw(&self, issued: &Issued, spki: &[u8], problem: &str) {
        let revoked = match pki::path::Certificate::read(&issued.certificate_der) {
            Err(error) => Err(error.to_string()),
            Ok(read) if read.spki_der() != spki => Err("it is for another key".to_owned()),
            Ok(read) => {
                let revocation = Revocation {
                    id: None,
                    issuer_der: read.issuer_der().to_vec(),
                    serial: read.serial().to_vec(),
                    certificate_der: Some(issued.certificate_der.clone()),
                    reason: RevocationReason::CessationOfOperation,
                };
                self.authority
                    .revoke(&revocation)
                    .await
                    .map_err(|error| error.to_string())
            }
        };
        tracing::error!(
            problem,
            ?revoked,
            "the authority issued a connector's certificate that is refused"
        );
    }

    async fn failed(&self, app: &App, asked: &Asked<'_>, error: &CaError) -> ApiError {
        tracing::warn!(instance = %asked.instance, class = ?error.class(), %error, "the authority issued no certificate for a connector");
        match error.class() {
            ErrorClass::Rejected => {
                // It was never issued: the token is good for another request.
                let id = asked.order_id.clone();
                if let Err(error) = app.stored(move |store| store.forget_enrolment(&id)).await {
                    return error;
                }
                ApiError::new(
                    StatusCode::FORBIDDEN,
                    "authorityRefused",
                    format!("the authority refuses this request: {error}"),
                )
            }
            ErrorClass::Unavailable => later(
                "the authority does not answer",
                error.retry_after().unwrap_or(Duration::from_secs(10)),
            ),
            _ => ApiError::new(
                StatusCode::BAD_GATEWAY,
                "authorityFailed",
                format!("the authority did not issue: {error}"),
            ),
        }
    }
}

fn identity_of_root(der: &[u8]) -> String {
    pki::path::Certificate::read(der)
        .map(|read| read.subject_text())
        .unwrap_or_else(|_| "somebody".to_owned())
}

fn answer(issued: IssuedIdentity) -> Enrolled {
    Enrolled {
        certificate: Some(Base64Bytes(issued.certificate)),
        chain: issued.chain.into_iter().map(Base64Bytes).collect(),
        ask_again_ms: None,
    }
}

fn later(why: &str, pause: Duration) -> ApiError {
    let mut error = ApiError::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "enrolmentBusy",
        format!("{why}: send the same again later"),
    );
    error.retry_after_s = u32::try_from(pause.min(LONGEST_PAUSE).as_secs().max(1)).ok();
    error
}

fn bad_authority(problem: &str) -> ApiError {
    ApiError::new(
        StatusCode::BAD_GATEWAY,
        "authorityFailed",
        format!("what the authority issued is refused: {problem}"),
    )
}

/// Whether an instance can have such a certificate.
pub(super) fn held_against(instance: &str, csr: &[u8]) -> Result<Csr, ApiError> {
    let is_name = (1..=MAX_COMMON_NAME).contains(&instance.len())
        && instance
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if !is_name {
        return Err(ApiError::bad_request(format!(
            "the instance: 1 to {MAX_COMMON_NAME} letters, digits, `-`, `_` and `.`"
        )));
    }
    let read = Csr::read(csr).map_err(|error| ApiError::bad_request(format!("csr: {error}")))?;
    let subject_is_instance = read.subject().len() == 1
        && identity::common_name(read.subject()).as_deref() == Some(instance);
    if !subject_is_instance {
        return Err(ApiError::bad_request(format!(
            "csr: its subject has to be CN={instance} and nothing else (`common_name` of [[engine.client_keys]] is the connector's `instance`)"
        )));
    }
    if !read.attributes().is_empty() {
        return Err(ApiError::bad_request(
            "csr: a connector's request has no attributes",
        ));
    }
    match KeyKind::of(read.spki_der()) {
        Some(KeyKind::P256 | KeyKind::P384 | KeyKind::Rsa) => Ok(read),
        _ => Err(ApiError::bad_request(
            "csr: a connector's key is EC on P-256 or P-384, or RSA",
        )),
    }
}
