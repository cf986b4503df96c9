//! `engine`, and the two hidden commands by which it starts its parts.

use super::Context;
use super::output::{Exit, Failure, Report};
use crate::config::{self, Checked, Config, EngineConfig, PinPolicy};
use crate::engine::custody::{self, CustodyError};
use crate::engine::supervisor::{self, SupervisorError};
use crate::engine::{formats_process, hardening};
use clap::Args;
use fips::policy::{Exception, Mode, Policy};
use std::path::{Path, PathBuf};

/// Arguments of `engine` and of its custody part.
#[derive(Debug, Clone, Args)]
pub struct EngineArgs {
    /// Configuration file with [engine]
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Arguments of the engine's formats part, which reads no file: its policy is the supervisor's.
#[derive(Debug, Clone, Args)]
pub struct FormatsArgs {
    #[arg(long, value_name = "MODE", value_parser = ["strict", "off"], default_value = "strict")]
    fips_mode: String,
    #[arg(long, value_name = "NAME")]
    fips_exception: Vec<Exception>,
}

/// `engine`: runs until SIGTERM or SIGINT.
///
/// # Errors
/// [`Failure`] when the configuration cannot be used, or the system refuses what it needs.
pub fn run(args: &EngineArgs, context: &Context) -> Result<Report, Failure> {
    let (whole, config) = load(&args.config)?;
    whole.start_module()?;
    supervisor::run(&config, &args.config, &context.log_arguments()).map_err(|error| {
        let message = error.to_string();
        match error {
            SupervisorError::Io(_) => Failure::failed("engine_io", message),
            SupervisorError::Module { code, .. } => Failure {
                exit: Exit::Unhealthy,
                ..Failure::failed(format!("module_{code}"), message)
            },
            _ => Failure::usage("engine_configuration", message),
        }
    })?;
    Ok(Report::silent())
}

/// `engine-custody`: started by `engine` alone, which is on the other end of standard input and understands the exit code.
pub fn custody(args: &EngineArgs) -> ! {
    let code = match load(&args.config) {
        Ok((whole, config)) => match run_custody(&whole, config.into_inner()) {
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

fn run_custody(whole: &Config, config: EngineConfig) -> Result<(), CustodyError> {
    whole.start_module()?;
    custody::run(config)
}

fn custody_code(error: &CustodyError) -> i32 {
    if error.is_configuration() {
        supervisor::EXIT_CONFIGURATION
    } else if error.is_module() {
        supervisor::EXIT_MODULE
    } else {
        1
    }
}

/// `engine-formats`: started by `engine` alone.
///
/// # Errors
/// [`Failure`] when it cannot start or the connection to the supervisor breaks.
pub fn formats(args: &FormatsArgs) -> Result<Report, Failure> {
    let exceptions = args.fips_exception.iter().copied();
    let policy = if args.fips_mode == Mode::Off.name() {
        Policy::OFF
    } else {
        Policy::strict_except(exceptions)
    };
    formats_process::run(policy).map_err(|error| Failure::failed("formats", error.to_string()))?;
    Ok(Report::silent())
}

fn load(path: &Path) -> Result<(Config, Checked<EngineConfig>), Failure> {
    let whole = config::load(path)?;
    let engine = whole.checked_engine("engine", PinPolicy::Service)?;
    Ok((whole, engine))
}
