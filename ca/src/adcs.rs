//! Active Directory Certificate Services by its enrolment web services: policies by MS-XCEP, certificates by MS-WSTEP, both SOAP 1.2 over
//! HTTPS, with a TLS client certificate or a user name and password.
//!
//! ```text
//!   GetPolicies ----------------------------> CEP: templates, rights, the authorities' certificates
//!   RequestSecurityToken, Issue ------------> CES: the certificate, or a request's number while somebody has to approve it
//!   RequestSecurityToken, QueryTokenStatus -> CES: how the request with that number stands
//! ```
//!
//! Built from the published protocols and tried against a server made from them: no Microsoft authority was asked. Kerberos is not spoken.
//! The protocols cannot revoke: [`RevokeCommand`] is the bridge.

mod command;
mod fault;
mod soap;
mod wstep;
mod xcep;

pub use command::RevokeCommand;
pub use xcep::{Authority, Policies, Template};

use crate::certificate::{Parts, key_of_request, vouched_for};
use crate::http::{Effect, Limits, refusal, send};
use crate::settings::address;
use crate::{
    Answer, Capabilities, CertificationAuthority, Enrolment, Error, ErrorClass, Health, Login,
    Order, Pending, Recovered, Revocation, Revoked, SettingsError,
};
use bytes::Bytes;
use fips::secret::SecretBytes;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Method, Url};
use roxmltree::Node;
use soap::Envelope;
use std::time::{Duration, SystemTime};
use wstep::Standing;

/// The largest request (PKCS#10, DER) that is sent, in octets.
const MAX_REQUEST_BYTES: usize = 64 * 1024;
/// The most octets of a fault.
const MAX_FAULT_BYTES: usize = 256 * 1024;

/// Where the services are, and how we show who we are.
#[derive(Debug)]
pub struct AdcsSettings {
    /// The authority's name in the configuration.
    pub name: String,
    /// The enrolment service (CES): `https://host/CA_CES_UsernamePassword/service.svc/CES`, or `..._CES_Certificate/...`.
    pub enrollment: String,
    /// The policy service (CEP), for [`CertificationAuthority::chain`] and [`CertificationAuthority::health`].
    pub policy: Option<String>,
    /// The template, by its name (not its display name), for orders without a profile. `None` where requests name theirs by an extension.
    pub template: Option<String>,
    /// A user name token (WS-Security), for the services that take one.
    pub login: Option<Login>,
    /// Certificates (DER) that vouch for the authority's own; at least one where there is a policy service.
    pub anchors: Vec<Vec<u8>>,
    /// How long one call may take.
    pub deadline: Duration,
    /// When a pending request is asked for again: the protocol does not say.
    pub ask_again_in: Duration,
    /// How to revoke.
    pub revoke: Option<RevokeCommand>,
    /// The end of the validity of the certificate that the HTTP client shows, for [`Health`].
    pub credential_expires: Option<SystemTime>,
}

/// A client of the enrolment web services of one authority. An order's profile is its template.
#[derive(Debug)]
pub struct Adcs {
    settings: AdcsSettings,
    enrollment: Url,
    policy: Option<Url>,
    http: reqwest::Client,
}

impl Adcs {
    /// A client. Nothing is sent yet. `http`: made by the caller, with its TLS configuration and its proxy, without redirects and without
    /// repetitions of its own.
    ///
    /// # Errors
    /// [`SettingsError`] naming the setting that cannot be used.
    pub fn new(settings: AdcsSettings, http: reqwest::Client) -> Result<Self, SettingsError> {
        let enrollment = address("enrollment", &settings.enrollment)?;
        let policy = settings
            .policy
            .as_deref()
            .map(|url| address("policy", url))
            .transpose()?;
        if let Some(template) = &settings.template {
            wstep::check_template(template)
                .map_err(|problem| SettingsError::new("template", problem))?;
        }
        settings.login.as_ref().map(Login::check).transpose()?;
        if settings.anchors.iter().any(|der| Parts::of(der).is_err())
            || (policy.is_some() && settings.anchors.is_empty())
        {
            return Err(SettingsError::new(
                "anchors",
                "at least one certificate is needed that vouches for the authority's own, and each has to be a certificate",
            ));
        }
        for (setting, time) in [
            ("deadline", settings.deadline),
            ("ask_again_in", settings.ask_again_in),
        ] {
            if time.is_zero() {
                return Err(SettingsError::new(setting, "more than no time is needed"));
            }
        }
        settings
            .revoke
            .as_ref()
            .map(RevokeCommand::check)
            .transpose()?;
        Ok(Self {
            settings,
            enrollment,
            policy,
            http,
        })
    }

    /// What may be enrolled for.
    ///
    /// # Errors
    /// [`ErrorClass::Unsupported`] without a policy service; [`Error`] of a class other than [`ErrorClass::Unknown`].
    pub async fn policies(&self) -> Result<Policies, Error> {
        let Some(url) = &self.policy else {
            return Err(Error::new(
                ErrorClass::Unsupported,
                "the enrolment service says nothing of the authority itself: configure the policy service (CEP) as well",
            ));
        };
        let exchange = Exchange {
            url,
            action: xcep::REQUEST,
            answer: xcep::ANSWER,
            effect: Effect::None,
        };
        self.exchange(exchange, &xcep::get_policies(), xcep::read)
            .await
    }

    async fn ask(&self, order: &Order) -> Result<Enrolment, Error> {
        let spki = request_key(order)?;
        let template = order
            .profile
            .as_deref()
            .or(self.settings.template.as_deref());
        if let Some(template) = template {
            wstep::check_template(template).map_err(|problem| {
                Error::new(
                    ErrorClass::Rejected,
                    format!("the order's profile {problem}"),
                )
            })?;
        }
        let body = wstep::issue(&order.csr_der, template);
        self.standing(Effect::MayIssue, &body, spki).await
    }

    async fn ask_again(&self, order: &Order, pending: &Pending) -> Result<Enrolment, Error> {
        let spki = request_key(order)?;
        let request_id = std::str::from_utf8(&pending.reference)
            .ok()
            .filter(|id| !id.is_empty() && id.chars().all(formats::text::is_printable))
            .ok_or_else(|| {
                Error::new(
                    ErrorClass::Protocol,
                    "the order's reference is none that this client made: it belongs to an authority of another kind",
                )
            })?;
        self.standing(Effect::None, &wstep::status(request_id), spki)
            .await
    }

    async fn standing(&self, effect: Effect, body: &str, spki: &[u8]) -> Result<Enrolment, Error> {
        let exchange = Exchange {
            url: &self.enrollment,
            action: wstep::REQUEST,
            answer: wstep::ANSWER,
            effect,
        };
        let standing = self
            .exchange(exchange, body, |node| wstep::read(node, spki))
            .await?;
        Ok(match standing {
            Standing::Issued(issued) => Enrolment::Issued(issued),
            Standing::Pending { request_id } => Enrolment::Pending(Pending {
                reference: request_id.into_bytes(),
                ask_again_in: self.settings.ask_again_in,
            }),
        })
    }

    async fn exchange<T>(
        &self,
        exchange: Exchange<'_>,
        body: &str,
        read: impl FnOnce(Node<'_, '_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let uuid = fips::random::uuid_v4().map_err(|error| {
            Error::new(
                ErrorClass::Unavailable,
                format!("the request has no name: {error}"),
            )
        })?;
        let message_id = format!("urn:uuid:{uuid}");
        let envelope = Envelope {
            action: exchange.action,
            to: exchange.url.as_str(),
            message_id: &message_id,
            login: self.settings.login.as_ref(),
            now_ms: now_ms(),
            body,
        };
        let request = self
            .http
            .request(Method::POST, exchange.url.clone())
            .header(CONTENT_TYPE, "application/soap+xml; charset=utf-8")
            .header(ACCEPT, "application/soap+xml")
            .body(Bytes::from_owner(Shown(envelope.write())));
        let limits = Limits {
            success: soap::MAX_BYTES,
            refusal: MAX_FAULT_BYTES,
        };
        let answered = send(request, exchange.effect, self.settings.deadline, limits).await?;
        let document = soap::parse(&answered.body);
        if !answered.status.is_success() {
            // A fault has a status of its own (SOAP 1.2 Part 2 section 7.5.2.2), and says more than that.
            if let Ok(document) = &document
                && let Some(fault) = fault_in(document)
            {
                return Err(fault.error(exchange.effect));
            }
            return Err(refusal(&answered, exchange.effect, SystemTime::now()));
        }
        let document = document.map_err(|problem| soap::no_answer(&problem))?;
        let found = soap::body_of(
            &document,
            exchange.answer,
            Some(&message_id),
            exchange.effect,
        )?;
        let node = document
            .get_node(found)
            .ok_or_else(|| soap::no_answer("no body"))?;
        read(node)
    }
}

/// One question to a service.
struct Exchange<'a> {
    url: &'a Url,
    action: &'static str,
    answer: &'static str,
    effect: Effect,
}

/// What a request reads its bytes from, as long as any copy of it lives.
struct Shown(SecretBytes);

impl AsRef<[u8]> for Shown {
    fn as_ref(&self) -> &[u8] {
        self.0.expose()
    }
}

fn fault_in(document: &roxmltree::Document<'_>) -> Option<fault::Fault> {
    let envelope = document.root_element();
    let body = soap::child(envelope, soap::ENVELOPE, "Body")?;
    soap::child(body, soap::ENVELOPE, "Fault").map(fault::read)
}

fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .unwrap_or_default()
}

fn request_key(order: &Order) -> Result<&[u8], Error> {
    if order.csr_der.len() > MAX_REQUEST_BYTES {
        let problem = format!("the request is longer than {MAX_REQUEST_BYTES} octets");
        return Err(Error::new(ErrorClass::Rejected, problem));
    }
    key_of_request(&order.csr_der).map_err(|_| {
        Error::new(
            ErrorClass::Rejected,
            "the request is no PKCS#10 request in DER",
        )
    })
}

/// Reads the body of an answer as each of those that there are; whether it is one. For fuzzing.
#[must_use]
pub fn is_answer(body: &[u8]) -> bool {
    let Ok(document) = soap::parse(body) else {
        return false;
    };
    [xcep::ANSWER, wstep::ANSWER].into_iter().any(|action| {
        let found = soap::body_of(&document, action, None, Effect::MayIssue);
        let Some(node) = found.ok().and_then(|id| document.get_node(id)) else {
            return false;
        };
        match action {
            xcep::ANSWER => xcep::read(node).is_ok(),
            _ => wstep::read(node, &[]).is_ok(),
        }
    })
}

impl CertificationAuthority for Adcs {
    fn name(&self) -> &str {
        &self.settings.name
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            revokes: self.settings.revoke.is_some(),
            pends: true,
            polls_by_reference: true,
            recovers: false,
        }
    }

    /// A certificate for another key than the request's is given as it came: whoever asked finds that, and can have it revoked.
    fn enroll<'a>(&'a self, order: &'a Order) -> Answer<'a, Enrolment> {
        Box::pin(self.ask(order))
    }

    fn poll<'a>(&'a self, order: &'a Order, pending: &'a Pending) -> Answer<'a, Enrolment> {
        Box::pin(self.ask_again(order, pending))
    }

    /// A request whose number is known is asked for, which can be repeated without harm. Without the number nobody can tell.
    fn recover<'a>(
        &'a self,
        order: &'a Order,
        pending: Option<&'a Pending>,
    ) -> Answer<'a, Recovered> {
        Box::pin(async move {
            match pending {
                Some(pending) => Ok(Recovered::Known(self.ask_again(order, pending).await?)),
                None => Ok(Recovered::CannotTell),
            }
        })
    }

    /// By the configured command; without one it is refused.
    fn revoke<'a>(&'a self, revocation: &'a Revocation) -> Answer<'a, Revoked> {
        Box::pin(async move {
            match &self.settings.revoke {
                Some(command) => command.run(revocation).await,
                None => Err(Error::new(
                    ErrorClass::Unsupported,
                    "the enrolment web services of AD CS cannot revoke: configure revoke_command, which does it at the authority (certutil \
                     -revoke), or revoke there by hand",
                )),
            }
        })
    }

    /// The authorities' certificates of the policy service, as far as an anchor vouches for them. Their issuers are not among them.
    fn chain(&self) -> Answer<'_, Vec<Vec<u8>>> {
        Box::pin(async {
            let policies = self.policies().await?;
            let certificates = policies
                .authorities
                .into_iter()
                .map(|authority| authority.certificate_der);
            let known = vouched_for(certificates.collect(), &self.settings.anchors);
            if known.is_empty() {
                return Err(Error::new(
                    ErrorClass::Credential,
                    "none of the authorities that the policy service names is one of the configured anchors or signed by one: either this \
                     is another forest, or an intermediate certificate is missing among the anchors",
                ));
            }
            Ok(known)
        })
    }

    /// What the policy service says of the template and of the authority; without one, nothing is asked.
    fn health(&self) -> Answer<'_, Health> {
        Box::pin(async {
            let mut health = Health {
                answered: false,
                may_enroll: None,
                may_revoke: self.settings.revoke.is_none().then_some(false),
                credential_expires: self.settings.credential_expires,
                revocation_list: None,
                note: "AD CS: without a policy service (CEP) nothing can be asked but an enrolment itself.".to_owned(),
            };
            if self.policy.is_none() {
                return Ok(health);
            }
            let policies = self.policies().await?;
            health.answered = true;
            let known = |template: &&Template| {
                self.settings
                    .template
                    .as_ref()
                    .is_none_or(|name| *name == template.name)
            };
            let may_template = policies
                .templates
                .iter()
                .filter(known)
                .any(|template| template.may_enroll);
            let listed = policies.authorities.iter().any(|authority| {
                authority.may_enroll
                    && authority
                        .services
                        .iter()
                        .any(|(_, uri)| uri.eq_ignore_ascii_case(&self.settings.enrollment))
            });
            health.may_enroll = Some(may_template && listed);
            health.note = format!(
                "AD CS: {} templates and {} authorities; {}; {}.",
                policies.templates.len(),
                policies.authorities.len(),
                match may_template {
                    true => "the credential may enrol for the template",
                    false => "the template is not there, or the credential may not enrol for it",
                },
                match listed {
                    true => "its authority lists the enrolment service that is configured",
                    false =>
                        "no authority that the credential may ask lists the enrolment service that is configured",
                }
            );
            Ok(health)
        })
    }
}
