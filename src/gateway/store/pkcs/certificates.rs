//! What was issued, until it has expired: renewed by itself when little of its life is left.

use super::requests::{Row, queue};
use super::{devices, of_json};
use crate::clock::rfc3339;
use crate::engine::api::Delivery;
use crate::gateway::pkcs_api::{PkcsCertificate, PkcsProfile, Variable};
use crate::gateway::store::device_requests::target_of;
use crate::gateway::store::records::user_key;
use crate::gateway::store::{Actor, Store, StoreError, audit, profiles, revocations, sha256};
use der::{Decode, Encode};
use fips::digest::{Hash, digest};
use rusqlite::{OptionalExtension, Transaction, params};

/// A renewal that came to nothing is asked for again after so long, or after a tenth of what is left of the certificate's life.
const AGAIN_MS: i64 = 24 * 3_600_000;
/// Renewals in one transaction.
const STEP: u32 = 100;
/// Certificates in one list.
const MOST: u32 = 1_000;

/// What the gateway has to know of a certificate.
struct Facts {
    thumbprint: String,
    issuer: Vec<u8>,
    serial: Vec<u8>,
    starts_ms: i64,
    expires_ms: i64,
}

impl Facts {
    fn of(der: &[u8]) -> Option<Self> {
        let certificate = x509_cert::Certificate::from_der(der).ok()?;
        let tbs = certificate.tbs_certificate();
        let ms =
            |time: x509_cert::time::Time| i64::try_from(time.to_unix_duration().as_millis()).ok();
        let facts = Self {
            thumbprint: crate::encoding::hex(digest(Hash::Sha1, der).as_ref()),
            issuer: tbs.issuer().to_der().ok()?,
            serial: tbs.serial_number().as_bytes().to_vec(),
            starts_ms: ms(tbs.validity().not_before)?,
            expires_ms: ms(tbs.validity().not_after)?,
        };
        (facts.starts_ms < facts.expires_ms).then_some(facts)
    }

    /// When it has to be renewed; `None`: never.
    fn renew_ms(&self, profile: &PkcsProfile) -> Option<i64> {
        if profile.renewal_percent == 0 {
            return None;
        }
        let life = self.expires_ms.saturating_sub(self.starts_ms);
        let left = life / 100 * i64::from(profile.renewal_percent);
        Some(self.expires_ms.saturating_sub(left))
    }
}

/// Notes what was issued for a request. What the same user, device and profile had before is not renewed any more, and stays theirs until the
/// new one is collected.
pub(in crate::gateway::store) fn issued(
    transaction: &Transaction<'_>,
    seq: i64,
    certificate: &[u8],
    delivery: Delivery,
    now: i64,
) -> Result<(), StoreError> {
    let facts = Facts::of(certificate).ok_or(StoreError::WrongResult)?;
    struct Asked {
        id: String,
        profile_name: String,
        profile: String,
        user: String,
        device_id: String,
        target: String,
        variables: String,
        created_ms: i64,
    }
    let mut asked = transaction
        .prepare_cached(
            "SELECT q.id, p.profile_name, p.profile, p.user_principal_name, d.device_id, d.target, p.variables, d.created_ms
             FROM requests q JOIN device_requests d ON d.id = q.device_request JOIN pkcs_requests p ON p.request = q.seq WHERE q.seq = ?",
        )?
        .query_row(params![seq], |row| {
            Ok(Asked {
                id: row.get(0)?,
                profile_name: row.get(1)?,
                profile: row.get(2)?,
                user: row.get(3)?,
                device_id: row.get(4)?,
                target: row.get(5)?,
                variables: row.get(6)?,
                created_ms: row.get(7)?,
            })
        })
        .optional()?
        .ok_or(StoreError::WrongResult)?;
    let profile: PkcsProfile = of_json(&asked.profile, "profile")?;
    if profile.delivery != delivery {
        return Err(StoreError::WrongResult);
    }
    let user_key = user_key(&asked.user);
    // A profile that was ended meanwhile is not renewed.
    let renew_ms = match profiles::profile::<PkcsProfile>(transaction, &asked.profile_name)? {
        Some(_) => facts.renew_ms(&profile),
        None => None,
    };
    let said = devices::said_since(transaction, &asked.device_id, &user_key, asked.created_ms)?;
    // The device got another certificate meanwhile: it may not be able to open what this is encrypted to.
    let is_stale = said
        .target
        .as_ref()
        .is_some_and(|target| *target != asked.target);
    let renew_ms = renew_ms.map(|due| if is_stale { due.min(now) } else { due });
    asked.target = said.target.unwrap_or(asked.target);
    asked.variables = said.variables.unwrap_or(asked.variables);
    transaction
        .prepare_cached(
            "UPDATE pkcs_certificates SET renew_ms = NULL
             WHERE user_key = ?1 AND device_id = ?2 AND profile_name = ?3 AND replaced_by IS NULL",
        )?
        .execute(params![user_key, asked.device_id, asked.profile_name])?;
    transaction
        .prepare_cached(
            "INSERT INTO pkcs_certificates (id, profile_name, user_key, user_principal_name, device_id, target, variables, ca, certificate,
               thumbprint, issuer, serial, starts_ms, expires_ms, renew_ms, created_ms)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            asked.id,
            asked.profile_name,
            user_key,
            asked.user,
            asked.device_id,
            asked.target,
            asked.variables,
            profile.ca,
            certificate,
            facts.thumbprint,
            facts.issuer,
            facts.serial,
            facts.starts_ms,
            facts.expires_ms,
            renew_ms,
            now
        ])?;
    transaction
        .prepare_cached("UPDATE requests SET thumbprint = ? WHERE seq = ?")?
        .execute(params![facts.thumbprint, seq])?;
    revocations::issued_for_retired(transaction, &asked.id, now)
}

/// Notes that the device management has it: it takes the place of what the same user, device and profile had before.
pub(in crate::gateway::store) fn note_collected(
    transaction: &Transaction<'_>,
    id: &str,
    now: i64,
) -> Result<(), StoreError> {
    let noted = transaction
        .prepare_cached(
            "UPDATE pkcs_certificates SET collected_ms = ?2 WHERE id = ?1 AND collected_ms IS NULL",
        )?
        .execute(params![id, now])?;
    if noted > 0 {
        transaction
            .prepare_cached(
                "UPDATE pkcs_certificates SET replaced_by = ?1 FROM pkcs_certificates AS newer
                 WHERE newer.id = ?1 AND pkcs_certificates.replaced_by IS NULL AND pkcs_certificates.user_key = newer.user_key
                   AND pkcs_certificates.device_id = newer.device_id AND pkcs_certificates.profile_name = newer.profile_name
                   AND (pkcs_certificates.created_ms, pkcs_certificates.rowid) < (newer.created_ms, newer.rowid)",
            )?
            .execute(params![id])?;
    }
    Ok(())
}

/// Forgets certificates that expired long ago.
pub(in crate::gateway::store) fn purge(
    transaction: &Transaction<'_>,
    before_ms: i64,
    most: u32,
) -> Result<usize, StoreError> {
    Ok(transaction
        .prepare_cached(
            "DELETE FROM pkcs_certificates WHERE id IN (SELECT id FROM pkcs_certificates WHERE expires_ms <= ? LIMIT ?)",
        )?
        .execute(params![before_ms, most])?)
}

/// A certificate whose renewal is due.
struct Due {
    id: String,
    profile_name: String,
    user: String,
    device_id: String,
    target: String,
    variables: String,
    expires_ms: i64,
}

/// Queues the renewal of one certificate, unless one is under way; the next one is due later, in case this comes to nothing.
fn renew(transaction: &Transaction<'_>, due: &Due, now: i64) -> Result<bool, StoreError> {
    let next = now.saturating_add(
        AGAIN_MS
            .min(due.expires_ms.saturating_sub(now) / 10)
            .max(60_000),
    );
    let profile: Option<PkcsProfile> = profiles::profile(transaction, &due.profile_name)?;
    let next = (next < due.expires_ms && profile.is_some()).then_some(next);
    transaction
        .prepare_cached("UPDATE pkcs_certificates SET renew_ms = ?2 WHERE id = ?1")?
        .execute(params![due.id, next])?;
    let Some(profile) = profile.filter(|_| due.expires_ms > now) else {
        return Ok(false);
    };
    let under_way = transaction
        .prepare_cached(
            "SELECT 1 FROM requests q JOIN device_requests d ON d.id = q.device_request JOIN pkcs_requests p ON p.request = q.seq
             WHERE q.state IN ('queued', 'leased') AND d.user_key = ?1 AND d.device_id = ?2 AND p.profile_name = ?3",
        )?
        .exists(params![user_key(&due.user), due.device_id, due.profile_name])?;
    if under_way || revocations::stops_renewal(transaction, &due.id)? {
        return Ok(false);
    }
    let variables: Vec<Variable> = of_json(&due.variables, "variables")?;
    let row = Row {
        profile_name: &due.profile_name,
        profile: &profile,
        user_principal_name: &due.user,
        device_id: &due.device_id,
        device: &target_of(&due.target)?,
        variables: &variables,
        idempotency_key: None,
        digest: &sha256(&[b"pkcs renewal v1", due.id.as_bytes()]),
        requested_by: "renewal",
        renews: Some(&due.id),
    };
    queue(transaction, &row, now)?;
    Ok(true)
}

impl Store {
    /// Asks again for certificates of whose life too little is left. Returns for how many.
    ///
    /// # Errors
    /// The database's own failure; what was asked for until then stays.
    pub fn renew_certificates(&self) -> Result<usize, StoreError> {
        let mut renewed = 0;
        loop {
            let due_now = self.read(|transaction, now| {
                Ok(transaction
                    .prepare_cached(
                        "SELECT 1 FROM pkcs_certificates WHERE renew_ms <= ? AND hold_ms IS NULL",
                    )?
                    .exists(params![now])?)
            })?;
            if !due_now {
                return Ok(renewed);
            }
            renewed += self.write(|transaction, now| {
                let due: Vec<Due> = transaction
                    .prepare_cached(
                        "SELECT id, profile_name, user_principal_name, device_id, target, variables, expires_ms
                         FROM pkcs_certificates WHERE renew_ms <= ? AND hold_ms IS NULL ORDER BY renew_ms LIMIT ?",
                    )?
                    .query_map(params![now, STEP], |row| {
                        Ok(Due {
                            id: row.get(0)?,
                            profile_name: row.get(1)?,
                            user: row.get(2)?,
                            device_id: row.get(3)?,
                            target: row.get(4)?,
                            variables: row.get(5)?,
                            expires_ms: row.get(6)?,
                        })
                    })?
                    .collect::<Result<_, _>>()?;
                let mut count = 0;
                for due in &due {
                    count += usize::from(renew(transaction, due, now)?);
                }
                Ok(count)
            })?;
        }
    }

    /// Has a certificate renewed again that was on hold: an administrator says that the hold was taken back at the authority.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when it is not on hold, or the database's own failure.
    pub fn resume_renewal(&self, actor: &Actor, id: &str) -> Result<(), StoreError> {
        self.write(|transaction, now| {
            let resumed = transaction
                .prepare_cached(
                    "UPDATE pkcs_certificates SET hold_ms = NULL WHERE id = ? AND hold_ms IS NOT NULL",
                )?
                .execute(params![id])?;
            if resumed == 0 {
                return Err(StoreError::NotFound);
            }
            audit::append(transaction, now, actor, &format!("certificate {id}"), "done")
        })
    }

    /// Certificates of a device, of a user, or of both, the newest first; those that expired long ago are forgotten.
    ///
    /// # Errors
    /// The database's own failure.
    pub fn certificates(
        &self,
        device_id: Option<&str>,
        user: Option<&str>,
    ) -> Result<Vec<PkcsCertificate>, StoreError> {
        self.read(|transaction, _| {
            let mut statement = transaction.prepare_cached(
                "SELECT c.id, c.profile_name, c.user_principal_name, c.device_id, c.ca, c.thumbprint, c.serial, c.starts_ms, c.expires_ms,
                   c.renew_ms, c.replaced_by, c.revoked_ms,
                   (SELECT q.id FROM pkcs_requests p JOIN requests q ON q.seq = p.request WHERE p.renews = c.id ORDER BY q.seq DESC LIMIT 1), c.collected_ms, c.hold_ms
                 FROM pkcs_certificates c WHERE (?1 IS NULL OR c.device_id = ?1) AND (?2 IS NULL OR c.user_key = ?2)
                 ORDER BY c.created_ms DESC, c.id LIMIT ?3",
            )?;
            let rows = statement.query_map(
                params![device_id, user.map(user_key), MOST],
                |row| {
                    Ok(PkcsCertificate {
                        request_id: row.get(0)?,
                        profile: row.get(1)?,
                        user_principal_name: row.get(2)?,
                        device_id: row.get(3)?,
                        ca: row.get(4)?,
                        thumbprint: row.get(5)?,
                        serial_number: crate::encoding::hex(&row.get::<_, Vec<u8>>(6)?),
                        start_date_time: rfc3339(row.get(7)?),
                        expiration_date_time: rfc3339(row.get(8)?),
                        renewal_date_time: row.get::<_, Option<i64>>(9)?.map(rfc3339),
                        replaced_by: row.get(10)?,
                        revoked_date_time: row.get::<_, Option<i64>>(11)?.map(rfc3339),
                        renewed_by: row.get(12)?,
                        on_hold_date_time: row.get::<_, Option<i64>>(14)?.map(rfc3339),
                        collected_date_time: row.get::<_, Option<i64>>(13)?.map(rfc3339),
                    })
                },
            )?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}
