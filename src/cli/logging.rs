//! Diagnostic messages of the program, on standard error. The connector's event log is another thing: see `telemetry`.

use super::output::Failure;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

/// What to print when nothing else is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usual {
    /// A command for a person: warnings.
    Command,
    /// A service: what it does as well.
    Service,
}

/// Sets up the messages: `verbose` steps more than usual, or exactly what `filter` says (`info,pfx_connector::engine=debug`).
///
/// # Errors
/// [`Failure`] when the filter is not one.
pub fn start(usual: Usual, verbose: u8, filter: Option<&str>, json: bool) -> Result<(), Failure> {
    let level = match (usual, verbose) {
        (Usual::Command, 0) => LevelFilter::WARN,
        (Usual::Command, 1) | (Usual::Service, 0) => LevelFilter::INFO,
        (Usual::Command, 2) | (Usual::Service, 1) => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let text = filter.map_or_else(|| level.to_string(), str::to_owned);
    // cryptoki logs every slot it looks at as an error, and is of no use to anybody who has not its source at hand.
    let filter = EnvFilter::builder()
        .parse(format!("{text},cryptoki=off"))
        .map_err(|error| {
            Failure::usage(
                "log_filter",
                format!("`--log {text}` is no filter: {error}"),
            )
            .hint("such as `--log info` or `--log warn,pfx_connector::engine=debug`")
        })?;
    let writer = BoxMakeWriter::new(std::io::stderr);
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer);
    // A subscriber may be there already when a test runs several commands in one process: then that one stays.
    let _ = if json {
        builder.json().flatten_event(true).try_init()
    } else {
        builder.with_ansi(false).compact().try_init()
    };
    Ok(())
}
