//! Revocations: asked for by the device management or an administrator, released where the brake holds them, leased by connectors.

use super::connectors::{Waiting, poll};
use crate::gateway::api::{Collection, LeaseRequest};
use crate::gateway::auth::Caller;
use crate::gateway::error::ApiError;
use crate::gateway::http::{Call, Reply, ok};
use crate::gateway::revocation_api::{
    FEATURE, Reason, RevocationLeaseRequest, RevocationLeaseResponse, RevocationRequest,
    RevocationsAccepted,
};
use crate::gateway::store::{
    Contact, CreateRevocations, LeaseTerms, NamedCertificate, RevocationsQueued, Store,
};
use crate::gateway::validate;
use axum::http::StatusCode;
use std::sync::Arc;

/// Revocations in one list.
const PAGE: u32 = 500;

/// The token that calls.
fn token(call: &Call) -> String {
    match &call.caller {
        Caller::Token { id, .. } => id.clone(),
        other => other.name(),
    }
}

/// Queues what a call asks for, by `how`, and answers with what became of it.
async fn queue(
    call: Call,
    certificates: Vec<NamedCertificate>,
    reason: Reason,
    idempotency_key: Option<String>,
    how: impl FnOnce(
        &Store,
        &CreateRevocations<'_>,
    ) -> Result<RevocationsQueued, crate::gateway::store::StoreError>
    + Send
    + 'static,
) -> Result<Reply, ApiError> {
    let (requested_by, actor) = (token(&call), call.actor());
    let (max_open, brake) = (call.app.max_queued, call.app.brake);
    let queued = call
        .app
        .stored(move |store| {
            let new = CreateRevocations {
                certificates: &certificates,
                reason,
                idempotency_key: idempotency_key.as_deref(),
                requested_by: &requested_by,
                actor: &actor,
                max_open,
                brake,
            };
            how(store, &new)
        })
        .await?;
    if queued.queued > 0 {
        call.app.work.notify_waiters();
    }
    if queued.held > 0 {
        tracing::warn!(
            held = queued.held,
            who = call.caller.name(),
            "revocations are held by the brake against mass revocation: an administrator has to release or drop them"
        );
    }
    Reply::json(
        StatusCode::ACCEPTED,
        &RevocationsAccepted {
            revocations: queued.revocations,
        },
    )
}

/// Queues revocations.
pub(crate) async fn create(call: Call) -> Result<Reply, ApiError> {
    let message: RevocationRequest = call.message()?;
    let certificates = validate::revocation::request(&message)?;
    let (reason, key) = (message.reason, message.idempotency_key);
    queue(call, certificates, reason, key, |store, new| {
        store.create_revocations(new)
    })
    .await
}

/// Queues the revocation of everything that a device has.
pub(crate) async fn retire(call: Call) -> Result<Reply, ApiError> {
    let device = call.id.clone();
    let reason = Reason::CessationOfOperation;
    queue(call, Vec::new(), reason, None, move |store, new| {
        store.retire_device(&device, new)
    })
    .await
}

/// Where a revocation stands.
pub(crate) async fn state(call: Call) -> Result<Reply, ApiError> {
    let id = call.id;
    ok(&call.app.stored(move |store| store.revocation(&id)).await?)
}

/// Revocations, oldest first.
pub(crate) async fn list(call: Call) -> Result<Reply, ApiError> {
    let wanted = validate::revocation::list_query(&call.query)?;
    let kept: String = call
        .query
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.starts_with("after="))
        .map(|pair| format!("{pair}&"))
        .collect();
    let rows = call
        .app
        .stored(move |store| {
            let after = wanted.after.unwrap_or(0);
            store.revocations(wanted.device_id.as_deref(), wanted.state, after, PAGE)
        })
        .await?;
    let is_full = u32::try_from(rows.len()).is_ok_and(|rows| rows == PAGE);
    let next_link = rows
        .last()
        .filter(|_| is_full)
        .map(|(number, _)| format!("{}{}?{kept}after={number}", call.base, call.route.path));
    ok(&Collection {
        value: rows.into_iter().map(|(_, status)| status).collect(),
        next_link,
    })
}

/// Lets a revocation that is held into the queue.
pub(crate) async fn release(call: Call) -> Result<Reply, ApiError> {
    let (token, actor) = (token(&call), call.actor());
    let ids = [call.id];
    call.app
        .stored(move |store| store.release_revocations(&actor, Some(&token), &ids))
        .await?;
    call.app.work.notify_waiters();
    Ok(Reply::empty())
}

/// Ends a revocation that is held.
pub(crate) async fn drop_held(call: Call) -> Result<Reply, ApiError> {
    let actor = call.actor();
    let ids = [call.id];
    call.app
        .stored(move |store| store.drop_revocations(&actor, &ids))
        .await?;
    Ok(Reply::empty())
}

/// Leases work; waits for some when there is none.
pub(crate) async fn lease(call: Call) -> Result<Reply, ApiError> {
    let message: RevocationLeaseRequest = call.message()?;
    validate::revocation::lease(&message)?;
    if !message.connector.features.iter().any(|one| one == FEATURE) {
        return Err(ApiError::bad_request(format!(
            "connector.features: only connectors with the feature {FEATURE} take this work"
        )));
    }
    let issuers: Arc<[String]> = message.issuers.into();
    let asked = LeaseRequest {
        connector: message.connector,
        max: message.max,
        wait_ms: message.wait_ms,
    };
    poll(
        &call,
        asked,
        move |store: &Store, contact: &Contact, instance: &str, terms: &LeaseTerms| {
            let lease = store.lease_revocations(contact, instance, &issuers, terms)?;
            Ok(if lease.work.is_empty() {
                Waiting::Until(lease.next_due_ms)
            } else {
                Waiting::Over(RevocationLeaseResponse { work: lease.work })
            })
        },
        RevocationLeaseResponse { work: Vec::new() },
    )
    .await
}
