//! `/healthz` and `/metrics` on a loopback address: no authentication, so nothing beyond this machine may reach it.

use super::health::Health;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;

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

/// Serves until the task is dropped.
pub async fn serve(listener: TcpListener, pages: Pages) {
    let router = Router::new()
        .route("/healthz", get(health))
        .route("/metrics", get(metrics))
        .with_state(pages);
    let _ = axum::serve(listener, router).await;
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
