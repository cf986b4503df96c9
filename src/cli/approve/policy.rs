//! `approve policy`: what a configuration changes, against what the engine last started with.

use super::request::write_request;
use super::{RequestArgs, not_made};
use crate::cli::files;
use crate::cli::output::{Failure, Report};
use crate::config::{self, EngineConfig, PinPolicy};
use crate::engine::policy::{EnginePolicy, approvals_folder, text_of};
use audit::approval::{Change, Request};
use audit::event::Opened;
use audit::storage::Folder;
use audit::{Log, Options};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;

/// `approve policy`.
#[derive(Debug, Args)]
pub(super) struct PolicyArgs {
    /// Configuration file with [engine], as it is to be
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    #[command(flatten)]
    request: RequestArgs,
    /// The request file; one that exists is not overwritten. Without it nothing is written
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Shows what changes, and makes the request.
pub(super) fn run(args: &PolicyArgs) -> Result<Report, Failure> {
    if let Some(out) = &args.out {
        files::must_be_new(out)?;
    }
    let whole = config::load(&args.config)?;
    let engine = whole.checked_engine("approve policy", PinPolicy::Person)?;
    whole.start_module()?;
    let policy = EnginePolicy::load(&engine)
        .map_err(|error| Failure::usage("engine_configuration", error.to_string()))?;
    let after = text_of(&engine, &policy, &whole.fips.policy());
    let last = last_start(&engine, &policy)?;
    let changes = last.rules.changes(&after);
    let (before, digest) = (last.rules.clone(), after.digest());
    let needed = last
        .approvals
        .as_ref()
        .map_or(0, |quorum| quorum.required());
    let folder = approvals_folder(&engine);
    let text = words(&changes, needed, digest, folder.as_deref());
    let mut report = match &args.out {
        Some(out) if !changes.is_empty() => {
            let request = Request::policy_change(
                before,
                after,
                args.request.not_before(),
                args.request.lifetime_ms(),
                &args.request.note,
            )
            .map_err(|error| not_made(&error))?;
            write_request(&request, out)?
        }
        _ => Report::done(json!({}), ""),
    };
    report.text = format!("{text}\n{}", report.text).trim_end().to_owned();
    if let serde_json::Value::Object(fields) = &mut report.json {
        fields.insert("changes".to_owned(), json!(changes));
        fields.insert("policy".to_owned(), json!(digest));
        fields.insert("approvalsRequired".to_owned(), json!(needed));
        fields.insert("folder".to_owned(), json!(folder));
    }
    Ok(report)
}

/// What the log says of the last start. It is only read; a running engine is not disturbed.
///
/// Of a log that is still to begin: nothing, and the approvers of the configuration.
fn last_start(engine: &EngineConfig, policy: &EnginePolicy) -> Result<Opened, Failure> {
    let Some(audit) = &engine.audit else {
        return Err(Failure::usage(
            "no_audit_log",
            "`engine.audit` is missing: without a log nobody knows which policy the engine last had",
        ));
    };
    let unreadable = |error: &dyn std::fmt::Display| {
        Failure::failed("audit_log", format!("{}: {error}", audit.folder.display()))
    };
    let none = || {
        policy.approvals.is_some().then(|| Opened {
            approvals: policy.approvals.clone(),
            ..Opened::default()
        })
    };
    let never = || {
        Failure::usage(
            "never_started",
            "the engine was never started with this log: its first start needs no approval",
        )
    };
    if !audit.folder.exists() {
        return none().ok_or_else(never);
    }
    let folder = Folder::for_reading(&audit.folder).map_err(|error| unreadable(&error))?;
    let log =
        Log::open(Arc::new(folder), Options::default()).map_err(|error| unreadable(&error))?;
    match log.opened() {
        Some(opened) if opened.policy.is_some() => Ok(opened.clone()),
        Some(_) => Err(never()),
        None => none().ok_or_else(never),
    }
}

fn words(
    changes: &[Change],
    needed: u32,
    digest: audit::Hash,
    folder: Option<&std::path::Path>,
) -> String {
    if changes.is_empty() {
        return format!(
            "The policy is that of the engine's last start ({digest}): nothing to approve."
        );
    }
    let mut text = "Against the engine's last start:".to_owned();
    for change in changes {
        text.push_str("\n  ");
        text.push_str(&crate::encoding::printable(&change.to_string()));
    }
    text.push_str(&format!("\nThe new policy's digest is {digest}. "));
    match (needed, folder) {
        (0, _) => {
            text.push_str("No approvals are required for it: none were in force at the last start.")
        }
        (_, Some(folder)) => text.push_str(&format!(
            "Approvals of {needed} approvers are required; their files belong into {}.",
            folder.display()
        )),
        (_, None) => text.push_str(&format!("Approvals of {needed} approvers are required.")),
    }
    text
}
