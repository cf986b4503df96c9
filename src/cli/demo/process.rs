//! Programs that the demo starts: those that answer, and those that stay.

use super::error::DemoError;
use fips::secret::file::{self, Access, Rights};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Pause between two looks at a process that is starting or ending.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// How long a process may take to end by itself after SIGTERM.
const STOP_LIMIT: Duration = Duration::from_secs(40);

/// Runs a command to its end with nothing on its standard input.
pub(super) fn run<S: AsRef<OsStr>>(
    program: &Path,
    arguments: &[S],
    environment: &[(String, String)],
) -> Result<Output, DemoError> {
    let command_line = || {
        let arguments: Vec<_> = arguments
            .iter()
            .map(|argument| argument.as_ref().to_string_lossy())
            .collect();
        format!("{} {}", program.display(), arguments.join(" "))
    };
    let output = Command::new(program)
        .args(arguments)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .output()
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => DemoError::Missing {
                program: program.display().to_string(),
                remedy: "`make bootstrap` installs what the demo needs",
            },
            _ => DemoError::io("run", program, error),
        })?;
    if output.status.success() {
        return Ok(output);
    }
    let mut said = String::from_utf8_lossy(&output.stderr).into_owned();
    if said.trim().is_empty() {
        said = String::from_utf8_lossy(&output.stdout).into_owned();
    }
    Err(DemoError::Command {
        command: command_line(),
        output: last_lines(&said),
    })
}

/// Runs a command that answers with one JSON value on its standard output.
pub(super) fn run_json<S: AsRef<OsStr>>(
    program: &Path,
    arguments: &[S],
    environment: &[(String, String)],
) -> Result<serde_json::Value, DemoError> {
    let output = run(program, arguments, environment)?;
    serde_json::from_slice(&output.stdout).map_err(|error| {
        DemoError::step(
            &program.display().to_string(),
            format!("its answer is not JSON: {error}"),
        )
    })
}

/// A process that stays until it is stopped; it is killed when this is dropped.
pub struct Running {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts a process with its output appended to a log file.
    ///
    /// # Errors
    /// When the log cannot be opened or the program not started.
    pub fn start(
        name: &str,
        program: &Path,
        arguments: &[&str],
        log: &Path,
    ) -> Result<Self, DemoError> {
        let output = file::open(log, Access::Append, Rights::Owner)
            .map_err(|error| DemoError::io("open", log, error.into()))?;
        let errors = output
            .try_clone()
            .map_err(|error| DemoError::io("open", log, error))?;
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(|error| DemoError::io("run", program, error))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log: log.to_owned(),
        })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until `ready` holds.
    ///
    /// # Errors
    /// When the process ends first or the time is up.
    pub fn wait_until(
        &mut self,
        limit: Duration,
        mut ready: impl FnMut() -> bool,
    ) -> Result<(), DemoError> {
        let deadline = Instant::now() + limit;
        loop {
            if ready() {
                return Ok(());
            }
            if !self.is_running() {
                return Err(DemoError::step(
                    &self.name,
                    format!("it ended while starting: {}", self.log_end()),
                ));
            }
            if Instant::now() >= deadline {
                return Err(DemoError::step(
                    &self.name,
                    format!("it is not ready after {limit:?}: {}", self.log_end()),
                ));
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// Ends it at once (SIGKILL).
    pub fn kill(&mut self) {
        // Both fail only when it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to stop (SIGTERM) and waits for it.
    ///
    /// # Errors
    /// When it does not end in time, or ends with a failure.
    pub fn stop(mut self) -> Result<(), DemoError> {
        let pid = i32::try_from(self.pid())
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let deadline = Instant::now() + STOP_LIMIT;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => {
                    return Err(DemoError::step(
                        &self.name,
                        format!("it ended with {status}: {}", self.log_end()),
                    ));
                }
                Ok(None) if Instant::now() < deadline => std::thread::sleep(LOOK_AGAIN),
                _ => {
                    return Err(DemoError::step(
                        &self.name,
                        "it does not stop when asked to",
                    ));
                }
            }
        }
    }

    fn log_end(&self) -> String {
        std::fs::read(&self.log)
            .map(|text| last_lines(&String::from_utf8_lossy(&text)))
            .unwrap_or_else(|error| format!("its log cannot be read: {error}"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The last few lines of an output.
fn last_lines(text: &str) -> String {
    const LINES: usize = 6;
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines
        .get(lines.len().saturating_sub(LINES)..)
        .unwrap_or_default()
        .join(" | ")
}
