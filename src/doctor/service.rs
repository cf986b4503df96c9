//! What runs: the connector by its control socket, the engine by its socket.

use super::catalogue::{
    SERVICE_AUDIT, SERVICE_CONNECTOR, SERVICE_ENGINE, SERVICE_PROTECTION, SERVICE_RESTARTS,
    SERVICE_SANDBOX,
};
use super::finding::Finding;
use crate::ca::AuthorityState;
use crate::calendar::Calendar;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::connector::control::client::{self, ControlError};
use crate::connector::control::protocol::Status;
use crate::engine::api::{EngineStatus, PartStatus, ProgramStatus, TOKEN_OPENING};
use crate::engine::client::{EngineClient, RecryptError};
use crate::evidence::status::FipsStatus;
use serde_json::json;
use std::path::Path;

/// What the running services answered; asked once for all groups.
#[derive(Debug, Default)]
pub struct Running {
    connector: Option<Result<Box<Status>, ControlError>>,
    engine: Option<Result<Box<EngineStatus>, RecryptError>>,
}

impl Running {
    /// Asks the services whose sections the configuration has. Every question has a deadline.
    #[must_use]
    pub fn ask(config: &Config) -> Self {
        let connector = config
            .connector
            .as_ref()
            .map(|section| client::status(&section.control_socket).map(Box::new));
        // The connector's section names the engine's socket too: a machine may have that section alone.
        let socket = config
            .engine
            .as_ref()
            .map(|section| &section.socket)
            .or_else(|| {
                config
                    .connector
                    .as_ref()
                    .map(|section| &section.engine_socket)
            });
        let engine = socket.map(|socket| ask_engine_now(socket).map(Box::new));
        Self { connector, engine }
    }

    /// What the running services say of their cryptography; `None` where none answers.
    #[must_use]
    pub fn fips(&self) -> Option<FipsStatus> {
        if let Some(Ok(status)) = &self.connector {
            return Some(FipsStatus::of_connector(
                status.fips.as_ref(),
                status.engine.as_ref(),
            ));
        }
        match &self.engine {
            Some(Ok(status)) => Some(FipsStatus::of_engine(status)),
            _ => None,
        }
    }

    /// How the running connector's authorities fare; none where no connector answers.
    #[must_use]
    pub fn authorities(&self) -> &[AuthorityState] {
        match &self.connector {
            Some(Ok(status)) => &status.authorities,
            _ => &[],
        }
    }

    /// What the running services have in use, and when it ends: the connector's word, which has the engine's in it, or the engine's alone;
    /// `None` where neither answers.
    #[must_use]
    pub fn calendar(&self, now_ms: i64) -> Option<Calendar> {
        match (&self.connector, &self.engine) {
            (Some(Ok(status)), _) => Some(status.calendar.clone()),
            (_, Some(Ok(status))) => Some(Calendar::of(&status.calendar, now_ms)),
            _ => None,
        }
    }

    /// Whether an engine answers, which then uses its token.
    #[must_use]
    pub fn has_engine(&self) -> bool {
        matches!(self.engine, Some(Ok(_)))
    }
}

impl Running {
    /// Whether an engine answers and says that it cannot open its tokens, or that of the section `key` (`engine.tokens.NAME`).
    #[must_use]
    pub fn engine_lacks(&self, key: &str) -> bool {
        let Some(Ok(status)) = &self.engine else {
            return false;
        };
        let name = key.strip_prefix("engine.tokens.");
        let problems = status
            .tokens
            .iter()
            .filter(|token| name == Some(token.name.as_str()))
            .map(|token| &token.problem)
            .chain([&status.token_problem]);
        problems.flatten().any(|problem| problem != TOKEN_OPENING)
    }
}

/// What the engine at this socket says of itself.
pub(super) async fn ask_engine(socket: &Path) -> Result<EngineStatus, RecryptError> {
    EngineClient::connect(socket).await?.status().await
}

/// The same, for who has no runtime.
pub(crate) fn ask_engine_now(socket: &Path) -> Result<EngineStatus, RecryptError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| RecryptError::Unavailable(error.to_string()))?;
    runtime.block_on(ask_engine(socket))
}

/// Judges what was answered.
#[must_use]
pub fn examine(running: &Running) -> Vec<Finding> {
    let mut findings = Vec::new();
    match &running.connector {
        None => {}
        Some(Ok(status)) => findings.push(connector(status)),
        Some(Err(error @ ControlError::NotRunning { .. })) => {
            findings.push(not_running(
                SERVICE_CONNECTOR.note("", error.to_string()),
                "run",
            ));
        }
        Some(Err(error)) => {
            findings.push(
                SERVICE_CONNECTOR
                    .error("", error.to_string())
                    .code(error.code()),
            );
        }
    }
    match &running.engine {
        None => {}
        Some(Ok(status)) => findings.extend(engine(status)),
        Some(Err(RecryptError::Unavailable(problem))) => findings.push(not_running(
            SERVICE_ENGINE.note("", format!("no engine answers: {problem}")),
            "engine",
        )),
        Some(Err(error)) => findings.push(SERVICE_ENGINE.error("", error.to_string())),
    }
    findings
}

/// The sandbox of a part: what it says, held against what the kernel says.
fn sandbox(part: &PartStatus) -> Option<Finding> {
    let said = part.sandbox.as_ref()?;
    let facts = json!({"sandbox": said, "kernel": part.kernel});
    let found = if part.contradicts_its_sandbox() {
        SERVICE_SANDBOX.error(
            &part.name,
            "says that its system calls are filtered; the kernel says that they are not",
        )
    } else if let (true, Some(pid), None) = (said.is_in_force(), part.pid, part.kernel) {
        // The word of a process about itself is what a process that was taken over would say as well.
        return Some(
            SERVICE_SANDBOX
                .note(
                    &part.name,
                    format!("unknown: it says {}, and the kernel does not show the engine whether that is so", said.words()),
                )
                .code("unknown")
                .remedy(format!(
                    "ask as root: `grep -E '^(Seccomp|NoNewPrivs):' /proc/{pid}/status` has to say 2 and 1; or let the engine see its own parts, by `ProtectProc=default` in its unit"
                ))
                .facts(facts),
        );
    } else if said.is_in_force() {
        return Some(SERVICE_SANDBOX.ok(&part.name, said.words()).facts(facts));
    } else {
        SERVICE_SANDBOX.warning(
            &part.name,
            format!("{}: {}", said.words(), said.lacking.join("; ")),
        )
    };
    Some(found.remedy(SERVICE_SANDBOX.remedy).facts(facts))
}

/// Before operation nothing runs yet: nothing fails of that.
fn not_running(found: Finding, command: &str) -> Finding {
    found.code("not_running").remedy(format!(
        "if it should run: start it (`pfx-connector {command} --config F`), and ask as its own user or root"
    ))
}

fn connector(status: &Status) -> Finding {
    let who = format!(
        "{}, version {}, process {}",
        status.instance, status.version, status.pid
    );
    let facts = json!({"version": status.version, "pid": status.pid, "state": status.state});
    if !status.health.healthy {
        let reasons: Vec<String> = status
            .health
            .reasons
            .iter()
            .map(|reason| format!("{}: {}", reason.code, reason.message))
            .collect();
        let code = status.health.reasons.first();
        return SERVICE_CONNECTOR
            .error("", format!("{who}: not healthy: {}", reasons.join("; ")))
            .code(code.map_or("unhealthy", |reason| reason.code.as_str()))
            .facts(facts);
    }
    if status.version != crate::VERSION {
        return SERVICE_CONNECTOR
            .warning(
                "",
                format!("{who}: this program is version {}", crate::VERSION),
            )
            .remedy("restart it, so that what runs is what is installed")
            .facts(facts);
    }
    if !status.health.warnings.is_empty() {
        let warnings = status.health.warnings.iter();
        let said: Vec<_> = warnings.map(|warning| warning.message.as_str()).collect();
        return SERVICE_CONNECTOR
            .warning("", format!("{who}: degraded: {}", said.join("; ")))
            .code("degraded")
            .facts(facts);
    }
    SERVICE_CONNECTOR
        .ok("", format!("{who}: healthy"))
        .facts(facts)
}

fn audit_log(log: &audit::Status, now_ms: i64) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(problem) = &log.problem {
        findings.push(
            SERVICE_AUDIT
                .error(
                    "",
                    format!("the audit log cannot be written, and nothing is decrypted meanwhile: {problem}"),
                )
                .code("unwritable")
                .remedy("see that its disk has room and its folder is there; nothing has to be restarted then"),
        );
    }
    for trouble in log.troubles() {
        findings.push(
            SERVICE_AUDIT
                .warning("", trouble.words(log))
                .code(trouble.name())
                .remedy(trouble.remedy()),
        );
    }
    if let Some(begins) = log.without_past(now_ms) {
        findings.push(
            SERVICE_AUDIT
                .warning(
                    "",
                    format!(
                        "the audit log {} has no past: it begins at {begins}",
                        log.log
                    ),
                )
                .code("without_past"),
        );
    }
    if findings.is_empty() {
        findings.push(SERVICE_AUDIT.ok(
            "",
            format!(
                "the audit log {} has a past, and is sealed up to entry {}",
                log.log, log.sealed_upto
            ),
        ));
    }
    let facts = json!({
        "log": log.log,
        "seq": log.seq,
        "sealedUpto": log.sealed_upto,
        "sealWaitedMs": log.seal_waited_ms,
        "lost": log.lost,
        "begins": log.begins,
    });
    findings
        .into_iter()
        .map(|finding| finding.facts(facts.clone()))
        .collect()
}

fn engine(status: &EngineStatus) -> Vec<Finding> {
    let who = format!("version {}, {}", status.version, status.module_version);
    let facts = json!({
        "version": status.version,
        "answered": status.answered,
        "inFlight": status.in_flight,
    });
    let usable = status.keys.iter().filter(|key| key.problems.is_empty());
    let own = if let Some(fault) = &status.module_fault {
        SERVICE_ENGINE
            .error(
                "",
                format!("{who}: its cryptographic module failed: {}", fault.message),
            )
            .code("module")
            .remedy("restart the engine; if it fails again, install the program again")
    } else if let Some(problem) = &status.token_problem {
        if problem == TOKEN_OPENING {
            SERVICE_ENGINE.note("", format!("{who}: {problem}"))
        } else {
            SERVICE_ENGINE
                .error("", format!("{who}: it has no token: {problem}"))
                .code("token")
        }
    } else if usable.clone().next().is_none() {
        SERVICE_ENGINE
            .error("", format!("{who}: it has no custody key that it may use"))
            .code("key")
    } else if let Some(notice) = status.program.as_ref().and_then(ProgramStatus::notice) {
        SERVICE_ENGINE
            .warning("", format!("{who}: {notice}"))
            .remedy("restart it, so that what runs is what is installed")
    } else if status.version != crate::VERSION {
        SERVICE_ENGINE
            .warning(
                "",
                format!("{who}: this program is version {}", crate::VERSION),
            )
            .remedy("restart it, so that what runs is what is installed")
    } else {
        SERVICE_ENGINE.ok(
            "",
            format!("{who}: has its token and {} usable keys", usable.count()),
        )
    };
    let mut findings = vec![own.facts(facts)];
    for part in &status.parts {
        if part.restarts > 0 {
            findings.push(
                SERVICE_RESTARTS
                    .warning(
                        &part.name,
                        format!(
                            "was replaced {} times since the engine started",
                            part.restarts
                        ),
                    )
                    .facts(json!({"restarts": part.restarts})),
            );
        }
        findings.extend(sandbox(part));
        for note in &part.notes {
            findings.push(
                SERVICE_PROTECTION
                    .note(&part.name, note)
                    .remedy(SERVICE_PROTECTION.remedy),
            );
        }
    }
    if let Some(log) = &status.audit {
        findings.extend(audit_log(log, SystemClock.now_ms()));
    }
    for process in &status.fips {
        let problem = process
            .memory
            .as_ref()
            .and_then(|memory| memory.problem.as_ref());
        if let Some(problem) = problem {
            findings.push(
                SERVICE_PROTECTION
                    .note(&process.process, problem)
                    .remedy(SERVICE_PROTECTION.remedy),
            );
        }
    }
    if status.parts.iter().all(|part| part.restarts == 0) {
        findings.push(SERVICE_RESTARTS.ok("", "no part of the engine was replaced"));
    }
    findings
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]
    use super::*;
    use crate::doctor::finding::Severity;
    use crate::engine::sandboxing::KernelWord;
    use ::sandbox::{Report, Violation, Want};

    const FILTERED: KernelWord = KernelWord {
        seccomp: 2,
        seccomp_filters: 2,
        no_new_privs: true,
    };

    fn formats(landlock_abi: u8, kernel: Option<KernelWord>) -> Finding {
        let said = Report {
            want: Want::Available,
            profile: "formats".to_owned(),
            landlock_abi,
            paths: 0,
            absent: Vec::new(),
            calls: 40,
            violation: Violation::Kill,
            families: Vec::new(),
            maps_code: false,
            lacking: Vec::new(),
        };
        let part = PartStatus {
            name: "formats".to_owned(),
            pid: Some(4711),
            restarts: 0,
            resident_bytes: None,
            notes: Vec::new(),
            sandbox: Some(said),
            kernel,
        };
        sandbox(&part).unwrap()
    }

    #[test]
    fn a_log_that_is_not_sealed_or_cannot_be_written_is_found() {
        let long_ago = audit::Timestamp::from_ms(0);
        let well = audit::Status {
            begins: Some(long_ago),
            ..audit::Status::default()
        };
        let now_ms = SystemClock.now_ms();
        let codes = |log: &audit::Status| -> Vec<_> {
            let findings = audit_log(log, now_ms).into_iter();
            findings
                .map(|found| (found.severity, found.code.unwrap_or_default()))
                .collect()
        };
        assert_eq!(codes(&well), [(Severity::Ok, String::new())]);
        let unwell = audit::Status {
            problem: Some("no space left".to_owned()),
            seal_problem: Some("no token is open".to_owned()),
            seal_overdue: true,
            anchor_problem: Some("it hangs".to_owned()),
            rotation_problem: Some("no space left".to_owned()),
            lost: 1,
            ..well
        };
        let found = codes(&unwell);
        assert_eq!(found[0], (Severity::Error, "unwritable".to_owned()));
        let named: Vec<_> = found[1..].iter().map(|(_, code)| code.as_str()).collect();
        assert_eq!(named, ["unsealed", "unanchored", "notRotated", "lost"]);
    }

    #[test]
    fn what_the_kernel_does_not_say_of_a_sandbox_is_not_known() {
        assert_eq!(formats(7, Some(FILTERED)).severity, Severity::Ok);
        let silent = formats(7, None);
        assert_eq!(silent.severity, Severity::Note);
        assert_eq!(silent.code.as_deref(), Some("unknown"));
        assert!(silent.remedy.unwrap().contains("/proc/4711/status"));
        // What it lacks by its own word is worse.
        assert_eq!(formats(0, None).severity, Severity::Warning);
    }

    #[test]
    fn a_sandbox_that_the_kernel_denies_is_an_error() {
        for denied in [
            KernelWord {
                seccomp: 0,
                ..FILTERED
            },
            KernelWord {
                no_new_privs: false,
                ..FILTERED
            },
        ] {
            assert_eq!(formats(7, Some(denied)).severity, Severity::Error);
        }
    }
}
