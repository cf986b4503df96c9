//! Which certificates an instance may show: the one in use, the next one that nobody has used yet, and for some minutes the one before.
//!
//! The next one takes the place of the one in use when it is first used, and not when it is issued: neither a lost answer nor a crash of the
//! connector shuts it out. Calls that began with the old one are answered meanwhile.

use super::{Contact, Store, StoreError};
use rusqlite::{OptionalExtension, Transaction, params};
use std::sync::atomic::{AtomicI64, Ordering};

/// What is known of a certificate that an instance shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing: it was not issued by the enrolment.
    Unknown,
    /// It is the instance's, and another one has not taken its place for good.
    Accepted,
    /// It was renewed, and the time after that is over.
    Replaced,
    /// It was issued for another instance.
    Anothers,
}

/// How a certificate stands for an instance.
pub(super) fn standing(
    transaction: &Transaction<'_>,
    certificate: &str,
    instance: &str,
    now: i64,
) -> Result<Standing, StoreError> {
    let known: Option<(String, Option<i64>)> = transaction
        .prepare_cached(
            "SELECT instance, leaves_ms FROM connector_certificates WHERE certificate = ?",
        )?
        .query_row(params![certificate], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(match known {
        None => Standing::Unknown,
        Some((owner, _)) if owner != instance => Standing::Anothers,
        Some((_, Some(leaves))) if leaves <= now => Standing::Replaced,
        Some(_) => Standing::Accepted,
    })
}

/// The instance that a certificate was issued for.
pub(super) fn instance_of(
    transaction: &Transaction<'_>,
    certificate: &str,
) -> Result<Option<String>, StoreError> {
    Ok(transaction
        .prepare_cached("SELECT instance FROM connector_certificates WHERE certificate = ?")?
        .query_row(params![certificate], |row| row.get(0))
        .optional()?)
}

/// Whether the instance has a certificate of its own, by the enrolment.
pub(super) fn is_enrolled(
    transaction: &Transaction<'_>,
    instance: &str,
) -> Result<bool, StoreError> {
    Ok(transaction
        .prepare_cached("SELECT 1 FROM connector_certificates WHERE instance = ?")?
        .exists(params![instance])?)
}

/// Whether another certificate has taken this one's place.
pub(super) fn is_leaving(
    transaction: &Transaction<'_>,
    certificate: &str,
) -> Result<bool, StoreError> {
    Ok(transaction
        .prepare_cached(
            "SELECT 1 FROM connector_certificates WHERE certificate = ? AND leaves_ms IS NOT NULL",
        )?
        .exists(params![certificate])?)
}

/// Whether both certificates are of one instance: what was leased with the one may be answered with the other.
pub(super) fn are_of_one(
    transaction: &Transaction<'_>,
    one: &str,
    other: &str,
) -> Result<bool, StoreError> {
    Ok(transaction
        .prepare_cached(
            "SELECT 1 FROM connector_certificates a JOIN connector_certificates b ON a.instance = b.instance
             WHERE a.certificate = ?1 AND b.certificate = ?2",
        )?
        .exists(params![one, other])?)
}

/// A certificate of the instance was used for the first time: it is the one in use, and all others leave.
pub(super) fn promote(
    transaction: &Transaction<'_>,
    contact: &Contact,
    instance: &str,
    leaves_ms: i64,
) -> Result<(), StoreError> {
    keep_own(transaction, instance)?;
    transaction.execute(
        "UPDATE connectors SET certificate = ?1, subject = ?2 WHERE instance = ?3",
        params![contact.certificate, contact.subject, instance],
    )?;
    transaction.execute(
        "UPDATE connector_certificates SET leaves_ms = ?1 WHERE instance = ?2 AND certificate <> ?3 AND leaves_ms IS NULL",
        params![leaves_ms, instance, contact.certificate],
    )?;
    tracing::info!(instance, certificate = %contact.certificate, "a connector uses its new certificate");
    Ok(())
}

/// The certificate in use counts as one of the instance's, also where it was made elsewhere.
pub(super) fn keep_own(transaction: &Transaction<'_>, instance: &str) -> Result<(), StoreError> {
    transaction.execute(
        "INSERT OR IGNORE INTO connector_certificates (certificate, instance, not_after_ms)
         SELECT certificate, instance, 9223372036854775807 FROM connectors WHERE instance = ?1
         AND (SELECT count(*) FROM connectors other WHERE other.certificate = connectors.certificate) = 1",
        params![instance],
    )?;
    Ok(())
}

/// Forgets what expired long ago.
pub(super) fn purge(transaction: &Transaction<'_>, before_ms: i64) -> Result<usize, StoreError> {
    let orders = transaction
        .prepare_cached("DELETE FROM enrolments WHERE begun_ms < ?")?
        .execute(params![before_ms])?;
    let certificates = transaction
        .prepare_cached(
            "DELETE FROM connector_certificates WHERE not_after_ms < ?1 OR leaves_ms < ?1",
        )?
        .execute(params![before_ms])?;
    Ok(orders.saturating_add(certificates))
}

/// How long a replaced certificate is still accepted, in milliseconds.
#[derive(Debug)]
pub(super) struct Overlap(AtomicI64);

impl Default for Overlap {
    fn default() -> Self {
        Self(AtomicI64::new(5 * 60_000))
    }
}

impl Overlap {
    /// Until when what is replaced now is accepted.
    pub(super) fn until(&self, now: i64) -> i64 {
        now.saturating_add(self.0.load(Ordering::Relaxed))
    }
}

impl Store {
    /// A certificate that was renewed is still accepted for so many milliseconds after the new one was first used.
    pub fn overlap_certificates(&self, span_ms: i64) {
        self.overlap.0.store(span_ms.max(0), Ordering::Relaxed);
    }
}
