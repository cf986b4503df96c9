//! One of the two child processes: how it is started, watched and replaced.

use super::event::Event;
use super::module_fault::Ending;
use super::program::Program;
use crate::config::{EngineConfig, RestartConfig};
use crate::engine::ipc::blocking::{Incoming, read_frame};
use crate::engine::ipc::{Duplex, Frame, Kind};
use crate::engine::sandboxing::Sandboxing;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

/// Bytes that may wait to be written to a part: more than its lane ever hands out.
const WRITE_LIMIT_BYTES: usize = 512 * 1024 * 1024;
/// How long a part may take from its start to its greeting, at least: the cryptographic self-tests are in it.
const START_LIMIT: Duration = Duration::from_secs(20);
/// How long a killed process is waited for before its successor is started anyway.
const REAP_LIMIT: Duration = Duration::from_secs(2);
/// Exit code by which a part says that its configuration is at fault, so that starting it again is of no use.
pub(crate) const EXIT_CONFIGURATION: i32 = 2;

/// Which part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PartKind {
    Custody,
    Formats,
}

impl PartKind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Custody => "custody",
            Self::Formats => "formats",
        }
    }
}

/// How a part is started.
#[derive(Debug, Clone)]
pub(super) struct Launch {
    program: PathBuf,
    name: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
}

impl Launch {
    /// How to start `kind`: by exec of this program, with an environment of its own.
    pub(super) fn new(
        kind: PartKind,
        program: &Program,
        config: &EngineConfig,
        path: &Path,
        sandboxing: Sandboxing,
        log: &[OsString],
    ) -> Self {
        let mut arguments: Vec<OsString> = Vec::new();
        let mut passed: Vec<OsString> = Vec::new();
        let mut environment = Vec::new();
        match kind {
            PartKind::Custody => {
                arguments.push("engine-custody".into());
                arguments.push("--config".into());
                arguments.push(path.into());
                // Where systemd puts the credential with the PIN.
                passed.push("CREDENTIALS_DIRECTORY".into());
                environment.extend(
                    config
                        .token_environment()
                        .into_iter()
                        .map(|(name, value)| (name.into(), value.into())),
                );
            }
            PartKind::Formats => arguments.push("engine-formats".into()),
        }
        // The policy of this process is that of its parts: formats reads no file, and custody must not take up another mode from a file
        // that was changed, only because it was started again.
        let policy = fips::policy::in_force();
        arguments.push("--fips-mode".into());
        arguments.push(policy.mode().name().into());
        for exception in policy.exceptions().iter() {
            arguments.push("--fips-exception".into());
            arguments.push(exception.name().into());
        }
        arguments.extend(sandboxing.arguments());
        arguments.extend(log.iter().cloned());
        for name in passed {
            if let Some(value) = std::env::var_os(&name) {
                environment.push((name, value));
            }
        }
        Self {
            program: program.file().to_owned(),
            name: program.name().into(),
            arguments,
            environment,
        }
    }

    /// Any program in the place of a part.
    #[cfg(test)]
    pub(super) fn of(program: &str, arguments: &[&str]) -> Self {
        Self {
            program: PathBuf::from(program),
            name: program.into(),
            arguments: arguments.iter().map(OsString::from).collect(),
            environment: Vec::new(),
        }
    }

    fn spawn(&self) -> std::io::Result<(Child, UnixStream)> {
        // Both ends are close-on-exec: the other part never inherits them, so the end of this process is seen at once.
        let (ours, theirs) = UnixStream::pair()?;
        let child = Command::new(&self.program)
            .arg0(&self.name)
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .spawn()?;
        Ok((child, ours))
    }
}

/// A process that runs.
#[derive(Debug)]
struct Process {
    child: Child,
    link: Duplex,
    started: Instant,
    heard: Instant,
    pinged: Instant,
    greeted: bool,
    ready_since: Option<Instant>,
    leaving: bool,
}

#[derive(Debug)]
enum State {
    Down { until: Instant },
    Up(Box<Process>),
    Dying { since: Instant, ready_for: Duration },
}

/// A part: one process at a time, and what follows it.
#[derive(Debug)]
pub(super) struct Part {
    kind: PartKind,
    launch: Launch,
    limits: RestartConfig,
    events: SyncSender<Event>,
    state: State,
    generation: u64,
    restarts: u64,
    pause: Duration,
    ever_ready: bool,
}

impl Part {
    /// A part that is started at the next [`Part::tick`].
    pub(super) fn new(
        kind: PartKind,
        launch: Launch,
        limits: RestartConfig,
        events: SyncSender<Event>,
    ) -> Self {
        Self {
            kind,
            launch,
            limits,
            events,
            state: State::Down {
                until: Instant::now(),
            },
            generation: 0,
            restarts: 0,
            pause: Duration::ZERO,
            ever_ready: false,
        }
    }

    pub(super) fn pid(&self) -> Option<u32> {
        match &self.state {
            State::Up(process) => Some(process.child.id()),
            _ => None,
        }
    }

    pub(super) fn restarts(&self) -> u64 {
        self.restarts
    }

    pub(super) fn is_ready(&self) -> bool {
        matches!(&self.state, State::Up(process) if process.ready_since.is_some() && !process.leaving)
    }

    pub(super) fn was_ever_ready(&self) -> bool {
        self.ever_ready
    }

    /// Whether an event is about the process that runs now.
    pub(super) fn is_current(&self, generation: u64) -> bool {
        self.generation == generation
    }

    /// Sends a frame to the process; `false` when there is none.
    pub(super) fn send(&self, frame: Frame) -> bool {
        match &self.state {
            State::Up(process) => process.link.send(frame),
            _ => false,
        }
    }

    /// Takes note of a frame. `true` when the process has just become ready.
    pub(super) fn heard(&mut self, frame: &Frame, now: Instant) -> bool {
        let State::Up(process) = &mut self.state else {
            return false;
        };
        process.heard = now;
        if !process.greeted {
            if let Err(error) = frame.expect_hello() {
                tracing::error!(part = self.kind.name(), %error, "the part does not greet");
                process.link.close();
                return false;
            }
            process.greeted = true;
            return false;
        }
        match frame.kind {
            Kind::Ready if process.ready_since.is_none() => {
                process.ready_since = Some(now);
                self.ever_ready = true;
                true
            }
            // The formats part has nothing to give back: it must not be able to stay and take no more work.
            Kind::GivenBack if self.kind == PartKind::Custody => {
                process.leaving = true;
                false
            }
            _ => false,
        }
    }

    /// Starts the process when its pause is over, pings it, kills it when it hangs. `true` when it has just been killed: what
    /// it had in hand is lost.
    pub(super) fn tick(&mut self, now: Instant, stopping: bool) -> bool {
        match &mut self.state {
            State::Down { until } => {
                if now >= *until && !stopping {
                    self.start(now);
                }
                false
            }
            State::Dying { since, ready_for } => {
                if now.duration_since(*since) >= REAP_LIMIT {
                    let ready_for = *ready_for;
                    self.schedule(now, ready_for);
                }
                false
            }
            State::Up(process) => {
                let unresponsive = Duration::from_millis(self.limits.unresponsive_ms);
                let (silent_since, limit) = if process.greeted {
                    (process.heard, unresponsive)
                } else {
                    (process.started, unresponsive.max(START_LIMIT))
                };
                if now.duration_since(silent_since) >= limit {
                    tracing::error!(
                        part = self.kind.name(),
                        pid = process.child.id(),
                        "the part gives no sign of life and is killed"
                    );
                    self.kill(now);
                    return true;
                }
                if process.greeted && now.duration_since(process.pinged) >= unresponsive / 4 {
                    process.pinged = now;
                    process.link.send(Frame::bare(Kind::Ping, 0));
                }
                false
            }
        }
    }

    /// When [`Part::tick`] has something to do next; never for one that is down and not started again.
    pub(super) fn next_tick(&self, stopping: bool) -> Option<Instant> {
        let unresponsive = Duration::from_millis(self.limits.unresponsive_ms);
        match &self.state {
            State::Down { .. } if stopping => None,
            State::Down { until } => Some(*until),
            State::Dying { since, .. } => Some(*since + REAP_LIMIT),
            State::Up(process) if process.greeted => {
                Some((process.pinged + unresponsive / 4).min(process.heard + unresponsive))
            }
            State::Up(process) => Some(process.started + unresponsive.max(START_LIMIT)),
        }
    }

    /// Kills the process and has it reaped.
    pub(super) fn kill(&mut self, now: Instant) {
        let State::Up(process) = &self.state else {
            return;
        };
        let ready_for = process
            .ready_since
            .map_or(Duration::ZERO, |since| now.duration_since(since));
        let dying = State::Dying {
            since: now,
            ready_for,
        };
        let State::Up(process) = std::mem::replace(&mut self.state, dying) else {
            return;
        };
        process.link.close();
        let (kind, generation, events) = (self.kind, self.generation, self.events.clone());
        let mut child = process.child;
        let (program, greeted) = (self.launch.program.clone(), process.greeted);
        let reaper = std::thread::Builder::new()
            .name(format!("{} reaper", kind.name()))
            .spawn(move || {
                // One that has ended by itself keeps its exit code; the others are killed, also while they are stopped.
                let _ = child.kill();
                let ending = Ending::of(child.wait().ok(), &program, greeted);
                let _ = events.send(Event::PartReaped(kind, generation, ending));
            });
        if let Err(error) = reaper {
            tracing::error!(part = kind.name(), %error, "no thread to wait for the dead part");
        }
    }

    /// The process is reaped: the next one is started after a pause.
    pub(super) fn reaped(&mut self, generation: u64, now: Instant) {
        if self.generation == generation
            && let State::Dying { ready_for, .. } = self.state
        {
            self.schedule(now, ready_for);
        }
    }

    /// Asks the process to end, by closing its connection.
    pub(super) fn close(&self) {
        if let State::Up(process) = &self.state {
            process.link.close();
        }
    }

    /// Whether the process has ended by itself.
    pub(super) fn has_ended(&mut self) -> bool {
        match &mut self.state {
            State::Up(process) => matches!(process.child.try_wait(), Ok(Some(_)) | Err(_)),
            _ => true,
        }
    }

    /// Ends the process by force and waits until it is gone, so that nothing survives the supervisor.
    pub(super) fn end(&mut self) {
        if let State::Up(process) = &mut self.state {
            let _ = process.child.kill();
            let until = Instant::now() + REAP_LIMIT;
            while matches!(process.child.try_wait(), Ok(None)) && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }

    fn schedule(&mut self, now: Instant, ready_for: Duration) {
        let first = Duration::from_millis(self.limits.backoff_ms.max(1));
        let longest = Duration::from_millis(
            self.limits
                .backoff_max_ms
                .max(self.limits.backoff_ms)
                .max(1),
        );
        // One that ran well for much longer than the last pause starts afresh; one that dies at once waits ever longer.
        self.pause = if self.pause.is_zero() || ready_for >= self.pause.saturating_mul(10) {
            first
        } else {
            self.pause.saturating_mul(2).min(longest)
        };
        self.state = State::Down {
            until: now + self.pause,
        };
    }

    fn start(&mut self, now: Instant) {
        if self.generation > 0 {
            self.restarts = self.restarts.saturating_add(1);
        }
        self.generation = self.generation.saturating_add(1);
        match self.try_start(now) {
            Ok(process) => {
                tracing::info!(
                    part = self.kind.name(),
                    pid = process.child.id(),
                    restarts = self.restarts,
                    "part started"
                );
                self.state = State::Up(Box::new(process));
            }
            Err(error) => {
                tracing::error!(part = self.kind.name(), %error, "the part cannot be started");
                self.schedule(now, Duration::ZERO);
            }
        }
    }

    fn try_start(&self, now: Instant) -> std::io::Result<Process> {
        let (mut child, stream) = self.launch.spawn()?;
        let connected = self.connect(stream);
        let link = match connected {
            Ok(link) => link,
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(error);
            }
        };
        link.send(Frame::hello());
        Ok(Process {
            child,
            link,
            started: now,
            heard: now,
            pinged: now,
            greeted: false,
            ready_since: None,
            leaving: false,
        })
    }

    fn connect(&self, stream: UnixStream) -> std::io::Result<Duplex> {
        let mut reading = stream.try_clone()?;
        let (kind, generation, events) = (self.kind, self.generation, self.events.clone());
        std::thread::Builder::new().name(format!("{} reader", kind.name())).spawn(move || {
            loop {
                match read_frame(&mut reading) {
                    Ok(Incoming::Frame(frame)) => {
                        if events.send(Event::PartFrame(kind, generation, frame)).is_err() {
                            return;
                        }
                    }
                    Ok(Incoming::Idle) => {}
                    Ok(Incoming::Closed) => break,
                    Err(error) => {
                        tracing::debug!(part = kind.name(), %error, "connection of the part ended");
                        break;
                    }
                }
            }
            let _ = events.send(Event::PartGone(kind, generation));
        })?;
        Duplex::start(kind.name(), stream, WRITE_LIMIT_BYTES)
    }
}
