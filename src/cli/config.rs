//! `config example`, `config check`.

use super::output::{Exit, Failure, Report, problem_list};
use crate::config::{self, PinPolicy};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use std::path::{Path, PathBuf};

/// `config`.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print a whole configuration file with an explanation of every key
    Example,
    /// Check a configuration file: its keys and values, and with `--for` the files that it names
    Check {
        /// Configuration file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Look at the files of this process too, as the user who runs it (default: at no file)
        #[arg(long = "for", value_name = "PROCESS", value_enum)]
        process: Vec<Process>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Process {
    Engine,
    Run,
    Gateway,
    Import,
}

/// Runs it.
///
/// # Errors
/// [`Failure`] when the file is not what it has to be.
pub fn run(args: &ConfigArgs) -> Result<Report, Failure> {
    match &args.command {
        ConfigCommand::Example => {
            let example = config::example();
            // One line end is added when it is printed.
            let text = example.trim_end().to_owned();
            Ok(Report::done(json!({ "example": example }), text))
        }
        ConfigCommand::Check { config, process } => check(config, process),
    }
}

fn check(path: &Path, processes: &[Process]) -> Result<Report, Failure> {
    let config = config::load(path)?;
    for process in processes {
        match process {
            Process::Engine => drop(config.checked_engine("engine", PinPolicy::Service)?),
            Process::Run => drop(config.checked_connector("run")?),
            Process::Gateway => drop(config.checked_gateway("gateway")?),
            Process::Import => drop(config.checked_import("import")?),
        }
    }
    let problems = problem_list(&config.inconsistencies());
    if problems.is_empty() {
        let files = if processes.is_empty() {
            "; the files that it names were not looked at (`--for engine|run|gateway|import` does that)"
        } else {
            ", and so are the files"
        };
        let text = format!("{}: every key and value is fine{files}", path.display());
        return Ok(Report::done(json!({"ok": true, "problems": []}), text));
    }
    Ok(Report {
        text: format!("{}:\n  {}", path.display(), problems.join("\n  ")),
        json: json!({"ok": false, "problems": problems}),
        exit: Exit::Usage,
    })
}
