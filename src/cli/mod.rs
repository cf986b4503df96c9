//! The command line: one binary, a sub-command for each job, every report also as JSON.

pub mod engine;

use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(name = "pfx-connector", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the engine.
    Engine(engine::EngineArgs),
    #[command(hide = true)]
    EngineCustody(engine::EngineArgs),
    #[command(hide = true)]
    EngineFormats(engine::FormatsArgs),
}

/// Runs the program with the given arguments and returns its exit code:
/// 0 done, 1 the operation failed, 2 usage or configuration, 3 not healthy.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    match Cli::try_parse_from(args) {
        Ok(cli) => match cli.command {
            Command::Engine(args) => engine::engine(&args),
            Command::EngineCustody(args) => engine::engine_custody(&args),
            Command::EngineFormats(args) => engine::engine_formats(&args),
        },
        Err(error) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            // Nobody is left to tell when standard error is gone.
            let _ = error.print();
            ExitCode::from(code)
        }
    }
}
