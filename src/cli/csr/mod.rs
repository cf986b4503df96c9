//! `csr`: certification requests (PKCS#10, RFC 2986), made and looked into.

mod create;
mod human;
mod inspect;
mod key;

use super::Context;
use super::output::{Failure, Report};
use clap::{Args, Subcommand};
use pki::csr::CsrError;

pub(super) use human::{LABEL, common};

/// `csr`.
#[derive(Debug, Args)]
pub struct CsrArgs {
    #[command(subcommand)]
    command: CsrCommand,
}

#[derive(Debug, Subcommand)]
enum CsrCommand {
    /// Make a request: with a new key, an existing one, or one on a token
    Create(Box<create::CreateArgs>),
    /// What a request asks for, once its signature is verified
    Inspect(inspect::InspectArgs),
}

/// Runs it.
///
/// # Errors
/// [`Failure`] when something of it did not work.
pub fn run(args: &CsrArgs, context: &Context) -> Result<Report, Failure> {
    match &args.command {
        CsrCommand::Create(args) => create::run(args, context),
        CsrCommand::Inspect(args) => inspect::run(args),
    }
}

/// What a refused request is on the command line.
fn refusal(error: &CsrError) -> Failure {
    let code = match error {
        CsrError::Nobody => "csr_nobody",
        CsrError::ChallengePassword => "csr_challenge_password",
        CsrError::Extensions(_) => "csr_extensions",
        CsrError::Signer(_) => "csr_not_signed",
        CsrError::TooLarge => "csr_too_large",
        CsrError::Pem => "csr_not_pem",
        CsrError::Attribute(_) => "csr_attribute",
        CsrError::Signature(_) => "csr_signature",
        _ => "csr_malformed",
    };
    Failure::failed(code, error.to_string())
}
