//! Answers of connectors: extend, complete, fail.
//!
//! The fence decides, not the clock. Every lease of a request has a greater fence than the one before; an answer counts only
//! under the current fence, from the certificate that holds the lease, and once. A lease that has run out but that nobody took over
//! may still be answered: the work is done, and nobody else has begun it.

use super::leases::later;
use super::{Contact, LeaseTerms, Store, StoreError, identity, pkcs, revocations};
use crate::engine::api::{Delivery, FailureCode};
use crate::gateway::api::{FailureReport, Outcome};
use crate::gateway::revocation_api::RevocationResult;
use rusqlite::{OptionalExtension, Transaction, params};

/// Pause after a first failure that may be tried again, in milliseconds; doubles with each lease.
const RETRY_BASE_MS: u64 = 500;
/// The longest such pause, in milliseconds.
const RETRY_MAX_MS: u64 = 60_000;

/// A result, by the delivery that it is of. Everything in it is encrypted to the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completed<'a> {
    /// The password: CMS EnvelopedData (DER).
    Password(&'a [u8]),
    /// A new password and PFX: CMS EnvelopedData (DER) each.
    Rewrap {
        /// The password.
        password: &'a [u8],
        /// The PFX.
        pfx: &'a [u8],
    },
    /// A configuration profile.
    AppleProfile(&'a [u8]),
    /// A certificate that was issued, and its key: password and PFX as CMS EnvelopedData (DER).
    Pkcs {
        /// The password.
        password: &'a [u8],
        /// The PFX.
        pfx: &'a [u8],
        /// The certificate (DER).
        certificate: &'a [u8],
    },
    /// A certificate is revoked.
    Revoked(RevocationResult),
    /// The same in a configuration profile.
    PkcsProfile {
        /// The profile.
        profile: &'a [u8],
        /// The certificate (DER).
        certificate: &'a [u8],
    },
}

impl<'a> Completed<'a> {
    /// Of which delivery it is, as the requests name it.
    fn delivery(self) -> &'static str {
        match self {
            Self::Password(_) => Delivery::Password.name(),
            Self::Rewrap { .. } => Delivery::Rewrap.name(),
            Self::AppleProfile(_) => Delivery::AppleProfile.name(),
            Self::Pkcs { .. } | Self::PkcsProfile { .. } => pkcs::DELIVERY,
            Self::Revoked(_) => revocations::DELIVERY,
        }
    }

    /// What it consists of: the first part, and the second where there are two.
    fn parts(self) -> (&'a [u8], Option<&'a [u8]>) {
        match self {
            Self::Password(whole)
            | Self::AppleProfile(whole)
            | Self::PkcsProfile { profile: whole, .. } => (whole, None),
            Self::Rewrap { password, pfx } | Self::Pkcs { password, pfx, .. } => {
                (password, Some(pfx))
            }
            Self::Revoked(result) => (result.name().as_bytes(), None),
        }
    }
}

/// What a connector answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<'a> {
    /// The result.
    Completed(Completed<'a>),
    /// It did not work.
    Failed {
        /// Why.
        failure: &'a FailureReport,
        /// Whether it may be tried again.
        retry: bool,
    },
}

impl Answer<'_> {
    fn digest(&self) -> Vec<u8> {
        match self {
            Self::Completed(completed) => {
                let (first, second) = completed.parts();
                let parts = [Some(&b"completed"[..]), Some(first), second];
                super::sha256(&parts.into_iter().flatten().collect::<Vec<_>>())
            }
            Self::Failed { failure, retry } => super::sha256(&[
                b"failed",
                &[u8::from(*retry)],
                failure.code.as_bytes(),
                failure.message.as_bytes(),
            ]),
        }
    }
}

pub(super) struct Held {
    pub(super) seq: i64,
    attempts: u32,
}

/// The request, if `fence` is its current lease and `contact` holds it.
pub(super) fn held(
    transaction: &Transaction<'_>,
    contact: &Contact,
    id: &str,
    fence: u64,
    digest: Option<&[u8]>,
) -> Result<Option<Held>, StoreError> {
    struct Row {
        seq: i64,
        state: String,
        fence: i64,
        attempts: u32,
        certificate: Option<String>,
        answered_fence: Option<i64>,
        answer_digest: Option<Vec<u8>>,
    }
    let row = transaction
        .prepare_cached(
            "SELECT seq, state, fence, attempts, lease_certificate, answered_fence, answer_digest FROM requests WHERE id = ?",
        )?
        .query_row(params![id], |row| {
            Ok(Row {
                seq: row.get(0)?,
                state: row.get(1)?,
                fence: row.get(2)?,
                attempts: row.get(3)?,
                certificate: row.get(4)?,
                answered_fence: row.get(5)?,
                answer_digest: row.get(6)?,
            })
        })
        .optional()?
        .ok_or(StoreError::NotFound)?;
    let same = |stored: i64| u64::try_from(stored).is_ok_and(|stored| stored == fence);
    let is_holder = match row.certificate.as_deref() {
        Some(holder) => {
            holder == contact.certificate
                || identity::are_of_one(transaction, holder, &contact.certificate)?
        }
        None => false,
    };
    if !same(row.fence) || !is_holder {
        return Err(StoreError::StaleLease);
    }
    if row.answered_fence.is_some_and(same) {
        return if digest.is_some() && row.answer_digest.as_deref() == digest {
            Ok(None)
        } else {
            Err(StoreError::StaleLease)
        };
    }
    if row.state != "leased" {
        return Err(StoreError::StaleLease);
    }
    Ok(Some(Held {
        seq: row.seq,
        attempts: row.attempts,
    }))
}

/// Whether an engine refuses such requests for some time by a rule of its own.
fn is_suspended(failure: &FailureReport) -> bool {
    serde_json::from_value::<FailureCode>(failure.code.as_str().into())
        .is_ok_and(FailureCode::is_suspension)
}

fn pause_ms(attempts: u32) -> u64 {
    RETRY_BASE_MS
        .saturating_mul(
            1_u64
                .checked_shl(attempts.saturating_sub(1))
                .unwrap_or(u64::MAX),
        )
        .min(RETRY_MAX_MS)
}

impl Store {
    /// Makes a lease last `lease_ms` milliseconds from now.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::StaleLease`], or the database's own failure.
    pub fn extend(
        &self,
        contact: &Contact,
        id: &str,
        fence: u64,
        lease_ms: u64,
    ) -> Result<(), StoreError> {
        self.write(|transaction, now| {
            let held =
                held(transaction, contact, id, fence, None)?.ok_or(StoreError::StaleLease)?;
            transaction
                .prepare_cached("UPDATE requests SET due_ms = ? WHERE seq = ?")?
                .execute(params![later(now, lease_ms), held.seq])?;
            Ok(())
        })
    }

    /// Takes a connector's answer: state, result and count change together or not at all.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::StaleLease`], [`StoreError::WrongResult`], or the database's own failure.
    pub fn settle(
        &self,
        contact: &Contact,
        id: &str,
        fence: u64,
        answer: &Answer<'_>,
        terms: &LeaseTerms,
    ) -> Result<Outcome, StoreError> {
        let digest = answer.digest();
        self.write(|transaction, now| {
            let Some(held) = held(transaction, contact, id, fence, Some(&digest))? else {
                return Ok(Outcome::AlreadyAccepted);
            };
            if let Answer::Completed(completed) = answer {
                let asked: String = transaction
                    .prepare_cached(
                        "SELECT d.delivery FROM requests q JOIN device_requests d ON d.id = q.device_request WHERE q.seq = ?",
                    )?
                    .query_row(params![held.seq], |row| row.get(0))?;
                if asked != completed.delivery() {
                    return Err(StoreError::WrongResult);
                }
            }
            transaction
                .prepare_cached(
                    "UPDATE requests SET answered_fence = fence, answer_digest = ? WHERE seq = ?",
                )?
                .execute(params![digest, held.seq])?;
            match answer {
                Answer::Completed(completed) => {
                    let (first, second) = completed.parts();
                    if let Completed::Revoked(result) = completed {
                        revocations::revoked(transaction, held.seq, *result, now)?;
                    } else {
                        transaction
                        .prepare_cached("INSERT INTO results (request, cms, pfx, created_ms) VALUES (?, ?, ?, ?)")?
                        .execute(params![held.seq, first, second, now])?;
                    }
                    transaction
                        .prepare_cached(
                            "UPDATE requests SET state = 'completed', completions = completions + 1, settled_ms = ? WHERE seq = ?",
                        )?
                        .execute(params![now, held.seq])?;
                    let issued = match completed {
                        Completed::Pkcs { certificate, .. } => Some((certificate, Delivery::Rewrap)),
                        Completed::PkcsProfile { certificate, .. } => {
                            Some((certificate, Delivery::AppleProfile))
                        }
                        _ => None,
                    };
                    if let Some((certificate, delivery)) = issued {
                        pkcs::issued(transaction, held.seq, certificate, delivery, now)?;
                    }
                    Ok(Outcome::Accepted)
                }
                // It is not its fault, and the connectors' neither: it waits, and that was no attempt.
                Answer::Failed {
                    retry: true,
                    failure,
                } if is_suspended(failure) => {
                    transaction
                        .prepare_cached(
                            "UPDATE requests SET state = 'queued', due_ms = ?, attempts = max(attempts - 1, 0) WHERE seq = ?",
                        )?
                        .execute(params![later(now, RETRY_MAX_MS), held.seq])?;
                    Ok(Outcome::Requeued)
                }
                Answer::Failed { retry: true, .. } if held.attempts < terms.max_leases => {
                    transaction
                        .prepare_cached("UPDATE requests SET state = 'queued', due_ms = ? WHERE seq = ?")?
                        .execute(params![later(now, pause_ms(held.attempts)), held.seq])?;
                    Ok(Outcome::Requeued)
                }
                Answer::Failed { failure, retry } => {
                    let (code, message) = if *retry {
                        (
                            "tooManyAttempts",
                            format!(
                                "given up after {} leases; the last failure was {}: {}",
                                held.attempts, failure.code, failure.message
                            ),
                        )
                    } else {
                        (failure.code.as_str(), failure.message.clone())
                    };
                    transaction
                        .prepare_cached(
                            "UPDATE requests SET state = 'failed', failure_code = ?, failure_message = ?, settled_ms = ? WHERE seq = ?",
                        )?
                        .execute(params![code, message, now, held.seq])?;
                    Ok(Outcome::Accepted)
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{RETRY_MAX_MS, pause_ms};

    #[test]
    fn pauses_grow_and_stay_bounded() {
        assert!(pause_ms(1) < pause_ms(2) && pause_ms(2) < pause_ms(3));
        assert_eq!(pause_ms(40), RETRY_MAX_MS);
        assert_eq!(pause_ms(u32::MAX), RETRY_MAX_MS);
    }
}
