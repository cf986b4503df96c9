//! Backup of a running gateway, and restore of a stopped one.

use super::{Store, StoreError, at, beside, lock_file, open_connection, schema};
use crate::clock::Clock;
use fips::secret::file::{self, Rights};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags, params};
use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

/// All pages in one step: in WAL mode that reads one state of the database and keeps no writer waiting.
const ALL_PAGES: i32 = -1;
/// Steps that may find the database locked in a row before a backup gives up.
const MAX_LOCKED_STEPS: u32 = 600;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupReport {
    /// Its size in bytes.
    pub bytes: u64,
    /// Version of its schema.
    pub version: i32,
}

/// What a restore did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreReport {
    /// Version of the backup's schema.
    pub version: i32,
    /// Requests that are open in the restored database; they will be done (again).
    pub open_requests: u64,
}

impl Store {
    /// Writes a consistent copy of the database to `to` (mode 0600, one file, checked), while others go on using it.
    ///
    /// # Errors
    /// [`StoreError::WouldOverwrite`], or a failure of the database or of the target.
    pub fn backup(&self, to: &Path) -> Result<BackupReport, StoreError> {
        if to.try_exists().map_err(|source| at(to, source))? {
            return Err(StoreError::WouldOverwrite(to.to_owned()));
        }
        let partial = beside(to, ".partial");
        create_private(&partial)?;
        let source = Connection::open_with_flags(
            &self.path,
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        source.busy_timeout(super::BUSY_TIMEOUT)?;
        let done = copy(&source, &partial).and_then(|version| {
            let file = File::open(&partial).map_err(|source| at(&partial, source))?;
            file.sync_all().map_err(|source| at(&partial, source))?;
            let bytes = file
                .metadata()
                .map_err(|source| at(&partial, source))?
                .len();
            // A link, not a rename: it does not replace what somebody put there meanwhile.
            std::fs::hard_link(&partial, to).map_err(|source| match source.kind() {
                ErrorKind::AlreadyExists => StoreError::WouldOverwrite(to.to_owned()),
                _ => at(to, source),
            })?;
            Ok(BackupReport { bytes, version })
        });
        let removed = std::fs::remove_file(&partial);
        let report = done?;
        removed.map_err(|source| at(&partial, source))?;
        sync_folder(to)?;
        Ok(report)
    }
}

/// Puts a backup in the place of the database of a stopped gateway.
///
/// Fences: connectors may still hold answers to leases that were given after the backup was made, under fences that the restored
/// database would give again. Every fence of an open request therefore moves to the present time in milliseconds, which no fence that grew by ones from
/// an earlier restore's time can have reached; what was leased at the backup's time waits again. What was settled by then keeps its fence, so that a
/// connector whose answer was taken but who has not heard of it is told so. What was delivered after the
/// backup was made is delivered again; tokens and certificates revoked after it must be revoked again.
///
/// # Errors
/// [`StoreError::InUse`] while a gateway or one of its commands has the database open; [`StoreError::Foreign`],
/// [`StoreError::NewerSchema`] or [`StoreError::Damaged`] for the backup; a failure of the files. The old database keeps its
/// content until the new one is complete and on the disk: its write-ahead log is folded into it before the log is deleted, so that
/// after a crash there is either all of the old database or all of the new one. Only when the old database is so damaged that its
/// log cannot be folded in does a crash between the two leave it without the log; the restore is then to be repeated.
pub fn restore(
    from: &Path,
    database: &Path,
    clock: &dyn Clock,
) -> Result<RestoreReport, StoreError> {
    let lock = lock_file(database)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(StoreError::InUse),
        Err(TryLockError::Error(source)) => return Err(at(database, source)),
    }
    let source = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let version = schema::version_of(&source)?;
    if version > schema::current_version() {
        return Err(StoreError::NewerSchema {
            found: version,
            known: schema::current_version(),
        });
    }
    let application: i32 = source.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if application != schema::APPLICATION_ID {
        return Err(StoreError::Foreign);
    }
    let fresh = beside(database, ".restoring");
    remove_if_there(&fresh)?;
    let open_requests = match prepare(&source, &fresh, clock.now_ms()) {
        Ok(open_requests) => open_requests,
        Err(error) => {
            // Half a copy helps nobody; what stopped the restore is what counts.
            for suffix in ["", "-wal", "-shm", "-journal"] {
                let _ = std::fs::remove_file(beside(&fresh, suffix));
            }
            return Err(error);
        }
    };
    if let Err(error) = fold_log(database) {
        // A damaged database is what restores are for.
        tracing::warn!(%error, "the old database's log could not be folded into it and is deleted");
    }
    // The old log must be gone before the new file has the name: SQLite would play it into the wrong database.
    for suffix in ["-wal", "-shm", "-journal"] {
        remove_if_there(&beside(database, suffix))?;
    }
    // Also after a power cut that loses some of what was done to the folder and keeps the rest.
    sync_folder(database)?;
    std::fs::rename(&fresh, database).map_err(|source| at(database, source))?;
    sync_folder(database)?;
    Ok(RestoreReport {
        version,
        open_requests,
    })
}

/// Brings everything into the one file of a database that nobody has open. None is made where there is none.
pub(super) fn fold_log(database: &Path) -> Result<(), StoreError> {
    if !database
        .try_exists()
        .map_err(|source| at(database, source))?
    {
        return Ok(());
    }
    let connection = Connection::open_with_flags(
        database,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let busy: bool =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy {
        return Err(StoreError::InUse);
    }
    Ok(())
}

/// Makes the database that will take the place of the old one; returns how many of its requests are open.
fn prepare(source: &Connection, fresh: &Path, now_ms: i64) -> Result<u64, StoreError> {
    create_private(fresh)?;
    copy(source, fresh)?;
    let mut connection = open_connection(fresh)?;
    schema::migrate(&mut connection)?;
    connection.execute(
        "UPDATE requests SET fence = max(fence + 1, ?1), state = CASE state WHEN 'leased' THEN 'queued' ELSE state END,
           due_ms = CASE state WHEN 'leased' THEN ?1 ELSE due_ms END
         WHERE state IN ('queued', 'leased')",
        params![now_ms],
    )?;
    let open_requests = connection.query_row(
        "SELECT count(*) FROM requests WHERE state IN ('queued', 'leased')",
        [],
        |row| super::count(row, 0),
    )?;
    // One file again, so that the rename moves all of it.
    connection.pragma_update(None, "journal_mode", "DELETE")?;
    drop(connection);
    let file = File::open(fresh).map_err(|source| at(fresh, source))?;
    file.sync_all().map_err(|source| at(fresh, source))?;
    Ok(open_requests)
}

/// Copies a database page by page and checks the copy; returns the version of its schema.
fn copy(source: &Connection, to: &Path) -> Result<i32, StoreError> {
    let mut target = Connection::open_with_flags(to, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    {
        let backup = Backup::new(source, &mut target)?;
        let mut locked = 0_u32;
        loop {
            match backup.step(ALL_PAGES)? {
                StepResult::Done => break,
                StepResult::More => locked = 0,
                _ if locked >= MAX_LOCKED_STEPS => return Err(StoreError::InUse),
                _ => {
                    locked += 1;
                    std::thread::sleep(Duration::from_millis(50));
                }
            }
        }
    }
    target.pragma_update(None, "journal_mode", "DELETE")?;
    let verdict: String = target.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Err(StoreError::Damaged(verdict));
    }
    schema::version_of(&target)
}

fn create_private(path: &Path) -> Result<(), StoreError> {
    file::create_new(path, Rights::Owner)
        .map(drop)
        .map_err(|source| match source.kind() {
            ErrorKind::AlreadyExists => StoreError::WouldOverwrite(path.to_owned()),
            _ => at(path, source),
        })
}

fn remove_if_there(path: &Path) -> Result<(), StoreError> {
    file::remove_if_there(path).map_err(|source| at(path, source))
}

fn sync_folder(path: &Path) -> Result<(), StoreError> {
    file::sync_folder_of(path).map_err(|source| at(path, source))
}
