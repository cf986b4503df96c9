//! `engine`, and the two hidden commands by which it starts its parts.

use crate::config::{Config, EngineConfig};
use crate::engine::custody::CustodyError;
use crate::engine::supervisor::SupervisorError;
use crate::engine::{custody, formats_process, hardening, supervisor};
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// Arguments of `engine` and of its custody part.
#[derive(Debug, Clone, Args)]
pub struct EngineArgs {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Log as one JSON object per line.
    #[arg(long)]
    pub log_json: bool,
}

/// Arguments of the formats part.
#[derive(Debug, Clone, Args)]
pub struct FormatsArgs {
    /// Log as one JSON object per line.
    #[arg(long)]
    pub log_json: bool,
}

/// `engine`: runs until a signal. Exit codes: 0 stopped as asked, 1 failed, 2 configuration.
#[must_use]
pub fn engine(args: &EngineArgs) -> ExitCode {
    start_log(args.log_json);
    let config = match read(&args.config) {
        Ok(config) => config,
        Err(problem) => return refused(&problem),
    };
    match supervisor::run(&config, &args.config, args.log_json) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ SupervisorError::Io(_)) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
        Err(error) => refused(&error.to_string()),
    }
}

/// `engine-custody`: started by `engine` alone.
pub fn engine_custody(args: &EngineArgs) -> ExitCode {
    start_log(args.log_json);
    let code = match read(&args.config) {
        Ok(config) => match custody::run(config) {
            Ok(()) => 0,
            Err(error) => {
                tracing::error!("{error}");
                custody_code(&error)
            }
        },
        Err(problem) => {
            tracing::error!("{problem}");
            supervisor::EXIT_CONFIGURATION
        }
    };
    hardening::exit(code)
}

fn custody_code(error: &CustodyError) -> i32 {
    if error.is_configuration() { supervisor::EXIT_CONFIGURATION } else { 1 }
}

/// `engine-formats`: started by `engine` alone.
#[must_use]
pub fn engine_formats(args: &FormatsArgs) -> ExitCode {
    start_log(args.log_json);
    match formats_process::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn refused(problem: &str) -> ExitCode {
    tracing::error!("{problem}");
    ExitCode::from(2)
}

fn read(path: &Path) -> Result<EngineConfig, String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{shown}: {error}"))?;
    let config: Config = toml::from_str(&text).map_err(|error| format!("{shown}: {error}"))?;
    config.engine.ok_or_else(|| format!("{shown} has no section [engine]"))
}

/// The operator's log: standard error, in lines for people or for machines.
fn start_log(json: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // cryptoki reports as errors what is none of ours.
    let filter = match format!("{}=off", hsm::pkcs11::CRYPTOKI_LOG_TARGET).parse() {
        Ok(directive) => filter.add_directive(directive),
        Err(_) => filter,
    };
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // A second one in the same process (tests) changes nothing.
    let _ = if json { log.json().try_init() } else { log.with_ansi(false).try_init() };
}
