//! Requests for anything but a change of policy.

use super::{RequestArgs, not_made, start_module, write};
use crate::cli::files;
use crate::cli::oracle::LetGo;
use crate::cli::output::{Failure, Report};
use audit::Hash;
use audit::approval::{Request, Statement, Subject};
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};

/// `approve destroy-key`.
#[derive(Debug, Args)]
pub(super) struct DestroyArgs {
    /// Fingerprint of the key (SHA-256 of its SubjectPublicKeyInfo, 64 hexadecimal digits)
    #[arg(long, value_name = "HEX")]
    fingerprint: Hash,
    /// Serial number of the token, as `key list` shows it
    #[arg(long, value_name = "SERIAL")]
    token_serial: String,
    /// It may be the last copy that is known
    #[arg(long)]
    last_copy: bool,
    #[command(flatten)]
    request: RequestArgs,
    /// The request file; one that exists is not overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// `approve release`.
#[derive(Debug, Args)]
pub(super) struct ReleaseArgs {
    #[command(flatten)]
    release: LetGo,
    #[command(flatten)]
    request: RequestArgs,
    /// The request file; one that exists is not overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Asks for the destruction of a key.
pub(super) fn destroy(args: &DestroyArgs) -> Result<Report, Failure> {
    let subject = Subject::KeyDestroy {
        key: args.fingerprint,
        token_serial: args.token_serial.clone(),
        last_copy: args.last_copy,
    };
    make(subject, &args.request, &args.out)
}

/// Asks for a release.
pub(super) fn release(args: &ReleaseArgs) -> Result<Report, Failure> {
    let release = args.release.release()?;
    make(Subject::OracleRelease { release }, &args.request, &args.out)
}

fn make(subject: Subject, args: &RequestArgs, out: &Path) -> Result<Report, Failure> {
    files::must_be_new(out)?;
    start_module()?;
    let statement = Statement::new(subject, args.not_before(), args.lifetime_ms(), &args.note)
        .map_err(|error| not_made(&error))?;
    write_request(&Request::new(statement), out)
}

/// Writes a request and says what it asks for.
pub(super) fn write_request(request: &Request, out: &Path) -> Result<Report, Failure> {
    let bytes = request.to_file().map_err(|error| not_made(&error))?;
    write(out, &bytes)?;
    let statement = &request.statement;
    let text = format!(
        "Wrote the request to\n  {}\ngood from {} until {}. Nobody has approved it yet: each approver reads it and signs it with\n  pfx-connector \
         approve sign {} --key FILE --out FILE",
        statement.subject,
        statement.not_before,
        statement.expires,
        out.display()
    );
    Ok(Report::done(
        json!({"request": out, "statement": statement, "digest": statement.subject.digest(), "changes": request.changes()}),
        text,
    ))
}
