//! The thread that writes: every line goes through it, so that a line is whole, in order and in one place.

use super::LogError;
use super::archive::{self, Archive};
use super::archiver::Archiver;
use super::line_file::LineFile;
use super::query::{Part, Snapshot, file_stem};
use crate::clock::Clock;
use crate::config::{LogConfig, LogForm};
use crate::telemetry::catalogue::{EventKind, Log};
use crate::telemetry::event::{Draft, Event};
use fips::secret::file::{self, Rights};
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use tokio::sync::{broadcast, mpsc, oneshot};

/// Lines that may wait for the thread before those who log wait too.
const QUEUE: usize = 8192;
/// Lines written between two synchronisations at most.
const BATCH: usize = 512;
/// Names of removed archives in one line; the reader skips a line that is too long.
const MAX_REMOVED_NAMES: usize = 50;
/// Events that a follower may be behind before it is told that it missed some.
const FOLLOWED: usize = 4096;

const LOGS: [Log; 3] = [Log::Admin, Log::Operational, Log::Debug];

/// A handle on the event log; cheap to clone.
#[derive(Debug, Clone)]
pub struct EventLog {
    commands: mpsc::Sender<Command>,
    figures: Arc<Figures>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

#[derive(Debug, Default)]
pub(super) struct Figures {
    bytes: AtomicU64,
    pub(super) archived_bytes: AtomicU64,
    events: AtomicU64,
    lost: AtomicU64,
    failing: std::sync::atomic::AtomicBool,
}

/// How the log stands.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogFigures {
    /// Bytes in the files that are being written.
    pub bytes: u64,
    /// Bytes in archives.
    pub archived_bytes: u64,
    /// Events written since the start.
    pub events: u64,
    /// Events that could not be written (never those that report a request).
    pub lost: u64,
    /// Whether the last write worked.
    pub ok: bool,
}

/// The logs at one moment and everything after it.
#[derive(Debug)]
pub struct Followed {
    /// What was there.
    pub snapshot: Snapshot,
    /// What comes.
    pub next: broadcast::Receiver<Event>,
}

pub(super) enum Command {
    Write {
        draft: Draft,
        durable: Option<oneshot::Sender<Result<(), LogError>>>,
    },
    Snapshot(oneshot::Sender<Result<Followed, LogError>>),
    Ping(oneshot::Sender<()>),
    Reconfigure(LogConfig),
    Archived(Result<PathBuf, LogError>),
    CapReached(Vec<Archive>),
    Stop,
}

impl EventLog {
    /// Opens the log in `config.directory` (created 0750 when it is not there), repairs torn last lines, finishes archives that a
    /// crash left, and starts its threads.
    ///
    /// # Errors
    /// [`LogError::Io`] when a file cannot be opened or repaired.
    pub fn open(
        config: &LogConfig,
        instance: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, LogError> {
        file::create_folder(&config.directory, Rights::GroupReads)
            .map_err(|error| LogError::io("create", &config.directory)(error.into()))?;
        archive::remove_scratch(&config.directory);
        let mut files = Vec::new();
        for log in LOGS {
            let path = config.directory.join(format!("{}.log", file_stem(log)));
            files.push((log, LineFile::open(&path)?));
        }
        archive::sync_directory(&config.directory)?;
        let (commands, queue) = mpsc::channel(QUEUE);
        let figures = Arc::new(Figures::default());
        let exchange = Arc::new(Mutex::new(()));
        let archiver = Archiver::start(
            config,
            commands.clone(),
            Arc::clone(&exchange),
            Arc::clone(&figures),
        )?;
        let mut writer = Writer {
            config: config.clone(),
            instance: instance.to_owned(),
            clock,
            files,
            followers: broadcast::channel(FOLLOWED).0,
            archiver,
            exchange,
            figures: Arc::clone(&figures),
            lost_before_recovery: 0,
            confirmed: 0,
        };
        writer.count_bytes();
        let thread = std::thread::Builder::new()
            .name("event-log".to_owned())
            .spawn(move || writer.run(queue))
            .map_err(LogError::io("start the thread for", &config.directory))?;
        Ok(Self {
            commands,
            figures,
            thread: Arc::new(Mutex::new(Some(thread))),
        })
    }

    /// Logs an event. Waits only while the queue of the writing thread is full.
    pub async fn record(&self, draft: Draft) {
        let _ = self
            .commands
            .send(Command::Write {
                draft,
                durable: None,
            })
            .await;
    }

    /// Logs an event and returns when it is durable.
    ///
    /// # Errors
    /// [`LogError`] when it could not be written: then nothing of it is in the file.
    pub async fn record_durably(&self, draft: Draft) -> Result<(), LogError> {
        let (durable, answer) = oneshot::channel();
        self.commands
            .send(Command::Write {
                draft,
                durable: Some(durable),
            })
            .await
            .map_err(|_| LogError::Closed)?;
        answer.await.unwrap_or(Err(LogError::Closed))
    }

    /// The logs as they are after everything logged so far, and every later event.
    ///
    /// # Errors
    /// [`LogError`] when a file cannot be opened.
    pub async fn follow(&self) -> Result<Followed, LogError> {
        let (reply, answer) = oneshot::channel();
        self.commands
            .send(Command::Snapshot(reply))
            .await
            .map_err(|_| LogError::Closed)?;
        answer.await.unwrap_or(Err(LogError::Closed))
    }

    /// Returns when the writing thread has dealt with everything logged so far, well or badly, or is gone.
    pub async fn answers(&self) {
        let (reply, answer) = oneshot::channel();
        if self.commands.send(Command::Ping(reply)).await.is_ok() {
            let _ = answer.await;
        }
    }

    /// Puts other sizes, another console form or another Debug switch in force; the folder stays what it was.
    pub async fn reconfigure(&self, config: &LogConfig) {
        let _ = self
            .commands
            .send(Command::Reconfigure(config.clone()))
            .await;
    }

    /// How the log stands.
    #[must_use]
    pub fn figures(&self) -> LogFigures {
        LogFigures {
            bytes: self.figures.bytes.load(Ordering::Relaxed),
            archived_bytes: self.figures.archived_bytes.load(Ordering::Relaxed),
            events: self.figures.events.load(Ordering::Relaxed),
            lost: self.figures.lost.load(Ordering::Relaxed),
            ok: !self.figures.failing.load(Ordering::Relaxed),
        }
    }

    /// Writes what is queued, makes it durable and ends the threads.
    pub async fn close(&self) {
        let _ = self.commands.send(Command::Stop).await;
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

type Waiting = (oneshot::Sender<Result<(), LogError>>, Result<(), LogError>);

struct Writer {
    config: LogConfig,
    instance: String,
    clock: Arc<dyn Clock>,
    files: Vec<(Log, LineFile)>,
    followers: broadcast::Sender<Event>,
    archiver: Archiver,
    exchange: Arc<Mutex<()>>,
    figures: Arc<Figures>,
    lost_before_recovery: u64,
    /// Length of the Admin file that is known to be durable.
    confirmed: u64,
}

impl Writer {
    fn run(&mut self, mut queue: mpsc::Receiver<Command>) {
        let mut stopping = false;
        while !stopping {
            let Some(mut command) = queue.blocking_recv() else {
                break;
            };
            let mut waiting: Vec<Waiting> = Vec::new();
            self.confirmed = self.length_of(Log::Admin);
            let mut written = 0;
            loop {
                match command {
                    Command::Write { draft, durable } => {
                        let result = self.write(draft, durable.is_none());
                        written += 1;
                        if let Some(durable) = durable {
                            waiting.push((durable, result));
                        }
                    }
                    Command::Snapshot(reply) => {
                        let _ = reply.send(self.snapshot());
                    }
                    Command::Ping(reply) => {
                        let _ = reply.send(());
                    }
                    Command::Reconfigure(config) => {
                        let directory = self.config.directory.clone();
                        self.config = LogConfig {
                            directory,
                            ..config
                        };
                        self.archiver.cap(self.config.archives_max_bytes);
                    }
                    Command::Archived(Ok(path)) => {
                        let draft = Draft::new(EventKind::LogArchived, "a log file was archived")
                            .field("archive", path.to_string_lossy().into_owned());
                        let _ = self.write(draft, true);
                    }
                    Command::Archived(Err(error)) => {
                        let draft = Draft::new(
                            EventKind::LogUnavailable,
                            format!("an archive was left uncompressed: {error}"),
                        );
                        let _ = self.write(draft, true);
                    }
                    Command::CapReached(removed) => self.report_removed(&removed),
                    Command::Stop => stopping = true,
                }
                if stopping || written >= BATCH {
                    break;
                }
                match queue.try_recv() {
                    Ok(next) => command = next,
                    Err(_) => break,
                }
            }
            self.confirm(waiting);
            self.count_bytes();
        }
        self.archiver.stop();
        // What the archiver did last is told too.
        while let Ok(command) = queue.try_recv() {
            match command {
                Command::CapReached(removed) => self.report_removed(&removed),
                // Whoever wants it durable hears that the log is closed, and does it again after the next start.
                Command::Write {
                    draft,
                    durable: None,
                } => {
                    let _ = self.write(draft, true);
                }
                _ => {}
            }
        }
        for (_, file) in &mut self.files {
            let length = file.length();
            let _ = file.sync(length);
        }
    }

    /// One synchronisation for all that wait.
    fn confirm(&mut self, waiting: Vec<Waiting>) {
        if waiting.is_empty() {
            return;
        }
        let Some((_, admin)) = self.files.iter_mut().find(|(log, _)| *log == Log::Admin) else {
            return;
        };
        let synced = admin.sync(self.confirmed);
        for (reply, result) in waiting {
            let _ = reply.send(result.and_then(|()| match &synced {
                Ok(()) => Ok(()),
                Err(LogError::Io {
                    action,
                    path,
                    source,
                }) => Err(LogError::Io {
                    action,
                    path: path.clone(),
                    source: source.kind().into(),
                }),
                Err(_) => Err(LogError::Closed),
            }));
        }
        if let Err(error) = synced {
            self.failed(&error);
        }
    }

    fn write(&mut self, draft: Draft, may_be_lost: bool) -> Result<(), LogError> {
        if draft.kind().log() == Log::Debug && !self.config.debug {
            return Ok(());
        }
        let now_ms = self.clock.now_ms();
        let event = draft.finish(now_ms, &self.instance);
        self.print(&event);
        let result = self.append(&event, now_ms);
        match &result {
            Ok(()) => {
                self.figures.events.fetch_add(1, Ordering::Relaxed);
                let _ = self.followers.send(event);
                if self.figures.failing.swap(false, Ordering::Relaxed) {
                    let lost = std::mem::take(&mut self.lost_before_recovery);
                    let draft = Draft::new(
                        EventKind::LogRecovered,
                        "the event log can be written again",
                    )
                    .field("lost", lost);
                    return self.write(draft, true);
                }
            }
            Err(error) => {
                if may_be_lost {
                    self.lost_before_recovery += 1;
                    self.figures.lost.fetch_add(1, Ordering::Relaxed);
                }
                self.failed(error);
            }
        }
        result
    }

    fn failed(&mut self, error: &LogError) {
        if !self.figures.failing.swap(true, Ordering::Relaxed) {
            // The file is what fails, so that only the console can tell.
            let event = Draft::new(
                EventKind::LogUnavailable,
                format!("the event log cannot be written: {error}"),
            )
            .finish(self.clock.now_ms(), &self.instance);
            self.print(&event);
        }
    }

    fn append(&mut self, event: &Event, now_ms: i64) -> Result<(), LogError> {
        let line = event.line();
        let Some((log, file)) = self.files.iter_mut().find(|(log, _)| *log == event.log) else {
            return Err(LogError::Closed);
        };
        let length = u64::try_from(line.len()).unwrap_or(u64::MAX);
        if file.length() > 0 && file.length().saturating_add(length) > self.config.rotate_bytes {
            let archived = archive::archived_path(&self.config.directory, file_stem(*log), now_ms);
            // A log that cannot be rotated goes on growing rather than losing lines.
            if file.rotate(&archived).is_ok() {
                // The rotation made the old file durable; nothing of the new one is yet.
                if *log == Log::Admin {
                    self.confirmed = 0;
                }
                let _ = archive::sync_directory(&self.config.directory);
                self.archiver.compress(archived);
            }
        }
        file.append(&line)
    }

    fn snapshot(&self) -> Result<Followed, LogError> {
        let _exchange = self
            .exchange
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut parts = Vec::new();
        for archive in archive::list(&self.config.directory)? {
            let file = File::open(&archive.path).map_err(LogError::io("open", &archive.path))?;
            parts.push(Part::Archived(archive, file));
        }
        for (log, file) in &self.files {
            parts.push(Part::Current(*log, file.reader()?, file.length()));
        }
        Ok(Followed {
            snapshot: Snapshot { parts },
            next: self.followers.subscribe(),
        })
    }

    fn report_removed(&mut self, removed: &[Archive]) {
        let bytes: u64 = removed.iter().map(|archive| archive.bytes).sum();
        let names: Vec<String> = removed
            .iter()
            .filter_map(|archive| archive.path.file_name())
            .take(MAX_REMOVED_NAMES)
            .map(|name| name.to_string_lossy().into_owned())
            .collect();
        let draft = Draft::new(
            EventKind::LogCapReached,
            format!(
                "{} archived log files were removed to stay under the cap",
                removed.len()
            ),
        )
        .field("removed", names)
        .field("count", removed.len())
        .field("bytes", bytes)
        .field("cap_bytes", self.config.archives_max_bytes);
        let _ = self.write(draft, true);
    }

    fn print(&self, event: &Event) {
        use std::io::Write;
        let line = match self.config.console {
            LogForm::Off => return,
            LogForm::Human => event.human() + "\n",
            LogForm::Json => String::from_utf8_lossy(&event.line()).into_owned(),
        };
        let _ = std::io::stderr().write_all(line.as_bytes());
    }

    fn length_of(&self, log: Log) -> u64 {
        self.files
            .iter()
            .find(|(this, _)| *this == log)
            .map_or(0, |(_, file)| file.length())
    }

    fn count_bytes(&mut self) {
        let bytes = self.files.iter().map(|(_, file)| file.length()).sum();
        self.figures.bytes.store(bytes, Ordering::Relaxed);
    }
}
