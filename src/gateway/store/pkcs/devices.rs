//! What the device management says of a device whose certificates are renewed: its new certificate, and what stands for the variables now.

use super::{DELIVERY, to_json};
use crate::gateway::pkcs_api::{DeviceUpdate, DeviceUpdated};
use crate::gateway::store::records::user_key;
use crate::gateway::store::{Actor, Store, StoreError, audit};
use rusqlite::{OptionalExtension, Transaction, params};

/// How long it is remembered for what was asked before, in milliseconds: longer than an order can be pending.
const REMEMBERED_MS: i64 = 400 * 86_400_000;

/// What was said since a request was made; `None`: nothing.
#[derive(Debug, Default)]
pub(super) struct Since {
    pub(super) target: Option<String>,
    pub(super) variables: Option<String>,
}

/// What was said of a device and one of its users since a time.
pub(super) fn said_since(
    transaction: &Transaction<'_>,
    device_id: &str,
    user_key: &str,
    since_ms: i64,
) -> Result<Since, StoreError> {
    let mut look = transaction.prepare_cached(
        "SELECT target, variables FROM device_updates WHERE device_id = ? AND user_key = ? AND given_ms >= ?",
    )?;
    let mut said = |key: &str| {
        look.query_row(params![device_id, key, since_ms], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()
    };
    let (target, _): (Option<String>, Option<String>) = said("")?.unwrap_or_default();
    let (_, variables) = said(user_key)?.unwrap_or_default();
    Ok(Since { target, variables })
}

/// Forgets what was said long ago.
pub(in crate::gateway::store) fn purge(
    transaction: &Transaction<'_>,
    now: i64,
) -> Result<(), StoreError> {
    transaction
        .prepare_cached("DELETE FROM device_updates WHERE given_ms < ?")?
        .execute(params![now.saturating_sub(REMEMBERED_MS)])?;
    Ok(())
}

impl Store {
    /// Takes a device's new certificate, and perhaps what stands for one user's variables now: for renewals, for requests that no connector has
    /// had, and for what is issued for an older request. What was issued to another certificate of the device and never collected is asked for
    /// again at once, and so is what was tried to be renewed in vain.
    ///
    /// # Errors
    /// The database's own failure.
    pub fn update_device(
        &self,
        actor: &Actor,
        device_id: &str,
        update: &DeviceUpdate,
    ) -> Result<DeviceUpdated, StoreError> {
        let target = to_json(&update.device)?;
        let of_user = match (&update.user_principal_name, &update.variables) {
            (Some(user), Some(variables)) => Some((user_key(user), to_json(variables)?)),
            _ => None,
        };
        self.write(|transaction, now| {
            let mut remember = transaction.prepare_cached(
                "INSERT INTO device_updates (device_id, user_key, target, variables, given_ms) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (device_id, user_key) DO UPDATE SET target = ?3, variables = ?4, given_ms = ?5",
            )?;
            remember.execute(params![device_id, "", target, None::<&str>, now])?;
            let certificates = transaction
                .prepare_cached(
                    "UPDATE pkcs_certificates SET target = ?2, renew_ms = CASE
                       WHEN (collected_ms IS NULL AND target <> ?2) OR EXISTS (SELECT 1 FROM pkcs_requests p WHERE p.renews = pkcs_certificates.id)
                       THEN min(renew_ms, ?3) ELSE renew_ms END
                     WHERE device_id = ?1 AND replaced_by IS NULL AND expires_ms > ?3",
                )?
                .execute(params![device_id, target, now])?;
            let requests = transaction
                .prepare_cached(
                    "UPDATE device_requests SET target = ?2 WHERE device_id = ?1 AND delivery = ?3
                       AND EXISTS (SELECT 1 FROM requests q WHERE q.device_request = device_requests.id AND q.state = 'queued' AND q.fence = 0)",
                )?
                .execute(params![device_id, target, DELIVERY])?;
            if let Some((user, variables)) = &of_user {
                remember.execute(params![device_id, user, None::<&str>, variables, now])?;
                transaction
                    .prepare_cached(
                        "UPDATE pkcs_certificates SET variables = ?3 WHERE device_id = ?1 AND user_key = ?2 AND replaced_by IS NULL",
                    )?
                    .execute(params![device_id, user, variables])?;
                transaction
                    .prepare_cached(
                        "UPDATE pkcs_requests SET variables = ?3 WHERE request IN (
                           SELECT q.seq FROM requests q JOIN device_requests d ON d.id = q.device_request
                           WHERE q.state = 'queued' AND q.fence = 0 AND d.device_id = ?1 AND d.user_key = ?2 AND d.delivery = ?4)",
                    )?
                    .execute(params![device_id, user, variables, DELIVERY])?;
            }
            audit::append(transaction, now, actor, device_id, "done")?;
            Ok(DeviceUpdated {
                certificates: u64::try_from(certificates).unwrap_or(u64::MAX),
                requests: u64::try_from(requests).unwrap_or(u64::MAX),
            })
        })
    }
}
