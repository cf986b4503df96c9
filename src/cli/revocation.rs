//! `revocation`: the running connector's brake against mass revocation, and how an operator lets more through.

use super::output::{Failure, Report};
use super::status::{control_socket, unanswered};
use crate::connector::control::client;
use crate::connector::control::protocol::RevocationReport;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `revocation`.
#[derive(Debug, Args)]
pub struct RevocationArgs {
    #[command(subcommand)]
    command: RevocationCommand,
}

#[derive(Debug, Subcommand)]
enum RevocationCommand {
    /// The thresholds, how many certificates were revoked, and whether requests are given back
    Show(ShowArgs),
    /// Let so many more certificates be revoked than the thresholds do
    #[command(after_help = "Example:
  pfx-connector revocation release --config connector.toml --count 150

Run it as the connector's user, on its host, once it is known that so many revocations are meant. It lasts until so many were revoked, over restarts; it is an event (3061).")]
    Release(ReleaseArgs),
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// The configuration file of the connector, which has to run
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

#[derive(Debug, Args)]
struct ReleaseArgs {
    /// The configuration file of the connector, which has to run
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// How many certificates
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    count: u32,
}

/// Runs it.
///
/// # Errors
/// [`Failure`] when the configuration cannot be used, nobody answers, or nothing is revoked there.
pub fn run(args: &RevocationArgs) -> Result<Report, Failure> {
    let (config, count) = match &args.command {
        RevocationCommand::Show(args) => (&args.config, 0),
        RevocationCommand::Release(args) => (&args.config, args.count),
    };
    let socket = control_socket(config, "revocation")?;
    let report = client::release_revocations(&socket, count).map_err(unanswered)?;
    let json = serde_json::to_value(report)
        .map_err(|error| Failure::failed("control_protocol", error.to_string()))?;
    Ok(Report::done(json, words(&report)))
}

/// The brake in a line.
pub(super) fn words(report: &RevocationReport) -> String {
    let figures = &report.figures;
    let mut text = format!(
        "{} certificates in the last hour (of {}), {} in 24 hours (of {})",
        figures.last_hour, report.per_hour, figures.last_day, report.per_day
    );
    if figures.released > 0 {
        text.push_str(&format!(", {} more are released", figures.released));
    }
    if report.braked {
        text.push_str(", BRAKED: requests are given back");
    }
    text
}
