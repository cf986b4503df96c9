//! What the brake against mass revocation holds: released or dropped by an administrator.

use super::{DROPPED, end_renewal};
use crate::gateway::store::{Actor, Store, StoreError, audit};
use rusqlite::{OptionalExtension, Transaction, params};

/// A revocation that is held, and who asked for it.
fn held(transaction: &Transaction<'_>, id: &str) -> Result<(i64, String), StoreError> {
    transaction
        .prepare_cached(
            "SELECT q.seq, d.requested_by FROM revocations v JOIN requests q ON q.seq = v.request JOIN device_requests d ON d.id = q.device_request
             WHERE q.id = ? AND v.held = 1",
        )?
        .query_row(params![id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?
        .ok_or(StoreError::NotFound)
}

impl Store {
    /// Lets revocations that are held into the queue, all or none; `token` is who releases, `None` a command on the machine. Who asked for
    /// one does not release it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when one of them is not held, [`StoreError::OwnRevocation`], or the database's own failure.
    pub fn release_revocations(
        &self,
        actor: &Actor,
        token: Option<&str>,
        ids: &[String],
    ) -> Result<(), StoreError> {
        self.write(|transaction, now| {
            for id in ids {
                let (seq, requested_by) = held(transaction, id)?;
                if token.is_some_and(|token| token == requested_by) {
                    return Err(StoreError::OwnRevocation);
                }
                transaction
                    .prepare_cached("UPDATE revocations SET held = 0 WHERE request = ?")?
                    .execute(params![seq])?;
                transaction
                    .prepare_cached("UPDATE requests SET due_ms = ?2 WHERE seq = ?1")?
                    .execute(params![seq, now])?;
                end_renewal(transaction, seq)?;
                audit::append(transaction, now, actor, &format!("revocation {id}"), "done")?;
            }
            Ok(())
        })
    }

    /// Ends revocations that are held, all or none: nothing is revoked.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when one of them is not held, or the database's own failure.
    pub fn drop_revocations(&self, actor: &Actor, ids: &[String]) -> Result<(), StoreError> {
        self.write(|transaction, now| {
            for id in ids {
                let (seq, _) = held(transaction, id)?;
                transaction
                    .prepare_cached("UPDATE revocations SET held = 0 WHERE request = ?")?
                    .execute(params![seq])?;
                transaction
                    .prepare_cached(
                        "UPDATE requests SET state = 'failed', settled_ms = ?2, failure_code = ?3,
                           failure_message = 'an administrator dropped it; nothing was revoked' WHERE seq = ?1",
                    )?
                    .execute(params![seq, now, DROPPED])?;
                audit::append(transaction, now, actor, &format!("revocation {id}"), "done")?;
            }
            Ok(())
        })
    }
}
