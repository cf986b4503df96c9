//! The journal's tables, versioned: older files are migrated step by step, newer ones are refused.

use super::JournalError;
use rusqlite::Connection;
use std::path::Path;

/// `PRAGMA application_id`: "PFXJ".
const APPLICATION_ID: i64 = 0x5046_584a;

/// Step N brings a file of version N to N + 1.
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE requests (
        request_id    TEXT PRIMARY KEY,
        state         INTEGER NOT NULL,
        fence         INTEGER NOT NULL,
        attempt       INTEGER NOT NULL,
        failures      INTEGER NOT NULL DEFAULT 0,
        offered_again INTEGER NOT NULL DEFAULT 0,
        user          TEXT NOT NULL,
        thumbprint    TEXT NOT NULL,
        device_id     TEXT NOT NULL,
        digest        TEXT,
        code          TEXT,
        message       TEXT,
        leased_at_ms  INTEGER NOT NULL,
        updated_at_ms INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX pending ON requests(state) WHERE state IN (2, 4);
    CREATE TABLE results (
        request_id TEXT PRIMARY KEY REFERENCES requests(request_id) ON DELETE CASCADE,
        cms        BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE probe (id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL);
    INSERT INTO probe VALUES (1, 0);
",
    "
    -- What the outcome was made from; empty: taken on by a release that did not note it.
    ALTER TABLE requests ADD COLUMN content TEXT NOT NULL DEFAULT '';
    ALTER TABLE probe ADD COLUMN filler BLOB;
",
    "
    -- Certificates that are to be issued: 1. Everything before was a stored PFX for a device: 0.
    ALTER TABLE requests ADD COLUMN kind INTEGER NOT NULL DEFAULT 0;
    -- How far such a request got, while it has no outcome. The private key in it is sealed to a custody key.
    CREATE TABLE orders (
        request_id TEXT PRIMARY KEY REFERENCES requests(request_id) ON DELETE CASCADE,
        progress   BLOB NOT NULL
    ) WITHOUT ROWID;
",
    "
    -- Revocations: requests of the kind 2. Certificates that authorities were asked to revoke, by SHA-256 of issuer and serial number: what
    -- the brake counts.
    CREATE TABLE revoked (
        certificate TEXT PRIMARY KEY,
        at_ms       INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX revoked_by_time ON revoked(at_ms);
    -- How many more the operator has released.
    CREATE TABLE brake (id INTEGER PRIMARY KEY CHECK (id = 1), released INTEGER NOT NULL);
    INSERT INTO brake VALUES (1, 0);
",
    "
    -- What the device of a certificate runs that is to be issued; empty: nothing of the kind, or taken on by a release that did not note it.
    ALTER TABLE requests ADD COLUMN platform TEXT NOT NULL DEFAULT '';
",
];

/// Prepares a connection and brings the file to the current version.
///
/// # Errors
/// [`JournalError::Newer`], [`JournalError::Foreign`], or what SQLite says.
pub(super) fn prepare(
    connection: &mut Connection,
    path: &Path,
    max_bytes: u64,
) -> Result<(), JournalError> {
    let application: i64 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION_ID && (application != 0 || tables != 0) {
        return Err(JournalError::Foreign(path.to_owned()));
    }
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(JournalError::Newer { found, known });
    }
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "journal_size_limit", 4 * 1024 * 1024)?;
    for (version, step) in (0_i64..).zip(MIGRATIONS) {
        if version >= found {
            let transaction = connection.transaction()?;
            transaction.execute_batch(step)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", version + 1)?;
            transaction.commit()?;
        }
    }
    let page_size: u64 = connection
        .pragma_query_value(None, "page_size", |row| row.get::<_, i64>(0))?
        .unsigned_abs();
    let pages = i64::try_from(max_bytes / page_size.max(1)).unwrap_or(i64::MAX);
    // The pragma answers with the limit in force.
    connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?;
    Ok(())
}
