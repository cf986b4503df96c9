//! `approve`: requests for approval that people read, their signatures on them, and both shown.
//!
//! Nothing here needs a token or a running engine: approvers work where their keys are. Whether approvals are enough is decided by custody alone.

mod policy;
mod request;
mod sign;

use super::Context;
use super::output::{Failure, Report};
use super::{files, process};
use crate::engine::api::ApprovalFile;
use audit::Timestamp;
use audit::approval::{ApprovalFileError, MAX_APPROVAL_BYTES, MAX_OFFERED};
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};

/// `approve`.
#[derive(Debug, Args)]
pub struct ApproveArgs {
    #[command(subcommand)]
    command: ApproveCommand,
}

#[derive(Debug, Subcommand)]
enum ApproveCommand {
    /// Say what changes between the engine's policy at its last start and a configuration, and ask for approval of it
    #[command(after_help = "Examples:
  pfx-connector approve policy --config engine.toml
      says what changed; nothing is written
  pfx-connector approve policy --config engine.toml --out change.request
      makes the request. The approvers sign it (`approve sign`), their approvals go into the folder that is named, and the engine is started")]
    Policy(policy::PolicyArgs),
    /// Ask for approval of the destruction of a custody key on one token
    DestroyKey(request::DestroyArgs),
    /// Ask for approval of lifting a quarantine or a suspension
    Release(request::ReleaseArgs),
    /// Show a request, or approvals
    Show(sign::ShowArgs),
    /// Sign a request with an approver's key; what is signed is shown
    #[command(after_help = "Example:
  pfx-connector approve sign change.request --key ada.key --out change.ada.approval")]
    Sign(sign::SignArgs),
}

/// What every request has.
#[derive(Debug, Args)]
struct RequestArgs {
    /// Days for which it is good, 7 at most
    #[arg(long, value_name = "DAYS", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=7))]
    days: u8,
    /// From when on it is good (RFC 3339, UTC, with milliseconds); from now on without it
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    from: Option<Timestamp>,
    /// Why, for those who read it
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
}

impl RequestArgs {
    fn not_before(&self) -> Timestamp {
        self.from.unwrap_or_else(Timestamp::now)
    }

    fn lifetime_ms(&self) -> i64 {
        i64::from(self.days) * 24 * 3600 * 1000
    }
}

fn parse_time(text: &str) -> Result<Timestamp, String> {
    crate::clock::parse_rfc3339(text)
        .map(Timestamp::from_ms)
        .ok_or_else(|| "a time such as 2026-01-31T12:00:00Z".to_owned())
}

/// Approvals for a step of another command.
#[derive(Debug, Args)]
pub(super) struct ApprovalArgs {
    /// A file with an approval (`approve sign`), where [engine.approvals] are in force; once for each
    #[arg(long = "approval", value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl ApprovalArgs {
    /// The files as they are: custody judges them.
    ///
    /// # Errors
    /// [`Failure`] when one cannot be read.
    pub(super) fn read(&self) -> Result<Vec<ApprovalFile>, Failure> {
        if self.files.len() > MAX_OFFERED {
            return Err(Failure::usage(
                "approvals",
                format!("{MAX_OFFERED} approvals at most"),
            ));
        }
        self.files
            .iter()
            .map(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                Ok(ApprovalFile {
                    name: name.into_owned(),
                    content: files::read(path, MAX_APPROVAL_BYTES, "--approval")?.into(),
                })
            })
            .collect()
    }
}

/// Runs it.
///
/// # Errors
/// [`Failure`] when a file cannot be read or written, or is not what it has to be.
pub fn run(args: &ApproveArgs, _context: &Context) -> Result<Report, Failure> {
    match &args.command {
        ApproveCommand::Policy(args) => policy::run(args),
        ApproveCommand::DestroyKey(args) => request::destroy(args),
        ApproveCommand::Release(args) => request::release(args),
        ApproveCommand::Show(args) => sign::show(args),
        ApproveCommand::Sign(args) => sign::run(args),
    }
}

fn refused(path: &Path, error: &ApprovalFileError) -> Failure {
    Failure::usage("approval_file", format!("{}: {error}", path.display()))
}

fn not_made(error: &ApprovalFileError) -> Failure {
    Failure::usage("approval_request", error.to_string())
}

fn start_module() -> Result<(), Failure> {
    fips::start(fips::policy::Policy::STRICT)?;
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    files::place_new(path, bytes, 0o644)
}

fn protect() -> Result<(), Failure> {
    process::protect_memory()?;
    Ok(())
}
