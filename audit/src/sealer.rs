//! The thread that has the chain's head signed. A token that hangs over it keeps nobody waiting: the log goes on without a seal, and
//! says so.

use crate::event::Event;
use crate::queue::{Pending, Shared};
use crate::seal::{Anchor, Signer, Statement};
use std::fs::OpenOptions;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Pause after a failed signature.
const PAUSE: Duration = Duration::from_secs(1);
/// Between two anchors.
const ANCHOR_PAUSE: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Wish {
    statement: Option<Statement>,
    /// The anchor of it is written whatever the time since the one before.
    is_last: bool,
    ended: bool,
}

/// What the writer asks by.
#[derive(Default)]
pub(crate) struct Sealer {
    wish: Mutex<Wish>,
    changed: Condvar,
}

impl Sealer {
    pub(crate) fn start(
        shared: Arc<Shared>,
        signer: Arc<dyn Signer>,
        anchor_file: Option<PathBuf>,
    ) -> io::Result<Arc<Self>> {
        let sealer = Arc::<Self>::default();
        let mut thread = Thread {
            sealer: Arc::clone(&sealer),
            shared,
            signer,
            anchor_file,
            anchored: None,
            due: None,
        };
        std::thread::Builder::new()
            .name("audit-sealer".to_owned())
            .spawn(move || thread.run())?;
        Ok(sealer)
    }

    fn lock(&self) -> MutexGuard<'_, Wish> {
        self.wish.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a seal; one that was asked for before and is not being made is not needed any more.
    pub(crate) fn ask(&self, statement: Statement, is_last: bool) {
        let mut wish = self.lock();
        wish.statement = Some(statement);
        wish.is_last |= is_last;
        drop(wish);
        self.changed.notify_one();
    }

    pub(crate) fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_one();
    }
}

struct Thread {
    sealer: Arc<Sealer>,
    shared: Arc<Shared>,
    signer: Arc<dyn Signer>,
    anchor_file: Option<PathBuf>,
    anchored: Option<Instant>,
    /// The newest anchor that is not written yet, and when it will be.
    due: Option<(Instant, Anchor)>,
}

impl Thread {
    fn run(&mut self) {
        while let Some((statement, is_last)) = self.next() {
            match statement.sealed(&*self.signer) {
                Ok(seal) => {
                    {
                        let mut status = self.shared.status();
                        status.seal_problem = None;
                        status.key = Some(seal.key);
                    }
                    let time = statement.time;
                    let anchor = statement.anchor(&seal);
                    let pending = Pending::without_ticket(Event::Seal(seal), time);
                    // The process may end as soon as the last seal is durable. The writer may have ended.
                    if is_last {
                        self.keep(anchor, true);
                        let _ = self.shared.push(pending);
                    } else {
                        let _ = self.shared.push(pending);
                        self.keep(anchor, false);
                    }
                }
                Err(error) => {
                    self.shared.status().seal_problem = Some(error.to_string());
                    let mut wish = self.sealer.lock();
                    wish.is_last |= is_last;
                    if wish.statement.is_none() {
                        wish.statement = Some(statement);
                    }
                    let ended = |wish: &mut Wish| !wish.ended;
                    drop(self.sealer.changed.wait_timeout_while(wish, PAUSE, ended));
                }
            }
        }
    }

    fn next(&mut self) -> Option<(Statement, bool)> {
        let sealer = Arc::clone(&self.sealer);
        let mut wish = sealer.lock();
        loop {
            if wish.ended {
                return None;
            }
            if let Some(statement) = wish.statement.take() {
                return Some((statement, std::mem::take(&mut wish.is_last)));
            }
            let left = self
                .due
                .as_ref()
                .map(|(at, _)| at.saturating_duration_since(Instant::now()));
            wish = match left {
                None => sealer
                    .changed
                    .wait(wish)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() => {
                    drop(wish);
                    if let Some((_, anchor)) = self.due.take() {
                        self.keep(anchor, true);
                    }
                    sealer.lock()
                }
                Some(left) => {
                    sealer
                        .changed
                        .wait_timeout(wish, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
            };
        }
    }

    /// Writes an anchor, at once or when the pause since the one before is over: also where no other seal follows.
    fn keep(&mut self, anchor: Anchor, at_once: bool) {
        let Some(path) = &self.anchor_file else {
            return;
        };
        let free = self
            .anchored
            .and_then(|at| at.checked_add(ANCHOR_PAUSE))
            .filter(|at| !at_once && *at > Instant::now());
        if let Some(at) = free {
            self.due = Some((at, anchor));
            return;
        }
        let written = append(path, &anchor.to_line());
        let problem = written
            .err()
            .map(|error| format!("{}: {error}", path.display()));
        let now = Instant::now();
        if problem.is_none() {
            self.anchored = Some(now);
            self.due = None;
        } else {
            self.due = now.checked_add(ANCHOR_PAUSE).map(|at| (at, anchor));
        }
        self.shared.status().anchor_problem = problem;
    }
}

/// Adds a line, on one of its own: what a write before left unfinished ends there.
fn append(path: &Path, line: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(path)?;
    let mut last = [b'\n'];
    if file.metadata()?.len() > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    let begin = if last == *b"\n" { "" } else { "\n" };
    file.write_all(format!("{begin}{line}\n").as_bytes())?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    #[test]
    fn what_an_interrupted_write_left_does_not_spoil_the_next_anchor() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("anchors");
        append(&path, "one").unwrap();
        std::fs::write(&path, "one\ntw").unwrap();
        append(&path, "three").unwrap();
        append(&path, "four").unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "one\ntw\nthree\nfour\n");
    }
}
