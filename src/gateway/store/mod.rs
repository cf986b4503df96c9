//! Everything that the gateway must not lose, in one SQLite database.
//!
//! WAL with `synchronous=FULL`: what was answered survives a crash and a power cut. `secure_delete`: deleted content is overwritten
//! in the file. One connection writes, one reads, each behind a lock; callers on the network's threads go through
//! `spawn_blocking`. Every time comes from a [`Clock`].

mod audit;
mod backup;
mod connectors;
mod device_requests;
mod enrolments;
mod identity;
mod leases;
mod pkcs;
mod profiles;
mod records;
mod retention;
mod revocations;
mod rotation;
mod schema;
mod served;
mod settle;
mod tokens;

pub use audit::{Actor, AuditEntry};
pub use backup::{BackupReport, RestoreReport, restore};
pub use connectors::{ConnectorRow, Contact};
pub use device_requests::{Accepted, Collected, NewDeviceRequest, QueueCounts};
pub(super) use enrolments::order_of_token;
pub use enrolments::{Begun, EnrolmentOrder, Finished, IssuedIdentity, Orderer, Unsettled};
pub use leases::{Lease, LeaseTerms, Offered};
pub use pkcs::{NewPkcsRequest, PkcsLease, PkcsQueued};
pub use records::{ListPage, ListQuery, NewRecord, RecordPatch, record_id, user_key};
pub use retention::Purged;
pub use revocations::{
    CreateRevocations, NamedCertificate, RevocationLease, RevocationsQueued, issuer_digest,
};
pub use rotation::{IdPage, StoredRecord};
pub use schema::current_version;
pub use settle::{Answer, Completed};
pub use tokens::{NewToken, TokenRow};

use crate::clock::Clock;
use crate::engine::api::{Delivery, MAX_CERTIFICATES};
use fips::secret::file::{self, Access, FileError, Rights};
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a statement waits for another process (a `gateway token` command, a backup) to finish its transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database itself failed: busy, full, not readable.
    #[error("database: {0}")]
    Database(#[from] rusqlite::Error),
    /// A file around the database could not be used.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The database was written by a newer program.
    #[error("the database has version {found}, this program knows {known}: use the newer program")]
    NewerSchema {
        /// Version of the file.
        found: i32,
        /// Version of this program.
        known: i32,
    },
    /// The file is a database of something else.
    #[error("the file is not a gateway's database")]
    Foreign,
    /// Others than the owner may open the database.
    #[error("{path}: mode {mode:04o} lets others in; run: chmod 600 {path}", path = path.display())]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A gateway runs on this database, or one of its commands.
    #[error("the database is in use: stop the gateway first")]
    InUse,
    /// The file to write exists already.
    #[error("{path} exists already", path = .0.display())]
    WouldOverwrite(PathBuf),
    /// SQLite's own check of the file failed.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// Stored content that this program cannot read.
    #[error("stored content is not readable: {0}")]
    Unreadable(&'static str),
    /// The module that makes random numbers failed.
    #[error("no random numbers")]
    Random,
    /// There is no such thing.
    #[error("not found")]
    NotFound,
    /// The record is there already.
    #[error("exists already")]
    Exists,
    /// The user has no records.
    #[error("the user has no certificates")]
    NoRecords,
    /// The queue is full.
    #[error("the queue is full")]
    QueueFull,
    /// The user has more certificates than one profile takes.
    #[error("the user has more than {MAX_CERTIFICATES} certificates")]
    TooManyRecords,
    /// No connector of this gateway does such deliveries.
    #[error("no connector does this delivery")]
    NotOffered(Delivery),
    /// There is no such profile.
    #[error("no such profile")]
    NoProfile,
    /// No connector of this gateway takes PKCS requests.
    #[error("no connector takes PKCS requests")]
    NoIssuance,
    /// No connector of this gateway revokes.
    #[error("no connector revokes")]
    NoRevocation,
    /// Nothing was issued for a request of this name.
    #[error("no certificate was issued for {0}")]
    NoCertificate(String),
    /// Who asked for a revocation wants to release it.
    #[error("released by who asked for it")]
    OwnRevocation,
    /// A profile of this name is there already.
    #[error("a profile of this name exists already")]
    ProfileExists,
    /// The result is of another delivery than the request.
    #[error("a result of another delivery")]
    WrongResult,
    /// The idempotency key was used for another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// The fence is not the request's current one, or it was answered otherwise.
    #[error("the lease is no longer current")]
    StaleLease,
    /// The request is not completed yet.
    #[error("the result is not there yet")]
    NotReady,
    /// The request failed for good.
    #[error("the request failed")]
    RequestFailed,
    /// The result was deleted.
    #[error("the result was deleted")]
    Retired,
    /// The connector's certificate or instance was revoked, or the instance belongs to another certificate.
    #[error("the connector is refused: {0}")]
    ConnectorRefused(&'static str),
    /// What a connector asks for its certificate does not fit what is known of it.
    #[error("the enrolment is refused: {0}")]
    EnrolmentRefused(&'static str),
    /// The signed part of a record was changed without a new signature.
    #[error("what the importer signed changes only with a new signature")]
    SignatureMissing,
    /// The record is not the revision that was read.
    #[error("the record was changed")]
    RecordChanged,
    /// What is to replace a record is not the same record for another custody key.
    #[error("not the same record for another custody key")]
    NotARotation,
}

impl From<fips::Error> for StoreError {
    fn from(_: fips::Error) -> Self {
        Self::Random
    }
}

/// The database of one gateway.
pub struct Store {
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
    clock: Arc<dyn Clock>,
    overlap: identity::Overlap,
    path: PathBuf,
    // Held shared for as long as the store is open; `restore` wants it alone.
    _in_use: File,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.path.display())
    }
}

impl Store {
    /// Opens or creates the database, mode 0600, and brings it to the current version.
    ///
    /// # Errors
    /// A file that others may open, a newer or foreign database, or the database's own failure.
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let in_use = lock_file(path)?;
        match in_use.try_lock_shared() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::InUse),
            Err(TryLockError::Error(source)) => return Err(at(path, source)),
        }
        let mut writer = open_connection(path)?;
        schema::migrate(&mut writer)?;
        let reader = open_connection(path)?;
        Ok(Self {
            writer: Mutex::new(writer),
            reader: Mutex::new(reader),
            clock,
            overlap: identity::Overlap::default(),
            path: path.to_owned(),
            _in_use: in_use,
        })
    }

    /// The time as this store sees it, in milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// Does all of it or nothing; durable when it returns.
    fn write<T>(
        &self,
        job: impl FnOnce(&Transaction<'_>, i64) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut connection = hold(&self.writer);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = job(&transaction, self.clock.now_ms())?;
        transaction.commit()?;
        Ok(done)
    }

    /// Reads one consistent state.
    fn read<T>(
        &self,
        job: impl FnOnce(&Transaction<'_>, i64) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut connection = hold(&self.reader);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
        job(&transaction, self.clock.now_ms())
    }

    /// Empties the write-ahead log, which would otherwise still hold deleted content. Another process that reads just now only
    /// delays this until the next time.
    fn forget_log(&self) -> Result<(), StoreError> {
        let connection = hold(&self.writer);
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(())
    }

    /// The same after a change that is committed already: what fails now is done by the next maintenance, and the change stands.
    fn forget_log_soon(&self) {
        if let Err(error) = self.forget_log() {
            tracing::warn!(%error, "deleted content is still in the write-ahead log; the next maintenance removes it");
        }
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// The database's own failure.
    pub fn check(&self) -> Result<(), StoreError> {
        self.read(|transaction, _| {
            transaction.query_row("SELECT count(*) FROM meta", [], |_| Ok(()))?;
            Ok(())
        })
    }
}

/// A panic in another thread leaves no half-done transaction behind: it was rolled back as it unwound.
fn hold(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

fn at(path: &Path, source: std::io::Error) -> StoreError {
    StoreError::File {
        path: path.to_owned(),
        source,
    }
}

/// `database` with `suffix` after its name.
fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// A file that nobody else may use.
fn private(path: &Path) -> Result<File, StoreError> {
    file::open(path, Access::ReadWrite, Rights::Owner).map_err(|error| match error {
        FileError::Loose { mode, .. } => StoreError::TooOpen {
            path: path.to_owned(),
            mode,
        },
        other => at(path, other.into()),
    })
}

fn lock_file(database: &Path) -> Result<File, StoreError> {
    let path = beside(database, ".lock");
    private(&path)
}

/// Opens the file with every protection on; makes it (0600) when it is not there. SQLite gives its log the file's mode.
fn open_connection(path: &Path) -> Result<Connection, StoreError> {
    drop(private(path)?);
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "secure_delete", true)?;
    // The schema is ours, but the file may have been in other hands.
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

/// A count out of a column.
fn count(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column)
        .map(|count| u64::try_from(count).unwrap_or(0))
}

/// SHA-256.
fn sha256(parts: &[&[u8]]) -> Vec<u8> {
    // Lengths before the parts: no two lists of parts share an encoding.
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    fips::digest::digest(fips::digest::Hash::Sha256, &bytes)
        .as_ref()
        .to_vec()
}

#[cfg(test)]
mod tests;
