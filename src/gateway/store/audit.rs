//! The administrators' audit trail: who did what to what, when, and how it ended. Append-only, in the transaction of the deed.

use super::{Store, StoreError};
use rusqlite::{Transaction, params};

/// Somebody who does something worth an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// A token's name and id, or `local:UID` for a command on the machine.
    pub who: String,
    /// The role that it acts in.
    pub role: &'static str,
    /// What it does, as the table of routes names it.
    pub action: &'static str,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number; grows.
    pub seq: i64,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Who.
    pub who: String,
    /// In which role.
    pub role: String,
    /// Did what.
    pub action: String,
    /// To what.
    pub object: String,
    /// `done`, or the code of the refusal.
    pub outcome: String,
}

pub(super) fn append(
    transaction: &Transaction<'_>,
    now_ms: i64,
    actor: &Actor,
    object: &str,
    outcome: &str,
) -> Result<(), StoreError> {
    transaction
        .prepare_cached(
            "INSERT INTO admin_audit (at_ms, who, role, action, object, outcome) VALUES (?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![now_ms, actor.who, actor.role, actor.action, object, outcome])?;
    Ok(())
}

impl Store {
    /// Records a deed that changed nothing: it was refused.
    ///
    /// # Errors
    /// The database's own failure.
    pub fn audit_refusal(
        &self,
        actor: &Actor,
        object: &str,
        outcome: &str,
    ) -> Result<(), StoreError> {
        self.write(|transaction, now| append(transaction, now, actor, object, outcome))
    }

    /// Entries after number `after`, oldest first, `limit` at most.
    ///
    /// # Errors
    /// The database's own failure.
    pub fn audit_entries(&self, after: i64, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        self.read(|transaction, _| {
            let mut statement = transaction.prepare_cached(
                "SELECT seq, at_ms, who, role, action, object, outcome FROM admin_audit WHERE seq > ? ORDER BY seq LIMIT ?",
            )?;
            let rows = statement.query_map(params![after, limit], |row| {
                Ok(AuditEntry {
                    seq: row.get(0)?,
                    at_ms: row.get(1)?,
                    who: row.get(2)?,
                    role: row.get(3)?,
                    action: row.get(4)?,
                    object: row.get(5)?,
                    outcome: row.get(6)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}
