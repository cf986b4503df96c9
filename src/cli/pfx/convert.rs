//! `pfx convert`: what is in a PFX, in another form, under another password.

use super::new_password::{self, NewPassword, NewPasswordArgs};
use super::source::{SourceArgs, refusal};
use crate::cli::output::{Failure, Report};
use crate::cli::{files, process};
use clap::Args;
use fips::policy::{self, Service};
use fips::secret::SecretBytes;
use formats::pfx::write::{Entries, Form, WriteError, WriteOptions, write};
use formats::pfx::{OpenedPfx, PfxLimits, Target, read};
use serde_json::json;
use std::path::PathBuf;

/// `pfx convert`.
#[derive(Debug, Args)]
#[command(after_help = "Forms:
  approved     PBES2 (AES-256-CBC, PBKDF2 with HMAC-SHA-256) and PBMAC1 (RFC 9579): approved algorithms alone
  compatible   the same with the classic MAC, which every maintained reader knows
  legacy-3des  PKCS#12 encryption with 3DES, MAC with SHA-1: for what knows nothing else
Without --form the first of them that the target reads is taken.

Example:
  pfx-connector pfx convert old.pfx --password-file old.pw --for ios --out new.pfx --new-password-out new.pw")]
pub(super) struct ConvertArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// Who is to open the new file: windows-server-2016, windows-2019, ios, macos, android, openssl3, java, nss or fips-strict
    #[arg(long = "for", value_name = "TARGET")]
    target: Target,
    /// The form of the new file: approved, compatible or legacy-3des; one that the target does not read is refused
    #[arg(long, value_name = "FORM")]
    form: Option<Form>,
    /// Write the form that --form names even though the target does not read it
    #[arg(long, requires = "form")]
    force_form: bool,
    /// Iterations of each key derivation, 1000 to 1000000 (default: 100000, and 2048 for legacy-3des)
    #[arg(long, value_name = "N")]
    iterations: Option<u32>,
    /// The new file; one that exists is not overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    new_password: NewPasswordArgs,
}

/// Runs it.
///
/// # Errors
/// [`Failure`]; nothing is left behind then.
pub(super) fn run(args: &ConvertArgs) -> Result<Report, Failure> {
    files::must_be_new(&args.out)?;
    args.new_password.check(&args.out)?;
    process::protect_memory()?;
    args.source.start_module()?;
    let limits = PfxLimits::default();
    let bytes = args.source.bytes(&limits)?;
    let password = args.source.password()?;
    let opened = args.source.open(&bytes, &password, &limits)?;
    drop(password);

    let entries = Entries::of(&opened);
    let new = args.new_password.get()?;
    let mut notes: Vec<String> = left_out(&opened);
    if new.out.is_none() {
        notes.extend(
            new_password::notes(&new.secret)
                .into_iter()
                .map(str::to_owned),
        );
    }
    if let Some(reason) = new_password::refused_by(args.target, &new.secret)
        && !args.force_form
    {
        return Err(Failure::failed("target_cannot_read", reason).hint(
            "choose a password of letters and digits, or let one be made by --new-password-out",
        ));
    }
    let form = form(args, &entries)?;
    let options = options(form, args.iterations)?;
    let written = write(&entries, &new.secret, &options)?;
    let verdict = verdict(&written, args.target)?;
    if let Some(reason) = &verdict {
        if !args.force_form {
            return Err(cannot_read(args.target, form, reason));
        }
        notes.push(format!(
            "{} does not read this file: {reason}",
            args.target.title()
        ));
    }
    check(&written, &new.secret, &opened, &limits)?;
    place(args, &written, &new)?;
    Ok(report(
        args,
        &opened,
        &options,
        &new,
        &notes,
        verdict.is_none(),
    ))
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::UnusablePassword { .. } | WriteError::Iterations { .. } => {
                Self::usage(error.code(), error.to_string())
            }
            _ => Self::failed(error.code(), error.to_string()),
        }
    }
}

fn options(form: Form, iterations: Option<u32>) -> Result<WriteOptions, WriteError> {
    let options = WriteOptions::new(form);
    match iterations {
        Some(count) => options.with_iterations(count),
        None => Ok(options),
    }
}
