//! Requests on their way into the queue, and their results on their way out.

use super::{DELIVERY, to_json};
use crate::encoding::Base64Bytes;
use crate::engine::api::{Delivery, DeviceTarget};
use crate::gateway::api;
use crate::gateway::pkcs_api::{FEATURE, PkcsProfile, PkcsRequest, Variable};
use crate::gateway::store::device_requests::{format_name, is_offered, missing, open};
use crate::gateway::store::records::user_key;
use crate::gateway::store::{Store, StoreError, profiles, sha256};
use rusqlite::{OptionalExtension, Transaction, params};

/// A checked request on its way into the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPkcsRequest<'a> {
    /// The message.
    pub message: &'a PkcsRequest,
    /// The token that asks.
    pub requested_by: &'a str,
    /// Requests that may be open at once.
    pub max_open: u32,
}

/// What a request became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PkcsQueued {
    /// Its name.
    pub request_id: String,
    /// Whether it was queued now (or had been before, under the same idempotency key).
    pub queued_now: bool,
}

/// Everything that a row of the queue is made of.
pub(super) struct Row<'a> {
    pub(super) profile_name: &'a str,
    pub(super) profile: &'a PkcsProfile,
    pub(super) user_principal_name: &'a str,
    pub(super) device_id: &'a str,
    pub(super) device: &'a DeviceTarget,
    pub(super) variables: &'a [Variable],
    pub(super) idempotency_key: Option<&'a str>,
    pub(super) digest: &'a [u8],
    pub(super) requested_by: &'a str,
    pub(super) renews: Option<&'a str>,
}

/// Queues a request and returns its name.
pub(super) fn queue(
    transaction: &Transaction<'_>,
    row: &Row<'_>,
    now: i64,
) -> Result<String, StoreError> {
    let (device_request, id) = (fips::random::uuid_v4()?, fips::random::uuid_v4()?);
    transaction
        .prepare_cached(
            "INSERT INTO device_requests (id, user_key, device_id, target, format, delivery, idempotency_key, body_digest, requested_by, created_ms)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            device_request,
            user_key(row.user_principal_name),
            row.device_id,
            to_json(row.device)?,
            format_name(row.profile.format),
            DELIVERY,
            row.idempotency_key,
            row.digest,
            row.requested_by,
            now
        ])?;
    // The certificate, and so its thumbprint, is not there yet.
    transaction
        .prepare_cached(
            "INSERT INTO requests (id, device_request, record, thumbprint, state, due_ms, created_ms) VALUES (?1, ?2, NULL, '', 'queued', ?3, ?3)",
        )?
        .execute(params![id, device_request, now])?;
    transaction
        .prepare_cached(
            "INSERT INTO pkcs_requests (request, profile_name, profile, ca, user_principal_name, variables, renews) VALUES (?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            transaction.last_insert_rowid(),
            row.profile_name,
            to_json(row.profile)?,
            row.profile.ca,
            row.user_principal_name,
            to_json(&row.variables)?,
            row.renews
        ])?;
    Ok(id)
}

/// The result of a request: password and PFX, as those of the delivery `rewrap`, or a configuration profile, which has no second part; and
/// whether it is collected for the first time.
pub(in crate::gateway::store) fn collected(
    transaction: &Transaction<'_>,
    id: &str,
    state: &str,
    thumbprint: String,
    first: Option<Vec<u8>>,
    second: Option<Vec<u8>>,
) -> Result<(api::Delivery, bool), StoreError> {
    let Some(first) = first else {
        return Err(missing(state));
    };
    let (newest, is_first) = transaction
        .prepare_cached(
            "SELECT replaced_by IS NULL, collected_ms IS NULL FROM pkcs_certificates WHERE id = ?",
        )?
        .query_row(params![id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?
        .unwrap_or_default();
    let collected = api::Delivery {
        request_id: id.to_owned(),
        thumbprint,
        delivery: Delivery::Rewrap,
        newest,
        pfx: Base64Bytes::default(),
        encrypted_pfx: Base64Bytes::default(),
        encrypted_password: Base64Bytes::default(),
        profile: Base64Bytes::default(),
    };
    let collected = match second {
        Some(pfx) => api::Delivery {
            encrypted_pfx: Base64Bytes(pfx),
            encrypted_password: Base64Bytes(first),
            ..collected
        },
        None => api::Delivery {
            delivery: Delivery::AppleProfile,
            profile: Base64Bytes(first),
            ..collected
        },
    };
    Ok((collected, is_first))
}

/// What the idempotency key stands for.
fn digest_of(message: &PkcsRequest) -> Result<Vec<u8>, StoreError> {
    let device = to_json(&message.device)?;
    let variables = to_json(&message.variables)?;
    Ok(sha256(&[
        b"pkcs request v1",
        message.profile.as_bytes(),
        user_key(&message.user_principal_name).as_bytes(),
        message.device_id.as_bytes(),
        device.as_bytes(),
        variables.as_bytes(),
    ]))
}

impl Store {
    /// Queues a request for a certificate.
    ///
    /// # Errors
    /// [`StoreError::NoProfile`], [`StoreError::NoIssuance`], [`StoreError::QueueFull`], [`StoreError::KeyReused`], or the database's own
    /// failure.
    pub fn create_pkcs_request(&self, new: &NewPkcsRequest<'_>) -> Result<PkcsQueued, StoreError> {
        let message = new.message;
        let digest = digest_of(message)?;
        self.write(|transaction, now| {
            if let Some(key) = &message.idempotency_key {
                let earlier: Option<(String, Vec<u8>)> = transaction
                    .prepare_cached(
                        "SELECT q.id, d.body_digest FROM device_requests d JOIN requests q ON q.device_request = d.id WHERE d.idempotency_key = ?",
                    )?
                    .query_row(params![key], |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()?;
                if let Some((request_id, earlier)) = earlier {
                    if earlier != digest {
                        return Err(StoreError::KeyReused);
                    }
                    return Ok(PkcsQueued { request_id, queued_now: false });
                }
            }
            let profile =
                profiles::profile(transaction, &message.profile)?.ok_or(StoreError::NoProfile)?;
            if !is_offered(transaction, FEATURE)? {
                return Err(StoreError::NoIssuance);
            }
            if open(transaction)? >= u64::from(new.max_open) {
                return Err(StoreError::QueueFull);
            }
            let row = Row {
                profile_name: &message.profile,
                profile: &profile,
                user_principal_name: &message.user_principal_name,
                device_id: &message.device_id,
                device: &message.device,
                variables: &message.variables,
                idempotency_key: message.idempotency_key.as_deref(),
                digest: &digest,
                requested_by: new.requested_by,
                renews: None,
            };
            Ok(PkcsQueued {
                request_id: queue(transaction, &row, now)?,
                queued_now: true,
            })
        })
    }
}
