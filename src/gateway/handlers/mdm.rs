//! The device management's side.

use crate::gateway::api::{DeviceRequest, DeviceRequestAccepted};
use crate::gateway::auth::Caller;
use crate::gateway::error::ApiError;
use crate::gateway::http::{Call, Reply, ok};
use crate::gateway::store::NewDeviceRequest;
use crate::gateway::validate;
use axum::http::StatusCode;

/// Queues one request for each certificate of the user.
pub(crate) async fn create(call: Call) -> Result<Reply, ApiError> {
    let message: DeviceRequest = call.message()?;
    validate::device_request(&message)?;
    let requested_by = match &call.caller {
        Caller::Token { id, .. } => id.clone(),
        other => other.name(),
    };
    let max_open = call.app.max_queued;
    let accepted = call
        .app
        .stored(move |store| {
            store.create_device_request(&NewDeviceRequest {
                message: &message,
                requested_by: &requested_by,
                max_open,
            })
        })
        .await?;
    if accepted.queued_now {
        call.app.work.notify_waiters();
    }
    Reply::json(
        StatusCode::ACCEPTED,
        &DeviceRequestAccepted {
            requests: accepted.requests,
        },
    )
}

/// Where a request stands.
pub(crate) async fn state(call: Call) -> Result<Reply, ApiError> {
    let id = call.id;
    ok(&call
        .app
        .stored(move |store| store.request_state(&id))
        .await?)
}

/// The result of a request.
pub(crate) async fn collect(call: Call) -> Result<Reply, ApiError> {
    let id = call.id;
    ok(&call.app.stored(move |store| store.collect(&id)).await?)
}
