//! The thread that has the chain's head signed. A token that hangs over it keeps nobody waiting: the log goes on without a seal, and
//! says so.

use crate::anchors::Anchors;
use crate::event::Event;
use crate::queue::{Pending, Shared};
use crate::seal::{Signer, Statement};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Pause after a failed signature.
const PAUSE: Duration = Duration::from_secs(1);
/// How long the last seal waits for its anchor.
const LAST_ANCHOR: Duration = Duration::from_secs(1);

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
        anchors: Option<Arc<Anchors>>,
    ) -> io::Result<Arc<Self>> {
        let sealer = Arc::<Self>::default();
        let thread = Thread {
            sealer: Arc::clone(&sealer),
            shared,
            signer,
            anchors,
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

    fn next(&self) -> Option<(Statement, bool)> {
        let mut wish = self.lock();
        loop {
            if wish.ended {
                return None;
            }
            if let Some(statement) = wish.statement.take() {
                return Some((statement, std::mem::take(&mut wish.is_last)));
            }
            wish = self
                .changed
                .wait(wish)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

struct Thread {
    sealer: Arc<Sealer>,
    shared: Arc<Shared>,
    signer: Arc<dyn Signer>,
    anchors: Option<Arc<Anchors>>,
}

impl Thread {
    fn run(&self) {
        while let Some((statement, is_last)) = self.sealer.next() {
            match statement.sealed(&*self.signer) {
                Ok(seal) => {
                    {
                        let mut status = self.shared.status();
                        status.seal_problem = None;
                        status.key = Some(seal.key);
                    }
                    let time = statement.time;
                    if let Some(anchors) = &self.anchors {
                        anchors.keep(statement.anchor(&seal), is_last);
                        if is_last {
                            // The process may end as soon as the last seal is durable.
                            anchors.settle(LAST_ANCHOR);
                        }
                    }
                    // The writer may have ended.
                    let _ = self
                        .shared
                        .push(Pending::without_ticket(Event::Seal(seal), time));
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
        if let Some(anchors) = &self.anchors {
            anchors.end();
        }
    }
}
