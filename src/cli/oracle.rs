//! `oracle`: what the running engine has counted against importers and callers, and how an operator lifts it.

use super::approve::ApprovalArgs;
use super::output::{Failure, Report};
use crate::config;
use crate::encoding::printable;
use crate::engine::api::{FailureCode, OracleReport, OracleRequest, SubjectStatus};
use crate::engine::client::{EngineClient, RecryptError};
use audit::Hash;
use audit::ledger::Release;
use clap::{Args, Subcommand};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

/// How long the engine may take.
const DEADLINE: Duration = Duration::from_secs(30);
/// Where a record has no importer.
const UNSIGNED: &str = "unsigned";

/// `oracle`.
#[derive(Debug, Args)]
pub struct OracleArgs {
    #[command(subcommand)]
    command: OracleCommand,
}

#[derive(Debug, Subcommand)]
enum OracleCommand {
    /// Budgets, who has used how much of them, and what is quarantined
    Show(ShowArgs),
    /// Let a ciphertext, an importer or a caller go
    #[command(after_help = "Examples:
  pfx-connector oracle release --config engine.toml --ciphertext 5f0c...
  pfx-connector oracle release --config engine.toml --importer 91d2... --quarantine
  pfx-connector oracle release --config engine.toml --caller 998
  pfx-connector oracle release --config engine.toml --uses 91d2...

Run it as the engine's user, on its host. Where [engine.approvals] are in force, it needs approvals (`approve release`). What is let go is an entry of the audit log.")]
    Release(ReleaseArgs),
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// Configuration of the engine, which has to run
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Whom or what to let go.
#[derive(Debug, Args)]
#[group(id = "whom", required = true, multiple = false)]
struct Whom {
    /// SHA-256 of a ciphertext in quarantine: it may be tried again; its failure still counts
    #[arg(long, value_name = "HEX")]
    ciphertext: Option<Hash>,
    /// Fingerprint of an importer's key, or `unsigned`: its failures are forgotten
    #[arg(long, value_name = "HEX")]
    importer: Option<String>,
    /// User id of a caller: its failures are forgotten
    #[arg(long, value_name = "UID")]
    caller: Option<u32>,
    /// Fingerprint of an importer's key, or `unsigned`: how often its ciphertexts were used, and for how many devices, is forgotten
    #[arg(long, value_name = "HEX")]
    uses: Option<String>,
}

#[derive(Debug, Args)]
struct ReleaseArgs {
    /// Configuration of the engine, which has to run
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    #[command(flatten)]
    release: LetGo,
    #[command(flatten)]
    approvals: ApprovalArgs,
}

/// What is let go.
#[derive(Debug, Args)]
pub(super) struct LetGo {
    #[command(flatten)]
    whom: Whom,
    /// Of an importer: its ciphertexts leave the quarantine, too
    #[arg(long, requires = "importer")]
    quarantine: bool,
}

impl LetGo {
    /// The same for the engine.
    ///
    /// # Errors
    /// [`Failure`] (usage) for what is no fingerprint.
    pub(super) fn release(&self) -> Result<Release, Failure> {
        match &self.whom {
            Whom {
                ciphertext: Some(ciphertext),
                ..
            } => Ok(Release::Ciphertext {
                ciphertext: *ciphertext,
            }),
            Whom {
                importer: Some(importer),
                ..
            } => Ok(Release::Importer {
                importer: importer_of("importer", importer)?,
                quarantine: self.quarantine,
            }),
            Whom {
                uses: Some(importer),
                ..
            } => Ok(Release::Uses {
                importer: importer_of("uses", importer)?,
            }),
            Whom { caller, .. } => Ok(Release::Caller { caller: *caller }),
        }
    }
}

/// The importer that an option names.
fn importer_of(option: &'static str, text: &str) -> Result<Option<Hash>, Failure> {
    if text == UNSIGNED {
        return Ok(None);
    }
    let fingerprint = text.parse().map_err(|_| {
        Failure::usage(
            option,
            format!(
                "--{option} takes the fingerprint of an importer's key (64 hexadecimal digits), or `{UNSIGNED}`"
            ),
        )
    })?;
    Ok(Some(fingerprint))
}

/// Asks the engine.
///
/// # Errors
/// [`Failure`].
pub fn run(args: &OracleArgs) -> Result<Report, Failure> {
    let (path, request) = match &args.command {
        OracleCommand::Show(args) => (&args.config, OracleRequest::Show),
        OracleCommand::Release(args) => (
            &args.config,
            OracleRequest::Release {
                release: args.release.release()?,
                approvals: args.approvals.read()?,
            },
        ),
    };
    let config = config::load(path)?;
    let engine = config.engine.as_ref().ok_or_else(|| {
        Failure::usage(
            "config",
            format!("{}: there is no section [engine]", path.display()),
        )
    })?;
    config.start_module()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed("runtime", error.to_string()))?;
    let report = runtime
        .block_on(async {
            let client = EngineClient::connect(&engine.socket).await?;
            client.oracle(request, DEADLINE).await
        })
        .map_err(|error| match error {
            RecryptError::Failed(failure) if failure.code == FailureCode::BadRequest => {
                Failure::failed("refused", printable(&failure.message))
            }
            other => Failure::failed("engine", printable(&other.to_string())),
        })?;
    let text = human(&report);
    let json = serde_json::to_value(&report)
        .map_err(|error| Failure::failed("internal", error.to_string()))?;
    Ok(Report::done(json, text))
}

fn human(report: &OracleReport) -> String {
    let status = &report.status;
    let mut text = format!(
        "budgets      {} failing ciphertexts of an importer in an hour, {} in a day; {} of a caller in an hour\n\
         limits       a ciphertext is decrypted {} times and for {} devices in a day\n\
         refused      {} requests without a use of the key; {} alarms\n",
        status.importer_failures_per_hour,
        status.importer_failures_per_day,
        status.caller_failures_per_hour,
        status.uses_per_ciphertext,
        status.devices_per_ciphertext,
        status.refused,
        status.alarms,
    );
    for (what, subjects) in [("importer", &status.importers), ("caller", &status.callers)] {
        for subject in subjects {
            let _ = writeln!(text, "{what:12} {}", subject_line(subject));
        }
    }
    for one in &report.quarantine {
        let importer = one.importer.as_deref().unwrap_or(UNSIGNED);
        let _ = writeln!(
            text,
            "quarantined  {} since {}, of {importer}",
            one.ciphertext, one.since
        );
    }
    if report.quarantine.is_empty() {
        text.push_str("quarantined  nothing\n");
    }
    text
}

/// One importer or caller for people.
pub(super) fn subject_line(subject: &SubjectStatus) -> String {
    let id = subject.id.as_deref().unwrap_or(UNSIGNED);
    let name = subject
        .name
        .as_deref()
        .map(|name| format!(" ({})", printable(name)))
        .unwrap_or_default();
    let suspended = subject
        .suspended_until
        .as_deref()
        .map(|until| format!(", SUSPENDED until {until}"))
        .unwrap_or_default();
    format!(
        "{id}{name}: {} failed in an hour, {} in a day{suspended}",
        subject.failures_hour, subject.failures_day
    )
}
