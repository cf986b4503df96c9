//! Connectors' certificates from the configured authority: each order is done once, whatever is lost between authority, gateway and connector.
//!
//! ```text
//! token or current certificate -> the request is the instance's and nobody else's -> order durable -> authority -> certificate held against the
//! request -> certificate durable, accepted beside the one in use -> answer
//!                    `-> another: revoked where that can be, and the order is over
//! ```
//!
//! What the authority is asked, and what its silence means: [`asking`]; what it issues: [`issued`].

mod asking;
mod issued;

use super::enrolment_api::Enrolled;
use super::error::{ApiError, GatewayError};
use super::http::App;
use super::routes::REFUSED;
use super::store::{Actor, Begun, EnrolmentOrder, IssuedIdentity, Orderer, StoreError};
use crate::ca::{self, AuthorityError};
use crate::config::{EnrolmentConfig, GatewayConfig, LocalCaConfig, WhenUnknown};
use crate::encoding::Base64Bytes;
use crate::identity::{self, MAX_COMMON_NAME};
use crate::tls;
use ::ca::{CertificationAuthority, Enrolment as Answered, Order, Pending};
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
    "authorityFailed: the authority did not issue; certificateRefused: the order is over, since what it issued is refused, or it turned down what had waited",
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
pub(super) struct Asked {
    pub(super) order_id: String,
    pub(super) instance: String,
    pub(super) csr: Vec<u8>,
    /// The id of the token, or the certificate that was shown.
    pub(super) by: By,
    pub(super) actor: Actor,
}

/// Who orders.
pub(super) enum By {
    Token(String),
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

    /// Works at an order. What the authority is asked for, and what became of it, is durable at each step.
    async fn work(&self, app: &App, asked: Asked) -> Result<Enrolled, ApiError> {
        let spki = held_against(&asked.instance, &asked.csr)?
            .spki_der()
            .to_vec();
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
        let (round, known) = match begin(app, &asked).await? {
            Begun::Issued(issued) => return Ok(answer(issued)),
            Begun::Refused(why) => return Err(refused(&asked, &why)),
            Begun::New { round } => (round, None),
            Begun::Unsettled { round, known } => (round, Some(known)),
        };
        let order = Order {
            id: match round {
                0 => asked.order_id.clone(),
                round => format!("{}-{round}", asked.order_id),
            },
            csr_der: asked.csr.clone(),
            profile: self.profile.clone(),
        };
        let answered = match known {
            None => self.enroll(&order).await,
            Some(known) => self.resume(app, &asked.order_id, &order, known).await,
        };
        match answered {
            Ok(Answered::Pending(pending)) => self.wait(app, &asked, pending).await,
            Ok(Answered::Issued(issued)) => self.issued(app, asked, issued, &spki).await,
            Err(failure) => Err(self.failed(app, asked, failure).await),
        }
    }

    async fn wait(&self, app: &App, asked: &Asked, pending: Pending) -> Result<Enrolled, ApiError> {
        if pending.reference.len() > MAX_REFERENCE_BYTES {
            return Err(ApiError::new(
                StatusCode::BAD_GATEWAY,
                "authorityFailed",
                "the authority's reference of the pending order is too long",
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
}

/// The certificate of an order, or when to ask again. It is worked at to the end, also where whoever asked goes away meanwhile: an answer of the
/// authority is never thrown away.
///
/// # Errors
/// [`ApiError`].
pub(super) async fn certificate(app: &Arc<App>, asked: Asked) -> Result<Enrolled, ApiError> {
    let app = Arc::clone(app);
    let work = async move {
        match &app.enrolment {
            Some(enrolment) => enrolment.work(&app, asked).await,
            None => Err(not_offered()),
        }
    };
    match tokio::spawn(work).await {
        Ok(answered) => answered,
        Err(_) => Err(ApiError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internalError",
            "the gateway failed over this call; it is a fault of the gateway",
        )),
    }
}

/// That this gateway issues nothing.
pub(super) fn not_offered() -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        "enrolmentNotOffered",
        "this gateway issues no certificates: see [gateway.enrolment]",
    )
}

async fn begin(app: &App, asked: &Asked) -> Result<Begun, ApiError> {
    let (id, instance, csr) = (
        asked.order_id.clone(),
        asked.instance.clone(),
        asked.csr.clone(),
    );
    let (token, contact) = match &asked.by {
        By::Token(token) => (Some(token.clone()), None),
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
    .await
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

/// The order is over without a certificate.
fn refused(asked: &Asked, why: &str) -> ApiError {
    let remedy = match asked.by {
        By::Token(_) => "mend that, and then make a new token: this one is spent",
        By::Connector(_) => "mend that; an hour after the refusal the authority is asked once more",
    };
    ApiError::new(
        StatusCode::BAD_GATEWAY,
        "certificateRefused",
        format!("there is no certificate by this order: {why}; {remedy}"),
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
