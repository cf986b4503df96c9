//! Retention: what is deleted when. Deleted content is overwritten in the database file (`secure_delete`) and leaves the
//! write-ahead log with the checkpoint that follows. Blocks that the file system or the disk keep of old file states are beyond
//! reach: an encrypted volume is the answer to those.

use super::{Store, StoreError, identity, pkcs, records, revocations};
use crate::config::RetentionConfig;
use rusqlite::{Transaction, params};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// Deletions in one transaction: others wait no longer than for these.
const STEP: u32 = 500;

/// How much a purge deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Purged {
    /// Settled requests, with their results.
    pub requests: usize,
    /// Records whose certificate expired long ago.
    pub records: usize,
    /// Entries of the audit trail.
    pub audit_entries: usize,
    /// Tokens that ended long ago.
    pub tokens: usize,
    /// Issued certificates that expired long ago.
    pub certificates: usize,
}

impl Purged {
    /// Whether anything went.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Store {
    /// Deletes everything whose time has come, in transactions of bounded size.
    ///
    /// # Errors
    /// The database's own failure; what was deleted until then stays deleted.
    pub fn purge(&self, retention: &RetentionConfig) -> Result<Purged, StoreError> {
        let mut total = Purged::default();
        loop {
            let step = self.write(|transaction, now| purge_step(transaction, now, retention))?;
            total.requests += step.requests;
            total.records += step.records;
            total.audit_entries += step.audit_entries;
            total.tokens += step.tokens;
            total.certificates += step.certificates;
            if step.is_empty() {
                break;
            }
        }
        // Also without deletions of its own: an earlier checkpoint may have met a reader.
        self.forget_log()?;
        Ok(total)
    }
}

fn purge_step(
    transaction: &Transaction<'_>,
    now: i64,
    retention: &RetentionConfig,
) -> Result<Purged, StoreError> {
    let before = |span: i64, unit: i64| now.saturating_sub(span.saturating_mul(unit));
    let results_before = before(i64::from(retention.results_hours), HOUR_MS);
    let requests = transaction
        .prepare_cached(
            "DELETE FROM requests WHERE seq IN (SELECT seq FROM requests WHERE settled_ms IS NOT NULL AND settled_ms <= ? LIMIT ?)",
        )?
        .execute(params![results_before, STEP])?;
    if requests > 0 {
        transaction.execute(
            "DELETE FROM device_requests WHERE NOT EXISTS (SELECT 1 FROM requests WHERE device_request = device_requests.id)",
            [],
        )?;
    }
    let expired: Vec<String> = transaction
        .prepare_cached("SELECT id FROM records WHERE expires_ms <= ? LIMIT ?")?
        .query_map(
            params![before(i64::from(retention.records_days), DAY_MS), STEP],
            |row| row.get(0),
        )?
        .collect::<Result<_, _>>()?;
    for id in &expired {
        records::remove(transaction, now, id)?;
    }
    let audit_before = before(i64::from(retention.audit_days), DAY_MS);
    transaction.execute(
        "UPDATE meta SET value = max(value, ?) WHERE key = 'audit_purge_before_ms'",
        params![audit_before],
    )?;
    let audit_entries = transaction
        .prepare_cached(
            "DELETE FROM admin_audit WHERE seq IN (SELECT seq FROM admin_audit WHERE at_ms < ? LIMIT ?)",
        )?
        .execute(params![audit_before, STEP])?;
    let tokens = transaction
        .prepare_cached(
            "DELETE FROM tokens WHERE min(expires_ms, coalesce(revoked_ms, expires_ms)) < ?",
        )?
        .execute(params![audit_before])?;
    let records_before = before(i64::from(retention.records_days), DAY_MS);
    let certificates = pkcs::purge(transaction, records_before, STEP)?
        .saturating_add(identity::purge(transaction, audit_before)?);
    revocations::purge(transaction, now)?;
    pkcs::forget_updates(transaction, now)?;
    Ok(Purged {
        requests,
        records: expired.len(),
        audit_entries,
        tokens,
        certificates,
    })
}
