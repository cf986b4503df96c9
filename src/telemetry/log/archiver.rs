//! The thread that compresses what was rotated and removes what is over the cap, off the way of those who log.

use super::LogError;
use super::archive;
use super::writer::{Command, Figures};
use crate::config::LogConfig;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use tokio::sync::mpsc;

enum Chore {
    Compress(PathBuf),
    Cap(u64),
    Stop,
}

/// A handle on the thread.
pub(super) struct Archiver {
    chores: std::sync::mpsc::Sender<Chore>,
    thread: Option<JoinHandle<()>>,
}

impl Archiver {
    pub(super) fn start(
        config: &LogConfig,
        events: mpsc::Sender<Command>,
        exchange: Arc<Mutex<()>>,
        figures: Arc<Figures>,
    ) -> Result<Self, LogError> {
        let directory = config.directory.clone();
        let (chores, queue) = std::sync::mpsc::channel();
        for left in archive::list(&directory)? {
            if !left.compressed {
                let _ = chores.send(Chore::Compress(left.path));
            }
        }
        let _ = chores.send(Chore::Cap(config.archives_max_bytes));
        let thread = std::thread::Builder::new()
            .name("log-archiver".to_owned())
            .spawn(move || {
                let mut cap = u64::MAX;
                while let Ok(chore) = queue.recv() {
                    match chore {
                        Chore::Compress(path) => {
                            let result = archive::compress(&path, &exchange);
                            // The log's thread does not wait for this one, except at its end, when it no longer reads.
                            let _ = events.try_send(Command::Archived(result));
                        }
                        Chore::Cap(bytes) => cap = bytes,
                        Chore::Stop => return,
                    }
                    tidy(&directory, cap, &exchange, &events);
                    let bytes = archive::list(&directory).map_or(0, |archives| {
                        archives.iter().map(|archive| archive.bytes).sum()
                    });
                    figures.archived_bytes.store(bytes, Ordering::Relaxed);
                }
            })
            .map_err(LogError::io("start the thread for", &config.directory))?;
        Ok(Self {
            chores,
            thread: Some(thread),
        })
    }

    pub(super) fn compress(&self, path: PathBuf) {
        let _ = self.chores.send(Chore::Compress(path));
    }

    pub(super) fn cap(&self, bytes: u64) {
        let _ = self.chores.send(Chore::Cap(bytes));
    }

    pub(super) fn stop(&mut self) {
        let _ = self.chores.send(Chore::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn tidy(directory: &Path, cap: u64, exchange: &Mutex<()>, events: &mpsc::Sender<Command>) {
    if let Ok(removed) = archive::enforce_cap(directory, cap, exchange)
        && !removed.is_empty()
    {
        // What was removed must be told: wait for room unless the log is closing.
        let mut command = Command::CapReached(removed);
        for _ in 0..200 {
            match events.try_send(command) {
                Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => return,
                Err(mpsc::error::TrySendError::Full(back)) => command = back,
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}
