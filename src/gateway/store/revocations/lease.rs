//! Leases of revocations, by issuer.

use super::{DELIVERY, reason_of};
use crate::encoding::{Base64Bytes, hex};
use crate::gateway::api::{FailureReport, Outcome};
use crate::gateway::revocation_api::RevocationWorkItem;
use crate::gateway::store::connectors::refuse_revoked;
use crate::gateway::store::leases::{give_up, hand_out, later};
use crate::gateway::store::served::ISSUERS;
use crate::gateway::store::settle::held;
use crate::gateway::store::{Contact, LeaseTerms, Store, StoreError};
use rusqlite::{Row, Transaction, params};

/// Bytes of certificates in one answer after which no further request is added.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// What was leased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationLease {
    /// The work; empty when nothing is due.
    pub work: Vec<RevocationWorkItem>,
    /// When nothing is due: when something will be, in milliseconds since 1970.
    pub next_due_ms: Option<i64>,
}

fn next_due(transaction: &Transaction<'_>, issuers: &str) -> Result<Option<i64>, StoreError> {
    Ok(transaction
        .prepare_cached(
            "SELECT min(q.due_ms) FROM requests q JOIN revocations v ON v.request = q.seq
             WHERE q.state IN ('queued', 'leased') AND v.held = 0 AND instr(?, ',' || v.issuer_digest || ',') > 0",
        )?
        .query_row(params![issuers], |row| row.get(0))?)
}

fn read_work(row: &Row<'_>, lease_ms: u64) -> Result<RevocationWorkItem, StoreError> {
    Ok(RevocationWorkItem {
        request_id: row.get(1)?,
        fence: row
            .get::<_, i64>(2)?
            .checked_add(1)
            .and_then(|next| u64::try_from(next).ok())
            .ok_or(StoreError::Unreadable("fence"))?,
        attempt: row.get::<_, u32>(3)?.saturating_add(1),
        lease_ms,
        issuer: Base64Bytes(row.get(4)?),
        serial_number: hex(&row.get::<_, Vec<u8>>(5)?),
        reason: reason_of(row.get(6)?)?,
        ca: row.get(7)?,
        certificate: Base64Bytes(row.get::<_, Option<Vec<u8>>>(8)?.unwrap_or_default()),
        device_id: row.get(9)?,
    })
}

impl Store {
    /// Leases revocations that are due to a connector that has authorities for these issuers (see
    /// [`RevocationLeaseRequest::issuers`](crate::gateway::revocation_api::RevocationLeaseRequest::issuers)). Each lease moves the
    /// request's fence on.
    ///
    /// # Errors
    /// The database's own failure.
    pub fn lease_revocations(
        &self,
        contact: &Contact,
        instance: &str,
        issuers: &[String],
        terms: &LeaseTerms,
    ) -> Result<RevocationLease, StoreError> {
        let list = format!(",{},", issuers.join(","));
        let (nothing, known) = self.read(|transaction, now| {
            let nothing = match next_due(transaction, &list)? {
                Some(due) if due <= now => None,
                other => Some(other),
            };
            Ok((nothing, ISSUERS.are_noted(transaction, issuers, now)?))
        })?;
        if let Some(next_due_ms) = nothing
            && known
        {
            return Ok(RevocationLease {
                work: Vec::new(),
                next_due_ms,
            });
        }
        self.write(|transaction, now| {
            refuse_revoked(transaction, &contact.certificate)?;
            give_up(transaction, now, terms.max_leases)?;
            ISSUERS.note(transaction, issuers, now)?;
            let work = take(transaction, contact, instance, &list, terms, now)?;
            let next_due_ms = if work.is_empty() {
                next_due(transaction, &list)?
            } else {
                None
            };
            Ok(RevocationLease { work, next_due_ms })
        })
    }

    /// Puts a revocation back into the queue for `resume_ms`: the authority or the connector's brake takes its time, and that was no attempt.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::StaleLease`], [`StoreError::WrongResult`] when it is no revocation, or the database's own
    /// failure.
    pub fn give_back_revocation(
        &self,
        contact: &Contact,
        id: &str,
        fence: u64,
        failure: &FailureReport,
        resume_ms: u64,
    ) -> Result<Outcome, StoreError> {
        self.write(|transaction, now| {
            let held =
                held(transaction, contact, id, fence, None)?.ok_or(StoreError::StaleLease)?;
            let noted = transaction
                .prepare_cached(
                    "UPDATE revocations SET last_code = ?2, last_message = ?3 WHERE request = ?1",
                )?
                .execute(params![held.seq, failure.code, failure.message])?;
            if noted == 0 {
                return Err(StoreError::WrongResult);
            }
            transaction
                .prepare_cached(
                    "UPDATE requests SET state = 'queued', due_ms = ?2, attempts = max(attempts - 1, 0), answered_fence = fence, answer_digest = NULL
                     WHERE seq = ?1",
                )?
                .execute(params![held.seq, later(now, resume_ms)])?;
            Ok(Outcome::Requeued)
        })
    }

    /// Ends revocations of issuers that no connector has had an authority for, for so long. Returns how many.
    ///
    /// # Errors
    /// The database's own failure.
    pub fn fail_unserved_revocations(&self, hours: u32) -> Result<usize, StoreError> {
        let span = i64::from(hours).saturating_mul(3_600_000);
        self.write(|transaction, now| {
            Ok(transaction
                .prepare_cached(
                    "UPDATE requests SET state = 'failed', settled_ms = ?1, failure_code = 'noAuthority',
                       failure_message = 'no connector has an authority for the issuer: configure it as [[connector.ca]] of one, and ask again'
                     WHERE state = 'queued' AND created_ms <= ?2 AND seq IN (
                       SELECT v.request FROM revocations v WHERE v.held = 0 AND NOT EXISTS (
                         SELECT 1 FROM revocation_issuers i WHERE i.issuer_digest = v.issuer_digest AND i.last_ms > ?2))",
                )?
                .execute(params![now, now.saturating_sub(span)])?)
        })
    }
}

fn take(
    transaction: &Transaction<'_>,
    contact: &Contact,
    instance: &str,
    issuers: &str,
    terms: &LeaseTerms,
    now: i64,
) -> Result<Vec<RevocationWorkItem>, StoreError> {
    let mut select = transaction.prepare_cached(
        "SELECT q.seq, q.id, q.fence, q.attempts, v.issuer, v.serial, v.reason, v.ca, v.certificate, v.device_id
         FROM requests q JOIN device_requests d ON d.id = q.device_request JOIN revocations v ON v.request = q.seq
         WHERE q.state IN ('queued', 'leased') AND q.due_ms <= ?1 AND d.delivery = ?2 AND v.held = 0
           AND instr(?3, ',' || v.issuer_digest || ',') > 0 ORDER BY q.due_ms, q.seq LIMIT ?4",
    )?;
    let mut work: Vec<RevocationWorkItem> = Vec::new();
    let mut taken: Vec<(i64, u32)> = Vec::new();
    let mut unreadable: Vec<(i64, &'static str)> = Vec::new();
    let mut bytes = 0_usize;
    let mut rows = select.query(params![now, DELIVERY, issuers, terms.max])?;
    while let Some(row) = rows.next()? {
        let seq: i64 = row.get(0)?;
        let item = match read_work(row, terms.lease_ms) {
            Ok(item) => item,
            Err(StoreError::Unreadable(what)) => {
                unreadable.push((seq, what));
                continue;
            }
            Err(other) => return Err(other),
        };
        bytes = bytes
            .saturating_add(item.issuer.as_slice().len())
            .saturating_add(item.certificate.as_slice().len());
        if bytes > BATCH_BYTES && !work.is_empty() {
            break;
        }
        taken.push((seq, item.attempt));
        work.push(item);
    }
    drop(rows);
    hand_out(
        transaction,
        contact,
        instance,
        terms,
        &taken,
        &unreadable,
        now,
    )?;
    Ok(work)
}
