//! `run`: the connector, until it is told to stop.

use super::output::{self, Failure};
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
            let failure = if error.is_configuration() {
                Failure::usage(error.code(), error.to_string())
            } else {
                Failure::failed(error.code(), error.to_string())
            };
            output::finish(Err(failure), json)
        }
    }
}
