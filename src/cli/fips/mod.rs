//! `fips`: what can be claimed of the cryptography, and the evidence for it.

mod human;
mod report;
mod status;

use super::Context;
use super::output::{Failure, Report};
use clap::{Args, Subcommand};

/// Arguments of `fips`.
#[derive(Debug, Clone, Args)]
pub struct FipsArgs {
    #[command(subcommand)]
    command: FipsCommand,
}

#[derive(Debug, Clone, Subcommand)]
enum FipsCommand {
    /// What can be claimed of the running service, part by part; exit code 3 when a self-test, the indicator or a process failed
    Status(status::StatusArgs),
    /// An evidence bundle to hand to an auditor: everything that is claimed, with its evidence, signed; or verify one
    Report(report::ReportArgs),
}

/// Runs a command of `fips`.
///
/// # Errors
/// [`Failure`] of the command.
pub fn run(args: &FipsArgs, context: &Context) -> Result<Report, Failure> {
    match &args.command {
        FipsCommand::Status(args) => status::run(args),
        FipsCommand::Report(args) => report::run(args, context),
    }
}
