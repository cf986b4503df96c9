//! Leases: who works on what, until when.
//!
//! A request is due at `due_ms`: the moment it was queued, the end of its pause after a failure, or the end of its lease. What is
//! due is leased in that order. A request that keeps failing, or keeps taking connectors down with it, is therefore due again
//! behind everything that came in the meantime and delays nobody.

use super::connectors::refuse_revoked;
use super::device_requests::{format_of, target_of};
use super::records::{FULL, FULL_COLUMNS, read_record, user_key};
use super::{Contact, Store, StoreError};
use crate::encoding::Base64Bytes;
use crate::engine::api::{Delivery, MAX_CERTIFICATES, StoredPfx};
use crate::gateway::api::WorkItem;
use crate::record::Record;
use rusqlite::{Row, Transaction, params};

/// Work in one answer: bytes of PFX and certificates after which no further request is added.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// What a lease is given for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseTerms {
    /// Requests at most.
    pub max: u32,
    /// How long it lasts, in milliseconds.
    pub lease_ms: u64,
    /// Leases of one request before it has failed for good.
    pub max_leases: u32,
    /// What the connector does besides the delivery `password`.
    pub offered: Offered,
}

/// Deliveries that a connector does, as its features say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Offered {
    /// `rewrap`.
    pub rewrap: bool,
    /// `appleProfile`.
    pub apple_profile: bool,
}

impl Offered {
    /// Of a connector's features. Every connector does `password`.
    #[must_use]
    pub fn of(features: &[String]) -> Self {
        let has = |delivery: Delivery| features.iter().any(|feature| feature == delivery.name());
        Self {
            rewrap: has(Delivery::Rewrap),
            apple_profile: has(Delivery::AppleProfile),
        }
    }

    /// Their names between commas, as the statements here look them up.
    fn list(self) -> String {
        let others = [
            (self.rewrap, Delivery::Rewrap),
            (self.apple_profile, Delivery::AppleProfile),
        ];
        let mut list = format!(",{},", Delivery::Password.name());
        for (_, delivery) in others.into_iter().filter(|(does, _)| *does) {
            list.push_str(delivery.name());
            list.push(',');
        }
        list
    }
}

/// What was leased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The work; empty when nothing is due.
    pub work: Vec<WorkItem>,
    /// When nothing is due: when something will be, in milliseconds since 1970.
    pub next_due_ms: Option<i64>,
}

/// `now` plus `ms`.
pub(super) fn later(now_ms: i64, ms: u64) -> i64 {
    now_ms.saturating_add(i64::try_from(ms).unwrap_or(i64::MAX))
}

/// Why a row is no work.
enum Unread {
    /// Its content is none that this program stores; it concerns this row alone.
    Content(&'static str),
    /// The database failed.
    Database(rusqlite::Error),
}

impl From<rusqlite::Error> for Unread {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error;
        match error {
            Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::InvalidColumnType(..)
            | Error::Utf8Error(..) => Self::Content("column"),
            other => Self::Database(other),
        }
    }
}

impl From<StoreError> for Unread {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Database(error) => error.into(),
            StoreError::Unreadable(what) => Self::Content(what),
            _ => Self::Content("record"),
        }
    }
}

/// The row as it is leased now, and how many bytes its device's certificates take.
fn read_work(row: &Row<'_>, lease_ms: u64) -> Result<(WorkItem, usize), Unread> {
    let (record, pfx) = read_record(row)?;
    let fence: i64 = row.get(FULL_COLUMNS + 2)?;
    let target: String = row.get(FULL_COLUMNS + 5)?;
    let format: String = row.get(FULL_COLUMNS + 6)?;
    let delivery: String = row.get(FULL_COLUMNS + 7)?;
    let item = WorkItem {
        request_id: row.get(FULL_COLUMNS + 1)?,
        fence: fence
            .checked_add(1)
            .and_then(|next| u64::try_from(next).ok())
            .ok_or(Unread::Content("fence"))?,
        attempt: row.get::<_, u32>(FULL_COLUMNS + 3)?.saturating_add(1),
        lease_ms,
        device_id: row.get(FULL_COLUMNS + 4)?,
        record,
        pfx: Base64Bytes(pfx),
        device: target_of(&target)?,
        format: format_of(&format)?,
        delivery: Delivery::of_name(&delivery).ok_or(Unread::Content("delivery"))?,
        others: Vec::new(),
    };
    Ok((item, target.len()))
}

/// The other certificates of a record's user, the newest first.
fn others(transaction: &Transaction<'_>, record: &Record) -> Result<Vec<StoredPfx>, Unread> {
    let mut statement = transaction.prepare_cached(&format!(
        "SELECT {FULL} FROM records r WHERE r.user_key = ? AND r.thumbprint <> ? ORDER BY r.starts_ms DESC, r.id LIMIT ?"
    ))?;
    let mut rows = statement.query(params![
        user_key(&record.user_principal_name),
        record.thumbprint,
        i64::try_from(MAX_CERTIFICATES.saturating_sub(1)).unwrap_or(i64::MAX)
    ])?;
    let mut others = Vec::new();
    while let Some(row) = rows.next()? {
        let (record, pfx) = read_record(row)?;
        others.push(StoredPfx {
            record,
            pfx: Base64Bytes(pfx),
        });
    }
    Ok(others)
}

impl Store {
    /// Leases what is due to a connector. Each lease moves the request's fence on. A request whose stored content
    /// is not readable fails for good (`unreadable`) and holds up nobody.
    ///
    /// # Errors
    /// The database's own failure.
    pub fn lease(
        &self,
        contact: &Contact,
        instance: &str,
        terms: &LeaseTerms,
    ) -> Result<Lease, StoreError> {
        let offered = terms.offered.list();
        let next_due = |transaction: &Transaction<'_>| -> Result<Option<i64>, StoreError> {
            Ok(transaction
                    .prepare_cached(
                        "SELECT min(q.due_ms) FROM requests q JOIN device_requests d ON d.id = q.device_request
                         WHERE q.state IN ('queued', 'leased') AND instr(?, ',' || d.delivery || ',') > 0",
                    )?
                    .query_row(params![offered], |row| row.get(0))?)
        };
        // Connectors that wait look often; only one that finds something takes the writer's lock.
        let nothing = self.read(|transaction, now| {
            Ok(match next_due(transaction)? {
                Some(due) if due <= now => None,
                other => Some(other),
            })
        })?;
        if let Some(next_due_ms) = nothing {
            return Ok(Lease {
                work: Vec::new(),
                next_due_ms,
            });
        }
        self.write(|transaction, now| {
            // Again, and under the lock: a connector may have been revoked while it waited here, and what it gave up is due now.
            refuse_revoked(transaction, &contact.certificate)?;
            give_up(transaction, now, terms.max_leases)?;
            let mut select = transaction.prepare_cached(&format!(
                "SELECT {FULL}, q.seq, q.id, q.fence, q.attempts, d.device_id, d.target, d.format, d.delivery
                 FROM requests q JOIN records r ON r.id = q.record JOIN device_requests d ON d.id = q.device_request
                 WHERE q.state IN ('queued', 'leased') AND q.due_ms <= ? AND instr(?, ',' || d.delivery || ',') > 0 ORDER BY q.due_ms, q.seq LIMIT ?"
            ))?;
            let mut work: Vec<WorkItem> = Vec::new();
            let mut taken: Vec<(i64, u32)> = Vec::new();
            let mut unreadable: Vec<(i64, &'static str)> = Vec::new();
            let mut bytes = 0_usize;
            let mut rows = select.query(params![now, offered, terms.max])?;
            while let Some(row) = rows.next()? {
                let seq: i64 = row.get(FULL_COLUMNS)?;
                let read = read_work(row, terms.lease_ms).and_then(|(mut item, target_bytes)| {
                    if item.delivery == Delivery::AppleProfile {
                        item.others = others(transaction, &item.record)?;
                    }
                    Ok((item, target_bytes))
                });
                let (item, target_bytes) = match read {
                    Ok(item) => item,
                    Err(Unread::Content(what)) => {
                        unreadable.push((seq, what));
                        continue;
                    }
                    Err(Unread::Database(error)) => return Err(error.into()),
                };
                // Certificates count too: what a connector reads of one answer is bounded.
                let of_others = item.others.iter().map(|other| other.pfx.as_slice().len());
                bytes = bytes
                    .saturating_add(item.pfx.as_slice().len())
                    .saturating_add(of_others.fold(0, usize::saturating_add))
                    .saturating_add(target_bytes);
                if bytes > BATCH_BYTES && !work.is_empty() {
                    break;
                }
                taken.push((seq, item.attempt));
                work.push(item);
            }
            drop(rows);
            hand_out(transaction, contact, instance, terms, &taken, &unreadable, now)?;
            let next_due_ms = if work.is_empty() { next_due(transaction)? } else { None };
            Ok(Lease { work, next_due_ms })
        })
    }
}

/// Ends what was leased too often without an answer, whatever kind of request it is.
pub(super) fn give_up(
    transaction: &Transaction<'_>,
    now: i64,
    max_leases: u32,
) -> Result<(), StoreError> {
    transaction
        .prepare_cached(
            "UPDATE requests SET state = 'failed', settled_ms = ?1, failure_code = 'tooManyAttempts',
               failure_message = 'given up: it was leased ' || attempts || ' times and never answered'
             WHERE state IN ('queued', 'leased') AND due_ms <= ?1 AND attempts >= ?2",
        )?
        .execute(params![now, max_leases])?;
    Ok(())
}

/// Makes the leases of one answer: each moves its request's fence on. What is not readable fails for good: it would be due first every
/// time, and no connector could do anything about it. Requests are named by their numbers, with the attempt that it is, or with what is not
/// readable.
pub(super) fn hand_out(
    transaction: &Transaction<'_>,
    contact: &Contact,
    instance: &str,
    terms: &LeaseTerms,
    taken: &[(i64, u32)],
    unreadable: &[(i64, &'static str)],
    now: i64,
) -> Result<(), StoreError> {
    let mut fail = transaction.prepare_cached(
        "UPDATE requests SET state = 'failed', settled_ms = ?2, failure_code = 'unreadable',
           failure_message = 'what the gateway stored for it is not readable: ' || ?3
         WHERE seq = ?1",
    )?;
    for (seq, what) in unreadable {
        tracing::error!(
            seq,
            what,
            "a request whose stored content is not readable has failed for good"
        );
        fail.execute(params![seq, now, what])?;
    }
    let mut update = transaction.prepare_cached(
        "UPDATE requests SET state = 'leased', fence = fence + 1, attempts = ?2, due_ms = ?3, lease_instance = ?4, lease_certificate = ?5
         WHERE seq = ?1",
    )?;
    let until = later(now, terms.lease_ms);
    for (seq, attempt) in taken {
        update.execute(params![seq, attempt, until, instance, contact.certificate])?;
    }
    Ok(())
}
