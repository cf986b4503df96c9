//! Orders of connectors' certificates. An order is for one request (CSR) for ever: asked for again it gives what it gave, so that lost answers and
//! crashes on either side have nothing issued twice.
//!
//! ```text
//! New --asked--> Unsettled --pending--> Unsettled(reference) --polled--> Unsettled(reference, outstanding)
//!  ^                 |  issued: Issued, for ever          `--- no certificate yet ---'
//!  |                 |  nothing was issued: forgotten
//!  `-- an hour later-+- what was issued is refused: Refused (a token's: for ever)
//! ```

use super::connectors::refuse_unless_own;
use super::{Actor, Contact, Store, StoreError, audit, identity};
use crate::encoding::Base64Bytes;
use rusqlite::{OptionalExtension, Transaction, params};

/// Orders of one instance within an hour at most.
const MAX_ORDERS_AN_HOUR: i64 = 8;
const HOUR_MS: i64 = 3_600_000;

/// Who orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Orderer<'a> {
    /// The holder of this one-time token.
    Token(&'a str),
    /// The instance itself.
    Connector(&'a Contact),
}

/// An order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnrolmentOrder<'a> {
    /// Names it for ever, at the authority too.
    pub id: &'a str,
    /// Whose certificate.
    pub instance: &'a str,
    /// The request (PKCS#10, DER).
    pub csr: &'a [u8],
    /// Who orders.
    pub by: Orderer<'a>,
}

/// A certificate that was issued, with those above it (DER).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedIdentity {
    /// The certificate.
    pub certificate: Vec<u8>,
    /// Those above it.
    pub chain: Vec<Vec<u8>>,
}

/// What is known of an order that the authority was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unsettled {
    /// How the authority finds it again, where it said that it decides later.
    pub pending: Option<Vec<u8>>,
    /// It was asked how the pending order fares, and nobody knows what it answered: perhaps the certificate.
    pub polled: bool,
}

/// How an order stands. `round`: how often it was begun anew; another one is another order at the authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// It was not there: the authority can be asked.
    New {
        /// Which round.
        round: u32,
    },
    /// It was there, and nobody knows what the authority did: it has to be asked.
    Unsettled {
        /// Which round.
        round: u32,
        /// What is known.
        known: Unsettled,
    },
    /// It is done.
    Issued(IssuedIdentity),
    /// It is over without a certificate, for this reason.
    Refused(String),
}

/// What became of a certificate that is what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finished {
    /// The instance may show it.
    Accepted(IssuedIdentity),
    /// The order ended meanwhile, because its instance was revoked: the certificate is refused for ever.
    Over,
}

/// The name of the order of a one-time token.
pub(in crate::gateway) fn order_of_token(token: &str) -> String {
    format!("enrol-{token}")
}

/// Whether the token was used: then its order, and no other, may still be asked for.
pub(super) fn has_order(transaction: &Transaction<'_>, token: &str) -> Result<bool, StoreError> {
    Ok(transaction
        .prepare_cached("SELECT 1 FROM enrolments WHERE order_id = ? AND void = 0")?
        .exists(params![order_of_token(token)])?)
}

/// Ends the orders of an instance that have no certificate yet: it was revoked.
pub(super) fn end_orders(
    transaction: &Transaction<'_>,
    instance: &str,
    now: i64,
) -> Result<(), StoreError> {
    transaction
        .prepare_cached(
            "UPDATE enrolments SET refused = 'the instance was revoked', refused_ms = ?2 WHERE instance = ?1 AND certificate IS NULL AND refused IS NULL AND void = 0",
        )?
        .execute(params![instance, now])?;
    Ok(())
}

/// A row, as far as it says how the order stands.
struct Row {
    instance: String,
    csr: Vec<u8>,
    known: Unsettled,
    certificate: Option<Vec<u8>>,
    chain: Option<Vec<u8>>,
    refused: Option<(String, i64)>,
    round: u32,
    void: bool,
}

impl Row {
    fn of(transaction: &Transaction<'_>, id: &str) -> Result<Option<Self>, StoreError> {
        Ok(transaction
            .prepare_cached(
                "SELECT instance, csr, pending, polled, certificate, chain, refused, refused_ms, round, void FROM enrolments WHERE order_id = ?",
            )?
            .query_row(params![id], |row| {
                let refused: Option<String> = row.get(6)?;
                let refused_ms: Option<i64> = row.get(7)?;
                Ok(Self {
                    instance: row.get(0)?,
                    csr: row.get(1)?,
                    known: Unsettled {
                        pending: row.get(2)?,
                        polled: row.get(3)?,
                    },
                    certificate: row.get(4)?,
                    chain: row.get(5)?,
                    refused: refused.map(|why| (why, refused_ms.unwrap_or(i64::MAX))),
                    round: row.get(8)?,
                    void: row.get(9)?,
                })
            })
            .optional()?)
    }
}

fn issued_of(certificate: Vec<u8>, chain: Option<Vec<u8>>) -> IssuedIdentity {
    let chain: Vec<Base64Bytes> = chain
        .and_then(|json| serde_json::from_slice(&json).ok())
        .unwrap_or_default();
    IssuedIdentity {
        certificate,
        chain: chain.into_iter().map(|one| one.0).collect(),
    }
}

/// Whether who orders may, now.
fn admit(
    transaction: &Transaction<'_>,
    order: &EnrolmentOrder<'_>,
    now: i64,
) -> Result<(), StoreError> {
    if let Orderer::Connector(contact) = order.by {
        return refuse_unless_own(transaction, contact, order.instance, now);
    }
    let revoked = transaction
        .prepare_cached("SELECT 1 FROM connectors WHERE instance = ? AND revoked_ms IS NOT NULL")?
        .exists(params![order.instance])?;
    if revoked {
        return Err(StoreError::EnrolmentRefused(
            "the instance was revoked: an administrator has to forget it first",
        ));
    }
    Ok(())
}

impl Store {
    /// Begins an order, or says how it stands.
    ///
    /// # Errors
    /// [`StoreError::EnrolmentRefused`], [`StoreError::ConnectorRefused`], or the database's own failure.
    pub fn begin_enrolment(&self, order: &EnrolmentOrder<'_>) -> Result<Begun, StoreError> {
        self.write(|transaction, now| {
            admit(transaction, order, now)?;
            let known = Row::of(transaction, order.id)?;
            let round = match known {
                None => 0,
                Some(row) if row.void && row.instance == order.instance => row.round,
                Some(row) if row.instance != order.instance || row.csr != order.csr => {
                    return Err(StoreError::EnrolmentRefused(
                        "its token was used for another request: a token is for one request alone",
                    ));
                }
                Some(Row {
                    certificate: Some(certificate),
                    chain,
                    ..
                }) => return Ok(Begun::Issued(issued_of(certificate, chain))),
                Some(Row {
                    refused: Some((why, refused_ms)),
                    round,
                    ..
                }) => match order.by {
                    // Whoever mended the authority since finds its certificate renewed without having to do more.
                    Orderer::Connector(_) if now.saturating_sub(refused_ms) >= HOUR_MS => {
                        round.saturating_add(1)
                    }
                    _ => return Ok(Begun::Refused(why)),
                },
                Some(Row { round, known, .. }) => return Ok(Begun::Unsettled { round, known }),
            };
            let lately: i64 = transaction
                .prepare_cached("SELECT coalesce(sum(tries), 0) FROM enrolments WHERE instance = ? AND begun_ms > ?")?
                .query_row(params![order.instance, now.saturating_sub(HOUR_MS)], |row| row.get(0))?;
            if lately >= MAX_ORDERS_AN_HOUR {
                return Err(StoreError::EnrolmentRefused(
                    "too many certificates were asked for within an hour",
                ));
            }
            transaction.execute(
                "INSERT INTO enrolments (order_id, instance, csr, begun_ms) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (order_id) DO UPDATE SET csr = ?3, begun_ms = ?4, round = ?5, refused = NULL, refused_ms = NULL, pending = NULL, polled = 0,
                   void = 0, tries = CASE WHEN begun_ms > ?6 THEN tries + 1 ELSE 1 END",
                params![
                    order.id,
                    order.instance,
                    order.csr,
                    now,
                    round,
                    now.saturating_sub(HOUR_MS)
                ],
            )?;
            Ok(Begun::New { round })
        })
    }

    /// The authority has not decided: how it finds the order again.
    ///
    /// # Errors
    /// The database's own failure.
    pub fn keep_pending_enrolment(&self, id: &str, reference: &[u8]) -> Result<(), StoreError> {
        self.write(|transaction, _| {
            transaction.execute(
                "UPDATE enrolments SET pending = ?, polled = 0 WHERE order_id = ? AND certificate IS NULL",
                params![reference, id],
            )?;
            Ok(())
        })
    }

    /// The authority is about to be asked how a pending order fares (`true`), or was, and nothing came of it (`false`).
    ///
    /// # Errors
    /// The database's own failure.
    pub fn note_enrolment_polled(&self, id: &str, polled: bool) -> Result<(), StoreError> {
        self.write(|transaction, _| {
            transaction.execute(
                "UPDATE enrolments SET polled = ? WHERE order_id = ? AND certificate IS NULL",
                params![polled, id],
            )?;
            Ok(())
        })
    }

    /// The authority is about to be asked for the order once more, because it cannot tell what became of it: what it said before is void.
    ///
    /// # Errors
    /// The database's own failure.
    pub fn ask_enrolment_again(&self, id: &str) -> Result<(), StoreError> {
        self.write(|transaction, _| {
            transaction.execute(
                "UPDATE enrolments SET pending = NULL, polled = 0 WHERE order_id = ? AND certificate IS NULL",
                params![id],
            )?;
            Ok(())
        })
    }

    /// What the authority issued is refused, for this reason: the order is over.
    ///
    /// # Errors
    /// The database's own failure.
    pub fn refuse_enrolment(&self, actor: &Actor, id: &str, why: &str) -> Result<(), StoreError> {
        self.write(|transaction, now| {
            transaction.execute(
                "UPDATE enrolments SET refused = ?, refused_ms = ?, pending = NULL, polled = 0 WHERE order_id = ? AND certificate IS NULL",
                params![why, now, id],
            )?;
            let instance: Option<String> = transaction
                .prepare_cached("SELECT instance FROM enrolments WHERE order_id = ?")?
                .query_row(params![id], |row| row.get(0))
                .optional()?;
            let object = format!("connector {}: {why}", instance.unwrap_or_default());
            audit::append(transaction, now, actor, &object, "certificateRefused")
        })
    }

    /// Whether an instance has this certificate (SHA-256 of its DER, hexadecimal) already.
    ///
    /// # Errors
    /// The database's own failure.
    pub fn is_connectors_certificate(&self, digest: &str) -> Result<bool, StoreError> {
        self.read(|transaction, _| {
            Ok(transaction
                .prepare_cached(
                    "SELECT 1 FROM connector_certificates WHERE certificate = ?1 UNION SELECT 1 FROM connectors WHERE certificate = ?1",
                )?
                .exists(params![digest])?)
        })
    }

    /// The authority refused the order, and nothing was issued: token or request may be used again. It counts as one order of the hour.
    ///
    /// # Errors
    /// The database's own failure.
    pub fn void_enrolment(&self, id: &str) -> Result<(), StoreError> {
        self.write(|transaction, _| {
            transaction.execute(
                "UPDATE enrolments SET void = 1, pending = NULL, polled = 0 WHERE order_id = ? AND certificate IS NULL AND refused IS NULL",
                params![id],
            )?;
            Ok(())
        })
    }

    /// The authority was not reached, or did not let itself be asked: as if there had been no order.
    ///
    /// # Errors
    /// The database's own failure.
    pub fn forget_enrolment(&self, id: &str) -> Result<(), StoreError> {
        self.write(|transaction, _| {
            // What was asked for before stays counted, and a later round stays one.
            transaction.execute(
                "UPDATE enrolments SET void = 1, tries = tries - 1, pending = NULL, polled = 0
                 WHERE order_id = ? AND certificate IS NULL AND refused IS NULL AND void = 0",
                params![id],
            )?;
            transaction.execute(
                "DELETE FROM enrolments WHERE order_id = ? AND void = 1 AND tries = 0 AND round = 0",
                params![id],
            )?;
            Ok(())
        })
    }

    /// The certificate was issued, and is what was asked: the instance may show it from now on, beside the one in use. Given again, nothing
    /// changes, and what was given first is answered.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or the database's own failure.
    pub fn finish_enrolment(
        &self,
        actor: &Actor,
        id: &str,
        issued: &IssuedIdentity,
        not_after_ms: i64,
        digest: &str,
    ) -> Result<Finished, StoreError> {
        let chain: Vec<_> = issued.chain.iter().cloned().map(Base64Bytes).collect();
        let chain = serde_json::to_vec(&chain)
            .map_err(|_| StoreError::Unreadable("a chain of certificates"))?;
        self.write(|transaction, now| {
            let row = Row::of(transaction, id)?.ok_or(StoreError::NotFound)?;
            let instance = row.instance;
            if let Some(certificate) = row.certificate {
                return Ok(Finished::Accepted(issued_of(certificate, row.chain)));
            }
            if row.refused.is_some() {
                transaction.execute(
                    "INSERT OR IGNORE INTO refused_certificates (certificate, revoked_ms) VALUES (?, ?)",
                    params![digest, now],
                )?;
                return Ok(Finished::Over);
            }
            transaction.execute(
                "UPDATE enrolments SET certificate = ?, chain = ?, pending = NULL, polled = 0 WHERE order_id = ?",
                params![issued.certificate, chain, id],
            )?;
            identity::keep_own(transaction, &instance)?;
            transaction.execute(
                "INSERT OR IGNORE INTO connector_certificates (certificate, instance, not_after_ms) VALUES (?, ?, ?)",
                params![digest, instance, not_after_ms],
            )?;
            audit::append(
                transaction,
                now,
                actor,
                &format!("connector {instance} ({digest})"),
                "done",
            )?;
            Ok(Finished::Accepted(issued.clone()))
        })
    }
}
