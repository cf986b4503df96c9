//! The thread that owns the database: what arrives while one transaction is being made durable goes into the next one together.

use super::{Admission, Entry, JournalError, JournalFigures, Offer, Outcome, State, schema, store};
use crate::clock::Clock;
use fips::secret::file::{self, Access, Rights};
use rusqlite::Connection;
use rustix::fs::FlockOperation;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Jobs that may wait before those who ask wait too.
const QUEUE: usize = 1024;
/// Jobs in one transaction at most.
const BATCH: usize = 256;

type Finish = Box<dyn FnOnce(Result<(), JournalError>) + Send>;
type Job =
    Box<dyn FnOnce(Result<&Connection, JournalError>) -> (Result<(), JournalError>, Finish) + Send>;

/// A handle on the journal; cheap to clone.
#[derive(Clone)]
pub struct Journal {
    jobs: mpsc::Sender<Job>,
    pub(super) clock: Arc<dyn Clock>,
    /// Held for as long as the journal is open: one instance only.
    _lock: Arc<File>,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Journal")
    }
}

impl Journal {
    /// Opens or creates the journal (0600) and locks it against other instances.
    ///
    /// # Errors
    /// [`JournalError`] when another process has it, it is of a newer release or no journal, or cannot be used.
    pub fn open(path: &Path, max_bytes: u64, clock: Arc<dyn Clock>) -> Result<Self, JournalError> {
        let private = |path: &Path| {
            file::open(path, Access::ReadWrite, Rights::Owner)
                .map_err(|error| JournalError::Failed(format!("{}: {error}", path.display())))
        };
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let lock = private(&PathBuf::from(name))?;
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| JournalError::InUse(path.to_owned()))?;
        // SQLite gives its side files the mode of this one.
        drop(private(path)?);
        let mut connection = Connection::open(path)?;
        schema::prepare(&mut connection, path, max_bytes)?;
        let (jobs, queue) = mpsc::channel(QUEUE);
        std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || run(&connection, queue))
            .map_err(|error| JournalError::Failed(format!("{}: {error}", path.display())))?;
        Ok(Self {
            jobs,
            clock,
            _lock: Arc::new(lock),
        })
    }

    pub(super) async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, JournalError> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            match connection.and_then(|connection| work(connection).map_err(JournalError::from)) {
                Ok(value) => (
                    Ok(()),
                    Box::new(move |committed: Result<(), JournalError>| {
                        let _ = reply.send(committed.map(|()| value));
                    }) as Finish,
                ),
                Err(error) => {
                    let result = Err(error.clone());
                    (
                        result,
                        Box::new(move |_: Result<(), JournalError>| {
                            let _ = reply.send(Err(error));
                        }) as Finish,
                    )
                }
            }
        });
        self.jobs
            .send(job)
            .await
            .map_err(|_| JournalError::Closed)?;
        answer.await.unwrap_or(Err(JournalError::Closed))
    }

    /// Takes offers, all or none; the answers are in their order.
    ///
    /// # Errors
    /// [`JournalError::Full`] when there is no room for the outcomes of more requests; [`JournalError`].
    pub async fn admit(&self, offers: Vec<Offer>) -> Result<Vec<Admission>, JournalError> {
        let now_ms = self.clock.now_ms();
        self.call(move |connection| {
            store::ensure_room(connection)?;
            offers
                .iter()
                .map(|offer| store::admit(connection, offer, now_ms))
                .collect()
        })
        .await
    }

    /// Notes a newer fence of a request that is being worked on.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn refence(&self, request_id: &str, fence: u64) -> Result<(), JournalError> {
        let id = request_id.to_owned();
        self.call(move |connection| store::refence(connection, &id, fence))
            .await
    }

    /// Counts a failed attempt that is the request's own fault, and returns how many there were here.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn blame(&self, request_id: &str) -> Result<u32, JournalError> {
        let id = request_id.to_owned();
        self.call(move |connection| store::blame(connection, &id))
            .await
    }

    /// Makes the outcome durable; only then may it go to the gateway.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn record_outcome(
        &self,
        request_id: &str,
        outcome: Outcome,
    ) -> Result<(), JournalError> {
        let (id, now_ms) = (request_id.to_owned(), self.clock.now_ms());
        self.call(move |connection| store::record_outcome(connection, &id, &outcome, now_ms))
            .await
    }

    /// Keeps how far the order of a request got; durable when it returns.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn keep_order(
        &self,
        request_id: &str,
        progress: Vec<u8>,
    ) -> Result<(), JournalError> {
        let (id, now_ms) = (request_id.to_owned(), self.clock.now_ms());
        self.call(move |connection| store::keep_order(connection, &id, &progress, now_ms))
            .await
    }

    /// How many orders there are of each name that `of` gives; those of which it gives none are not counted.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn count_orders(
        &self,
        of: fn(&[u8]) -> Option<String>,
    ) -> Result<BTreeMap<String, u64>, JournalError> {
        self.call(move |connection| store::count_orders(connection, of))
            .await
    }

    /// How far the order of a request got here.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn order(&self, request_id: &str) -> Result<Option<Vec<u8>>, JournalError> {
        let id = request_id.to_owned();
        self.call(move |connection| store::order(connection, &id))
            .await
    }

    /// Moves a request on.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn set_state(&self, request_id: &str, state: State) -> Result<(), JournalError> {
        let (id, now_ms) = (request_id.to_owned(), self.clock.now_ms());
        self.call(move |connection| store::set_state(connection, &id, state, now_ms))
            .await
    }

    /// Everything about one request.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn load(&self, request_id: &str) -> Result<Option<Entry>, JournalError> {
        let id = request_id.to_owned();
        self.call(move |connection| store::load(connection, &id))
            .await
    }

    /// Requests in a state, oldest first, `limit` at most, without their results.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn in_state(&self, state: State, limit: u32) -> Result<Vec<Entry>, JournalError> {
        self.call(move |connection| store::in_state(connection, state, limit))
            .await
    }

    /// Forgets what is older than `hours`, except what still has to be reported.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn prune(&self, hours: u32) -> Result<usize, JournalError> {
        let before_ms = self.clock.now_ms() - i64::from(hours) * 3_600_000;
        self.call(move |connection| store::prune(connection, before_ms))
            .await
    }

    /// Whether it can be written and has room for more.
    ///
    /// # Errors
    /// [`JournalError`] when not.
    pub async fn probe(&self) -> Result<(), JournalError> {
        let now_ms = self.clock.now_ms();
        self.call(move |connection| store::fill_probe(connection, now_ms))
            .await?;
        // In a transaction of its own: pages that are freed before they are committed are never written.
        self.call(store::empty_probe).await
    }

    /// How it stands.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn figures(&self) -> Result<JournalFigures, JournalError> {
        self.call(store::figures).await
    }
}

fn run(connection: &Connection, mut queue: mpsc::Receiver<Job>) {
    while let Some(first) = queue.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH
            && let Ok(job) = queue.try_recv()
        {
            batch.push(job);
        }
        run_batch(connection, batch);
    }
}

fn run_batch(connection: &Connection, batch: Vec<Job>) {
    let mut finished: Vec<Finish> = Vec::new();
    let mut begun = connection
        .execute_batch("BEGIN IMMEDIATE")
        .map_err(JournalError::from);
    for job in batch {
        let start = begun.clone().and_then(|()| {
            connection
                .execute_batch("SAVEPOINT job")
                .map_err(JournalError::from)
        });
        let (result, finish) = job(start.map(|()| connection));
        finished.push(finish);
        if begun.is_err() {
            continue;
        }
        // SQLite ends the whole transaction by itself on some errors (a full disk among them): nothing of this batch has happened then.
        if connection.is_autocommit() {
            let error = result
                .err()
                .unwrap_or(JournalError::Failed("rolled back".to_owned()));
            for finish in finished.drain(..) {
                finish(Err(error.clone()));
            }
            begun = connection
                .execute_batch("BEGIN IMMEDIATE")
                .map_err(JournalError::from);
        } else {
            let end = if result.is_ok() {
                "RELEASE job"
            } else {
                "ROLLBACK TO job; RELEASE job"
            };
            if let Err(error) = connection.execute_batch(end) {
                begun = Err(error.into());
            }
        }
    }
    let committed = begun.and_then(|()| {
        connection
            .execute_batch("COMMIT")
            .map_err(JournalError::from)
    });
    if committed.is_err() && !connection.is_autocommit() {
        let _ = connection.execute_batch("ROLLBACK");
    }
    for finish in finished {
        finish(committed.clone());
    }
}
