//! The connector's side of the gateway's protocol. What comes back is not trusted: bounded, parsed item by item, and checked.

use super::error::{CallError, CallErrorKind, StartError};
use super::result::DeviceResult;
use super::tls;
use crate::calendar::{Dated, Effect, Kind};
use crate::config::{ConnectorConfig, secret_file};
use crate::encoding::Base64Bytes;
use crate::engine::api::Delivery;
use crate::gateway::api::{
    Completion, ConnectorIdentity, ErrorBody, Extended, FailureReport, Fence, Heartbeat,
    LeaseRequest, PROTOCOL_VERSION, RequestFailure, Settled, WorkItem,
};
use crate::gateway::enrolment_api::{Enrolled, RenewRequest};
use crate::gateway::pkcs_api;
use crate::gateway::revocation_api;
use crate::tls::CallFailure;
use reqwest::tls::TlsInfo;
use reqwest::{Client, ClientBuilder, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

mod pkcs;
mod revocation;

/// The largest answer that is read, in bytes.
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;
/// The connector's own name of a call; the service logs it.
const CLIENT_REQUEST_ID: &str = "client-request-id";
/// The service's name of a call.
const REQUEST_ID: &str = "request-id";
/// Longest name of a request.
const MAX_REQUEST_ID: usize = 128;
/// Bounds of a lease as it is believed, in milliseconds.
const LEASE_MS: std::ops::RangeInclusive<u64> = 200..=3_600_000;

/// A client of one gateway.
#[derive(Debug)]
pub(super) struct GatewayClient {
    http: Client,
    base: Url,
    identity: ConnectorIdentity,
    certificate: Option<[u8; 32]>,
    /// The certificate that the gateway showed last, and when it ends.
    peer: Mutex<Option<(Vec<u8>, Option<Dated>)>>,
    timeout: Duration,
}

/// What a poll brought.
#[derive(Debug)]
pub(super) struct Leased {
    /// Well-formed items.
    pub(super) work: Vec<WorkItem>,
    /// Items that were none, with the first reason.
    pub(super) malformed: Option<(usize, String)>,
    /// Both ids of the call, see [`CallError::correlation`].
    pub(super) correlation: Option<String>,
}

/// An answer with both ids of the call, see [`CallError::correlation`].
pub(super) type Answer<T> = Result<(T, Option<String>), CallError>;

/// The HTTP client with the configured certificates, proxy and deadlines for connecting: the same for the loop and for `doctor`.
///
/// # Errors
/// [`StartError`] naming what cannot be used.
pub(crate) fn http_client(config: &ConnectorConfig) -> Result<ClientBuilder, StartError> {
    http_client_with(config, tls::client_config(config)?)
}

/// The same with another TLS configuration.
///
/// # Errors
/// As [`http_client`].
pub(super) fn http_client_with(
    config: &ConnectorConfig,
    tls: rustls::ClientConfig,
) -> Result<ClientBuilder, StartError> {
    let setting = |key, problem: &dyn ToString| StartError::Setting {
        key,
        problem: problem.to_string(),
    };
    let timeout = Duration::from_millis(config.http_timeout_ms.max(1));
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .https_only(true)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(timeout.min(Duration::from_secs(10)))
        .http2_keep_alive_interval(Duration::from_secs(10))
        .http2_keep_alive_timeout(Duration::from_secs(10))
        .pool_idle_timeout(Duration::from_secs(60))
        .user_agent(concat!("pfx-connector/", env!("CARGO_PKG_VERSION")));
    if let Some(proxy) = &config.proxy {
        let mut all = reqwest::Proxy::all(&proxy.url)
            .map_err(|_| setting("proxy.url", &"not a proxy's address"))?;
        if let Some(user) = &proxy.username {
            let password = match &proxy.password_file {
                None => String::new(),
                Some(file) => {
                    let secret = secret_file::read(file).map_err(|error| StartError::File {
                        path: file.clone(),
                        problem: error.to_string(),
                    })?;
                    std::str::from_utf8(secret.expose())
                        .map_err(|_| setting("proxy.password_file", &"the password is not text"))?
                        .to_owned()
                }
            };
            all = all.basic_auth(user, &password);
        }
        builder = builder.proxy(all);
    }
    Ok(builder)
}

/// The address that paths are joined to.
///
/// # Errors
/// [`StartError`] when it is none, or not of https.
pub(super) fn base_of(config: &ConnectorConfig) -> Result<Url, StartError> {
    let setting = |problem: &dyn ToString| StartError::Setting {
        key: "gateway",
        problem: problem.to_string(),
    };
    let mut base = config.gateway.clone();
    if !base.ends_with('/') {
        base.push('/');
    }
    let base = Url::parse(&base).map_err(|error| setting(&error))?;
    if base.scheme() != "https" {
        return Err(setting(&"the gateway is spoken to over https only"));
    }
    Ok(base)
}

impl GatewayClient {
    /// A client with the configured certificates, proxy and deadlines. Nothing is sent yet.
    ///
    /// # Errors
    /// [`StartError`] naming what cannot be used.
    pub(super) fn new(config: &ConnectorConfig) -> Result<Self, StartError> {
        let certificate = tls::certificate_digest(config)?;
        Self::build(config, http_client(config)?, certificate)
    }

    /// The same with another certificate than the one in use.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub(super) fn with_certificate(
        config: &ConnectorConfig,
        chain: &[Vec<u8>],
    ) -> Result<Self, StartError> {
        let tls = tls::client_config_with(config, chain)?;
        let certificate = chain.first().and_then(|own| tls::digest_of(own));
        Self::build(config, http_client_with(config, tls)?, certificate)
    }

    fn build(
        config: &ConnectorConfig,
        http: ClientBuilder,
        certificate: Option<[u8; 32]>,
    ) -> Result<Self, StartError> {
        let base = base_of(config)?;
        let http = http
            .tls_info(true)
            .build()
            .map_err(|error| StartError::Module(error.to_string()))?;
        let timeout = Duration::from_millis(config.http_timeout_ms.max(1));
        Ok(Self {
            http,
            base,
            identity: ConnectorIdentity {
                protocol: PROTOCOL_VERSION,
                instance: config.instance.clone(),
                version: crate::VERSION.to_owned(),
                features: std::iter::once("pfxImport".to_owned())
                    .chain(config.pkcs.is_some().then(|| pkcs_api::FEATURE.to_owned()))
                    .chain(
                        config
                            .revoking()
                            .map(|_| revocation_api::FEATURE.to_owned()),
                    )
                    .collect(),
            },
            certificate,
            peer: Mutex::default(),
            timeout,
        })
    }

    /// SHA-256 of the certificate that it shows.
    pub(super) fn certificate(&self) -> Option<[u8; 32]> {
        self.certificate
    }

    /// Asks for the next certificate, with the one that is shown.
    pub(super) async fn renew(&self, csr: Base64Bytes) -> Result<Enrolled, CallError> {
        let body = RenewRequest {
            connector: self.identity.clone(),
            csr,
        };
        let (answer, _) = self.post("connector/v1/renew", &body, self.timeout).await?;
        Ok(answer)
    }

    /// The certificate that the gateway showed last, in the calendar's form; none before its first answer.
    pub(super) fn peer(&self) -> Option<Dated> {
        let peer = self.peer.lock().unwrap_or_else(PoisonError::into_inner);
        peer.as_ref().and_then(|(_, dated)| dated.clone())
    }

    /// Notes whom the answer is from. It is verified: TLS has seen to that.
    fn note_peer(&self, response: &reqwest::Response) {
        let info = response.extensions().get::<TlsInfo>();
        let Some(der) = info.and_then(TlsInfo::peer_certificate) else {
            return;
        };
        let mut peer = self.peer.lock().unwrap_or_else(PoisonError::into_inner);
        if peer.as_ref().is_none_or(|(known, _)| known != der) {
            let name = "connector.gateway";
            let dated = Dated::certificate(Kind::GatewayCertificate, name, der, Effect::Stops);
            *peer = Some((der.to_vec(), dated));
        }
    }

    /// Who this is, with the deliveries that its engine allows.
    fn identity(&self, deliveries: &[Delivery]) -> ConnectorIdentity {
        let mut identity = self.identity.clone();
        let others = deliveries.iter().filter(|one| !one.is_password());
        identity
            .features
            .extend(others.map(|one| one.name().to_owned()));
        identity
    }

    /// Asks for at most `max` requests and waits up to `wait_ms` for one. `deliveries`: what may be among them besides passwords.
    pub(super) async fn lease(
        &self,
        max: u32,
        wait_ms: u64,
        deliveries: &[Delivery],
    ) -> Result<Leased, CallError> {
        let body = LeaseRequest {
            connector: self.identity(deliveries),
            max: max.clamp(1, 256),
            wait_ms: wait_ms.min(60_000),
        };
        let limit = self
            .timeout
            .saturating_add(Duration::from_millis(body.wait_ms));
        let (items, correlation): (Items, _) =
            self.post("connector/v1/lease", &body, limit).await?;
        Ok(Leased {
            correlation,
            ..items.read()
        })
    }

    /// Extends a lease; answers for how long, in milliseconds.
    pub(super) async fn extend(&self, request_id: &str, fence: u64) -> Result<u64, CallError> {
        let (extended, _): (Extended, _) = self
            .post(&path(request_id, "extend"), &Fence { fence }, self.timeout)
            .await?;
        Ok(extended.lease_ms.clamp(*LEASE_MS.start(), *LEASE_MS.end()))
    }

    /// Delivers a result.
    pub(super) async fn complete(
        &self,
        request_id: &str,
        fence: u64,
        result: DeviceResult,
    ) -> Answer<Settled> {
        let body = Completion {
            fence,
            encrypted_password: result.encrypted_password,
            encrypted_pfx: result.encrypted_pfx,
            profile: result.profile,
            certificate: result.certificate,
            revocation: result.revocation,
        };
        self.post(&path(request_id, "complete"), &body, self.timeout)
            .await
    }

    /// Reports a failure: for good, or to be tried again by anybody.
    pub(super) async fn fail(
        &self,
        request_id: &str,
        fence: u64,
        failure: FailureReport,
        retry: bool,
    ) -> Answer<Settled> {
        let body = RequestFailure {
            fence,
            failure,
            retry,
            resume_ms: None,
        };
        self.post(&path(request_id, "fail"), &body, self.timeout)
            .await
    }

    /// Says that this connector is there.
    pub(super) async fn heartbeat(
        &self,
        in_flight: u32,
        engine_healthy: bool,
        deliveries: &[Delivery],
    ) -> Result<(), CallError> {
        let body = Heartbeat {
            connector: self.identity(deliveries),
            in_flight,
            engine_healthy,
        };
        self.send("connector/v1/heartbeat", &body, self.timeout)
            .await
            .map(drop)
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        limit: Duration,
    ) -> Answer<T> {
        let (bytes, correlation) = self.send(path, body, limit).await?;
        match serde_json::from_slice(&bytes) {
            Ok(answer) => Ok((answer, correlation)),
            Err(error) => Err(CallError {
                kind: CallErrorKind::Garbage,
                message: format!(
                    "the service's answer is none of this protocol: {}",
                    place_of(&error)
                ),
                tls: None,
                correlation,
            }),
        }
    }

    async fn send(
        &self,
        path: &str,
        body: &impl Serialize,
        limit: Duration,
    ) -> Result<(Vec<u8>, Option<String>), CallError> {
        let mut correlation = fips::random::uuid_v4().ok();
        let failed = |kind, message: String, correlation: &Option<String>| CallError {
            kind,
            message,
            tls: None,
            correlation: correlation.clone(),
        };
        let url = self
            .base
            .join(path)
            .map_err(|error| failed(CallErrorKind::Garbage, error.to_string(), &correlation))?;
        let mut request = self.http.post(url).json(body).timeout(limit);
        if let Some(id) = &correlation {
            request = request.header(CLIENT_REQUEST_ID, id);
        }
        let unreachable = |error: reqwest::Error, correlation: &Option<String>| {
            let failure = CallFailure::of(error);
            let kind = if failure.is_refusal() {
                CallErrorKind::Refused
            } else {
                CallErrorKind::Unavailable
            };
            CallError {
                tls: failure.problem,
                ..failed(kind, failure.text, correlation)
            }
        };
        let mut response = request
            .send()
            .await
            .map_err(|error| unreachable(error, &correlation))?;
        self.note_peer(&response);
        if let Some(theirs) = response
            .headers()
            .get(REQUEST_ID)
            .and_then(|value| value.to_str().ok())
            .filter(|value| {
                !value.is_empty()
                    && value.len() <= MAX_REQUEST_ID
                    && value.bytes().all(|byte| byte.is_ascii_graphic())
            })
        {
            correlation = Some(match correlation {
                Some(ours) => format!("{ours} {theirs}"),
                None => theirs.to_owned(),
            });
        }
        let status = response.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| unreachable(error, &correlation))?
        {
            if bytes.len() + chunk.len() > MAX_BODY_BYTES {
                let message = format!("the service's answer is larger than {MAX_BODY_BYTES} bytes");
                return Err(failed(CallErrorKind::Garbage, message, &correlation));
            }
            bytes.extend_from_slice(&chunk);
        }
        if status.is_success() {
            return Ok((bytes, correlation));
        }
        let (kind, message) = explain(status, &bytes);
        Err(failed(kind, message, &correlation))
    }
}

/// The answer to a lease, its items not looked at yet.
#[derive(serde::Deserialize)]
struct Items {
    work: Vec<serde_json::Value>,
}

impl Items {
    fn read(self) -> Leased {
        let mut leased = Leased {
            work: Vec::with_capacity(self.work.len()),
            malformed: None,
            correlation: None,
        };
        for (place, value) in self.work.into_iter().enumerate() {
            // One bad item must not hold up the others.
            match read_item(place, value) {
                Ok(item) => leased.work.push(item),
                Err(reason) => {
                    let (count, first) = leased.malformed.take().unwrap_or((0, reason));
                    leased.malformed = Some((count + 1, first));
                }
            }
        }
        leased
    }
}

/// The requests in the body of an answer to a lease, without those that are malformed; `None` when it is no such answer.
#[must_use]
pub fn read_lease(body: &[u8]) -> Option<Vec<WorkItem>> {
    let items: Items = serde_json::from_slice(body).ok()?;
    Some(items.read().work)
}

fn path(request_id: &str, verb: &str) -> String {
    format!("connector/v1/requests/{request_id}/{verb}")
}

/// What is wrong with JSON, without its content: serde quotes what it did not expect, and this goes into the log.
fn place_of(error: &serde_json::Error) -> String {
    let category = match error.classify() {
        Category::Io => "read error",
        Category::Syntax => "syntax error",
        Category::Data => "data of another form",
        Category::Eof => "early end",
    };
    // Content that is in memory already has no place; serde says 0 then.
    match (error.line(), error.column()) {
        (0, _) => category.to_owned(),
        (line, column) => format!("{category} at line {line} column {column}"),
    }
}

/// The item that is `place`th in an answer, counted from 0.
fn read_item(place: usize, value: serde_json::Value) -> Result<WorkItem, String> {
    serde_json::from_value(value)
        .map_err(|error| format!("item {place}: {}", place_of(&error)))
        .and_then(checked)
}

fn checked(mut item: WorkItem) -> Result<WorkItem, String> {
    let id = &item.request_id;
    // It becomes a part of paths and log lines.
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if id.is_empty() || id.len() > MAX_REQUEST_ID || !id.chars().all(plain) {
        return Err("a request's name is not made of 1 to 128 letters, digits, - and _".to_owned());
    }
    let named = [
        &item.record.user_principal_name,
        &item.record.thumbprint,
        &item.device_id,
    ];
    if named.iter().any(|text| text.len() > 1024) {
        return Err("a name is longer than 1024 bytes".to_owned());
    }
    item.lease_ms = item.lease_ms.clamp(*LEASE_MS.start(), *LEASE_MS.end());
    Ok(item)
}

/// Whether a request's name can be that of an order ([`ca::Order::id`]).
fn is_order_id(id: &str) -> bool {
    (16..=64).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

pub(super) fn explain(status: StatusCode, body: &[u8]) -> (CallErrorKind, String) {
    let error = serde_json::from_slice::<ErrorBody>(body)
        .ok()
        .map(|body| body.error);
    let code = error.as_ref().map_or("", |error| error.code.as_str());
    let kind = match status {
        StatusCode::CONFLICT if code == "staleLease" => CallErrorKind::Stale,
        StatusCode::NOT_FOUND | StatusCode::GONE => CallErrorKind::Gone,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => CallErrorKind::Unavailable,
        _ if status.is_client_error() => CallErrorKind::Refused,
        _ => CallErrorKind::Unavailable,
    };
    let message = match error {
        Some(error) => format!(
            "the service answered {}: {} ({})",
            status.as_u16(),
            error.message,
            error.code
        ),
        None => format!("the service answered {}", status.as_u16()),
    };
    (kind, message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{place_of, read_item};

    #[test]
    fn the_reason_for_a_malformed_answer_quotes_nothing_of_it() {
        let marker = "CONTENT-MARKER";
        for item in [
            serde_json::json!(marker),
            serde_json::json!({ "requestId": "r", "fence": marker }),
            serde_json::json!({ marker: 1 }),
        ] {
            let reason = read_item(3, item).unwrap_err();
            assert_eq!(reason, "item 3: data of another form");
        }
        let error = serde_json::from_str::<u8>(&format!("\"{marker}\"")).unwrap_err();
        assert_eq!(place_of(&error), "data of another form at line 1 column 16");
    }
}
