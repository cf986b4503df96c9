//! Records for `key rotate`: which name a custody key, what they hold, and their replacement.

use crate::encoding::Base64Bytes;
use crate::gateway::error::ApiError;
use crate::gateway::http::{Call, Reply, ok};
use crate::gateway::rotation_api::{RotationPage, RotationRecord, RotationReplacement};
use crate::gateway::validate;

/// Ids on a page.
const PAGE: u32 = 500;

/// The ids of the records that name a custody key.
pub(crate) async fn list(call: Call) -> Result<Reply, ApiError> {
    let (custody_key, after) = validate::rotation_query(&call.query)?;
    let page = call
        .app
        .stored(move |store| store.ids_of_custody_key(&custody_key, after.as_deref(), PAGE))
        .await?;
    ok(&RotationPage {
        ids: page.ids,
        records: page.records,
        more: page.more,
    })
}

/// One record as it is stored.
pub(crate) async fn read(call: Call) -> Result<Reply, ApiError> {
    let actor = call.actor();
    let id = call.id;
    let stored = call
        .app
        .stored(move |store| store.stored_record(&actor, &id))
        .await?;
    ok(&RotationRecord {
        revision: stored.revision,
        record: stored.record,
        pfx: Base64Bytes(stored.pfx),
    })
}

/// Replaces one record.
pub(crate) async fn replace(call: Call) -> Result<Reply, ApiError> {
    let message: RotationReplacement = call.message()?;
    validate::rotated_record(&message.record)?;
    let actor = call.actor();
    let id = call.id;
    call.app
        .stored(move |store| store.replace_record(&actor, &id, &message.revision, &message.record))
        .await?;
    Ok(Reply::empty())
}
