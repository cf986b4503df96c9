//! Orders of connectors' certificates. An order is for one request (CSR) for ever: asked for again it gives what it gave, so that lost answers and
//! crashes on either side have nothing issued twice.

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

/// How an order stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// It was not there: the authority can be asked.
    New,
    /// It was there, and nobody knows what the authority did: it has to be asked. With the authority's reference where it is pending.
    Unsettled(Option<Vec<u8>>),
    /// It is done.
    Issued(IssuedIdentity),
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
        type Row = (
            String,
            Vec<u8>,
            Option<Vec<u8>>,
            Option<Vec<u8>>,
            Option<Vec<u8>>,
        );
        self.write(|transaction, now| {
            admit(transaction, order, now)?;
            let known: Option<Row> = transaction
                .prepare_cached(
                    "SELECT instance, csr, pending, certificate, chain FROM enrolments WHERE order_id = ?",
                )?
                .query_row(params![order.id], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
                })
                .optional()?;
            if let Some((instance, csr, pending, certificate, chain)) = known {
                if instance != order.instance || csr != order.csr {
                    return Err(StoreError::EnrolmentRefused(
                        "its token was used for another request: a token is for one request alone",
                    ));
                }
                return Ok(match certificate {
                    Some(certificate) => Begun::Issued(issued_of(certificate, chain)),
                    None => Begun::Unsettled(pending),
                });
            }
            let lately: i64 = transaction
                .prepare_cached("SELECT count(*) FROM enrolments WHERE instance = ? AND begun_ms > ?")?
                .query_row(params![order.instance, now.saturating_sub(HOUR_MS)], |row| row.get(0))?;
            if lately >= MAX_ORDERS_AN_HOUR {
                return Err(StoreError::EnrolmentRefused(
                    "too many certificates were asked for within an hour",
                ));
            }
            transaction.execute(
                "INSERT INTO enrolments (order_id, instance, csr, begun_ms) VALUES (?, ?, ?, ?)",
                params![order.id, order.instance, order.csr, now],
            )?;
            Ok(Begun::New)
        })
    }

    /// The authority has not decided: how it finds the order again.
    ///
    /// # Errors
    /// The database's own failure.
    pub fn keep_pending_enrolment(&self, id: &str, reference: &[u8]) -> Result<(), StoreError> {
        self.write(|transaction, _| {
            transaction.execute(
                "UPDATE enrolments SET pending = ? WHERE order_id = ? AND certificate IS NULL",
                params![reference, id],
            )?;
            Ok(())
        })
    }

    /// The authority says for certain that there is no such order, or refused it: its token or request may be used again.
    ///
    /// # Errors
    /// The database's own failure.
    pub fn forget_enrolment(&self, id: &str) -> Result<(), StoreError> {
        self.write(|transaction, _| {
            transaction.execute(
                "DELETE FROM enrolments WHERE order_id = ? AND certificate IS NULL",
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
    ) -> Result<IssuedIdentity, StoreError> {
        let chain: Vec<_> = issued.chain.iter().cloned().map(Base64Bytes).collect();
        let chain = serde_json::to_vec(&chain)
            .map_err(|_| StoreError::Unreadable("a chain of certificates"))?;
        self.write(|transaction, now| {
            type Row = (String, Option<Vec<u8>>, Option<Vec<u8>>);
            let (instance, before, its_chain): Row = transaction
                .prepare_cached("SELECT instance, certificate, chain FROM enrolments WHERE order_id = ?")?
                .query_row(params![id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .optional()?
                .ok_or(StoreError::NotFound)?;
            if let Some(certificate) = before {
                return Ok(issued_of(certificate, its_chain));
            }
            transaction.execute(
                "UPDATE enrolments SET certificate = ?, chain = ?, pending = NULL WHERE order_id = ?",
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
            Ok(issued.clone())
        })
    }
}
