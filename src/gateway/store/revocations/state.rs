//! Where revocations stand, and what a connector's result changes.

use super::{STATE, reason_of};
use crate::clock::rfc3339;
use crate::encoding::hex;
use crate::gateway::api::FailureReport;
use crate::gateway::revocation_api::{Reason, RevocationResult, RevocationState, RevocationStatus};
use crate::gateway::store::{Store, StoreError};
use der::Decode;
use rusqlite::{OptionalExtension, Row, Transaction, params};

/// What is read of a row, in the order of [`status_of`].
fn columns() -> String {
    format!(
        "q.seq, q.id, {STATE}, v.issuer, v.serial, v.reason, v.device_id, v.result, q.failure_code, q.failure_message, v.last_code,
         v.last_message, q.attempts, q.created_ms, q.settled_ms"
    )
}

/// A Name in words.
fn words(issuer: &[u8]) -> String {
    x509_cert::name::Name::from_der(issuer)
        .map_or_else(|_| hex(issuer), |name| pki::name::rfc4514(&name))
}

fn status_of(row: &Row<'_>) -> Result<RevocationStatus, StoreError> {
    let state: String = row.get(2)?;
    let state = RevocationState::of_name(&state).ok_or(StoreError::Unreadable("state"))?;
    let report = |code: Option<String>, message: Option<String>| {
        code.map(|code| FailureReport {
            code,
            message: message.unwrap_or_default(),
        })
    };
    let is_open = !matches!(state, RevocationState::Completed | RevocationState::Failed);
    Ok(RevocationStatus {
        request_id: row.get(1)?,
        state,
        issuer: words(&row.get::<_, Vec<u8>>(3)?),
        serial_number: hex(&row.get::<_, Vec<u8>>(4)?),
        reason: reason_of(row.get(5)?)?,
        device_id: row.get(6)?,
        result: row
            .get::<_, Option<String>>(7)?
            .as_deref()
            .and_then(RevocationResult::of_name),
        failure: report(row.get(8)?, row.get(9)?).filter(|_| state == RevocationState::Failed),
        last_failure: report(row.get(10)?, row.get(11)?).filter(|_| is_open),
        attempts: row.get(12)?,
        created_date_time: rfc3339(row.get(13)?),
        settled_date_time: row.get::<_, Option<i64>>(14)?.map(rfc3339),
    })
}

/// Notes that a certificate is revoked: it is not renewed any more. One on hold is not renewed until [`Store::resume_renewal`].
pub(in crate::gateway::store) fn revoked(
    transaction: &Transaction<'_>,
    seq: i64,
    result: RevocationResult,
    now: i64,
) -> Result<(), StoreError> {
    transaction
        .prepare_cached("UPDATE revocations SET result = ?2 WHERE request = ?1")?
        .execute(params![seq, result.name()])?;
    transaction
        .prepare_cached(
            "UPDATE pkcs_certificates SET revoked_ms = coalesce(revoked_ms, ?2), renew_ms = NULL
             WHERE (serial, issuer) IN (SELECT serial, issuer FROM revocations WHERE request = ?1 AND reason <> ?3)",
        )?
        .execute(params![seq, now, Reason::CertificateHold.of_ca().code()])?;
    transaction
        .prepare_cached(
            "UPDATE pkcs_certificates SET hold_ms = ?2 WHERE hold_ms IS NULL AND revoked_ms IS NULL
               AND (serial, issuer) IN (SELECT serial, issuer FROM revocations WHERE request = ?1 AND reason = ?3)",
        )?
        .execute(params![seq, now, Reason::CertificateHold.of_ca().code()])?;
    Ok(())
}

impl Store {
    /// Where a revocation stands.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or the database's own failure.
    pub fn revocation(&self, id: &str) -> Result<RevocationStatus, StoreError> {
        self.read(|transaction, now| {
            transaction
                .prepare_cached(&format!(
                    "SELECT {} FROM revocations v JOIN requests q ON q.seq = v.request WHERE q.id = ?2",
                    columns()
                ))?
                .query_row(params![now, id], |row| Ok(status_of(row)))
                .optional()?
                .ok_or(StoreError::NotFound)?
        })
    }

    /// Revocations after number `after`, oldest first, `limit` at most, with their numbers; of one device, or in one state.
    ///
    /// # Errors
    /// The database's own failure.
    pub fn revocations(
        &self,
        device_id: Option<&str>,
        state: Option<RevocationState>,
        after: i64,
        limit: u32,
    ) -> Result<Vec<(i64, RevocationStatus)>, StoreError> {
        self.read(|transaction, now| {
            let mut statement = transaction.prepare_cached(&format!(
                "SELECT {} FROM revocations v JOIN requests q ON q.seq = v.request
                 WHERE q.seq > ?2 AND (?3 IS NULL OR v.device_id = ?3) AND (?4 IS NULL OR {STATE} = ?4) ORDER BY q.seq LIMIT ?5",
                columns()
            ))?;
            let mut rows = statement.query(params![
                now,
                after,
                device_id,
                state.map(RevocationState::name),
                limit
            ])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push((row.get(0)?, status_of(row)?));
            }
            Ok(found)
        })
    }
}
