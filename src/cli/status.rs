//! `status`: what the running connector says of itself.

use super::oracle::subject_line;
use super::output::{Exit, Failure, Report};
use crate::calendar::table;
use crate::clock::{Clock, SystemClock, rfc3339};
use crate::connector::control::client::{self, ControlError};
use crate::connector::control::protocol::Status;
use crate::doctor::service::ask_engine_now;
use crate::encoding::printable;
use crate::engine::api::{
    AuthorityStatus, EngineStatus, KeyStatus, Pkcs1KeyStatus, ProgramStatus, TokenStatus,
};
use crate::engine::recrypt::revocation::ListStatus;
use crate::telemetry::health::HealthState;
use clap::Args;
use hsm::Times;
use hsm::group::MemberState;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Options of `status`.
#[derive(Debug, Clone, Args)]
pub struct StatusArgs {
    /// The configuration file of the connector
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Ask the engine instead of the connector: run as the engine's own user, it says more than connectors are told
    #[arg(long)]
    pub engine: bool,
}

/// The status: exit code 0 healthy, 3 not healthy.
///
/// # Errors
/// [`Failure`] when the configuration cannot be used or nobody answers.
pub fn run(args: &StatusArgs) -> Result<Report, Failure> {
    if args.engine {
        return of_engine(&args.config);
    }
    let socket = control_socket(&args.config, "status")?;
    let status = client::status(&socket).map_err(unanswered)?;
    let json = serde_json::to_value(&status)
        .map_err(|error| Failure::failed("control_protocol", error.to_string()))?;
    Ok(Report {
        json,
        text: human(&status).trim_end().to_owned(),
        exit: if status.health.healthy {
            Exit::Done
        } else {
            Exit::Unhealthy
        },
    })
}

/// The engine's own status; healthy while it does cryptography and has a token.
fn of_engine(path: &Path) -> Result<Report, Failure> {
    let config = crate::config::load(path)?;
    let engine = config.engine.as_ref().ok_or_else(|| {
        Failure::usage(
            "config",
            format!("{}: there is no section [engine]", path.display()),
        )
    })?;
    let status = ask_engine_now(&engine.socket).map_err(|error| {
        Failure::failed("engine", printable(&error.to_string())).hint(
            "start the engine (`engine`) with this configuration file, and ask as its own user",
        )
    })?;
    let json = serde_json::to_value(&status)
        .map_err(|error| Failure::failed("engine_protocol", error.to_string()))?;
    Ok(Report {
        json,
        text: as_table(engine_rows(&status)).trim_end().to_owned(),
        exit: if status.module_fault.is_none() && status.token.is_some() {
            Exit::Done
        } else {
            Exit::Unhealthy
        },
    })
}

/// The control socket of a configuration.
pub(super) fn control_socket(config: &Path, command: &'static str) -> Result<PathBuf, Failure> {
    let config = crate::config::load(config)?;
    Ok(config
        .connector_for_control(command)?
        .control_socket
        .clone())
}

/// Why the running service could not be asked.
pub(super) fn unanswered(error: ControlError) -> Failure {
    let unreached = matches!(error, ControlError::NotRunning { .. });
    let failure = Failure::failed(error.code(), error.to_string());
    if unreached {
        failure.hint("start the connector (`run`) with this configuration file, and ask as the user who runs it")
    } else {
        failure
    }
}

/// One authority whose key is on the token.
fn authority_line(one: &AuthorityStatus) -> String {
    let last = one
        .last_crl
        .map_or_else(|| "none".to_owned(), |number| number.to_string());
    format!(
        "{}: {}, valid until {}, last revocation list {last}",
        one.name,
        printable(&one.subject),
        rfc3339(one.not_after_ms)
    )
}

/// The status as a table for people.
#[must_use]
pub fn human(status: &Status) -> String {
    let mut rows: Vec<(&str, String)> = Vec::new();
    rows.push((
        "instance",
        format!(
            "{} (version {}, process {})",
            status.instance, status.version, status.pid
        ),
    ));
    let health = match (status.health.healthy, status.health.state) {
        (false, _) => "NOT HEALTHY",
        (true, HealthState::Degraded) => "DEGRADED",
        (true, _) => "healthy",
    };
    rows.push(("state", format!("{}, {health}", status.state)));
    for reason in status.health.reasons.iter().chain(&status.health.warnings) {
        rows.push(("", format!("{}: {}", reason.code, reason.message)));
    }
    rows.push((
        "started",
        format!("{} ({} ago)", status.started_at, duration(status.uptime_ms)),
    ));
    let contact = status.last_contact.as_deref().unwrap_or("not yet");
    rows.push((
        "gateway",
        format!("{}, last contact {contact}", status.gateway),
    ));
    rows.push((
        "in flight",
        format!("{} of {}", status.in_flight, status.concurrency),
    ));
    let counters = &status.counters;
    rows.push((
        "requests",
        format!(
            "{} delivered, {} failed, {} parked, {} given back, {} superseded, {} offered again",
            counters.delivered,
            counters.failed,
            counters.parked,
            counters.requeued,
            counters.superseded,
            counters.offered_again
        ),
    ));
    if let Some(revocation) = &status.revocation {
        rows.push(("revoked", super::revocation::words(revocation)));
    }
    match &status.engine {
        None => rows.push(("engine", "does not answer".to_owned())),
        Some(engine) => rows.extend(engine_rows(engine)),
    }
    for authority in &status.authorities {
        rows.extend(super::ca_state::rows(authority).map(|line| ("authority", line)));
    }
    let ends = table(&status.calendar);
    rows.extend(ends.into_iter().map(|line| ("expiry", line)));
    if let Some(fips) = &status.health.fips {
        rows.push((
            "FIPS mode",
            format!(
                "{}, {}; not approved: {} uses (`fips status` says more)",
                fips.mode, fips.level, fips.not_approved
            ),
        ));
    }
    let exceptions = if status.exceptions.is_empty() {
        "none".to_owned()
    } else {
        status.exceptions.join(", ")
    };
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
        format!(
            "{} and {} in archives, {} events lost",
            bytes(status.log.bytes),
            bytes(status.log.archived_bytes),
            status.log.lost
        ),
    ));
    as_table(rows)
}

fn as_table(rows: Vec<(&str, String)>) -> String {
    let mut table = String::new();
    for (name, value) in rows {
        // What the service and the token are called must not move the cursor.
        let value = printable(&value);
        let _ = writeln!(table, "{name:<11} {value}");
    }
    table
}

/// What the engine says of itself.
fn engine_rows(engine: &EngineStatus) -> Vec<(&'static str, String)> {
    let mut rows: Vec<(&str, String)> = Vec::new();
    rows.push((
        "engine",
        format!("version {}, {}", engine.version, engine.module_version),
    ));
    if engine.tokens.is_empty() {
        let there = match &engine.token {
            Some(_) => "there",
            None => "not reachable",
        };
        rows.push(("token", there.to_owned()));
    }
    rows.extend(
        engine
            .tokens
            .iter()
            .map(|token| ("token", token_line(token, engine.coarse))),
    );
    for key in &engine.keys {
        let fingerprint: String = key.fingerprint.chars().take(16).collect();
        let state = if key.problems.is_empty() && key.origin.is_empty() {
            "in use".to_owned()
        } else if key.problems.is_empty() {
            format!("in use ({})", key.origin)
        } else {
            format!("REFUSED: {}", key.problems.join("; "))
        };
        rows.push((
            "key",
            format!(
                "{} RSA-{} {fingerprint}… {state}{}",
                key.label,
                key.modulus_bits,
                where_it_is(key)
            ),
        ));
    }
    if let Some(oracle) = &engine.oracle {
        rows.push((
            "oracle",
            format!(
                "{} ciphertexts quarantined, {} requests refused, {} alarms",
                oracle.quarantined, oracle.refused, oracle.alarms
            ),
        ));
        for (what, subjects) in [("importer", &oracle.importers), ("caller", &oracle.callers)] {
            rows.extend(subjects.iter().map(|one| (what, subject_line(one))));
        }
    }
    rows.extend(
        engine
            .pkcs1_keys
            .iter()
            .map(|key| ("pkcs1", pkcs1_line(key))),
    );
    if let Some(audit) = &engine.audit {
        rows.extend(audit_rows(audit, SystemClock.now_ms(), engine.coarse));
    }
    for list in &engine.revocation_lists {
        rows.push(("revocation", revocation_line(list)));
    }
    if let Some(notice) = engine.program.as_ref().and_then(ProgramStatus::notice) {
        rows.push(("program", notice));
    }
    for one in &engine.authorities {
        rows.push(("token CA", authority_line(one)));
    }
    for part in &engine.parts {
        let pid = part
            .pid
            .map_or("restarting".to_owned(), |pid| format!("process {pid}"));
        rows.push((
            "part",
            format!("{} {pid}, {} restarts", part.name, part.restarts),
        ));
        if let Some(sandbox) = &part.sandbox {
            rows.push(("", format!("sandbox: {}", sandbox.words())));
        }
    }
    rows
}

/// Where a key is, if somebody should know of it.
fn where_it_is(key: &KeyStatus) -> String {
    let mut text = String::new();
    if key.tokens.len() > 1 {
        let _ = write!(text, ", on {}", key.tokens.join(", "));
    }
    for warning in &key.warnings {
        let _ = write!(text, ", {warning}");
    }
    text
}

/// The log of uses of the key, and what is wrong with it.
fn audit_rows(audit: &::audit::Status, now_ms: i64, coarse: bool) -> Vec<(&'static str, String)> {
    let mut rows = vec![("audit log", audit_line(audit, coarse))];
    let troubles = audit.troubles().into_iter();
    rows.extend(troubles.map(|trouble| ("", trouble.words(audit))));
    if let Some(begins) = audit.without_past(now_ms) {
        rows.push((
            "",
            format!(
                "WITHOUT A PAST: it begins at {begins}; of what was before nothing is known, approvals among it"
            ),
        ));
    }
    rows
}

/// The same in a line; without its figures where a connector is not told them.
fn audit_line(audit: &::audit::Status, coarse: bool) -> String {
    let problem = match &audit.problem {
        Some(problem) => format!("CANNOT BE WRITTEN: {problem}; "),
        None => String::new(),
    };
    if coarse {
        return format!("{problem}{}", audit.log);
    }
    format!(
        "{problem}{}, {} entries, sealed up to entry {}",
        audit.log, audit.seq, audit.sealed_upto
    )
}

/// A key that decrypts records of old imports.
fn pkcs1_line(key: &Pkcs1KeyStatus) -> String {
    let fingerprint: String = key.fingerprint.chars().take(16).collect();
    match key.days_left {
        Some(days) => format!(
            "{fingerprint}… decrypts PKCS#1 v1.5 until {}: {days} days left",
            key.until
        ),
        None => format!(
            "{fingerprint}… decrypted PKCS#1 v1.5 until {}: OVER",
            key.until
        ),
    }
}

/// One revocation list, and whether it still says anything.
fn revocation_line(list: &ListStatus) -> String {
    let problem = match &list.problem {
        Some(problem) => format!("; the file that is there now is not used: {problem}"),
        None => String::new(),
    };
    format!(
        "{}: {}, from {} to {}, {} revoked{problem}",
        list.issuer,
        list.state.words(),
        list.this_update,
        list.next_update,
        list.revoked
    )
}

/// One token in a line: what state it is in, what it has to do, how long that takes.
fn token_line(token: &TokenStatus, coarse: bool) -> String {
    let label = token
        .token
        .as_ref()
        .and_then(|token| token.get("label"))
        .and_then(|label| label.as_str());
    let mut text = printable(&token.name);
    if let Some(label) = label.filter(|label| *label != token.name) {
        let _ = write!(text, " ({})", printable(label));
    }
    match (&token.problem, token.state) {
        (Some(problem), _) => {
            let _ = write!(text, " NOT OPEN: {}", printable(problem));
        }
        (None, MemberState::Open) if coarse => text.push_str(" open"),
        (None, MemberState::Open) => {
            let _ = write!(text, " open, {} in hand", token.in_hand);
        }
        (None, _) => text.push_str(" being opened"),
    }
    if token.drained {
        text.push_str(", DRAINED");
    }
    if let Some(left_ms) = token.avoided_ms {
        let _ = write!(text, ", AVOIDED for {left_ms} ms after a failure");
    }
    if let Some(load) = &token.load {
        let micros = |times: &Times| times.quantile(990).unwrap_or_default().as_micros();
        let _ = write!(
            text,
            ", {} at once, 99 of 100 wait up to {} us and take up to {} us",
            load.limit,
            micros(&load.queue_time),
            micros(&load.token_time)
        );
    }
    if let Some(healing) = &token.healing {
        if healing.reconnects > 0 {
            let _ = write!(
                text,
                ", came through trouble {} times (library initialised anew {} times)",
                healing.reconnects,
                healing.module.saturating_sub(1)
            );
        }
        if healing.pin_kept {
            text.push_str(", PIN kept in memory");
        }
    }
    text
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
        _ => format!(
            "{}.{} GiB",
            count / 1_073_741_824,
            count % 1_073_741_824 / 107_374_183
        ),
    }
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;

    #[test]
    fn what_is_wrong_with_the_audit_log_is_a_line_each() {
        let now_ms = SystemClock.now_ms();
        let well = ::audit::Status::default();
        assert_eq!(audit_rows(&well, now_ms, false).len(), 1);
        let unwell = ::audit::Status {
            seal_problem: Some("no token is open".to_owned()),
            seal_overdue: true,
            anchor_problem: Some("/mnt/gone: for 30 s the write has not come back".to_owned()),
            rotation_problem: Some("no space left".to_owned()),
            lost: 3,
            begins: Some(::audit::Timestamp::from_ms(now_ms)),
            ..well
        };
        let lines: Vec<_> = audit_rows(&unwell, now_ms, false)
            .into_iter()
            .map(|(_, line)| line)
            .collect();
        let words = [
            "NOT SEALED",
            "NOT WRITTEN",
            "grows on",
            "3 entries",
            "WITHOUT A PAST",
        ];
        for (word, line) in words.into_iter().zip(lines.iter().skip(1)) {
            assert!(line.contains(word), "{word}: {line}");
        }
        assert_eq!(lines.len(), 6);
    }
}
