//! `run`: the connector, until it is told to stop.

use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// Options of `run`.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// Runs the connector of a configuration file; returns when SIGTERM or SIGINT ended it.
#[must_use]
pub fn run(args: &RunArgs, json: bool) -> ExitCode {
    match crate::connector::run(&args.config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let exit = if error.is_configuration() { 2 } else { 1 };
            super::status::explain(error.code(), &error.to_string(), exit, json)
        }
    }
}
