//! `status`: what the running connector says of itself.

use crate::connector::control::client;
use crate::connector::control::protocol::Status;
use clap::Args;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Options of `status`.
#[derive(Debug, Clone, Args)]
pub struct StatusArgs {
    /// The configuration file of the connector
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// Prints the status: 0 healthy, 3 not healthy, 1 nobody answers, 2 the configuration cannot be used.
#[must_use]
pub fn run(args: &StatusArgs, json: bool) -> ExitCode {
    let socket = match control_socket(&args.config, "status", json) {
        Ok(socket) => socket,
        Err(exit) => return exit,
    };
    match client::status(&socket) {
        Ok(status) => {
            let text = if json {
                serde_json::to_string(&status).unwrap_or_default()
            } else {
                human(&status)
            };
            let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
            ExitCode::from(if status.health.healthy { 0 } else { 3 })
        }
        Err(error) => explain(error.code(), &error.to_string(), 1, json),
    }
}

/// The control socket of a configuration, or the exit code when there is none.
pub(super) fn control_socket(config: &std::path::Path, command: &'static str, json: bool) -> Result<PathBuf, ExitCode> {
    crate::config::load(config)
        .and_then(|config| {
            config
                .connector_for_control(command)
                .map(|section| section.control_socket.clone())
        })
        .map_err(|error| explain(error.code(), &error.to_string(), 2, json))
}

/// Says on standard error what went wrong, and returns the exit code.
pub(super) fn explain(code: &str, message: &str, exit: u8, json: bool) -> ExitCode {
    let text = if json {
        serde_json::json!({"error": {"code": code, "message": message}}).to_string()
    } else {
        format!("error: {message}")
    };
    let _ = writeln!(std::io::stderr(), "{text}");
    ExitCode::from(exit)
}

/// The status as a table for people.
#[must_use]
pub fn human(status: &Status) -> String {
    let mut rows: Vec<(&str, String)> = Vec::new();
    rows.push(("instance", format!("{} (version {}, process {})", status.instance, status.version, status.pid)));
    let health = if status.health.healthy { "healthy" } else { "NOT HEALTHY" };
    rows.push(("state", format!("{}, {health}", status.state)));
    for reason in &status.health.reasons {
        rows.push(("", format!("{}: {}", reason.code, reason.message)));
    }
    rows.push(("started", format!("{} ({} ago)", status.started_at, duration(status.uptime_ms))));
    let contact = status.last_contact.as_deref().unwrap_or("not yet");
    rows.push(("gateway", format!("{}, last contact {contact}", status.gateway)));
    rows.push(("in flight", format!("{} of {}", status.in_flight, status.concurrency)));
    let counters = &status.counters;
    rows.push((
        "requests",
        format!(
            "{} delivered, {} failed, {} parked, {} given back, {} superseded, {} offered again",
            counters.delivered, counters.failed, counters.parked, counters.requeued, counters.superseded, counters.offered_again
        ),
    ));
    match &status.engine {
        None => rows.push(("engine", "does not answer".to_owned())),
        Some(engine) => {
            rows.push(("engine", format!("version {}, {}", engine.version, engine.module_version)));
            let token = engine.token.as_ref().and_then(|token| token.get("label")).and_then(|label| label.as_str());
            rows.push(("token", token.unwrap_or(if engine.token.is_some() { "there" } else { "not reachable" }).to_owned()));
            for key in &engine.keys {
                let fingerprint: String = key.fingerprint.chars().take(16).collect();
                let state = if key.problems.is_empty() { "in use".to_owned() } else { format!("REFUSED: {}", key.problems.join("; ")) };
                rows.push(("key", format!("{} RSA-{} {fingerprint}… {state}", key.label, key.modulus_bits)));
            }
            for part in &engine.parts {
                let pid = part.pid.map_or("restarting".to_owned(), |pid| format!("process {pid}"));
                rows.push(("part", format!("{} {pid}, {} restarts", part.name, part.restarts)));
            }
        }
    }
    let exceptions = if status.exceptions.is_empty() { "none".to_owned() } else { status.exceptions.join(", ") };
    rows.push(("exceptions", exceptions));
    match &status.journal {
        None => rows.push(("journal", "cannot be read".to_owned())),
        Some(journal) => rows.push((
            "journal",
            format!(
                "{} of {}, {} remembered, {} to upload, {} to report",
                bytes(journal.bytes),
                bytes(journal.max_bytes),
                journal.remembered,
                journal.outcomes,
                journal.unreported
            ),
        )),
    }
    rows.push((
        "event log",
        format!("{} and {} in archives, {} events lost", bytes(status.log.bytes), bytes(status.log.archived_bytes), status.log.lost),
    ));
    let mut table = String::new();
    for (name, value) in rows {
        // What the service and the token are called must not move the cursor.
        let value: String = value.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        let _ = writeln!(table, "{name:<11} {value}");
    }
    table
}

fn duration(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

fn bytes(count: u64) -> String {
    match count {
        0..1024 => format!("{count} B"),
        1024..1_048_576 => format!("{} KiB", count / 1024),
        1_048_576..1_073_741_824 => format!("{} MiB", count / 1_048_576),
        _ => format!("{}.{} GiB", count / 1_073_741_824, count % 1_073_741_824 / 107_374_183),
    }
}
