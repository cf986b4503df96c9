//! Enrolment over Secure Transport (RFC 7030, clarified by RFC 8951): HTTPS with certificates in CMS.
//!
//! ```text
//!   GET  /.well-known/est[/label]/cacerts         certs-only: kept as far as a configured anchor vouches for it
//!   GET  /.well-known/est[/label]/csrattrs        what the authority wants in requests
//!   POST /.well-known/est[/label]/simpleenroll    PKCS#10 -> certs-only, or 202 with Retry-After
//!   POST /.well-known/est[/label]/simplereenroll  the same, for whoever shows the certificate that is renewed
//! ```
//!
//! The client shows a TLS certificate, a user name by HTTP Basic (RFC 7617), or both. HTTP Digest is not spoken: it would be cryptography
//! outside of the validated module, and over TLS it adds nothing. Neither is server-side key generation (`/serverkeygen`), which gives
//! private keys away, nor Full CMC.
//!
//! EST names no transactions. A pending order is asked for by sending the same request again (RFC 7030 section 4.2.3), which the server
//! recognises; of an answer that was lost nobody can say what became of it.

use crate::certificate::{Parts, issued_among, key_of_request, vouched_for};
use crate::http::{Answered, Effect, Limits, refusal, retry_after, send};
use crate::settings::address;
use crate::text::{decode, encode_lines, it_says};
use crate::{
    Answer, Capabilities, CertificationAuthority, Enrolment, Error, ErrorClass, Health, Issued,
    Login, Order, Pending, Recovered, Revocation, Revoked, SettingsError,
};
use pki::certs_only;
use pki::csr_attributes::{self, CsrAttributes};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use std::time::{Duration, SystemTime};

/// The largest request (PKCS#10, DER) that is sent, in octets.
const MAX_REQUEST_BYTES: usize = 64 * 1024;
/// The largest answer, in octets: base64 of the largest certs-only message, with its line breaks.
const MAX_ANSWER_BYTES: usize = certs_only::MAX_BYTES / 4 * 6;
/// When to ask again where a 202 does not say it, although it has to (RFC 7030 section 4.2.3).
const USUAL_WAIT: Duration = Duration::from_secs(300);
/// Path segments that name operations, and therefore no label (RFC 7030 section 3.2.2).
const OPERATIONS: [&str; 6] = [
    "cacerts",
    "simpleenroll",
    "simplereenroll",
    "fullcmc",
    "serverkeygen",
    "csrattrs",
];

/// Where an EST server is, and how we show who we are.
#[derive(Debug)]
pub struct EstSettings {
    /// The authority's name in the configuration.
    pub name: String,
    /// `https://host[:port][/path]`; `/.well-known/est` follows.
    pub server: String,
    /// The label that is used for orders without a profile: one or more path segments of `[0-9A-Za-z._~-]`.
    pub label: Option<String>,
    /// HTTP Basic.
    pub login: Option<Login>,
    /// Certificates (DER) that vouch for what `/cacerts` says; at least one.
    pub anchors: Vec<Vec<u8>>,
    /// How long one call may take.
    pub deadline: Duration,
    /// The end of the validity of the certificate that the HTTP client shows, for [`Health`].
    pub credential_expires: Option<SystemTime>,
}

/// A client of one EST server. An order's profile is the label of the request's path.
#[derive(Debug)]
pub struct Est {
    settings: EstSettings,
    authorization: Option<HeaderValue>,
    base: Url,
    http: reqwest::Client,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Enroll,
    Reenroll,
}

impl Operation {
    const fn name(self) -> &'static str {
        match self {
            Self::Enroll => "simpleenroll",
            Self::Reenroll => "simplereenroll",
        }
    }
}

impl Est {
    /// A client. Nothing is sent yet. `http`: made by the caller, with its TLS configuration and its proxy, without redirects and without
    /// repetitions of its own.
    ///
    /// # Errors
    /// [`SettingsError`] naming the setting that cannot be used.
    pub fn new(settings: EstSettings, http: reqwest::Client) -> Result<Self, SettingsError> {
        let mut base = address("server", &settings.server)?;
        let path = format!("{}/.well-known/est", base.path().trim_end_matches('/'));
        base.set_path(&path);
        if let Some(label) = &settings.label {
            check_label(label).map_err(|problem| SettingsError::new("label", problem))?;
        }
        let authorization = settings.login.as_ref().map(Login::basic).transpose()?;
        if settings.anchors.is_empty() || settings.anchors.iter().any(|der| Parts::of(der).is_err())
        {
            return Err(SettingsError::new(
                "anchors",
                "at least one certificate is needed that vouches for the authority's own, and each has to be a certificate: what the \
                 server says of itself is not enough",
            ));
        }
        if settings.deadline.is_zero() {
            return Err(SettingsError::new("deadline", "a call needs some time"));
        }
        Ok(Self {
            settings,
            authorization,
            base,
            http,
        })
    }

    /// What the authority wants to find in requests (RFC 8951 section 3.5); an empty list when it says nothing of it.
    ///
    /// # Errors
    /// [`Error`] of a class other than [`ErrorClass::Unknown`].
    pub async fn csr_attributes(&self, profile: Option<&str>) -> Result<CsrAttributes, Error> {
        let url = self.url(profile, "csrattrs")?;
        let answered = self
            .call(
                self.http.request(Method::GET, url),
                Effect::None,
                csr_attributes::MAX_BYTES.saturating_mul(2),
            )
            .await?;
        match answered.status {
            StatusCode::OK if answered.body.is_empty() => Ok(CsrAttributes::default()),
            // RFC 7030 section 4.5.2: 204 and 404 both say that there is nothing.
            StatusCode::NO_CONTENT | StatusCode::NOT_FOUND => Ok(CsrAttributes::default()),
            StatusCode::OK => decode(&answered.body)
                .ok_or_else(|| garbage("/csrattrs", "no base64", &answered.body))
                .and_then(|der| {
                    CsrAttributes::read(&der)
                        .map_err(|error| garbage("/csrattrs", &error.to_string(), b""))
                }),
            _ => Err(self.refused(&answered, Effect::None)),
        }
    }

    /// Asks for a certificate like the one that the HTTP client shows, as its renewal (RFC 7030 section 4.2.2): the request has the same
    /// subject and subject alternative names. A pending answer is polled for as that of any order.
    ///
    /// # Errors
    /// As [`CertificationAuthority::enroll`].
    pub async fn reenroll(&self, order: &Order) -> Result<Enrolment, Error> {
        self.ask(Operation::Reenroll, order).await
    }

    /// The certificates of `/cacerts` that a configured anchor vouches for, the furthest from it first.
    async fn ca_certificates(&self) -> Result<Vec<Vec<u8>>, Error> {
        let url = self.url(None, "cacerts")?;
        let request = self.http.request(Method::GET, url);
        let answered = self.call(request, Effect::None, MAX_ANSWER_BYTES).await?;
        if answered.status != StatusCode::OK {
            return Err(self.refused(&answered, Effect::None));
        }
        let certificates = certificates("/cacerts", &answered.body)?;
        let known = vouched_for(certificates, &self.settings.anchors);
        if known.is_empty() {
            return Err(Error::new(
                ErrorClass::Credential,
                "none of the certificates at /cacerts is one of the configured anchors or signed by one: either this is another \
                 authority, or the anchors have to be renewed after a look at what it says",
            ));
        }
        Ok(known)
    }

    async fn ask(&self, operation: Operation, order: &Order) -> Result<Enrolment, Error> {
        let spki = request_key(order)?;
        let url = self.url(order.profile.as_deref(), operation.name())?;
        let request = self
            .http
            .request(Method::POST, url)
            .header(CONTENT_TYPE, "application/pkcs10")
            .header(ACCEPT, "application/pkcs7-mime")
            .body(encode_lines(&order.csr_der));
        let answered = self
            .call(request, Effect::MayIssue, MAX_ANSWER_BYTES)
            .await?;
        let what = operation.name();
        match answered.status {
            StatusCode::OK => {
                let certificates = certificates(what, &answered.body)?;
                let count = certificates.len();
                let (certificate_der, others) = issued_among(certificates, spki).ok_or_else(|| {
                    let problem = format!("{count} certificates, and none that is clearly the one that was asked for");
                    garbage(what, &problem, b"")
                })?;
                Ok(Enrolment::Issued(Issued {
                    certificate_der,
                    others,
                }))
            }
            StatusCode::ACCEPTED => Ok(Enrolment::Pending(Pending {
                reference: what.as_bytes().to_vec(),
                ask_again_in: retry_after(&answered.headers, SystemTime::now())
                    .unwrap_or(USUAL_WAIT),
            })),
            _ => Err(self.refused(&answered, Effect::MayIssue)),
        }
    }

    async fn ask_again(&self, order: &Order, pending: &Pending) -> Result<Enrolment, Error> {
        let operation = [Operation::Enroll, Operation::Reenroll]
            .into_iter()
            .find(|operation| operation.name().as_bytes() == pending.reference)
            .ok_or_else(|| {
                Error::new(
                    ErrorClass::Protocol,
                    "the order's reference is none that this client made: it belongs to an authority of another kind",
                )
            })?;
        self.ask(operation, order).await
    }

    async fn call(
        &self,
        request: reqwest::RequestBuilder,
        effect: Effect,
        max_bytes: usize,
    ) -> Result<Answered, Error> {
        let request = match &self.authorization {
            Some(header) => request.header(AUTHORIZATION, header.clone()),
            None => request,
        };
        send(
            request,
            effect,
            self.settings.deadline,
            Limits::of(max_bytes),
        )
        .await
    }

    fn refused(&self, answered: &Answered, effect: Effect) -> Error {
        refusal(answered, effect, SystemTime::now())
    }

    fn url(&self, profile: Option<&str>, operation: &str) -> Result<Url, Error> {
        let mut url = self.base.clone();
        let path = match profile.or(self.settings.label.as_deref()) {
            None => format!("{}/{operation}", url.path()),
            Some(label) => {
                check_label(label).map_err(|problem| {
                    Error::new(
                        ErrorClass::Rejected,
                        format!("the order's profile {problem}"),
                    )
                })?;
                format!("{}/{label}/{operation}", url.path())
            }
        };
        url.set_path(&path);
        Ok(url)
    }
}

impl CertificationAuthority for Est {
    fn name(&self) -> &str {
        &self.settings.name
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            revokes: false,
            pends: true,
            polls_by_reference: false,
            recovers: false,
        }
    }

    /// A certificate for another key than the request's is given as it came: whoever asked finds that, and can have it revoked.
    fn enroll<'a>(&'a self, order: &'a Order) -> Answer<'a, Enrolment> {
        Box::pin(self.ask(Operation::Enroll, order))
    }

    /// The same request once more.
    fn poll<'a>(&'a self, order: &'a Order, pending: &'a Pending) -> Answer<'a, Enrolment> {
        Box::pin(self.ask_again(order, pending))
    }

    /// A pending order is polled for. Anything else cannot be told: the protocol has no names for orders.
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

    fn revoke<'a>(&'a self, _revocation: &'a Revocation) -> Answer<'a, Revoked> {
        Box::pin(async {
            Err(Error::new(
                ErrorClass::Unsupported,
                "EST cannot revoke (RFC 7030 has no such operation): revoke the certificate at the authority itself, or configure the \
                 authority's CMP interface, where it has one, as the one that revokes",
            ))
        })
    }

    /// As `/cacerts` gives them, as far as a configured anchor vouches for them.
    fn chain(&self) -> Answer<'_, Vec<Vec<u8>>> {
        Box::pin(self.ca_certificates())
    }

    /// Whether `/cacerts` answers with what the anchors vouch for, and what `/csrattrs` says. Whether we may enrol is not asked: only an
    /// enrolment would tell.
    fn health(&self) -> Answer<'_, Health> {
        Box::pin(async {
            let known = self.ca_certificates().await?;
            let attributes = match self.csr_attributes(None).await {
                // A server need not have it (RFC 7030 section 3.2.2).
                Err(error) if error.class() == ErrorClass::Unsupported => CsrAttributes::default(),
                attributes => attributes?,
            };
            Ok(Health {
                answered: true,
                may_enroll: None,
                may_revoke: Some(false),
                credential_expires: self.settings.credential_expires,
                revocation_list: None,
                note: format!(
                    "EST: {} certificates that the anchors vouch for; {} attributes wanted in requests. Whether the credential may \
                     enrol cannot be asked; revocation is not a part of EST.",
                    known.len(),
                    attributes.items.len()
                ),
            })
        })
    }
}

/// The key that an order's request is for.
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

/// The certificates in an answer; at least one.
fn certificates(what: &str, body: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
    let der = decode(body).ok_or_else(|| garbage(what, "no base64", body))?;
    let certificates =
        certs_only::read(&der).map_err(|error| garbage(what, &error.to_string(), b""))?;
    if certificates.is_empty() {
        return Err(garbage(what, "a message without certificates", b""));
    }
    Ok(certificates)
}

fn garbage(what: &str, problem: &str, body: &[u8]) -> Error {
    Error::new(
        ErrorClass::Protocol,
        format!(
            "what the server answered to {what} is no answer of EST: {problem}{}",
            it_says(body)
        ),
    )
}

fn check_label(label: &str) -> Result<(), &'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '~' | '-');
    if label.len() > 256
        || label.split('/').any(|segment| {
            segment.is_empty() || segment.starts_with('.') || !segment.chars().all(plain)
        })
    {
        return Err(
            "is no label: path segments of letters, digits, '-', '_', '~' and '.', which do not begin with '.', 256 characters at most",
        );
    }
    if label
        .split('/')
        .any(|segment| OPERATIONS.contains(&segment))
    {
        return Err(
            "has the name of an operation, which no label may have (RFC 7030 section 3.2.2)",
        );
    }
    Ok(())
}
