//! Profiles of every kind, for administrators.

use crate::gateway::api::Collection;
use crate::gateway::error::ApiError;
use crate::gateway::http::{Call, Reply, ok};
use crate::gateway::profiles_api::{ProfileEntry, StoredProfile};
use crate::gateway::validate;
use axum::http::StatusCode;

/// Stores a profile that `check` finds nothing wrong with.
pub(crate) async fn create<P: StoredProfile>(
    call: Call,
    check: fn(&P) -> Result<(), ApiError>,
) -> Result<Reply, ApiError> {
    let entry: ProfileEntry<P> = call.message()?;
    validate::profiles::entry(&entry, check)?;
    let actor = call.actor();
    let stored = entry.clone();
    call.app
        .stored(move |store| store.create_profile(&actor, &stored))
        .await?;
    Reply::json(StatusCode::CREATED, &entry)
}

/// Every profile of a kind.
pub(crate) async fn list<P: StoredProfile>(call: Call) -> Result<Reply, ApiError> {
    ok(&Collection {
        value: call.app.stored(|store| store.profiles::<P>()).await?,
        next_link: None,
    })
}

/// One profile.
pub(crate) async fn one<P: StoredProfile>(call: Call) -> Result<Reply, ApiError> {
    let name = call.id;
    ok(&call
        .app
        .stored(move |store| store.profile::<P>(&name))
        .await?)
}

/// Puts another profile in the place of one.
pub(crate) async fn replace<P: StoredProfile>(
    call: Call,
    check: fn(&P) -> Result<(), ApiError>,
) -> Result<Reply, ApiError> {
    let profile: P = call.message()?;
    check(&profile)?;
    let actor = call.actor();
    let name = call.id;
    call.app
        .stored(move |store| store.replace_profile(&actor, &name, &profile))
        .await?;
    Ok(Reply::empty())
}

/// Ends a profile.
pub(crate) async fn delete<P: StoredProfile>(call: Call) -> Result<Reply, ApiError> {
    let actor = call.actor();
    let name = call.id;
    call.app
        .stored(move |store| store.delete_profile::<P>(&actor, &name))
        .await?;
    Ok(Reply::empty())
}
