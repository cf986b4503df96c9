//! The accept loop: bounded connections, bounded waits, an orderly stop.

use super::enrolment::Enrolment;
use super::error::GatewayError;
use super::handshake::Handshakes;
use super::http::{self, App, Peer};
use super::monitor::Monitor;
use super::store::{LeaseTerms, Offered, Store, StoreError};
use super::tls;
use crate::clock::Clock;
use crate::config::{GatewayConfig, GatewayLimits, LocalCaConfig, RetentionConfig};
use crate::service_manager::{Beats, Notifier};
use crate::telemetry;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use fips::secret::file::{self, Rights};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// Requests that one HTTP/2 connection may have open.
const STREAMS: u32 = 128;
/// All headers of one request together, in bytes.
const HEADER_BYTES: usize = 16 * 1024;
/// Bodies of the largest size that are in memory at once; smaller ones are more.
const LARGEST_BODIES: usize = 64;
/// What an HTTP/2 client may send before somebody reads it, in bytes; whoever has no rights is never read.
const WINDOW_BYTES: u32 = 128 * 1024;
/// How often what is over its time is deleted.
const MAINTENANCE: Duration = Duration::from_secs(60);

/// How long what no connector serves waits before it fails for good.
#[derive(Debug, Clone, Copy)]
struct Unserved {
    revocations_hours: u32,
    certificates_hours: u32,
}

/// A gateway that listens.
pub struct Gateway {
    listener: TcpListener,
    handshakes: Arc<Handshakes>,
    store: Arc<Store>,
    monitor: Arc<Monitor>,
    /// Where `/healthz` and `/metrics` are answered without a token.
    pages: Option<TcpListener>,
    /// Wakes connectors that wait for work.
    work: Arc<Notify>,
    router: Router,
    limits: GatewayLimits,
    retention: RetentionConfig,
    unserved: Unserved,
    stop: watch::Sender<bool>,
    manager: Arc<Notifier>,
}

impl Gateway {
    /// Opens the database, loads the certificates and listens. Nothing is accepted before [`Self::run`].
    ///
    /// # Errors
    /// Whatever of this is not as it should be; nothing listens then.
    pub async fn bind(config: &GatewayConfig, clock: Arc<dyn Clock>) -> Result<Self, GatewayError> {
        Self::bind_with(config, &[], clock).await
    }

    /// The same where `[gateway.enrolment]` may name one of these authorities.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub async fn bind_with(
        config: &GatewayConfig,
        local: &[LocalCaConfig],
        clock: Arc<dyn Clock>,
    ) -> Result<Self, GatewayError> {
        let server = tls::server_config(config)?;
        let enrolment = Enrolment::new(config, local)?;
        let store = Arc::new(Store::open(&config.database, Arc::clone(&clock))?);
        if let Some(enrolment) = &config.enrolment {
            store.overlap_certificates(i64::from(enrolment.old_minutes) * 60_000);
        }
        let monitor = Arc::new(Monitor::new(config, Arc::clone(&store), clock));
        let (stop, stopping) = watch::channel(false);
        let work = Arc::new(Notify::new());
        let app = Arc::new(App {
            store: Arc::clone(&store),
            monitor: Arc::clone(&monitor),
            work: Arc::clone(&work),
            stopping,
            terms: LeaseTerms {
                max: 1,
                lease_ms: config.lease_ms,
                max_leases: config.max_leases,
                offered: Offered::default(),
            },
            max_queued: config.max_queued,
            brake: config.revocation,
            max_body_bytes: config.max_body_bytes,
            pkcs1_records: config.pkcs1_records,
            body_kib: Arc::new(Semaphore::new(
                (config.max_body_bytes / 1024 + 1).saturating_mul(LARGEST_BODIES),
            )),
            body_timeout: Duration::from_millis(config.limits.body_ms),
            enrolment,
        });
        let listen = |source| GatewayError::Listen {
            address: config.listen,
            source,
        };
        let listener = TcpListener::bind(config.listen).await.map_err(listen)?;
        let pages = match config.metrics_listen {
            None => None,
            Some(address) => {
                let bound = telemetry::http::bind(address).await;
                Some(bound.map_err(|source| GatewayError::Listen { address, source })?)
            }
        };
        if let Some(path) = &config.ready_file {
            let address = listener.local_addr().map_err(listen)?;
            announce(path, address).map_err(|source| GatewayError::File {
                path: path.clone(),
                source,
            })?;
        }
        Ok(Self {
            listener,
            handshakes: Arc::new(Handshakes::new(
                server,
                Duration::from_millis(config.limits.handshake_ms),
            )),
            router: http::router(&app),
            store,
            monitor,
            pages,
            work,
            limits: config.limits,
            retention: config.retention,
            unserved: Unserved {
                revocations_hours: config.revocation.unserved_hours,
                certificates_hours: config.unserved_hours,
            },
            stop,
            manager: Arc::default(),
        })
    }

    /// The same, telling a service manager when it serves, that it is alive and when it stops.
    #[must_use]
    pub fn told_to(self, manager: Notifier) -> Self {
        Self {
            manager: Arc::new(manager),
            ..self
        }
    }

    /// The address that it listens on.
    ///
    /// # Errors
    /// The system's own failure.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Where `/healthz` and `/metrics` are answered without a token; none where that is not configured.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.pages.as_ref()?.local_addr().ok()
    }

    /// The database, for commands of the same process.
    #[must_use]
    pub fn store(&self) -> Arc<Store> {
        Arc::clone(&self.store)
    }

    /// Serves until `until` is over, then lets requests in flight finish (bounded by `drain_ms`). Long polls end at once.
    pub async fn run(self, until: impl Future<Output = ()>) {
        let Self {
            listener,
            handshakes,
            store,
            monitor,
            pages,
            router,
            work,
            limits,
            retention,
            unserved,
            stop,
            manager,
        } = self;
        let slots = Arc::new(Semaphore::new(limits.connections));
        let mut connections = JoinSet::new();
        let maintenance = tokio::spawn(maintain(Arc::clone(&store), work, retention, unserved));
        // Dropped with this call, whatever ends it.
        let mut background = JoinSet::new();
        background.spawn(Arc::clone(&monitor).watch());
        if let Some(listener) = pages {
            background.spawn(telemetry::http::serve(listener, monitor.pages()));
        }
        let mut until = pin!(until);
        let mut beats = Beats::new(Arc::clone(&manager));
        let mut told = manager.ready("serving");
        loop {
            let accepted = tokio::select! {
                () = &mut until => break,
                () = beats.due() => {
                    told = told || manager.ready("serving");
                    beats.beat(answers(Arc::clone(&store)));
                    continue;
                }
                accepted = accept(&listener, &slots) => accepted,
                Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            };
            let Some((stream, slot)) = accepted else {
                continue;
            };
            let handshakes = Arc::clone(&handshakes);
            let router = router.clone();
            let stopping = stop.subscribe();
            connections.spawn(async move {
                serve_connection(stream, handshakes, router, limits, stopping).await;
                drop(slot);
            });
        }
        manager.stopping("finishing what is in flight");
        drop(beats);
        drop(listener);
        stop.send_replace(true);
        maintenance.abort();
        background.shutdown().await;
        let drained = timeout(Duration::from_millis(limits.drain_ms), async {
            while connections.join_next().await.is_some() {}
        })
        .await;
        if drained.is_err() {
            tracing::warn!(
                connections = connections.len(),
                "the stop did not wait for all connections"
            );
        }
        connections.shutdown().await;
    }
}

/// Ends when the database has answered, whatever it says.
async fn answers(store: Arc<Store>) {
    let asked = tokio::task::spawn_blocking(move || store.check()).await;
    if let Ok(Err(error)) = asked {
        tracing::warn!(%error, "the database answers with an error");
    }
}

/// The next connection, once there is a place for it.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, slot)),
        Err(error) => {
            // Such as too many open files: going on at once would only spin.
            tracing::warn!(%error, "a connection could not be accepted");
            sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

/// Requests under way on one connection, and when there was last one.
struct Activity {
    open: AtomicUsize,
    since: Instant,
    last_ms: AtomicU64,
}

impl Activity {
    fn touch(&self) {
        let elapsed = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(elapsed, Ordering::Relaxed);
    }

    /// How long the connection may still be idle.
    fn left(&self, idle: Duration) -> Duration {
        if self.open.load(Ordering::Relaxed) > 0 {
            return idle;
        }
        let last = Duration::from_millis(self.last_ms.load(Ordering::Relaxed));
        idle.saturating_sub(self.since.elapsed().saturating_sub(last))
    }
}

/// Counts one request for as long as it lives, also when it is dropped half-way.
struct Underway(Arc<Activity>);

impl Underway {
    fn new(activity: &Arc<Activity>) -> Self {
        activity.open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(activity))
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.0.touch();
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn serve_connection(
    stream: TcpStream,
    handshakes: Arc<Handshakes>,
    router: Router,
    limits: GatewayLimits,
    mut stopping: watch::Receiver<bool>,
) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let stream = tokio::select! {
        accepted = handshakes.accept(stream) => match accepted {
            Some(stream) => stream,
            None => return,
        },
        _ = stopping.wait_for(|stopping| *stopping) => return,
    };
    let session = stream.get_ref().1;
    let peer = Peer {
        certificate: session
            .peer_certificates()
            .and_then(<[_]>::first)
            .map(tls::contact),
    };
    // TLS agreed on the protocol; waiting for the first bytes to tell would have no timeout.
    let is_http2 = session.alpn_protocol() == Some(b"h2");
    let activity = Arc::new(Activity {
        open: AtomicUsize::new(0),
        since: Instant::now(),
        last_ms: AtomicU64::new(0),
    });
    let counted = Arc::clone(&activity);
    let service = service_fn(move |request: Request<Incoming>| {
        let underway = Underway::new(&counted);
        let answering = http::serve(router.clone(), peer.clone(), request.map(Body::new));
        async move {
            let response = answering.await;
            drop(underway);
            Ok::<_, Infallible>(response)
        }
    });
    let builder = builder(&limits, is_http2);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let idle = Duration::from_millis(limits.idle_ms);
    let mut closing = false;
    loop {
        let left = activity.left(idle);
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "connection ended");
                }
                return;
            }
            _ = stopping.wait_for(|stopping| *stopping), if !closing => {
                closing = true;
                connection.as_mut().graceful_shutdown();
            }
            () = sleep(left.max(Duration::from_millis(10))) => {
                if activity.left(idle).is_zero() {
                    if closing {
                        return;
                    }
                    closing = true;
                    activity.touch();
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

fn builder(limits: &GatewayLimits, is_http2: bool) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(limits.header_ms))
        .max_buf_size(HEADER_BYTES.max(64 * 1024));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES.saturating_mul(2))
        .max_header_list_size(u32::try_from(HEADER_BYTES).unwrap_or(u32::MAX))
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    if is_http2 {
        builder.http2_only()
    } else {
        builder.http1_only()
    }
}

/// Renews and deletes what is over its time, now and then every minute.
async fn maintain(
    store: Arc<Store>,
    work: Arc<Notify>,
    retention: RetentionConfig,
    unserved: Unserved,
) {
    loop {
        let (of_purge, of_renewal) = (Arc::clone(&store), Arc::clone(&store));
        let of_unserved = Arc::clone(&store);
        let ended = tokio::task::spawn_blocking(move || {
            let revocations = of_unserved.fail_unserved_revocations(unserved.revocations_hours)?;
            let certificates = of_unserved.fail_unserved_pkcs(unserved.certificates_hours)?;
            Ok::<_, StoreError>((revocations, certificates))
        })
        .await;
        match ended {
            Ok(Ok((0, 0))) | Err(_) => {}
            Ok(Ok((revocations, certificates))) => tracing::warn!(
                revocations,
                certificates,
                "requests have failed: no connector has an authority for the issuer of the certificates to revoke, or the authority of the certificates to issue"
            ),
            Ok(Err(error)) => tracing::error!(%error, "what nobody serves could not be looked at"),
        }
        match tokio::task::spawn_blocking(move || of_renewal.renew_certificates()).await {
            Ok(Ok(0)) => {}
            Ok(Ok(renewed)) => {
                tracing::info!(
                    renewed,
                    "certificates are asked for again before they expire"
                );
                work.notify_waiters();
            }
            Ok(Err(error)) => tracing::error!(%error, "certificates could not be renewed"),
            Err(_) => {}
        }
        match tokio::task::spawn_blocking(move || of_purge.purge(&retention)).await {
            Ok(Ok(purged)) if !purged.is_empty() => {
                tracing::info!(?purged, "deleted what was over its time");
            }
            Ok(Err(error)) => tracing::error!(%error, "retention could not delete"),
            _ => {}
        }
        sleep(MAINTENANCE).await;
    }
}

/// Writes the address where whoever waits for it finds either all of it or nothing.
fn announce(path: &Path, address: SocketAddr) -> std::io::Result<()> {
    file::replace(path, format!("{address}\n").as_bytes(), Rights::AllRead)
}
