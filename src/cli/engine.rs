//! `engine`, and the two hidden commands by which it starts its parts.

use super::Context;
use super::output::{Failure, Report};
use crate::config::{self, Checked, EngineConfig, PinPolicy};
use crate::engine::custody::{self, CustodyError};
use crate::engine::supervisor::{self, SupervisorError};
use crate::engine::{formats_process, hardening};
use clap::Args;
use std::path::{Path, PathBuf};

/// Arguments of `engine` and of its custody part.
#[derive(Debug, Clone, Args)]
pub struct EngineArgs {
    /// Configuration file with [engine]
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// `engine`: runs until SIGTERM or SIGINT.
///
/// # Errors
/// [`Failure`] when the configuration cannot be used, or the system refuses what it needs.
pub fn run(args: &EngineArgs, context: &Context) -> Result<Report, Failure> {
    let config = load(&args.config)?;
    supervisor::run(&config, &args.config, &context.log_arguments()).map_err(|error| {
        let message = error.to_string();
        match error {
            SupervisorError::Io(_) => Failure::failed("engine_io", message),
            _ => Failure::usage("engine_configuration", message),
        }
    })?;
    Ok(Report::silent())
}

/// `engine-custody`: started by `engine` alone, which is on the other end of standard input and understands the exit code.
pub fn custody(args: &EngineArgs) -> ! {
    let code = match load(&args.config) {
        Ok(config) => match custody::run(config.into_inner()) {
            Ok(()) => 0,
            Err(error) => {
                tracing::error!("{error}");
                custody_code(&error)
            }
        },
        Err(failure) => {
            tracing::error!("{}", failure.message);
            supervisor::EXIT_CONFIGURATION
        }
    };
    // A thread may be inside the PKCS#11 module.
    hardening::exit(code)
}

fn custody_code(error: &CustodyError) -> i32 {
    if error.is_configuration() {
        supervisor::EXIT_CONFIGURATION
    } else {
        1
    }
}

/// `engine-formats`: started by `engine` alone.
///
/// # Errors
/// [`Failure`] when it cannot start or the connection to the supervisor breaks.
pub fn formats() -> Result<Report, Failure> {
    formats_process::run().map_err(|error| Failure::failed("formats", error.to_string()))?;
    Ok(Report::silent())
}

fn load(path: &Path) -> Result<Checked<EngineConfig>, Failure> {
    Ok(config::load(path)?.checked_engine("engine", PinPolicy::Service)?)
}
