//! What anybody may ask.

use crate::gateway::error::ApiError;
use crate::gateway::http::{Call, Reply, ok};
use crate::telemetry::health::HealthState;
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
    // What it is, only who has a token is told.
    let word = match call.app.monitor.health().state {
        HealthState::Healthy => "ok",
        HealthState::Degraded => "degraded",
        HealthState::Unhealthy => {
            return Err(ApiError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unhealthy",
                "the gateway cannot do its work: `gateway status` and its log say why",
            ));
        }
    };
    ok(&json!({"status": word}))
}
