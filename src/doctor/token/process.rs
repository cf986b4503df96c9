//! The other process: how it is started, what it says, and what it means when it stops saying anything.

use crate::doctor::catalogue::{Check, TOKEN_LOGIN, TOKEN_MODULE_LOADS, TOKEN_ROUND_TRIP};
use crate::doctor::finding::Finding;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The longest line that is read, in bytes.
const MAX_LINE_BYTES: u64 = 256 * 1024;
/// The most lines: a probe that works says far fewer.
const MAX_LINES: usize = 4_096;
/// How long a step of many calls may take at least.
const MANY_CALLS: Duration = Duration::from_secs(30);
/// How long a probe that is done may take to end by itself: closing sessions, finalising the module.
const ENDING: Duration = Duration::from_secs(3);
/// Between two looks at a process that has not ended.
const LOOK: Duration = Duration::from_millis(10);

/// How the probe is started: this program, by a hidden command.
#[derive(Debug, Clone)]
pub struct ProbeLaunch {
    /// This program.
    pub program: PathBuf,
    /// The command and its arguments.
    pub arguments: Vec<OsString>,
    /// Its whole environment.
    pub environment: Vec<(OsString, OsString)>,
    /// How long a call may take until the module is taken for hanging.
    pub patience: Duration,
    /// Whether its messages, and those of the module, are shown.
    pub show_messages: bool,
}

/// What the probe says: a line of JSON each, on the socket that it has as standard input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Line {
    /// It begins a step.
    Step(Step),
    /// It found something.
    Finding(Box<Finding>),
    /// It is done; what follows is cleaning up.
    Done,
}

/// A step in which a module may crash or hang.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Step {
    /// The program starts.
    Start,
    /// The PIN is read.
    Pin,
    /// The module is loaded and initialised, and says what there is.
    Load,
    /// Login, sessions, trying the keys.
    Open,
    /// The keys are read.
    Keys,
    /// Decryptions are timed.
    Measure,
}

impl Step {
    const fn doing(self) -> &'static str {
        match self {
            Self::Start => "starting",
            Self::Pin => "reading the PIN",
            Self::Load => "loading and initialising the module",
            Self::Open => "logging in and trying the keys",
            Self::Keys => "reading the keys",
            Self::Measure => "measuring",
        }
    }

    /// How long it may be silent, where one call may take `call`: opening logs in, opens every session and tries the keys, which is many
    /// calls.
    fn patience(self, call: Duration) -> Duration {
        match self {
            Self::Start | Self::Pin | Self::Load => call,
            Self::Open | Self::Keys | Self::Measure => call.max(MANY_CALLS),
        }
    }

    const fn check(self) -> Check {
        match self {
            Self::Start | Self::Pin | Self::Load => TOKEN_MODULE_LOADS,
            Self::Open | Self::Keys => TOKEN_LOGIN,
            Self::Measure => TOKEN_ROUND_TRIP,
        }
    }
}

/// Runs the probe once, and never again: a second run could cost a second try of the PIN.
pub(super) fn run(key: &str, launch: &ProbeLaunch) -> Vec<Finding> {
    let (mut child, stream) = match spawn(launch) {
        Ok(spawned) => spawned,
        Err(error) => {
            return vec![
                TOKEN_MODULE_LOADS
                    .error(key, format!("the probe cannot be started: {error}"))
                    .remedy(
                        "this program starts itself for this: it must be executable for this user",
                    ),
            ];
        }
    };
    let (mut findings, end) = listen(stream, launch.patience);
    let problem = match end {
        End::Done => {
            let _ = reap(&mut child, ENDING);
            None
        }
        End::Silent(step) => {
            let _ = child.kill();
            let _ = reap(&mut child, ENDING);
            Some(
                step.check()
                    .error(
                        key,
                        format!(
                            "the module hangs: no answer in {} s while {}",
                            step.patience(launch.patience).as_secs_f32(),
                            step.doing()
                        ),
                    )
                    .code("module_hangs")
                    .remedy("check what the module talks to (its daemon, the network, the device) with the vendor's tools; the engine replaces a process that hangs, but cannot work with such a module"),
            )
        }
        End::Closed(step) => {
            let status = reap(&mut child, ENDING);
            Some(ended(key, step, status))
        }
        End::Nonsense => {
            let _ = child.kill();
            let _ = reap(&mut child, ENDING);
            Some(TOKEN_MODULE_LOADS.error(key, "the probe said what no probe of this release says"))
        }
    };
    findings.extend(problem.map(|found| found.facts(json!({"module": key}))));
    findings
}

fn spawn(launch: &ProbeLaunch) -> std::io::Result<(Child, UnixStream)> {
    let (ours, theirs) = UnixStream::pair()?;
    let messages = if launch.show_messages {
        Stdio::inherit()
    } else {
        Stdio::null()
    };
    let child = Command::new(&launch.program)
        .args(&launch.arguments)
        .env_clear()
        .envs(launch.environment.iter().map(|(name, value)| (name, value)))
        .current_dir("/")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        // Modules print where they should not.
        .stdout(Stdio::null())
        .stderr(messages)
        .spawn()?;
    Ok((child, ours))
}

/// How the conversation ended, and in which step.
enum End {
    Done,
    Silent(Step),
    Closed(Step),
    Nonsense,
}

fn listen(stream: UnixStream, patience: Duration) -> (Vec<Finding>, End) {
    let mut findings = Vec::new();
    let mut step = Step::Start;
    let mut reader = BufReader::new(stream);
    for _ in 0..MAX_LINES {
        let limit = step.patience(patience);
        if reader.get_ref().set_read_timeout(Some(limit)).is_err() {
            return (findings, End::Nonsense);
        }
        let mut line = Vec::new();
        match reader
            .by_ref()
            .take(MAX_LINE_BYTES)
            .read_until(b'\n', &mut line)
        {
            Ok(0) => return (findings, End::Closed(step)),
            Ok(_) => {}
            Err(error) => {
                let silent = matches!(
                    error.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                );
                let end = if silent {
                    End::Silent(step)
                } else {
                    End::Closed(step)
                };
                return (findings, end);
            }
        }
        match serde_json::from_slice::<Line>(&line) {
            Ok(Line::Step(next)) => step = next,
            Ok(Line::Finding(found)) => findings.push(*found),
            Ok(Line::Done) => return (findings, End::Done),
            // A line that breaks off is one of a process that died in the middle of it.
            Err(_) if line.last() != Some(&b'\n') => return (findings, End::Closed(step)),
            Err(_) => return (findings, End::Nonsense),
        }
    }
    (findings, End::Nonsense)
}

/// Waits for the end, and makes one after `patience`. A process that the kernel does not let go, inside of a driver or a network file
/// system, is left to itself after as long again.
fn reap(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let ended = wait(child, patience);
    if ended.is_some() {
        return ended;
    }
    let _ = child.kill();
    wait(child, patience)
}

fn wait(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + patience;
    loop {
        match child.try_wait() {
            Ok(None) if Instant::now() < deadline => std::thread::sleep(LOOK),
            Ok(status) => return status,
            Err(_) => return None,
        }
    }
}

fn ended(key: &str, step: Step, status: Option<ExitStatus>) -> Finding {
    let doing = step.doing();
    let how = match status.map(|status| (status.signal(), status.code())) {
        Some((Some(signal), _)) => format!("by signal {signal}{}", name_of(signal)),
        Some((None, Some(code))) => format!("with exit code {code}"),
        _ => "nobody knows how".to_owned(),
    };
    step.check()
        .error(key, format!("the module ends the process that uses it, {how}, while {doing}"))
        .code("module_crashes")
        .remedy("have the vendor's library looked at, and its version; `pfx-connector -v doctor` shows what it prints")
}

fn name_of(signal: i32) -> &'static str {
    match signal {
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        7 => " (SIGBUS)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL)",
        11 => " (SIGSEGV)",
        31 => " (SIGSYS)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]
    use super::*;
    use crate::doctor::finding::Severity;

    fn shell(script: &str, patience: Duration) -> Vec<Finding> {
        run(
            "engine.token",
            &ProbeLaunch {
                program: "/bin/sh".into(),
                arguments: vec!["-c".into(), script.into()],
                environment: Vec::new(),
                patience,
                show_messages: false,
            },
        )
    }

    fn line(line: &Line) -> String {
        format!(
            "printf '%s\\n' '{}' >&0; ",
            serde_json::to_string(line).unwrap()
        )
    }

    #[test]
    fn a_probe_that_is_killed_leaves_what_it_found_and_where_it_died() {
        let said = TOKEN_MODULE_LOADS.ok("engine.token", "loaded");
        let script = line(&Line::Finding(Box::new(said.clone())))
            + &line(&Line::Step(Step::Open))
            + "kill -SEGV $$";
        let found = shell(&script, Duration::from_secs(60));
        assert_eq!(found[0], said);
        assert_eq!(found[1].id, TOKEN_LOGIN);
        assert_eq!(found[1].code.as_deref(), Some("module_crashes"));
        assert!(found[1].found.contains("SIGSEGV"), "{}", found[1].found);
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn a_probe_that_says_nothing_is_ended() {
        let script = line(&Line::Step(Step::Load)) + "exec sleep 600";
        let found = shell(&script, Duration::from_millis(300));
        assert_eq!(found[0].code.as_deref(), Some("module_hangs"));
        assert_eq!(found[0].severity, Severity::Error);
        assert_eq!(found[0].id, TOKEN_MODULE_LOADS);
    }

    #[test]
    fn nonsense_and_lines_without_end_are_no_findings() {
        for script in [
            "echo nonsense >&0",
            "while :; do printf x; done >&0",
            "while :; do printf '{\"step\":\"load\"}\\n'; done >&0",
        ] {
            let found = shell(script, Duration::from_secs(60));
            assert_eq!(found.len(), 1, "{script}");
            assert_eq!(found[0].severity, Severity::Error);
        }
    }

    #[test]
    fn a_probe_that_is_done_may_hang_afterwards() {
        let script = line(&Line::Done) + "exec sleep 600";
        assert_eq!(shell(&script, Duration::from_secs(60)), []);
    }
}
