//! The service's side as a strict small server: fences, leases that expire, completions counted, and faults on demand.

use crate::pki::Pki;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use pfx_connector::engine::api::{CmsFormat, Delivery as DeliveryKind, DeviceTarget};
use pfx_connector::gateway::api::*;
use pfx_connector::record::Record;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What goes wrong with every call until it is healed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    Status(u16),
    Hang,
    Garbage,
    WrongTypes,
    /// Connections end in the middle of an answer.
    HalfClosed,
}

/// Which calls it goes wrong with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    Lease,
    Answers,
    Everything,
}

#[derive(Default, Debug, Clone)]
pub(crate) struct Item {
    pub(crate) fence: u64,
    pub(crate) leases: u32,
    pub(crate) leased_until: Option<Instant>,
    pub(crate) result: Option<Vec<u8>>,
    pub(crate) failure: Option<FailureReport>,
    pub(crate) completions: u32,
    pub(crate) requeued: u32,
    /// Offered at every poll whatever happened.
    pub(crate) stuck: bool,
    /// Nobody gets it after the one that has it now: given back, it has failed.
    pub(crate) last_lease: bool,
    /// Which PFX its record has now.
    pub(crate) revision: u8,
    accepted_fence: u64,
}

impl Item {
    pub(crate) fn is_settled(&self) -> bool {
        self.result.is_some() || self.failure.is_some()
    }
}

pub(crate) struct Inner {
    pub(crate) items: BTreeMap<String, Item>,
    pub(crate) lease_ms: u64,
    pub(crate) fault: (Fault, On),
    pub(crate) polls: u32,
    /// Requests for work that wait for some.
    pub(crate) waiting: u32,
    pub(crate) heartbeats: u32,
    pub(crate) faults: u32,
    pub(crate) answers_again: u32,
    pub(crate) extends: u32,
    pub(crate) device_id: String,
    connections: Vec<tokio::task::AbortHandle>,
}

#[derive(Clone)]
pub(crate) struct Service {
    address: SocketAddr,
    pub(crate) inner: Arc<Mutex<Inner>>,
    wake: Arc<tokio::sync::Notify>,
}

impl Service {
    pub(crate) async fn start(pki: &Pki) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let service = Self {
            address: listener.local_addr().unwrap(),
            inner: Arc::new(Mutex::new(Inner {
                items: BTreeMap::new(),
                lease_ms: 3_000,
                fault: (Fault::None, On::Everything),
                polls: 0,
                waiting: 0,
                heartbeats: 0,
                faults: 0,
                answers_again: 0,
                extends: 0,
                device_id: "device".to_owned(),
                connections: Vec::new(),
            })),
            wake: Arc::new(tokio::sync::Notify::new()),
        };
        let router = Router::new()
            .route("/connector/v1/lease", post(lease))
            .route("/connector/v1/requests/{id}/extend", post(extend))
            .route("/connector/v1/requests/{id}/complete", post(complete))
            .route("/connector/v1/requests/{id}/fail", post(fail))
            .route("/connector/v1/heartbeat", post(heartbeat))
            .layer(axum::middleware::from_fn(name_answer))
            .layer(axum::extract::DefaultBodyLimit::max(16 << 20))
            .with_state(service.clone());
        let usual = tls(pki, &[b"h2", b"http/1.1"]);
        let plain = tls(pki, &[b"http/1.1"]);
        let this = service.clone();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let half = this.inner.lock().unwrap().fault.0 == Fault::HalfClosed;
                let acceptor = if half { plain.clone() } else { usual.clone() };
                let (router, that) = (router.clone(), this.clone());
                let task = tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(tcp).await else {
                        return;
                    };
                    if half {
                        let mut buffer = [0; 4096];
                        let _ = stream.read(&mut buffer).await;
                        let _ = stream
                            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"work\":[")
                            .await;
                        let _ = stream.flush().await;
                        that.inner.lock().unwrap().faults += 1;
                        return;
                    }
                    let _ = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
                        .await;
                });
                this.inner
                    .lock()
                    .unwrap()
                    .connections
                    .push(task.abort_handle());
            }
        });
        service
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    pub(crate) fn add(&self, id: &str) {
        self.inner
            .lock()
            .unwrap()
            .items
            .insert(id.to_owned(), Item::default());
        self.wake.notify_waiters();
    }

    pub(crate) fn item(&self, id: &str) -> Item {
        self.inner.lock().unwrap().items[id].clone()
    }

    pub(crate) fn unsettled(&self) -> usize {
        self.inner
            .lock()
            .unwrap()
            .items
            .values()
            .filter(|item| !item.is_settled())
            .count()
    }

    pub(crate) fn set_fault(&self, fault: Fault, on: On) {
        let mut inner = self.inner.lock().unwrap();
        let closing = fault == Fault::HalfClosed || inner.fault.0 == Fault::HalfClosed;
        inner.fault = (fault, on);
        inner.faults = 0;
        // Connections that were opened under the other rules must not live on.
        if closing {
            inner.connections.drain(..).for_each(|task| task.abort());
        }
    }

    pub(crate) fn faults(&self) -> u32 {
        self.inner.lock().unwrap().faults
    }

    async fn misbehave(&self, on: On) -> Option<Response> {
        let fault = {
            let mut inner = self.inner.lock().unwrap();
            let (fault, scope) = inner.fault;
            if fault == Fault::None || (scope != on && scope != On::Everything) {
                return None;
            }
            inner.faults += 1;
            fault
        };
        Some(match fault {
            Fault::None | Fault::HalfClosed => return None,
            Fault::Status(code) => StatusCode::from_u16(code).unwrap().into_response(),
            Fault::Hang => std::future::pending().await,
            Fault::Garbage => "\u{0}\u{1}{{{ no json".into_response(),
            Fault::WrongTypes => Json(serde_json::json!({
                "work": [{"requestId": 7}, {"requestId": "../../etc", "fence": "x"}, 12],
                "outcome": 3, "leaseMs": "long"
            }))
            .into_response(),
        })
    }
}

fn tls(pki: &Pki, protocols: &[&[u8]]) -> TlsAcceptor {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(pki.path("ca.pem")).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let identity = fips::tls::Identity {
        chain: CertificateDer::pem_file_iter(pki.path("server.pem"))
            .unwrap()
            .map(Result::unwrap)
            .collect(),
        private_key: PrivateKeyDer::from_pem_file(pki.path("server.key")).unwrap(),
    };
    let clients = fips::tls::ClientCertificates::Demanded(roots);
    let config = fips::tls::server_config(identity, clients, protocols).unwrap();
    TlsAcceptor::from(Arc::new(config))
}

fn work_item(id: &str, item: &Item, lease_ms: u64, device_id: &str) -> WorkItem {
    WorkItem {
        request_id: id.to_owned(),
        fence: item.fence,
        attempt: item.leases,
        lease_ms,
        device_id: device_id.to_owned(),
        record: Record {
            user_principal_name: "user@example.org".to_owned(),
            thumbprint: "ab".repeat(20),
            provider_name: "pkcs11".to_owned(),
            key_name: "custody".to_owned(),
            custody_key: None,
            padding: hsm::Padding::OaepSha256,
            encrypted_password: vec![1; 256].into(),
            importer_signature: None,
        },
        pfx: vec![item.revision; 1000].into(),
        device: DeviceTarget {
            certificate: vec![3; 500].into(),
            intermediates: Vec::new(),
        },
        format: CmsFormat::Modern,
        delivery: DeliveryKind::Password,
        others: Vec::new(),
    }
}

/// Gives an answer a name that shows which call it belongs to.
async fn name_answer(request: Request, next: Next) -> Response {
    let theirs = request.headers()["client-request-id"].clone();
    let mut response = next.run(request).await;
    let ours = format!("answer-{}", theirs.to_str().unwrap());
    response
        .headers_mut()
        .insert("request-id", ours.parse().unwrap());
    response
}

fn check_identity(identity: &ConnectorIdentity) {
    assert_eq!(identity.protocol, PROTOCOL_VERSION);
    assert!(!identity.version.is_empty());
    // The others of a connector that has certificates issued and revoked, which this service knows nothing of.
    let features: Vec<&str> = identity.features.iter().map(String::as_str).collect();
    assert!(
        matches!(
            *features,
            ["pfxImport"] | ["pfxImport", "pkcs", "revocation"]
        ),
        "{features:?}"
    );
}

/// A request for work, until it is answered or its connection is gone.
struct Waiting(Service);

impl Waiting {
    fn begin(service: &Service) -> Self {
        service.inner.lock().unwrap().waiting += 1;
        Self(service.clone())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.inner.lock().unwrap().waiting -= 1;
    }
}

async fn lease(State(service): State<Service>, Json(request): Json<LeaseRequest>) -> Response {
    check_identity(&request.connector);
    assert!((1..=256).contains(&request.max) && request.wait_ms <= 60_000);
    service.inner.lock().unwrap().polls += 1;
    if let Some(response) = service.misbehave(On::Lease).await {
        return response;
    }
    let until = Instant::now() + Duration::from_millis(request.wait_ms);
    let _waiting = Waiting::begin(&service);
    loop {
        let notified = service.wake.notified();
        let (work, next) = offer(&service, request.max);
        if !work.is_empty() || Instant::now() >= until {
            return Json(LeaseResponse { work }).into_response();
        }
        let next = next.unwrap_or(until).min(until);
        let _ = tokio::time::timeout_at(next.into(), notified).await;
    }
}

fn offer(service: &Service, max: u32) -> (Vec<WorkItem>, Option<Instant>) {
    let mut inner = service.inner.lock().unwrap();
    let (now, lease_ms, device_id) = (Instant::now(), inner.lease_ms, inner.device_id.clone());
    let (mut work, mut taken, mut next) = (Vec::new(), 0, None::<Instant>);
    for (id, item) in &mut inner.items {
        // What is stuck comes beyond what was asked for: a broken service knows no measure.
        let due =
            !item.is_settled() && taken < max && item.leased_until.is_none_or(|until| until <= now);
        if !item.is_settled()
            && let Some(until) = item.leased_until
        {
            next = Some(next.map_or(until, |next| next.min(until)));
        }
        if due || item.stuck {
            taken += u32::from(!item.stuck);
            item.fence += 1;
            item.leases += 1;
            item.leased_until = Some(now + Duration::from_millis(lease_ms));
            work.push(work_item(id, item, lease_ms, &device_id));
        }
    }
    (work, next)
}

fn stale() -> Response {
    let error = FailureReport {
        code: "staleLease".to_owned(),
        message: "not yours".to_owned(),
    };
    (StatusCode::CONFLICT, Json(ErrorBody { error })).into_response()
}

fn with_item(
    service: &Service,
    id: &str,
    change: impl FnOnce(&mut Item) -> Option<Outcome>,
) -> Response {
    let mut inner = service.inner.lock().unwrap();
    let Some(item) = inner.items.get_mut(id) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let settled_before = item.is_settled();
    let outcome = change(item);
    if settled_before && outcome.is_some() {
        inner.answers_again += 1;
    }
    service.wake.notify_waiters();
    match outcome {
        Some(outcome) => Json(Settled { outcome }).into_response(),
        None => stale(),
    }
}

async fn extend(
    State(service): State<Service>,
    Path(id): Path<String>,
    Json(fence): Json<Fence>,
) -> Response {
    if let Some(response) = service.misbehave(On::Answers).await {
        return response;
    }
    let mut inner = service.inner.lock().unwrap();
    inner.extends += 1;
    let lease_ms = inner.lease_ms;
    match inner.items.get_mut(&id) {
        None => StatusCode::NOT_FOUND.into_response(),
        Some(item) if item.is_settled() || item.fence != fence.fence => stale(),
        Some(item) => {
            item.leased_until = Some(Instant::now() + Duration::from_millis(lease_ms));
            Json(Extended { lease_ms }).into_response()
        }
    }
}

async fn complete(
    State(service): State<Service>,
    Path(id): Path<String>,
    Json(completion): Json<Completion>,
) -> Response {
    if let Some(response) = service.misbehave(On::Answers).await {
        return response;
    }
    with_item(&service, &id, |item| {
        let bytes = completion.encrypted_password.0;
        assert!(bytes.starts_with(format!("cms of {id} ").as_bytes()));
        if item.result.is_some() && (item.accepted_fence == completion.fence || item.stuck) {
            return Some(Outcome::AlreadyAccepted);
        }
        if item.is_settled() || item.fence != completion.fence {
            return None;
        }
        item.completions += 1;
        item.accepted_fence = completion.fence;
        item.result = Some(bytes);
        Some(Outcome::Accepted)
    })
}

async fn fail(
    State(service): State<Service>,
    Path(id): Path<String>,
    Json(failure): Json<RequestFailure>,
) -> Response {
    if let Some(response) = service.misbehave(On::Answers).await {
        return response;
    }
    with_item(&service, &id, |item| {
        if item.failure.is_some() && (item.accepted_fence == failure.fence || item.stuck) {
            return Some(Outcome::AlreadyAccepted);
        }
        if item.is_settled() || item.fence != failure.fence {
            return None;
        }
        if failure.retry && !item.last_lease {
            item.leased_until = None;
            item.fence += 1;
            item.requeued += 1;
            return Some(Outcome::Requeued);
        }
        item.accepted_fence = failure.fence;
        item.failure = Some(failure.failure);
        Some(Outcome::Accepted)
    })
}

async fn heartbeat(State(service): State<Service>, Json(beat): Json<Heartbeat>) -> Response {
    check_identity(&beat.connector);
    if let Some(response) = service.misbehave(On::Answers).await {
        return response;
    }
    service.inner.lock().unwrap().heartbeats += 1;
    StatusCode::NO_CONTENT.into_response()
}

/// Completions for each request that has a result.
pub(crate) fn completions(service: &Service) -> HashMap<String, u32> {
    let inner = service.inner.lock().unwrap();
    inner
        .items
        .iter()
        .map(|(id, item)| (id.clone(), item.completions))
        .collect()
}
