//! The store's tables, versioned: older files are migrated step by step, newer ones are refused.

use super::StoreError;
use rusqlite::{Connection, OptionalExtension};
use std::path::Path;
use std::time::Duration;

/// `PRAGMA application_id`: "PFXA".
const APPLICATION_ID: i64 = 0x5046_5841;
/// How long another process of this authority is waited for.
const BUSY: Duration = Duration::from_secs(10);

/// Step N brings a file of version N to N + 1.
const MIGRATIONS: &[&str] = &["
    -- One row, for ever: whose store it is, and the number of the next revocation list.
    CREATE TABLE authority (
        id          INTEGER PRIMARY KEY CHECK (id = 1),
        name        TEXT NOT NULL,
        next_list   INTEGER NOT NULL
    );
    CREATE TABLE orders (
        order_id     TEXT PRIMARY KEY,
        profile      TEXT NOT NULL,
        csr          BLOB NOT NULL,
        asked_at_ms  INTEGER NOT NULL,
        -- From here on: what it got; all of it or nothing.
        certificate  BLOB,
        serial       BLOB UNIQUE,
        not_after_ms INTEGER,
        issued_at_ms INTEGER
    ) WITHOUT ROWID;
    -- Every revocation and release, in the order in which they came: what a delta says is what came after its base.
    CREATE TABLE changes (
        seq INTEGER PRIMARY KEY AUTOINCREMENT
    );
    CREATE TABLE revocations (
        serial        BLOB PRIMARY KEY,
        reason        INTEGER NOT NULL,
        revoked_at_ms INTEGER NOT NULL,
        not_after_ms  INTEGER NOT NULL,
        seq           INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE releases (
        serial        BLOB PRIMARY KEY,
        released_at_ms INTEGER NOT NULL,
        not_after_ms  INTEGER NOT NULL,
        -- When it was revoked: a base that has it is older than the release and not older than this.
        revoked_seq   INTEGER NOT NULL,
        seq           INTEGER NOT NULL
    ) WITHOUT ROWID;
    -- The newest list of each kind: 0 full, 1 delta, 2 the full list that deltas go with.
    CREATE TABLE lists (
        kind           INTEGER PRIMARY KEY,
        number         INTEGER NOT NULL,
        upto           INTEGER NOT NULL,
        this_update_ms INTEGER NOT NULL,
        next_update_ms INTEGER NOT NULL,
        der            BLOB NOT NULL
    );
"];

/// Prepares a connection and brings the file to the current version.
///
/// # Errors
/// [`StoreError`].
pub(super) fn prepare(
    connection: &mut Connection,
    path: &Path,
    name: &str,
) -> Result<(), StoreError> {
    connection.busy_timeout(BUSY)?;
    let application: i64 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION_ID && (application != 0 || tables != 0) {
        return Err(StoreError::Foreign(path.to_owned()));
    }
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    // Under the lock: two processes may open a new store at once.
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    for (version, step) in (0_i64..).zip(MIGRATIONS) {
        if version >= found {
            transaction.execute_batch(step)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", version + 1)?;
        }
    }
    let owner: Option<String> = transaction
        .query_row("SELECT name FROM authority WHERE id = 1", [], |row| {
            row.get(0)
        })
        .optional()?;
    match owner {
        None => {
            transaction.execute(
                "INSERT INTO authority (id, name, next_list) VALUES (1, ?1, 1)",
                [name],
            )?;
        }
        Some(owner) if owner != name => return Err(StoreError::OtherAuthority(owner)),
        Some(_) => {}
    }
    transaction.commit()?;
    Ok(())
}
