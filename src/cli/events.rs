//! `events`: what the running connector did, from its event log.

use super::output;
use super::status::{control_socket, unanswered};
use crate::clock::{Clock, SystemClock, parse_rfc3339};
use crate::connector::control::client;
use crate::telemetry::catalogue::{EventKind, Log};
use crate::telemetry::log::Filter;
use clap::{Args, ValueEnum};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// The three logs by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogName {
    /// One event for each request, and what an operator has to act on.
    Admin,
    /// The steps.
    Operational,
    /// Details.
    Debug,
}

/// Options of `events`.
#[derive(Debug, Clone, Args)]
pub struct EventsArgs {
    /// The configuration file of the connector
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Only of this log
    #[arg(long = "log-name", value_name = "LOG")]
    pub log_name: Option<LogName>,
    /// Only with this number; may be repeated
    #[arg(long = "id", value_name = "NUMBER", value_parser = number)]
    pub ids: Vec<u16>,
    /// Only of this task category
    #[arg(long, value_name = "NAME", value_parser = category)]
    pub category: Option<String>,
    /// Only of this request
    #[arg(long, value_name = "REQUEST")]
    pub request: Option<String>,
    /// Only from this time on: RFC 3339, or so long ago (90s, 15m, 2h, 7d)
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub since: Option<i64>,
    /// Only the last so many
    #[arg(long, value_name = "COUNT")]
    pub limit: Option<usize>,
    /// Go on with those that come
    #[arg(long, short)]
    pub follow: bool,
}

/// Prints events, oldest first: a line each, for people or as JSON.
#[must_use]
pub fn run(args: &EventsArgs, json: bool) -> ExitCode {
    let socket = match control_socket(&args.config, "events") {
        Ok(socket) => socket,
        Err(failure) => return output::finish(Err(failure), json),
    };
    let filter = Filter {
        log: args.log_name.map(|log| match log {
            LogName::Admin => Log::Admin,
            LogName::Operational => Log::Operational,
            LogName::Debug => Log::Debug,
        }),
        ids: args.ids.clone(),
        category: args.category.clone(),
        request_id: args.request.clone(),
        since_ms: args.since,
        limit: args.limit,
    };
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let result = client::events(&socket, &filter, args.follow, |event| {
        let written = if json {
            out.write_all(&event.line())
        } else {
            writeln!(out, "{}", event.human())
        };
        // Whoever reads may have gone.
        written.is_ok() && (!args.follow || out.flush().is_ok())
    });
    let _ = out.flush();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output::finish(Err(unanswered(error)), json),
    }
}

fn category(text: &str) -> Result<String, String> {
    if EventKind::ALL.iter().any(|event| event.category() == text) {
        Ok(text.to_owned())
    } else {
        Err("no event has this category; docs/events.md lists them".to_owned())
    }
}

fn number(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(id) if EventKind::ALL.iter().any(|event| event.id() == id) => Ok(id),
        _ => Err("no event has this number; docs/events.md lists them".to_owned()),
    }
}

fn since(text: &str) -> Result<i64, String> {
    if let Some(ms) = parse_rfc3339(text) {
        return Ok(ms);
    }
    let unit = text.chars().last().and_then(|unit| match unit {
        's' => Some(1_000_i64),
        'm' => Some(60_000),
        'h' => Some(3_600_000),
        'd' => Some(86_400_000),
        _ => None,
    });
    let count = text
        .get(..text.len().saturating_sub(1))
        .and_then(|count| count.parse::<u32>().ok());
    match (unit, count) {
        (Some(unit), Some(count)) => Ok(SystemClock
            .now_ms()
            .saturating_sub(unit.saturating_mul(i64::from(count)))),
        _ => Err(
            "expected a time such as 2026-01-31T12:00:00Z, or so long ago such as 15m or 2h"
                .to_owned(),
        ),
    }
}
