//! Revocations: asked for, held where there are too many at once, leased by issuer, settled.
//!
//! A revocation is a request as every other: fences, leases, retries and retention are those of [`super::leases`] and [`super::settle`].
//! One that the brake holds is a queued request that is due never.

mod brake;
mod create;
mod lease;
mod retire;
mod state;

pub use create::{CreateRevocations, NamedCertificate, RevocationsQueued};
pub use lease::RevocationLease;
pub(super) use retire::{issued_for_retired, purge};
pub(super) use state::revoked;

use super::StoreError;
use crate::config::RevocationBrake;
use crate::gateway::revocation_api::Reason;
use rusqlite::{Transaction, params};

/// What stands in the place of a delivery's name.
pub(super) const DELIVERY: &str = "revocation";

/// Why a request failed that an administrator dropped.
const DROPPED: &str = "dropped";

/// When a request that is held is due: never.
const NEVER_MS: i64 = i64::MAX;

/// Where a revocation stands, as its name in messages; `?1` is the time.
const STATE: &str = "CASE WHEN v.held = 1 THEN 'held' WHEN q.state = 'leased' AND q.due_ms <= ?1 THEN 'queued' ELSE q.state END";

/// SHA-256 of an issuer's Name (DER), hexadecimal.
#[must_use]
pub fn issuer_digest(issuer: &[u8]) -> String {
    crate::encoding::hex(fips::digest::digest(fips::digest::Hash::Sha256, issuer).as_ref())
}

fn reason_of(code: i64) -> Result<Reason, StoreError> {
    u8::try_from(code)
        .ok()
        .and_then(Reason::of_code)
        .ok_or(StoreError::Unreadable("reason"))
}

/// Whether a certificate is not to be renewed: its device was retired after it was issued, or it is revoked, about to be, or was to be, and the
/// authority could not. What an administrator dropped stops nothing. A hold stops it while it is on its way; what is on hold is not even looked at.
pub(super) fn stops_renewal(
    transaction: &Transaction<'_>,
    certificate_id: &str,
) -> Result<bool, StoreError> {
    Ok(transaction
        .prepare_cached(
            "SELECT 1 FROM pkcs_certificates c JOIN retired_devices t ON t.device_id = c.device_id WHERE c.id = ?1 AND t.retired_ms >= c.created_ms
             UNION ALL
             SELECT 1 FROM pkcs_certificates c JOIN revocations v ON v.serial = c.serial AND v.issuer = c.issuer
               JOIN requests q ON q.seq = v.request
               WHERE c.id = ?1 AND CASE WHEN v.reason = ?2 THEN q.state IN ('queued', 'leased')
                 ELSE q.state <> 'failed' OR q.failure_code <> ?3 END",
        )?
        .exists(params![
            certificate_id,
            Reason::CertificateHold.of_ca().code(),
            DROPPED
        ])?)
}

/// Ends the renewal of the certificate of a revocation for good. It stays ended when the revocation comes to nothing: whoever asked for it
/// does not want another one.
fn end_renewal(transaction: &Transaction<'_>, seq: i64) -> Result<(), StoreError> {
    transaction
        .prepare_cached(
            "UPDATE pkcs_certificates SET renew_ms = NULL WHERE renew_ms IS NOT NULL
               AND (serial, issuer) IN (SELECT serial, issuer FROM revocations WHERE request = ?1 AND reason <> ?2)",
        )?
        .execute(params![seq, Reason::CertificateHold.of_ca().code()])?;
    Ok(())
}

/// How many more may be queued now without being held: of everybody, and of one token.
struct Room {
    all: u32,
    of_token: u32,
}

impl Room {
    fn of(
        transaction: &Transaction<'_>,
        brake: &RevocationBrake,
        token: &str,
        now: i64,
    ) -> Result<Self, StoreError> {
        // A clock that was set back does not open the brake.
        let (all, of_token): (i64, i64) = transaction
            .prepare_cached(
                "SELECT count(*), count(*) FILTER (WHERE d.requested_by = ?2)
                 FROM revocations v JOIN requests q ON q.seq = v.request JOIN device_requests d ON d.id = q.device_request
                 WHERE v.admitted_ms > ?1",
            )?
            .query_row(params![now.saturating_sub(3_600_000), token], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        let left =
            |most: u32, used: i64| most.saturating_sub(u32::try_from(used).unwrap_or(u32::MAX));
        Ok(Self {
            all: left(brake.per_hour, all),
            of_token: left(brake.per_token_per_hour, of_token),
        })
    }

    /// Takes one place, if there is one.
    fn take(&mut self) -> bool {
        let (Some(all), Some(of_token)) = (self.all.checked_sub(1), self.of_token.checked_sub(1))
        else {
            return false;
        };
        (self.all, self.of_token) = (all, of_token);
        true
    }
}
