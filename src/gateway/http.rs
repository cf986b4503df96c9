//! The one gate that every call passes: guard, bounded body, handler, audit of refusals, the headers of the answer.

use super::auth::{Caller, Guard, Role};
use super::enrolment::Enrolment;
use super::error::ApiError;
use super::monitor::Monitor;
use super::routes::{ROUTES, Route};
use super::store::{Actor, Contact, LeaseTerms, Store, StoreError};
use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{RawPathParams, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tower::ServiceExt;

const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("client-request-id");

/// The longest name of an object in a path, in bytes.
const MAX_ID_BYTES: usize = super::validate::MAX_NAME_BYTES;

/// What the handlers share.
pub(super) struct App {
    pub(super) store: Arc<Store>,
    /// How the gateway fares, and what ends when.
    pub(super) monitor: Arc<Monitor>,
    /// Wakes connectors that wait for work.
    pub(super) work: Arc<Notify>,
    /// Turns true when the gateway stops: whoever waits answers at once.
    pub(super) stopping: watch::Receiver<bool>,
    pub(super) terms: LeaseTerms,
    pub(super) max_queued: u32,
    /// How many revocations at once are no mass revocation.
    pub(super) brake: crate::config::RevocationBrake,
    pub(super) max_body_bytes: usize,
    /// Records of old imports are taken.
    pub(super) pkcs1_records: bool,
    /// Memory for bodies, in KiB: all calls together take no more.
    pub(super) body_kib: Arc<Semaphore>,
    pub(super) body_timeout: Duration,
    /// Where connectors' certificates come from; `None`: elsewhere.
    pub(super) enrolment: Option<Enrolment>,
}

impl App {
    /// Runs a job of the database where it may block.
    pub(super) async fn stored<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let store = Arc::clone(&self.store);
        match tokio::task::spawn_blocking(move || job(&store)).await {
            Ok(done) => Ok(done?),
            Err(_) => Err(ApiError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internalError",
                "the gateway failed over this call; it is a fault of the gateway",
            )),
        }
    }
}

/// The other end of a connection, as TLS knows it.
#[derive(Debug, Clone, Default)]
pub(super) struct Peer {
    /// Its verified client certificate.
    pub(super) certificate: Option<Contact>,
}

/// A call that the guard let in.
pub(super) struct Call {
    pub(super) app: Arc<App>,
    pub(super) caller: Caller,
    pub(super) route: &'static Route,
    /// The path's `{id}`; empty where there is none.
    pub(super) id: String,
    pub(super) query: String,
    /// Scheme and host that the caller used.
    pub(super) base: String,
    pub(super) body: Bytes,
}

impl Call {
    /// Who does it, for the audit trail.
    pub(super) fn actor(&self) -> Actor {
        actor(self.route, &self.caller)
    }

    /// The body as the message `T`; unknown properties are named and refused.
    pub(super) fn message<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        message(&self.body)
    }

    /// The connector's certificate.
    pub(super) fn contact(&self) -> Result<Contact, ApiError> {
        match &self.caller {
            Caller::Connector(contact) => Ok(contact.clone()),
            _ => Err(no_certificate()),
        }
    }
}

/// A body as the message `T`; unknown properties are named and refused.
pub(super) fn message<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| {
        let mut why = error.to_string();
        why.truncate(why.floor_char_boundary(300));
        ApiError::bad_request(format!("the body is not the expected message: {why}"))
    })
}

fn actor(route: &Route, caller: &Caller) -> Actor {
    Actor {
        who: caller.name(),
        role: match caller {
            Caller::Token { role, .. } => role.name(),
            Caller::Connector(_) => "connector",
            Caller::Anybody => "anybody",
        },
        action: route.operation,
    }
}

/// A handler's success.
pub(super) struct Reply {
    status: StatusCode,
    body: Option<Vec<u8>>,
}

impl Reply {
    pub(super) fn json<T: Serialize>(status: StatusCode, body: &T) -> Result<Self, ApiError> {
        let body = serde_json::to_vec(body).map_err(|_| {
            ApiError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internalError",
                "the answer has no JSON form; it is a fault of the gateway",
            )
        })?;
        Ok(Self {
            status,
            body: Some(body),
        })
    }

    pub(super) fn empty() -> Self {
        Self {
            status: StatusCode::NO_CONTENT,
            body: None,
        }
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        match self.body {
            Some(body) => (
                self.status,
                [(header::CONTENT_TYPE, "application/json")],
                body,
            )
                .into_response(),
            None => self.status.into_response(),
        }
    }
}

/// Path of the route that answered, for the log.
#[derive(Clone, Copy)]
struct RoutePath(&'static str);

/// What a handler's call becomes.
pub(super) type Answering = Pin<Box<dyn Future<Output = Result<Reply, ApiError>> + Send>>;

/// The router, made from the table of routes.
pub(super) fn router(app: &Arc<App>) -> Router {
    let mut router = Router::new();
    for route in ROUTES.iter().copied() {
        let app = Arc::clone(app);
        let handler = move |params: RawPathParams, request: Request| async move {
            let id = params
                .iter()
                .find_map(|(name, value)| (name == "id").then(|| value.to_owned()))
                .unwrap_or_default();
            let answered = if id.len() > MAX_ID_BYTES || id.contains(char::is_control) {
                // Nothing has such a name; it would only swell the audit trail.
                Err(ApiError::not_found("there is no such object"))
            } else {
                answer(app, route, id, request).await
            };
            let mut response = match answered {
                Ok(reply) => reply.into_response(),
                Err(error) => error.into_response(),
            };
            response.extensions_mut().insert(RoutePath(route.path));
            response
        };
        router = router.route(route.path, on(filter(route), handler));
    }
    router
        .fallback(|| async { ApiError::not_found("there is no such path; see /openapi.json") })
        .method_not_allowed_fallback(|| async {
            ApiError::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "methodNotAllowed",
                "this path has other methods; see /openapi.json",
            )
        })
}

fn filter(route: &Route) -> MethodFilter {
    use super::routes::Verb;
    match route.verb {
        Verb::Get => MethodFilter::GET,
        Verb::Post => MethodFilter::POST,
        Verb::Patch => MethodFilter::PATCH,
        Verb::Delete => MethodFilter::DELETE,
    }
}

async fn answer(
    app: Arc<App>,
    route: &'static Route,
    id: String,
    request: Request,
) -> Result<Reply, ApiError> {
    let (parts, body) = request.into_parts();
    let peer = parts.extensions.get::<Peer>().cloned().unwrap_or_default();
    let caller = admit(&app, route, &parts.headers, peer, &id).await?;
    let (body, _memory) = if route.body.is_some() {
        require_json(&parts.headers)?;
        let (body, memory) = read_body(&app, &parts.headers, body).await?;
        (body, Some(memory))
    } else {
        (Bytes::new(), None)
    };
    let refusal_actor = route.audited.then(|| actor(route, &caller));
    let object = id.clone();
    let call = Call {
        app: Arc::clone(&app),
        caller,
        route,
        id,
        query: parts.uri.query().unwrap_or_default().to_owned(),
        base: base_url(&parts.uri, &parts.headers),
        body,
    };
    let result = (route.handler)(call).await;
    if let (Err(error), Some(actor)) = (&result, refusal_actor) {
        record_refusal(&app, actor, object, error.code).await?;
    }
    result
}

async fn record_refusal(
    app: &App,
    actor: Actor,
    object: String,
    code: &'static str,
) -> Result<(), ApiError> {
    app.stored(move |store| store.audit_refusal(&actor, &object, code))
        .await
}

fn no_certificate() -> ApiError {
    ApiError::new(
        StatusCode::UNAUTHORIZED,
        "clientCertificateRequired",
        "this path is for connectors: it demands a client certificate of the configured CA",
    )
}

/// Decides by the route's guard alone; the body has not been read yet.
async fn admit(
    app: &App,
    route: &'static Route,
    headers: &HeaderMap,
    peer: Peer,
    id: &str,
) -> Result<Caller, ApiError> {
    match route.guard {
        Guard::Anybody => Ok(Caller::Anybody),
        Guard::Connector => peer
            .certificate
            .map(Caller::Connector)
            .ok_or_else(no_certificate),
        Guard::Bearer(roles) => {
            let caller = bearer(app, headers).await?;
            let Caller::Token { role, .. } = &caller else {
                return Err(unauthorized());
            };
            if roles.contains(role) {
                return Ok(caller);
            }
            record_refusal(app, actor(route, &caller), id.to_owned(), "forbidden").await?;
            Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "forbidden",
                format!(
                    "the token's role is {}; this call is for: {}",
                    role.name(),
                    roles
                        .iter()
                        .map(|role| Role::name(*role))
                        .collect::<Vec<_>>()
                        .join(", ")
                ),
            ))
        }
    }
}

fn unauthorized() -> ApiError {
    ApiError::new(
        StatusCode::UNAUTHORIZED,
        "unauthorized",
        "a bearer token is needed that is neither expired nor revoked",
    )
}

async fn bearer(app: &App, headers: &HeaderMap) -> Result<Caller, ApiError> {
    let secret = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, secret)| secret.trim().to_owned())
        .filter(|secret| (1..=256).contains(&secret.len()))
        .ok_or_else(unauthorized)?;
    let token = app
        .stored(move |store| store.find_token(&secret))
        .await?
        .ok_or_else(unauthorized)?;
    Ok(Caller::Token {
        id: token.id,
        name: token.name,
        role: token.role,
    })
}

fn require_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let is_json = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
    if is_json {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupportedMediaType",
        "send the body as application/json",
    ))
}

fn too_large(limit: usize) -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "bodyTooLarge",
        format!("a body has {limit} bytes at most"),
    )
}

/// Memory for so many bytes, in KiB; never none.
fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX)
}

/// The body, and its share of the memory for bodies.
async fn read_body(
    app: &App,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Bytes, OwnedSemaphorePermit), ApiError> {
    let limit = app.max_body_bytes;
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<u64>().ok())
        .map(|length| usize::try_from(length).unwrap_or(usize::MAX));
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    let reading = async {
        let memory = Arc::clone(&app.body_kib)
            .acquire_many_owned(kib(announced.unwrap_or(limit)))
            .await;
        let mut memory = memory.map_err(|_| ApiError::bad_request("the gateway stops"))?;
        let bytes = collect_body(body, limit).await?;
        // A call that waits for work keeps what its body needs, not what it might have needed.
        let surplus = memory
            .num_permits()
            .saturating_sub(usize::try_from(kib(bytes.len())).unwrap_or(usize::MAX));
        drop(memory.split(surplus));
        Ok((bytes, memory))
    };
    match tokio::time::timeout(app.body_timeout, reading).await {
        Ok(read) => read,
        Err(_) => Err(ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            "bodyTimeout",
            "the body did not arrive in time",
        )),
    }
}

async fn collect_body(mut body: Body, limit: usize) -> Result<Bytes, ApiError> {
    let mut bytes = Vec::new();
    loop {
        let frame = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
        match frame {
            None => return Ok(Bytes::from(bytes)),
            Some(Err(_)) => return Err(ApiError::bad_request("the body ended early")),
            Some(Ok(frame)) => {
                let Ok(data) = frame.into_data() else {
                    continue;
                };
                if bytes.len().saturating_add(data.len()) > limit {
                    return Err(too_large(limit));
                }
                bytes.extend_from_slice(&data);
            }
        }
    }
}

/// `https://host`, as the caller named it: only for links in its own answer.
fn base_url(uri: &Uri, headers: &HeaderMap) -> String {
    let host = uri
        .authority()
        .map(ToString::to_string)
        .or_else(|| {
            headers
                .get(header::HOST)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        })
        .filter(|host| {
            !host.is_empty()
                && host.len() <= 261
                && host
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
        });
    host.map(|host| format!("https://{host}"))
        .unwrap_or_default()
}

/// Graph's other spellings of one element, `collection(id)` and `collection('id')`, as `collection/id`.
fn plain_path(path: &str) -> Option<String> {
    let (collection, rest) = path.split_once('(')?;
    if collection != super::routes::RECORDS {
        return None;
    }
    let id = rest.strip_suffix(')')?;
    let id = id
        .strip_prefix('\'')
        .and_then(|id| id.strip_suffix('\''))
        .unwrap_or(id);
    let simple = !id.is_empty()
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    simple.then(|| format!("{collection}/{id}"))
}

/// Answers one HTTP request from `peer`.
pub(super) async fn serve(router: Router, peer: Peer, mut request: Request<Body>) -> Response {
    if let Some(path) = plain_path(request.uri().path()) {
        let query = request
            .uri()
            .query()
            .map(|query| format!("?{query}"))
            .unwrap_or_default();
        let mut parts = request.uri().clone().into_parts();
        parts.path_and_query = format!("{path}{query}").parse().ok();
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
    let client_request_id = request
        .headers()
        .get(CLIENT_REQUEST_ID)
        .filter(|value| value.len() <= 128 && value.as_bytes().iter().all(u8::is_ascii_graphic))
        .cloned();
    request.extensions_mut().insert(peer);
    let method = request.method().clone();
    // The router's error type is Infallible.
    let Ok(mut response) = router.oneshot(request).await;
    let request_id = fips::random::uuid_v4()
        .ok()
        .and_then(|id| HeaderValue::try_from(id).ok());
    // The route, not the path or the query: they hold names of people and objects.
    tracing::debug!(
        request_id = request_id.as_ref().and_then(|id| id.to_str().ok()),
        client_request_id = client_request_id.as_ref().and_then(|id| id.to_str().ok()),
        %method,
        route = response.extensions().get::<RoutePath>().map(|route| route.0),
        status = response.status().as_u16(),
        "answered"
    );
    let headers = response.headers_mut();
    if let Some(value) = request_id {
        headers.insert(REQUEST_ID, value);
    }
    if let Some(value) = client_request_id {
        headers.insert(CLIENT_REQUEST_ID, value);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

/// A JSON body made from a value; for handlers that have no message type.
pub(super) fn ok<T: Serialize>(body: &T) -> Result<Reply, ApiError> {
    Reply::json(StatusCode::OK, body)
}

#[cfg(test)]
mod tests {
    use super::plain_path;

    #[test]
    fn graphs_parenthesised_ids_are_ids() {
        let base = "/beta/deviceManagement/userPfxCertificates";
        let plain = Some(format!("{base}/ab-12"));
        assert_eq!(plain_path(&format!("{base}(ab-12)")), plain);
        assert_eq!(plain_path(&format!("{base}('ab-12')")), plain);
        for other in ["", "()", "('')", "('a/b')", "(a)b", "(%27)", "(ab-12"] {
            assert_eq!(plain_path(&format!("{base}{other}")), None, "{other}");
        }
        assert_eq!(plain_path("/admin/v1/tokens(ab)"), None);
    }
}
