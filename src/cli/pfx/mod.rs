//! `pfx`: tools for people who hold a PFX file, on any machine, without a token and without a service.

mod convert;
mod file;
mod inspect;
mod new_password;
mod source;

use super::Context;
use super::output::{Failure, Report};
use clap::{Args, Subcommand};

/// `pfx`.
#[derive(Debug, Args)]
pub struct PfxArgs {
    #[command(subcommand)]
    command: PfxCommand,
}

#[derive(Debug, Subcommand)]
enum PfxCommand {
    /// What is in a PFX, with which algorithms, and what each platform and FIPS mode say to it
    Inspect(inspect::InspectArgs),
    /// Write what is in a PFX into a new one, in a form that the target reads, under a new password
    Convert(convert::ConvertArgs),
}

/// Runs it.
///
/// # Errors
/// [`Failure`] when something of it did not work.
pub fn run(args: &PfxArgs, context: &Context) -> Result<Report, Failure> {
    match &args.command {
        PfxCommand::Inspect(args) => inspect::run(args, context),
        PfxCommand::Convert(args) => convert::run(args),
    }
}
