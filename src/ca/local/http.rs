//! What verifiers fetch, over plain HTTP (all of it is signed): `/NAME.crl`, `/NAME-delta.crl`, `/NAME.cer`, and OCSP under `/ocsp`
//! (RFC 6960, appendix A.1).

use super::{ListKind, LocalCa};
use crate::telemetry::http::serve_bounded;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64ct::{Base64, Encoding};
use pki::ocsp::{MAX_REQUEST_BYTES, Unanswered, refusal};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// Connections at once.
const CONNECTIONS: usize = 64;
/// How long one connection may take, from its first byte to the answer's last.
const REQUEST_TIME: Duration = Duration::from_secs(15);

/// Serves until the task is dropped: 64 connections at once, each for one request of 16 KiB at most within 15 seconds.
pub async fn serve(listener: TcpListener, ca: Arc<LocalCa>) {
    let router = Router::new()
        .route("/{file}", get(file))
        .route("/ocsp", post(ocsp_post))
        .route("/ocsp/{*request}", get(ocsp_get))
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
        .with_state(ca);
    serve_bounded(listener, router, CONNECTIONS, REQUEST_TIME).await;
}

async fn file(State(ca): State<Arc<LocalCa>>, Path(file): Path<String>) -> Response {
    let name = ca.authority_name();
    let (content, form) = if file == format!("{name}.crl") {
        (ca.list(ListKind::Full).await, "application/pkix-crl")
    } else if file == format!("{name}-delta.crl") {
        (ca.list(ListKind::Delta).await, "application/pkix-crl")
    } else if file == format!("{name}.cer") {
        (
            Ok(Some(ca.certificate_der().to_vec())),
            "application/pkix-cert",
        )
    } else {
        return StatusCode::NOT_FOUND.into_response();
    };
    match content {
        Ok(Some(der)) => ([(header::CONTENT_TYPE, form)], der).into_response(),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => {
            tracing::error!("{error}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn ocsp_post(State(ca): State<Arc<LocalCa>>, body: Bytes) -> Response {
    answer(ca.ocsp(&body).await)
}

async fn ocsp_get(State(ca): State<Arc<LocalCa>>, Path(request): Path<String>) -> Response {
    // The path was unquoted already; a base64 may hold slashes, which clients quote or not.
    let decoded = Base64::decode_vec(&request);
    answer(match decoded {
        Ok(der) => ca.ocsp(&der).await,
        Err(_) => refusal(Unanswered::MalformedRequest),
    })
}

fn answer(der: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/ocsp-response")], der).into_response()
}
