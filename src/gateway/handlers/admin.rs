//! The administrators' side: what there is, who did what, and ending tokens and connectors.

use crate::clock::rfc3339;
use crate::evidence::process::ProcessEvidence;
use crate::gateway::admin_api::{AuditRecord, ConnectorStatus, ServiceStatus, TokenStatus};
use crate::gateway::api::Collection;
use crate::gateway::error::ApiError;
use crate::gateway::http::{Call, Reply, ok};
use serde::Serialize;

/// Entries of the audit trail in one answer.
const AUDIT_PAGE: u32 = 500;

fn collection<T: Serialize>(value: Vec<T>, next_link: Option<String>) -> Result<Reply, ApiError> {
    ok(&Collection { value, next_link })
}

/// The state of the service.
pub(crate) async fn status(call: Call) -> Result<Reply, ApiError> {
    let counts = call.app.stored(|store| store.counts()).await?;
    ok(&ServiceStatus {
        version: crate::VERSION.to_owned(),
        protocol: crate::gateway::api::PROTOCOL_VERSION,
        queued: counts.queued,
        leased: counts.leased,
        completed: counts.completed,
        failed: counts.failed,
        records: counts.records,
        fips: ProcessEvidence::of_this("gateway"),
        health: call.app.monitor.health().state,
        calendar: call.app.monitor.calendar(),
    })
}

/// Every connector.
pub(crate) async fn connectors(call: Call) -> Result<Reply, ApiError> {
    let rows = call.app.stored(|store| store.connectors()).await?;
    collection(
        rows.into_iter()
            .map(|row| ConnectorStatus {
                instance: row.instance,
                certificate: row.certificate,
                subject: row.subject,
                version: row.version,
                features: row.features,
                in_flight: row.in_flight,
                engine_healthy: row.engine_healthy,
                first_contact: rfc3339(row.first_contact_ms),
                last_contact: rfc3339(row.last_contact_ms),
                revoked: row.revoked_ms.map(rfc3339),
            })
            .collect(),
        None,
    )
}

/// Refuses a connector and its certificate from now on.
pub(crate) async fn revoke_connector(call: Call) -> Result<Reply, ApiError> {
    let actor = call.actor();
    let instance = call.id;
    call.app
        .stored(move |store| store.revoke_connector(&actor, &instance))
        .await?;
    call.app.work.notify_waiters();
    Ok(Reply::empty())
}

/// Frees the name of a connector.
pub(crate) async fn forget_connector(call: Call) -> Result<Reply, ApiError> {
    let actor = call.actor();
    let instance = call.id;
    call.app
        .stored(move |store| store.forget_connector(&actor, &instance))
        .await?;
    Ok(Reply::empty())
}

/// Every token.
pub(crate) async fn tokens(call: Call) -> Result<Reply, ApiError> {
    let rows = call.app.stored(|store| store.tokens()).await?;
    collection(
        rows.into_iter()
            .map(|row| TokenStatus {
                id: row.id,
                role: row.role.name().to_owned(),
                name: row.name,
                created: rfc3339(row.created_ms),
                expires: rfc3339(row.expires_ms),
                revoked: row.revoked_ms.map(rfc3339),
            })
            .collect(),
        None,
    )
}

/// Ends a token.
pub(crate) async fn revoke_token(call: Call) -> Result<Reply, ApiError> {
    let actor = call.actor();
    let id = call.id;
    call.app
        .stored(move |store| store.revoke_token(&actor, &id))
        .await?;
    Ok(Reply::empty())
}

/// The audit trail, oldest first; `?after=NUMBER` continues.
pub(crate) async fn audit(call: Call) -> Result<Reply, ApiError> {
    let after = match call.query.as_str() {
        "" => 0,
        query => query
            .strip_prefix("after=")
            .and_then(|number| number.parse().ok())
            .ok_or_else(|| ApiError::bad_request("the only option is ?after=NUMBER"))?,
    };
    let rows = call
        .app
        .stored(move |store| store.audit_entries(after, AUDIT_PAGE))
        .await?;
    let full = u32::try_from(rows.len()).is_ok_and(|rows| rows == AUDIT_PAGE);
    let next_link = rows
        .last()
        .filter(|_| full)
        .map(|last| format!("{}{}?after={}", call.base, call.route.path, last.seq));
    collection(
        rows.into_iter()
            .map(|row| AuditRecord {
                number: row.seq,
                time: rfc3339(row.at_ms),
                who: row.who,
                role: row.role,
                action: row.action,
                object: row.object,
                outcome: row.outcome,
            })
            .collect(),
        next_link,
    )
}
