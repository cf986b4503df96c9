//! What anybody may ask.

use crate::gateway::error::ApiError;
use crate::gateway::http::{Call, Reply, ok};
use axum::http::StatusCode;
use serde_json::json;

/// The OpenAPI document.
pub(crate) async fn openapi(_call: Call) -> Result<Reply, ApiError> {
    ok(&crate::gateway::openapi::document())
}

/// Whether the gateway can do its work. Says nothing else about it.
pub(crate) async fn healthz(call: Call) -> Result<Reply, ApiError> {
    if *call.app.stopping.borrow() {
        return Err(ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "stopping",
            "the gateway stops",
        ));
    }
    call.app.stored(|store| store.check()).await?;
    ok(&json!({"status": "ok"}))
}
