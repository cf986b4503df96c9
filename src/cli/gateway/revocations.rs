//! `gateway revocations`: what the brake against mass revocation holds, on the gateway's own database.

use super::{failed, local_actor};
use crate::cli::output::{Failure, Report};
use crate::encoding::printable;
use crate::gateway::revocation_api::{RevocationState, RevocationStatus};
use crate::gateway::store::{Store, StoreError};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

/// Revocations read at once.
const PAGE: u32 = 1_000;

#[derive(Debug, Subcommand)]
pub(super) enum RevocationsCommand {
    /// List revocations; those that are held unless told otherwise
    List {
        /// In which state
        #[arg(long, value_enum, default_value_t = StateName::Held)]
        state: StateName,
    },
    /// Let what is held into the queue, once it is known that it is meant
    Release(Which),
    /// End what is held: nothing is revoked
    Drop(Which),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum StateName {
    Queued,
    Held,
    Leased,
    Completed,
    Failed,
}

impl From<StateName> for RevocationState {
    fn from(name: StateName) -> Self {
        match name {
            StateName::Queued => Self::Queued,
            StateName::Held => Self::Held,
            StateName::Leased => Self::Leased,
            StateName::Completed => Self::Completed,
            StateName::Failed => Self::Failed,
        }
    }
}

/// Which of them.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Which {
    /// Names of requests, as `list` shows them
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// Everything that is held
    #[arg(long)]
    all: bool,
}

pub(super) fn run(command: &RevocationsCommand, store: &Store) -> Result<Report, Failure> {
    match command {
        RevocationsCommand::List { state } => {
            let found = all(store, (*state).into())?;
            let lines: Vec<String> = found.iter().map(line).collect();
            let text = if lines.is_empty() {
                "none".to_owned()
            } else {
                lines.join("\n")
            };
            Ok(Report::done(json!({"revocations": found}), text))
        }
        RevocationsCommand::Release(which) => {
            let ids = ids(store, which)?;
            store
                .release_revocations(&local_actor("releaseRevocation"), None, &ids)
                .map_err(refused)?;
            Ok(Report::done(
                json!({"released": ids}),
                format!("{} released", ids.len()),
            ))
        }
        RevocationsCommand::Drop(which) => {
            let ids = ids(store, which)?;
            store
                .drop_revocations(&local_actor("dropRevocation"), &ids)
                .map_err(refused)?;
            Ok(Report::done(
                json!({"dropped": ids}),
                format!("{} dropped", ids.len()),
            ))
        }
    }
}

fn refused(error: StoreError) -> Failure {
    match error {
        StoreError::NotFound => Failure::failed(
            "gateway_revocations",
            "one of them is not held; nothing was changed",
        )
        .hint("`gateway revocations list` shows what is held"),
        other => Failure::failed("gateway_revocations", other.to_string()),
    }
}

fn all(store: &Store, state: RevocationState) -> Result<Vec<RevocationStatus>, Failure> {
    let mut found = Vec::new();
    let mut after = 0;
    loop {
        let page = store
            .revocations(None, Some(state), after, PAGE)
            .map_err(failed("gateway_database"))?;
        let Some((last, _)) = page.last() else {
            return Ok(found);
        };
        after = *last;
        found.extend(page.into_iter().map(|(_, status)| status));
    }
}

fn ids(store: &Store, which: &Which) -> Result<Vec<String>, Failure> {
    if !which.all {
        return Ok(which.ids.clone());
    }
    let held = all(store, RevocationState::Held)?;
    Ok(held.into_iter().map(|status| status.request_id).collect())
}

fn line(status: &RevocationStatus) -> String {
    let failure = status.failure.as_ref().or(status.last_failure.as_ref());
    let failure = failure.map_or_else(String::new, |failure| {
        format!("  {}: {}", failure.code, failure.message)
    });
    printable(&format!(
        "{}  {}  {}  {}  {}  {}{failure}",
        status.request_id,
        status.created_date_time,
        status.reason.name(),
        status.serial_number,
        status.issuer,
        status.device_id.as_deref().unwrap_or("-"),
    ))
    .to_string()
}
