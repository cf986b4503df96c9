//! Certificates on request: profiles for administrators, requests for the device management, work for connectors.

use super::connectors::{Waiting, poll};
use crate::gateway::api::{Collection, LeaseRequest, Settled};
use crate::gateway::auth::Caller;
use crate::gateway::error::ApiError;
use crate::gateway::http::{Call, Reply, ok};
use crate::gateway::pkcs_api::{
    DeviceUpdate, FEATURE, PkcsLeaseRequest, PkcsLeaseResponse, PkcsRequest, PkcsRequestAccepted,
    Progress,
};
use crate::gateway::store::{Contact, LeaseTerms, NewPkcsRequest, Store};
use crate::gateway::validate;
use axum::http::StatusCode;
use std::sync::Arc;

/// Has a certificate renewed again that was on hold.
pub(crate) async fn resume_renewal(call: Call) -> Result<Reply, ApiError> {
    let actor = call.actor();
    let id = call.id;
    call.app
        .stored(move |store| store.resume_renewal(&actor, &id))
        .await?;
    Ok(Reply::empty())
}

/// Queues a request for a certificate.
pub(crate) async fn create(call: Call) -> Result<Reply, ApiError> {
    let message: PkcsRequest = call.message()?;
    validate::pkcs::request(&message)?;
    let requested_by = match &call.caller {
        Caller::Token { id, .. } => id.clone(),
        other => other.name(),
    };
    let max_open = call.app.max_queued;
    let queued = call
        .app
        .stored(move |store| {
            store.create_pkcs_request(&NewPkcsRequest {
                message: &message,
                requested_by: &requested_by,
                max_open,
            })
        })
        .await?;
    if queued.queued_now {
        call.app.work.notify_waiters();
    }
    Reply::json(
        StatusCode::ACCEPTED,
        &PkcsRequestAccepted {
            request_id: queued.request_id,
        },
    )
}

/// Takes a device's new certificate.
pub(crate) async fn update_device(call: Call) -> Result<Reply, ApiError> {
    let update: DeviceUpdate = call.message()?;
    validate::pkcs::device_update(&update)?;
    let actor = call.actor();
    let device = call.id;
    ok(&call
        .app
        .stored(move |store| store.update_device(&actor, &device, &update))
        .await?)
}

/// What a device or a user has.
pub(crate) async fn certificates(call: Call) -> Result<Reply, ApiError> {
    let (device, user) = validate::pkcs::certificates_query(&call.query)?;
    let value = call
        .app
        .stored(move |store| store.certificates(device.as_deref(), user.as_deref()))
        .await?;
    ok(&Collection {
        value,
        next_link: None,
    })
}

/// Leases work; waits for some when there is none.
pub(crate) async fn lease(call: Call) -> Result<Reply, ApiError> {
    let message: PkcsLeaseRequest = call.message()?;
    validate::pkcs::lease(&message)?;
    if !message.connector.features.iter().any(|one| one == FEATURE) {
        return Err(ApiError::bad_request(format!(
            "connector.features: only connectors with the feature {FEATURE} take this work"
        )));
    }
    let authorities: Option<Arc<[String]>> = message.authorities.map(Arc::from);
    let asked = LeaseRequest {
        connector: message.connector,
        max: message.max,
        wait_ms: message.wait_ms,
    };
    poll(
        &call,
        asked,
        move |store: &Store, contact: &Contact, instance: &str, terms: &LeaseTerms| {
            let lease = store.lease_pkcs(contact, instance, authorities.as_deref(), terms)?;
            Ok(if lease.work.is_empty() {
                Waiting::Until(lease.next_due_ms)
            } else {
                Waiting::Over(PkcsLeaseResponse { work: lease.work })
            })
        },
        PkcsLeaseResponse { work: Vec::new() },
    )
    .await
}

/// Keeps how far a connector got.
pub(crate) async fn progress(call: Call) -> Result<Reply, ApiError> {
    let message: Progress = call.message()?;
    validate::pkcs::progress(&message)?;
    let contact = call.contact()?;
    let id = call.id;
    let outcome = call
        .app
        .stored(move |store| {
            store.admit_known(&contact)?;
            store.keep_progress(&contact, &id, &message)
        })
        .await?;
    ok(&Settled { outcome })
}
