//! Revocations on their way into the queue.

use super::{DELIVERY, NEVER_MS, Room, STATE, end_renewal, issuer_digest, reason_of};
use crate::config::RevocationBrake;
use crate::encoding::hex;
use crate::gateway::revocation_api::{AcceptedRevocation, FEATURE, Reason, RevocationState};
use crate::gateway::store::device_requests::{is_offered, open};
use crate::gateway::store::{Actor, Store, StoreError, audit, sha256};
use rusqlite::{OptionalExtension, Transaction, params};

/// A certificate as it was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedCertificate {
    /// By issuer and serial number, and by itself where it was given.
    Issued {
        /// The issuer's Name (DER).
        issuer: Vec<u8>,
        /// Content octets of the serial number.
        serial: Vec<u8>,
        /// The certificate (DER).
        certificate: Option<Vec<u8>>,
    },
    /// By the request that it was issued for.
    Request(String),
}

/// A checked call.
#[derive(Debug, Clone)]
pub struct CreateRevocations<'a> {
    /// Which certificates.
    pub certificates: &'a [NamedCertificate],
    /// Why.
    pub reason: Reason,
    /// The call's name.
    pub idempotency_key: Option<&'a str>,
    /// The token that asks.
    pub requested_by: &'a str,
    /// The same for the audit trail.
    pub actor: &'a Actor,
    /// Requests that may be open at once.
    pub max_open: u32,
    /// How many at once are no mass revocation.
    pub brake: RevocationBrake,
}

/// What a call became.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RevocationsQueued {
    /// One for each certificate, in order.
    pub revocations: Vec<AcceptedRevocation>,
    /// How many were queued now.
    pub queued: usize,
    /// How many the brake holds since now.
    pub held: usize,
}

/// What is known of a certificate.
#[derive(Debug, Clone)]
pub(super) struct Target {
    issuer: Vec<u8>,
    serial: Vec<u8>,
    certificate: Option<Vec<u8>>,
    ca: Option<String>,
    device_id: Option<String>,
}

impl Target {
    fn of_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            issuer: row.get(0)?,
            serial: row.get(1)?,
            certificate: row.get(2)?,
            ca: row.get(3)?,
            device_id: row.get(4)?,
        })
    }

    /// What was issued for a request.
    pub(super) fn of_request(
        transaction: &Transaction<'_>,
        id: &str,
    ) -> Result<Option<Self>, StoreError> {
        Ok(transaction
            .prepare_cached(
                "SELECT issuer, serial, certificate, ca, device_id FROM pkcs_certificates WHERE id = ?",
            )?
            .query_row(params![id], Self::of_row)
            .optional()?)
    }

    fn of(transaction: &Transaction<'_>, named: &NamedCertificate) -> Result<Self, StoreError> {
        match named {
            NamedCertificate::Request(id) => Self::of_request(transaction, id)?
                .ok_or_else(|| StoreError::NoCertificate(id.clone())),
            NamedCertificate::Issued {
                issuer,
                serial,
                certificate,
            } => {
                let known = transaction
                    .prepare_cached(
                        "SELECT issuer, serial, certificate, ca, device_id FROM pkcs_certificates WHERE serial = ? AND issuer = ?",
                    )?
                    .query_row(params![serial, issuer], Self::of_row)
                    .optional()?;
                Ok(known.unwrap_or_else(|| Self {
                    issuer: issuer.clone(),
                    serial: serial.clone(),
                    certificate: certificate.clone(),
                    ca: None,
                    device_id: None,
                }))
            }
        }
    }

    /// The request that this one is a duplicate of: of the same certificate, not failed. A hold is none of a revocation for good, and one
    /// that is over is asked for again: it may have been taken back at the authority.
    fn duplicate(
        &self,
        transaction: &Transaction<'_>,
        reason: Reason,
        now: i64,
    ) -> Result<Option<AcceptedRevocation>, StoreError> {
        let mut statement = transaction.prepare_cached(&format!(
            "SELECT q.id, {STATE}, v.reason FROM revocations v JOIN requests q ON q.seq = v.request
             WHERE v.serial = ?2 AND v.issuer = ?3 AND q.state <> 'failed' ORDER BY q.seq DESC"
        ))?;
        let mut rows = statement.query(params![now, self.serial, self.issuer])?;
        while let Some(row) = rows.next()? {
            let name: String = row.get(1)?;
            let state = RevocationState::of_name(&name).ok_or(StoreError::Unreadable("state"))?;
            let is_same = match reason_of(row.get(2)?)? {
                Reason::CertificateHold => {
                    reason == Reason::CertificateHold && state != RevocationState::Completed
                }
                _ => true,
            };
            if is_same {
                return Ok(Some(AcceptedRevocation {
                    request_id: row.get(0)?,
                    state,
                    serial_number: hex(&self.serial),
                    duplicate: true,
                }));
            }
        }
        Ok(None)
    }
}

/// A row of device_requests for a call.
pub(super) fn call_row(
    transaction: &Transaction<'_>,
    key: Option<&str>,
    digest: &[u8],
    requested_by: &str,
    now: i64,
) -> Result<String, StoreError> {
    let id = fips::random::uuid_v4()?;
    transaction
        .prepare_cached(
            "INSERT INTO device_requests (id, user_key, device_id, target, format, delivery, idempotency_key, body_digest, requested_by, created_ms)
             VALUES (?, '', '', '{}', 'modern', ?, ?, ?, ?, ?)",
        )?
        .execute(params![id, DELIVERY, key, digest, requested_by, now])?;
    Ok(id)
}

/// Queues one revocation.
pub(super) fn queue(
    transaction: &Transaction<'_>,
    call: &str,
    target: &Target,
    reason: Reason,
    held: bool,
    now: i64,
) -> Result<AcceptedRevocation, StoreError> {
    let id = fips::random::uuid_v4()?;
    transaction
        .prepare_cached(
            "INSERT INTO requests (id, device_request, record, thumbprint, state, due_ms, created_ms) VALUES (?1, ?2, NULL, '', 'queued', ?3, ?4)",
        )?
        .execute(params![id, call, if held { NEVER_MS } else { now }, now])?;
    let seq = transaction.last_insert_rowid();
    transaction
        .prepare_cached(
            "INSERT INTO revocations (request, issuer, issuer_digest, serial, certificate, ca, device_id, reason, held, admitted_ms)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            seq,
            target.issuer,
            issuer_digest(&target.issuer),
            target.serial,
            target.certificate,
            target.ca,
            target.device_id,
            reason.of_ca().code(),
            held,
            (!held).then_some(now)
        ])?;
    if !held {
        end_renewal(transaction, seq)?;
    }
    Ok(AcceptedRevocation {
        request_id: id,
        state: if held {
            RevocationState::Held
        } else {
            RevocationState::Queued
        },
        serial_number: hex(&target.serial),
        duplicate: false,
    })
}

/// What the idempotency key stands for.
fn digest_of(new: &CreateRevocations<'_>) -> Vec<u8> {
    let reason = [new.reason.of_ca().code()];
    let mut parts: Vec<&[u8]> = vec![b"revocations v1", &reason];
    for named in new.certificates {
        match named {
            NamedCertificate::Request(id) => parts.extend([&b"request"[..], id.as_bytes()]),
            NamedCertificate::Issued { issuer, serial, .. } => {
                parts.extend([&b"issued"[..], issuer, serial]);
            }
        }
    }
    sha256(&parts)
}

/// What an earlier call with the same key was answered, as it stands now.
fn answered_before(
    transaction: &Transaction<'_>,
    key: &str,
    digest: &[u8],
    now: i64,
) -> Result<Option<Vec<AcceptedRevocation>>, StoreError> {
    let earlier: Option<(String, Vec<u8>)> = transaction
        .prepare_cached("SELECT id, body_digest FROM device_requests WHERE idempotency_key = ?")?
        .query_row(params![key], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((call, earlier)) = earlier else {
        return Ok(None);
    };
    if earlier != digest {
        return Err(StoreError::KeyReused);
    }
    let answer: String = transaction
        .prepare_cached("SELECT answer FROM revocation_calls WHERE device_request = ?")?
        .query_row(params![call], |row| row.get(0))
        .optional()?
        .ok_or(StoreError::Unreadable("answer"))?;
    let mut known: Vec<AcceptedRevocation> =
        serde_json::from_str(&answer).map_err(|_| StoreError::Unreadable("answer"))?;
    let mut look = transaction.prepare_cached(&format!(
        "SELECT {STATE} FROM revocations v JOIN requests q ON q.seq = v.request WHERE q.id = ?2"
    ))?;
    for one in &mut known {
        let state: Option<String> = look
            .query_row(params![now, one.request_id], |row| row.get(0))
            .optional()?;
        // One that retention has taken stays as it was told.
        if let Some(state) = state.as_deref().and_then(RevocationState::of_name) {
            one.state = state;
        }
    }
    Ok(Some(known))
}

impl Store {
    /// Queues revocations, all or none. Duplicates answer the request that there is; what is above the brake's threshold is held.
    ///
    /// # Errors
    /// [`StoreError::NoCertificate`], [`StoreError::NoRevocation`], [`StoreError::QueueFull`], [`StoreError::KeyReused`], or the
    /// database's own failure.
    pub fn create_revocations(
        &self,
        new: &CreateRevocations<'_>,
    ) -> Result<RevocationsQueued, StoreError> {
        let digest = digest_of(new);
        self.write(|transaction, now| {
            if let Some(key) = new.idempotency_key
                && let Some(revocations) = answered_before(transaction, key, &digest, now)?
            {
                return Ok(RevocationsQueued {
                    revocations,
                    ..RevocationsQueued::default()
                });
            }
            let queued = queue_all(transaction, new, &digest, now)?;
            Ok(queued)
        })
    }
}

/// The same within a transaction.
pub(super) fn queue_all(
    transaction: &Transaction<'_>,
    new: &CreateRevocations<'_>,
    digest: &[u8],
    now: i64,
) -> Result<RevocationsQueued, StoreError> {
    if !is_offered(transaction, FEATURE)? {
        return Err(StoreError::NoRevocation);
    }
    let call = call_row(
        transaction,
        new.idempotency_key,
        digest,
        new.requested_by,
        now,
    )?;
    let mut room = Room::of(transaction, &new.brake, new.requested_by, now)?;
    let mut done = RevocationsQueued::default();
    for named in new.certificates {
        let target = Target::of(transaction, named)?;
        let accepted = match target.duplicate(transaction, new.reason, now)? {
            Some(known) => known,
            None => {
                let held = !room.take();
                done.queued += usize::from(!held);
                done.held += usize::from(held);
                queue(transaction, &call, &target, new.reason, held, now)?
            }
        };
        done.revocations.push(accepted);
    }
    if open(transaction)? > u64::from(new.max_open) {
        return Err(StoreError::QueueFull);
    }
    if new.idempotency_key.is_some() {
        let answer = serde_json::to_string(&done.revocations)
            .map_err(|_| StoreError::Unreadable("answer"))?;
        transaction
            .prepare_cached("INSERT INTO revocation_calls (device_request, answer) VALUES (?, ?)")?
            .execute(params![call, answer])?;
    }
    for (count, outcome) in [(done.queued, "done"), (done.held, "held")] {
        if count > 0 {
            let object = format!("{count} certificates ({})", new.reason.name());
            audit::append(transaction, now, new.actor, &object, outcome)?;
        }
    }
    Ok(done)
}
