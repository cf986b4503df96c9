//! The device management's side.

use crate::gateway::api::{DeviceRequest, DeviceRequestAccepted};
use crate::gateway::auth::Caller;
use crate::gateway::error::ApiError;
use crate::gateway::http::{Call, Reply, ok};
use crate::gateway::profiles_api::ImportRequest;
use crate::gateway::store::{Accepted, NewDeviceRequest, Store, StoreError};
use crate::gateway::validate;
use axum::http::StatusCode;

/// Queues one request for each certificate of the user.
pub(crate) async fn create(call: Call) -> Result<Reply, ApiError> {
    let message: DeviceRequest = call.message()?;
    validate::device_request(&message)?;
    queue(call, message, Store::create_device_request).await
}

/// The same by a profile.
pub(crate) async fn create_by_profile(call: Call) -> Result<Reply, ApiError> {
    let message: ImportRequest = call.message()?;
    validate::profiles::import_request(&message)?;
    queue(call, message, Store::create_import_request).await
}

async fn queue<M: Send + 'static>(
    call: Call,
    message: M,
    how: fn(&Store, &NewDeviceRequest<'_, M>) -> Result<Accepted, StoreError>,
) -> Result<Reply, ApiError> {
    let requested_by = match &call.caller {
        Caller::Token { id, .. } => id.clone(),
        other => other.name(),
    };
    let max_open = call.app.max_queued;
    let accepted = call
        .app
        .stored(move |store| {
            let new = NewDeviceRequest {
                message: &message,
                requested_by: &requested_by,
                max_open,
            };
            how(store, &new)
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
