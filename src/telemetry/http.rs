//! `/healthz` and `/metrics` on a loopback address: no authentication, so nothing beyond this machine may reach it.

use super::health::Health;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Connections at once.
const CONNECTIONS: usize = 32;
/// How long one connection may take, from its first byte to the answer's last.
const REQUEST_TIME: Duration = Duration::from_secs(10);
/// The header of a request, in bytes.
const HEADER_BYTES: usize = 16 * 1024;

/// Where the pages get their content.
#[derive(Clone)]
pub struct Pages {
    /// How the service fares now.
    pub health: Arc<dyn Fn() -> Health + Send + Sync>,
    /// Its metrics as text, with every figure up to date.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

/// Binds the address.
///
/// # Errors
/// When it is not a loopback address or cannot be bound.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    if !address.ip().is_loopback() {
        return Err(std::io::Error::new(
            std::io::ErrorKind::InvalidInput,
            format!(
                "{address} is not a loopback address; health and metrics have no authentication"
            ),
        ));
    }
    TcpListener::bind(address).await
}

/// Serves until the task is dropped, at most 32 connections at once; more wait for their turn. A connection lasts as long as
/// one request: whoever does not send its header, or does not read the answer, within 10 seconds is let go.
pub async fn serve(listener: TcpListener, pages: Pages) {
    serve_bounded(listener, router(pages), CONNECTIONS, REQUEST_TIME).await;
}

fn router(pages: Pages) -> Router {
    Router::new()
        .route("/healthz", get(health))
        .route("/metrics", get(metrics))
        .with_state(pages)
}

/// Serves a router until the task is dropped, at most so many connections at once and each for one request within this time.
pub(crate) async fn serve_bounded(
    listener: TcpListener,
    router: Router,
    most: usize,
    time: Duration,
) {
    let slots = Arc::new(Semaphore::new(most));
    // Dropped with this task, and every connection with it.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            // Such as too many open files: going on at once would only spin.
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        let service = TowerToHyperService::new(router.clone());
        connections.spawn(async move {
            let connection = http1::Builder::new()
                .keep_alive(false)
                .max_buf_size(HEADER_BYTES)
                .serve_connection(TokioIo::new(stream), service);
            // The whole of it: a slow header and a reader that does not read cost the same place.
            let _ = timeout(time, connection).await;
            drop(slot);
        });
    }
}

async fn health(State(pages): State<Pages>) -> Response {
    let health = (pages.health)();
    let status = if health.healthy {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(health)).into_response()
}

async fn metrics(State(pages): State<Pages>) -> Response {
    let form = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, form)], (pages.metrics)()).into_response()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    #[tokio::test]
    async fn connections_that_say_nothing_do_not_keep_others_out() {
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        let pages = Pages {
            health: Arc::new(|| unreachable!()),
            metrics: Arc::new(|| "figures 1\n# EOF\n".to_owned()),
        };
        let time = Duration::from_millis(200);
        let server = tokio::spawn(serve_bounded(listener, router(pages), 2, time));
        let mut silent = Vec::new();
        for _ in 0..4 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET /metrics HT").await.unwrap();
            silent.push(stream);
        }
        let mut asking = TcpStream::connect(address).await.unwrap();
        asking
            .write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        let read = asking.read_to_string(&mut answer);
        timeout(Duration::from_secs(30), read)
            .await
            .unwrap()
            .unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.ends_with("# EOF\n"), "{answer}");
        server.abort();
    }
}
