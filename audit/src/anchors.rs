//! The thread that writes anchors. A file elsewhere may hang for as long as it likes, such as one of a mount whose server is gone: sealing
//! goes on, and the log's status says since when nothing was written.

use crate::queue::Shared;
use crate::seal::Anchor;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

mod file;

pub(crate) use file::append;

/// Between two anchors.
const PAUSE: Duration = Duration::from_secs(60);

/// What writes a line where anchors are kept.
pub(crate) type Append = Box<dyn FnMut(&str) -> io::Result<()> + Send>;

#[derive(Default)]
struct Desk {
    /// The newest anchor that is not written yet.
    newest: Option<Anchor>,
    /// It is written whatever the time since the one before.
    at_once: bool,
    /// One is being written.
    is_writing: bool,
    ended: bool,
}

/// What the sealer hands anchors to.
#[derive(Default)]
pub(crate) struct Anchors {
    desk: Mutex<Desk>,
    changed: Condvar,
}

impl Anchors {
    /// Starts the thread. `name` is what the place is called in messages.
    pub(crate) fn start(
        shared: Arc<Shared>,
        name: String,
        append: Append,
    ) -> io::Result<Arc<Self>> {
        let anchors = Arc::<Self>::default();
        let thread = Thread {
            anchors: Arc::clone(&anchors),
            shared,
            name,
            append,
            not_before: None,
        };
        std::thread::Builder::new()
            .name("audit-anchors".to_owned())
            .spawn(move || thread.run())?;
        Ok(anchors)
    }

    fn lock(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps an anchor: it is written at once or when the pause since the one before is over, unless a newer one comes until then.
    pub(crate) fn keep(&self, anchor: Anchor, at_once: bool) {
        let mut desk = self.lock();
        desk.newest = Some(anchor);
        desk.at_once |= at_once;
        drop(desk);
        self.changed.notify_all();
    }

    /// Waits until nothing waits to be written at once, and no longer than this.
    pub(crate) fn settle(&self, most: Duration) {
        let desk = self.lock();
        let is_busy = |desk: &mut Desk| desk.at_once || desk.is_writing;
        drop(self.changed.wait_timeout_while(desk, most, is_busy));
    }

    pub(crate) fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
    }
}

struct Thread {
    anchors: Arc<Anchors>,
    shared: Arc<Shared>,
    name: String,
    append: Append,
    not_before: Option<Instant>,
}

impl Thread {
    fn run(mut self) {
        while let Some(anchor) = self.next() {
            self.shared.anchor_begun(&self.name);
            let written = (self.append)(&anchor.to_line());
            self.not_before = Instant::now().checked_add(PAUSE);
            let mut desk = self.anchors.lock();
            desk.is_writing = false;
            if written.is_err() && desk.newest.is_none() {
                // Tried again when the pause is over; one that is newer says the same and more.
                desk.newest = Some(anchor);
            }
            drop(desk);
            let problem = written.err().map(|error| format!("{}: {error}", self.name));
            self.shared.anchor_ended(problem);
            self.anchors.changed.notify_all();
        }
    }

    /// The next anchor, when it is time.
    fn next(&mut self) -> Option<Anchor> {
        let anchors = Arc::clone(&self.anchors);
        let mut desk = anchors.lock();
        loop {
            if desk.ended {
                return None;
            }
            let left = match (&desk.newest, self.not_before) {
                (None, _) => None,
                (Some(_), Some(at)) if !desk.at_once => {
                    Some(at.saturating_duration_since(Instant::now()))
                }
                (Some(_), _) => Some(Duration::ZERO),
            };
            desk = match left {
                None => anchors
                    .changed
                    .wait(desk)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() => {
                    desk.at_once = false;
                    desk.is_writing = true;
                    return desk.newest.take();
                }
                Some(left) => {
                    anchors
                        .changed
                        .wait_timeout(desk, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]
    use super::*;
    use crate::event::Event;
    use crate::seal::AuditKey;
    use crate::sealer::Sealer;
    use crate::text::{Hash, Timestamp};
    use std::sync::mpsc;

    const SOON: Duration = Duration::from_secs(60);

    fn statement(upto: u64) -> crate::seal::Statement {
        crate::seal::Statement {
            log: "0".repeat(32),
            upto,
            head: Hash::NONE,
            time: Timestamp::now(),
            boot: "0".repeat(32),
        }
    }

    /// A place that answers when it is let, and says when it was asked.
    fn hanging() -> (Append, mpsc::Receiver<()>, mpsc::Sender<()>) {
        let (ask, asked) = mpsc::channel();
        let (answer, answered) = mpsc::channel::<()>();
        let append = Box::new(move |_: &str| {
            let _ = ask.send(());
            let _ = answered.recv();
            Ok(())
        });
        (append, asked, answer)
    }

    #[test]
    fn a_place_that_hangs_stops_no_seal_and_is_told() {
        fips::start(fips::policy::Policy::STRICT).unwrap();
        let shared = Arc::<Shared>::default();
        let (append, asked, answer) = hanging();
        let anchors = Anchors::start(Arc::clone(&shared), "/mnt/gone".to_owned(), append).unwrap();
        let key = Arc::new(AuditKey::generate().unwrap());
        let sealer = Sealer::start(Arc::clone(&shared), key, Some(Arc::clone(&anchors))).unwrap();
        sealer.ask(statement(1), false);
        asked.recv_timeout(SOON).unwrap();
        for upto in 2..5 {
            sealer.ask(statement(upto), false);
            let mut sealed = 0;
            while sealed < upto {
                let batch = shared.take_last(Instant::now() + SOON);
                assert!(!batch.is_empty(), "no seal of {upto}");
                for pending in batch {
                    if let Event::Seal(seal) = pending.event {
                        sealed = seal.upto;
                    }
                }
            }
        }
        let problem = shared.told(Duration::ZERO).anchor_problem.unwrap();
        assert!(problem.starts_with("/mnt/gone: for 0 s"), "{problem}");
        answer.send(()).unwrap();
        drop(answer);
        anchors.settle(SOON);
        assert_eq!(shared.told(Duration::ZERO).anchor_problem, None);
        sealer.end();
    }

    #[test]
    fn the_last_seal_waits_for_its_anchor_and_not_for_ever() {
        fips::start(fips::policy::Policy::STRICT).unwrap();
        let shared = Arc::<Shared>::default();
        let (append, asked, answer) = hanging();
        let anchors = Anchors::start(Arc::clone(&shared), "/mnt/gone".to_owned(), append).unwrap();
        let key = Arc::new(AuditKey::generate().unwrap());
        let sealer = Sealer::start(Arc::clone(&shared), key, Some(Arc::clone(&anchors))).unwrap();
        sealer.ask(statement(1), true);
        asked.recv_timeout(SOON).unwrap();
        let last = shared.take_last(Instant::now() + SOON);
        assert_eq!(last.len(), 1, "although the anchor is not written");
        drop(answer);
        sealer.end();
    }
}
