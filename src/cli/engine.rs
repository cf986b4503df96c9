//! `engine`, and the two hidden commands by which it starts its parts.

use super::Context;
use super::output::{Exit, Failure, Report};
use crate::config::{self, Checked, Config, EngineConfig, PinPolicy};
use crate::engine::custody::{self, CustodyError};
use crate::engine::formats_process;
use crate::engine::hardening::{self, Limits};
use crate::engine::sandboxing::Sandboxing;
use crate::engine::supervisor::{self, SupervisorError};
use clap::Args;
use fips::policy::{Exception, Mode, Policy};
use sandbox::Want;
use std::path::{Path, PathBuf};

/// Arguments of `engine`.
#[derive(Debug, Clone, Args)]
pub struct EngineArgs {
    /// Configuration file with [engine]
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Use no Landlock ABI above this one, as on an older kernel: for tests
    #[arg(long, value_name = "NUMBER", hide = true)]
    landlock_abi: Option<u8>,
}

/// Arguments of the engine's custody part.
#[derive(Debug, Clone, Args)]
pub struct CustodyArgs {
    /// Configuration file with [engine]; its [fips] is not asked
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    #[command(flatten)]
    policy: PolicyArgs,
}

/// The policy of the engine's parts, which is the supervisor's.
#[derive(Debug, Clone, Args)]
pub struct PolicyArgs {
    #[arg(long, value_name = "MODE", value_parser = ["strict", "off"], default_value = "strict")]
    fips_mode: String,
    #[arg(long, value_name = "NAME")]
    fips_exception: Vec<Exception>,
    #[arg(long, value_name = "WORD", value_parser = ["required", "available", "off"], default_value = "available")]
    sandbox: String,
    #[arg(long, value_name = "NUMBER")]
    landlock_abi: Option<u8>,
}

impl PolicyArgs {
    /// The policy itself.
    #[must_use]
    pub(super) fn policy(&self) -> Policy {
        if self.fips_mode == Mode::Off.name() {
            Policy::OFF
        } else {
            Policy::strict_except(self.fips_exception.iter().copied())
        }
    }

    /// The sandbox that the supervisor asks for.
    fn sandboxing(&self) -> Sandboxing {
        let want = match self.sandbox.as_str() {
            "off" => Want::Off,
            "required" => Want::Required,
            _ => Want::Available,
        };
        Sandboxing {
            want,
            landlock_abi: self.landlock_abi,
        }
    }
}

/// `engine`: runs until SIGTERM or SIGINT.
///
/// # Errors
/// [`Failure`] when the configuration cannot be used, or the system refuses what it needs.
pub fn run(args: &EngineArgs, context: &Context) -> Result<Report, Failure> {
    let inherited = hardening::leave_inherited_behind(&context.args);
    let (whole, config) = load(&args.config)?;
    for note in inherited.into_iter().chain(hardening::protect(Limits {
        outlives_parent: true,
        open_files: Some(hardening::OPEN_FILES),
        ..Limits::default()
    })) {
        tracing::warn!(part = "supervisor", "{note}");
    }
    whole.start_module()?;
    let sandboxing = Sandboxing {
        want: config.sandbox,
        landlock_abi: args.landlock_abi,
    };
    supervisor::run(&config, &args.config, sandboxing, &context.log_arguments()).map_err(
        |error| {
            let message = error.to_string();
            match error {
                SupervisorError::Io(_) => Failure::failed("engine_io", message),
                SupervisorError::Module { code, .. } => Failure {
                    exit: Exit::Unhealthy,
                    ..Failure::failed(format!("module_{code}"), message)
                },
                _ => Failure::usage("engine_configuration", message),
            }
        },
    )?;
    Ok(Report::silent())
}

/// `engine-custody`: started by `engine` alone, which is on the other end of standard input and understands the exit code.
pub fn custody(args: &CustodyArgs) -> ! {
    let policy = args.policy.policy();
    let sandboxing = args.policy.sandboxing();
    let code = match load(&args.config) {
        Ok((whole, config)) => match run_custody(
            &whole,
            policy,
            config.into_inner(),
            &args.config,
            sandboxing,
        ) {
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

fn run_custody(
    whole: &Config,
    policy: Policy,
    config: EngineConfig,
    file: &Path,
    sandboxing: Sandboxing,
) -> Result<(), CustodyError> {
    if whole.fips.policy() != policy {
        tracing::warn!(
            "[fips] of the configuration was changed; what the engine was started with stays in force until it is restarted"
        );
    }
    fips::start(policy)?;
    custody::run(config, file.to_owned(), sandboxing)
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
pub fn formats(args: &PolicyArgs) -> Result<Report, Failure> {
    match formats_process::run(args.policy(), args.sandboxing()) {
        Ok(()) => Ok(Report::silent()),
        Err(error) if error.is_module() => {
            tracing::error!("{error}");
            hardening::exit(supervisor::EXIT_MODULE)
        }
        Err(error) => Err(Failure::failed("formats", error.to_string())),
    }
}

fn load(path: &Path) -> Result<(Config, Checked<EngineConfig>), Failure> {
    let whole = config::load(path)?;
    let engine = whole.checked_engine("engine", PinPolicy::Service)?;
    Ok((whole, engine))
}
