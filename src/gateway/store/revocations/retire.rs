//! A device that is retired: what it has is revoked, and what is still being issued for it as well.

use super::create::{
    CreateRevocations, NamedCertificate, RevocationsQueued, Target, call_row, queue, queue_all,
};
use crate::gateway::revocation_api::Reason;
use crate::gateway::store::{Store, StoreError, pkcs, sha256};
use rusqlite::{OptionalExtension, Transaction, params};

/// How long it is remembered that a device was retired, in milliseconds: longer than an order can be pending.
const REMEMBERED_MS: i64 = 400 * 86_400_000;

impl Store {
    /// Queues the revocation of every certificate that was issued for a device and is still valid, and ends its requests for certificates
    /// that no connector has begun. What a connector has begun is revoked once it is issued. Nothing of it is renewed, also where a revocation
    /// comes to nothing. May be repeated.
    ///
    /// # Errors
    /// As [`Store::create_revocations`].
    pub fn retire_device(
        &self,
        device_id: &str,
        new: &CreateRevocations<'_>,
    ) -> Result<RevocationsQueued, StoreError> {
        self.write(|transaction, now| {
            transaction
                .prepare_cached(
                    "INSERT INTO retired_devices (device_id, retired_ms) VALUES (?1, ?2) ON CONFLICT (device_id) DO UPDATE SET retired_ms = ?2",
                )?
                .execute(params![device_id, now])?;
            // For good, whatever becomes of the revocations: an authority may not be able to revoke, and what is asked for is forgotten after
            // its time.
            transaction
                .prepare_cached(
                    "UPDATE pkcs_certificates SET renew_ms = NULL WHERE device_id = ? AND renew_ms IS NOT NULL",
                )?
                .execute(params![device_id])?;
            transaction
                .prepare_cached(
                    "UPDATE requests SET state = 'failed', settled_ms = ?1, failure_code = 'deviceRetired',
                       failure_message = 'the device was retired before the certificate was ordered'
                     WHERE state = 'queued' AND attempts = 0
                       AND device_request IN (SELECT id FROM device_requests WHERE device_id = ?2 AND delivery = ?3)
                       AND seq IN (SELECT request FROM pkcs_requests WHERE progress IS NULL)",
                )?
                .execute(params![now, device_id, pkcs::DELIVERY])?;
            let certificates: Vec<NamedCertificate> = transaction
                .prepare_cached(
                    "SELECT id FROM pkcs_certificates WHERE device_id = ? AND expires_ms > ? AND revoked_ms IS NULL ORDER BY created_ms, id",
                )?
                .query_map(params![device_id, now], |row| {
                    Ok(NamedCertificate::Request(row.get(0)?))
                })?
                .collect::<Result<_, _>>()?;
            if certificates.is_empty() {
                return Ok(RevocationsQueued::default());
            }
            let new = CreateRevocations {
                certificates: &certificates,
                idempotency_key: None,
                ..new.clone()
            };
            let digest = sha256(&[b"retire v1", device_id.as_bytes()]);
            queue_all(transaction, &new, &digest, now)
        })
    }
}

/// Queues the revocation of what was issued for the request `id` just now, if its device was retired since it was asked for. The retirement
/// was held against the brake; this one is not.
pub(in crate::gateway::store) fn issued_for_retired(
    transaction: &Transaction<'_>,
    id: &str,
    now: i64,
) -> Result<(), StoreError> {
    let retired: Option<String> = transaction
        .prepare_cached(
            "SELECT d.device_id FROM requests q JOIN device_requests d ON d.id = q.device_request
               JOIN retired_devices t ON t.device_id = d.device_id WHERE q.id = ? AND t.retired_ms >= d.created_ms",
        )?
        .query_row(params![id], |row| row.get(0))
        .optional()?;
    let (Some(device), Some(target)) = (retired, Target::of_request(transaction, id)?) else {
        return Ok(());
    };
    transaction
        .prepare_cached("UPDATE pkcs_certificates SET renew_ms = NULL WHERE id = ?")?
        .execute(params![id])?;
    let digest = sha256(&[b"retire v1", device.as_bytes()]);
    let call = call_row(transaction, None, &digest, "retirement", now)?;
    queue(
        transaction,
        &call,
        &target,
        Reason::CessationOfOperation,
        false,
        now,
    )?;
    Ok(())
}

/// Forgets devices that were retired long ago.
pub(in crate::gateway::store) fn purge(
    transaction: &Transaction<'_>,
    now: i64,
) -> Result<(), StoreError> {
    transaction
        .prepare_cached("DELETE FROM retired_devices WHERE retired_ms < ?")?
        .execute(params![now.saturating_sub(REMEMBERED_MS)])?;
    Ok(())
}
