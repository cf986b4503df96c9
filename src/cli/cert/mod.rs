//! `cert`: certificates, looked into and verified.

mod human;
mod inspect;
mod source;
mod verify;

use super::output::{Failure, Report};
use clap::{Args, Subcommand};

/// `cert`.
#[derive(Debug, Args)]
pub struct CertArgs {
    #[command(subcommand)]
    command: CertCommand,
}

#[derive(Debug, Subcommand)]
enum CertCommand {
    /// What certificates say, without a verdict about them
    Inspect(inspect::InspectArgs),
    /// Whether a certificate chains to a trusted authority and is fit for a purpose
    Verify(verify::VerifyArgs),
}

/// Runs it.
///
/// # Errors
/// [`Failure`] when something of it did not work, or a certificate is refused.
pub fn run(args: &CertArgs) -> Result<Report, Failure> {
    match &args.command {
        CertCommand::Inspect(args) => inspect::run(args),
        CertCommand::Verify(args) => verify::run(args),
    }
}
