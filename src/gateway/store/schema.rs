//! The database's form, by version: older is migrated in order, newer is refused.

use super::StoreError;
use rusqlite::{Connection, TransactionBehavior};

/// Marks the file as a gateway's database (`PRAGMA application_id`).
pub(super) const APPLICATION_ID: i32 = 0x5046_5847;

/// One step from each version to the next; the first makes version 1 out of an empty file.
pub(super) const STEPS: &[&str] = &[
    include_str!("v1.sql"),
    include_str!("v2.sql"),
    include_str!("v3.sql"),
    include_str!("v4.sql"),
    include_str!("v5.sql"),
    include_str!("v6.sql"),
    include_str!("v7.sql"),
];

/// The version that this program writes.
#[must_use]
pub fn current_version() -> i32 {
    i32::try_from(STEPS.len()).unwrap_or(i32::MAX)
}

/// The version of an open database.
pub(super) fn version_of(connection: &Connection) -> Result<i32, StoreError> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// Brings the database to the current version.
///
/// # Errors
/// [`StoreError::NewerSchema`], [`StoreError::Foreign`] when the file is another program's, or the database's own failure.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let found = version_of(connection)?;
    let known = current_version();
    if found > known {
        return Err(StoreError::NewerSchema { found, known });
    }
    let application: i32 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let is_new = found == 0 && application == 0 && tables == 0;
    if !is_new && application != APPLICATION_ID {
        return Err(StoreError::Foreign);
    }
    loop {
        // Read again under the lock: two processes may open an old database at once.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let at = version_of(&transaction)?;
        let Some(step) = usize::try_from(at)
            .ok()
            .and_then(|position| STEPS.get(position))
        else {
            return Ok(());
        };
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", at.saturating_add(1))?;
        transaction.commit()?;
    }
}
