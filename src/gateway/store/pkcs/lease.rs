//! Leases of PKCS requests, and how far connectors got with them.

use super::{of_json, to_json};
use crate::encoding::Base64Bytes;
use crate::gateway::api::Outcome;
use crate::gateway::pkcs_api::{PkcsWorkItem, Progress};
use crate::gateway::store::connectors::refuse_revoked;
use crate::gateway::store::device_requests::target_of;
use crate::gateway::store::leases::{give_up, hand_out, later};
use crate::gateway::store::served::AUTHORITIES;
use crate::gateway::store::settle::held;
use crate::gateway::store::{Contact, LeaseTerms, Store, StoreError};
use rusqlite::{Row, Transaction, params};

/// What was leased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PkcsLease {
    /// The work; empty when nothing is due.
    pub work: Vec<PkcsWorkItem>,
    /// When nothing is due: when something will be, in milliseconds since 1970.
    pub next_due_ms: Option<i64>,
}

/// Bytes of progress and certificates in one answer after which no further request is added.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// When something is due for a connector with these authorities (a JSON list of names; none: with any).
fn next_due(
    transaction: &Transaction<'_>,
    authorities: Option<&str>,
) -> Result<Option<i64>, StoreError> {
    Ok(transaction
        .prepare_cached(
            "SELECT min(q.due_ms) FROM requests q JOIN pkcs_requests p ON p.request = q.seq
             WHERE q.state IN ('queued', 'leased') AND (?1 IS NULL OR p.ca IN (SELECT value FROM json_each(?1)))",
        )?
        .query_row(params![authorities], |row| row.get(0))?)
}

fn read_work(row: &Row<'_>, lease_ms: u64) -> Result<PkcsWorkItem, StoreError> {
    let target: String = row.get(4)?;
    let profile: String = row.get(6)?;
    let variables: String = row.get(8)?;
    let progress: Option<Vec<u8>> = row.get(10)?;
    Ok(PkcsWorkItem {
        request_id: row.get(1)?,
        fence: row
            .get::<_, i64>(2)?
            .checked_add(1)
            .and_then(|next| u64::try_from(next).ok())
            .ok_or(StoreError::Unreadable("fence"))?,
        attempt: row.get::<_, u32>(3)?.saturating_add(1),
        lease_ms,
        device: target_of(&target)?,
        device_id: row.get(5)?,
        profile: of_json(&profile, "profile")?,
        profile_name: row.get(7)?,
        variables: of_json(&variables, "variables")?,
        user_principal_name: row.get(9)?,
        progress: Base64Bytes(progress.unwrap_or_default()),
        renews: row.get(11)?,
    })
}

impl Store {
    /// Leases PKCS requests that are due to a connector that has these authorities; to one that does not name them (an older release), those
    /// of any. Each lease moves the request's fence on.
    ///
    /// # Errors
    /// The database's own failure.
    pub fn lease_pkcs(
        &self,
        contact: &Contact,
        instance: &str,
        authorities: Option<&[String]>,
        terms: &LeaseTerms,
    ) -> Result<PkcsLease, StoreError> {
        let names = authorities.unwrap_or_default();
        let list = authorities.map(|names| to_json(&names)).transpose()?;
        let list = list.as_deref();
        let (nothing, known) = self.read(|transaction, now| {
            let nothing = match next_due(transaction, list)? {
                Some(due) if due <= now => None,
                other => Some(other),
            };
            Ok((nothing, AUTHORITIES.are_noted(transaction, names, now)?))
        })?;
        if let Some(next_due_ms) = nothing
            && known
        {
            return Ok(PkcsLease {
                work: Vec::new(),
                next_due_ms,
            });
        }
        self.write(|transaction, now| {
            refuse_revoked(transaction, &contact.certificate)?;
            give_up(transaction, now, terms.max_leases)?;
            AUTHORITIES.note(transaction, names, now)?;
            let mut select = transaction.prepare_cached(
                "SELECT q.seq, q.id, q.fence, q.attempts, d.target, d.device_id, p.profile, p.profile_name, p.variables, p.user_principal_name,
                   p.progress, p.renews
                 FROM requests q JOIN device_requests d ON d.id = q.device_request JOIN pkcs_requests p ON p.request = q.seq
                 WHERE q.state IN ('queued', 'leased') AND q.due_ms <= ?1 AND (?2 IS NULL OR p.ca IN (SELECT value FROM json_each(?2)))
                 ORDER BY q.due_ms, q.seq LIMIT ?3",
            )?;
            let mut work: Vec<PkcsWorkItem> = Vec::new();
            let mut taken: Vec<(i64, u32)> = Vec::new();
            let mut unreadable: Vec<(i64, &'static str)> = Vec::new();
            let mut bytes = 0_usize;
            let mut rows = select.query(params![now, list, terms.max])?;
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
                let of_device = item.device.intermediates.iter().map(|one| one.as_slice().len());
                bytes = of_device
                    .fold(bytes, usize::saturating_add)
                    .saturating_add(item.device.certificate.as_slice().len())
                    .saturating_add(item.progress.as_slice().len());
                if bytes > BATCH_BYTES && !work.is_empty() {
                    break;
                }
                taken.push((seq, item.attempt));
                work.push(item);
            }
            drop(rows);
            hand_out(transaction, contact, instance, terms, &taken, &unreadable, now)?;
            let next_due_ms = if work.is_empty() { next_due(transaction, list)? } else { None };
            Ok(PkcsLease { work, next_due_ms })
        })
    }

    /// Ends requests that nobody has begun and whose authority no connector has had for so long, while others have had theirs. Returns how
    /// many.
    ///
    /// # Errors
    /// The database's own failure.
    pub fn fail_unserved_pkcs(&self, hours: u32) -> Result<usize, StoreError> {
        let span = i64::from(hours).saturating_mul(3_600_000);
        self.write(|transaction, now| {
            Ok(transaction
                .prepare_cached(
                    "UPDATE requests SET state = 'failed', settled_ms = ?1, failure_code = 'noAuthority',
                       failure_message = 'no connector has the authority that the profile names: configure it as [[connector.ca]] of one, and ask again'
                     WHERE state = 'queued' AND created_ms <= ?2 AND seq IN (
                       SELECT p.request FROM pkcs_requests p WHERE p.progress IS NULL AND NOT EXISTS (
                         SELECT 1 FROM pkcs_authorities a WHERE a.name = p.ca AND a.last_ms > ?2))
                       AND EXISTS (SELECT 1 FROM pkcs_authorities WHERE last_ms > ?2)",
                )?
                .execute(params![now, now.saturating_sub(span)])?)
        })
    }

    /// Keeps how far a connector got; with [`Progress::resume_ms`] the request waits in the queue, and that lease was no attempt.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::StaleLease`], or the database's own failure.
    pub fn keep_progress(
        &self,
        contact: &Contact,
        id: &str,
        progress: &Progress,
    ) -> Result<Outcome, StoreError> {
        self.write(|transaction, now| {
            let held = held(transaction, contact, id, progress.fence, None)?
                .ok_or(StoreError::StaleLease)?;
            let kept = transaction
                .prepare_cached("UPDATE pkcs_requests SET progress = ?2 WHERE request = ?1")?
                .execute(params![held.seq, progress.progress.as_slice()])?;
            if kept == 0 {
                return Err(StoreError::WrongResult);
            }
            let Some(resume_ms) = progress.resume_ms else {
                return Ok(Outcome::Accepted);
            };
            transaction
                .prepare_cached(
                    "UPDATE requests SET state = 'queued', due_ms = ?2, attempts = max(attempts - 1, 0), answered_fence = fence, answer_digest = NULL
                     WHERE seq = ?1",
                )?
                .execute(params![held.seq, later(now, resume_ms)])?;
            Ok(Outcome::Requeued)
        })
    }
}
