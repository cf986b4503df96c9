//! The Graph-shaped record API.

use crate::gateway::api::Collection;
use crate::gateway::error::ApiError;
use crate::gateway::http::{Call, Reply, ok};
use crate::gateway::odata;
use crate::gateway::routes::RECORDS;
use crate::gateway::validate;
use axum::http::StatusCode;

/// Stores a new record.
pub(crate) async fn create(call: Call) -> Result<Reply, ApiError> {
    let new = validate::new_record(&call.body)?;
    validate::padding(new.record.padding, call.app.pkcs1_records)?;
    let actor = call.actor();
    let record = call
        .app
        .stored(move |store| store.create_record(&actor, &new))
        .await?;
    Reply::json(StatusCode::CREATED, &record)
}

/// Lists records, page by page.
pub(crate) async fn list(call: Call) -> Result<Reply, ApiError> {
    let query = odata::list_query(&call.query)?;
    let page = call
        .app
        .stored(move |store| store.list_records(&query))
        .await?;
    let next_link = page
        .records
        .last()
        .and_then(|last| last.id.as_deref())
        .filter(|_| page.more)
        .map(|last| odata::next_link(&call.base, RECORDS, &call.query, last));
    ok(&Collection {
        value: page.records,
        next_link,
    })
}

/// Reads one record.
pub(crate) async fn get(call: Call) -> Result<Reply, ApiError> {
    let id = call.id;
    ok(&call.app.stored(move |store| store.record(&id)).await?)
}

/// Changes one record.
pub(crate) async fn update(call: Call) -> Result<Reply, ApiError> {
    let patch = validate::record_patch(&call.body, &call.id)?;
    if let Some(padding) = patch.padding {
        validate::padding(padding, call.app.pkcs1_records)?;
    }
    let actor = call.actor();
    let id = call.id;
    let record = call
        .app
        .stored(move |store| store.update_record(&actor, &id, &patch))
        .await?;
    // Leases of the old content may have gone back to the queue.
    call.app.work.notify_waiters();
    ok(&record)
}

/// Deletes one record.
pub(crate) async fn delete(call: Call) -> Result<Reply, ApiError> {
    let actor = call.actor();
    let id = call.id;
    call.app
        .stored(move |store| store.delete_record(&actor, &id))
        .await?;
    Ok(Reply::empty())
}
