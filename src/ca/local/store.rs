//! The store's statements. Each function is one transaction, durable when it returns.

use super::{StoreError, schema};
use crate::engine::api::{RevokedSerial, SerialState, SignedCrl};
use fips::secret::file::{self, Access, Rights};
use pki::crl::MAX_ENTRIES;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use std::path::Path;

/// CRLReason of a hold, which can be taken back.
pub(super) const HOLD: u8 = 6;
/// CRLReason that takes it back.
pub(super) const REMOVE: u8 = 8;

/// The store of one authority.
pub(super) struct Store {
    connection: Connection,
    /// Entries of a list, at most.
    most_listed: usize,
}

/// What the store knows of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OrderState {
    /// It was asked for, and has no certificate yet.
    Asked,
    /// Its certificate (DER).
    Issued(Vec<u8>),
}

/// An issued certificate, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderFacts {
    /// The order's id.
    pub order_id: String,
    /// The profile.
    pub profile: String,
    /// The content of the serial number's INTEGER.
    pub serial: Vec<u8>,
    /// The end of its validity (milliseconds since 1970).
    pub not_after_ms: i64,
    /// The certificate (DER).
    pub certificate: Vec<u8>,
}

/// What came of a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Revoking {
    /// It is done, now.
    Now,
    /// It was so before.
    Already,
    /// No certificate with this serial number was issued here.
    NotIssued,
    /// It cannot be taken back: it is revoked for good.
    Final,
    /// No list would have room for it: none could be signed any more.
    Full,
}

/// The kinds of lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ListKind {
    /// All that is revoked.
    Full,
    /// What changed since a full list.
    Delta,
}

/// A list that is about to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) number: u64,
    /// Of a delta: the number of its base.
    pub(super) base: Option<u64>,
    pub(super) entries: Vec<RevokedSerial>,
    upto: i64,
}

/// A list as it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) number: u64,
    pub(super) this_update_ms: i64,
    pub(super) next_update_ms: i64,
    pub(super) der: Vec<u8>,
    upto: i64,
}

/// What says all that is known of revocations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Published {
    /// The newest full list.
    pub(super) full: bool,
    /// The newest delta, with the list that it goes with. Never so before there is a first one.
    pub(super) delta: bool,
}

/// How much is in a store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreFigures {
    /// Certificates that were issued.
    pub issued: u64,
    /// Orders that have no certificate.
    pub open: u64,
    /// Certificates that are revoked.
    pub revoked: u64,
    /// How full its lists are.
    pub list: ListRoom,
}

/// How full the lists of an authority are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ListRoom {
    /// Certificates that lists name: revoked or given free again, and not ended.
    pub entries: u64,
    /// So many a list may name. What would be more is not revoked.
    pub at_most: u64,
}

impl ListRoom {
    /// Whether lists are full to 80 % or more.
    #[must_use]
    pub const fn is_nearly_full(&self) -> bool {
        self.entries.saturating_mul(5) >= self.at_most.saturating_mul(4)
    }
}

const FULL: i64 = 0;
const DELTA: i64 = 1;
/// The full list that deltas go with: made by schedule, so that verifiers may keep it for long.
const BASE: i64 = 2;

impl Store {
    /// Opens the store in this folder, which is made where it is not there, for the user alone.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) fn open(folder: &Path, name: &str) -> Result<Self, StoreError> {
        file::create_folder(folder, Rights::Owner)?;
        let path = folder.join("ca.db");
        // SQLite gives the files beside it the same mode.
        drop(file::open(&path, Access::ReadWrite, Rights::Owner)?);
        let mut connection = Connection::open(&path)?;
        schema::prepare(&mut connection, &path, name)?;
        Ok(Self {
            connection,
            most_listed: MAX_ENTRIES,
        })
    }

    /// With lists as small as a test wants them.
    #[cfg(test)]
    pub(super) fn with_lists_of(self, most_listed: usize) -> Self {
        Self {
            most_listed,
            ..self
        }
    }

    fn begin(&mut self) -> Result<Transaction<'_>, StoreError> {
        Ok(self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?)
    }

    /// Takes an order on, or says what it got. As long as it has no certificate here, another request may take its place: the engine's log knows
    /// whether the first one was issued, and then refuses the other.
    ///
    /// # Errors
    /// [`StoreError::OtherOrder`] when the id stands for something else.
    pub(super) fn order(
        &mut self,
        order_id: &str,
        profile: &str,
        csr: &[u8],
        now_ms: i64,
    ) -> Result<OrderState, StoreError> {
        let transaction = self.begin()?;
        let known = lookup(&transaction, order_id)?;
        let state = match known {
            Some((old_profile, old_csr, OrderState::Asked))
                if old_profile == profile && old_csr != csr =>
            {
                transaction.execute(
                    "UPDATE orders SET csr = ?2, asked_at_ms = ?3 WHERE order_id = ?1",
                    params![order_id, csr, now_ms],
                )?;
                OrderState::Asked
            }
            Some((old_profile, old_csr, _)) if old_profile != profile || old_csr != csr => {
                return Err(StoreError::OtherOrder(order_id.to_owned()));
            }
            Some((.., state)) => state,
            None => {
                transaction.execute(
                    "INSERT INTO orders (order_id, profile, csr, asked_at_ms) VALUES (?1, ?2, ?3, ?4)",
                    params![order_id, profile, csr, now_ms],
                )?;
                OrderState::Asked
            }
        };
        transaction.commit()?;
        Ok(state)
    }

    /// What is known of an order; `None`: it was never asked for.
    pub(super) fn known(&self, order_id: &str) -> Result<Option<OrderState>, StoreError> {
        Ok(lookup(&self.connection, order_id)?.map(|(.., state)| state))
    }

    /// Profile, and SHA-256 of the request, of an order that was taken on and has no certificate yet.
    pub(super) fn asked(&self, order_id: &str) -> Result<Option<(String, Vec<u8>)>, StoreError> {
        Ok(match lookup(&self.connection, order_id)? {
            Some((profile, csr, OrderState::Asked)) => Some((profile, csr)),
            _ => None,
        })
    }

    /// Notes what an order got. Where it has a certificate already, that one stays, and is given back.
    pub(super) fn issued(
        &mut self,
        order_id: &str,
        certificate: &[u8],
        serial: &[u8],
        not_after_ms: i64,
        now_ms: i64,
    ) -> Result<Vec<u8>, StoreError> {
        let transaction = self.begin()?;
        transaction.execute(
            "UPDATE orders SET certificate = ?2, serial = ?3, not_after_ms = ?4, issued_at_ms = ?5
             WHERE order_id = ?1 AND certificate IS NULL",
            params![order_id, certificate, serial, not_after_ms, now_ms],
        )?;
        let stored = transaction.query_row(
            "SELECT certificate FROM orders WHERE order_id = ?1",
            [order_id],
            |row| row.get(0),
        )?;
        transaction.commit()?;
        Ok(stored)
    }

    /// Revokes, holds or releases.
    pub(super) fn revoke(
        &mut self,
        serial: &[u8],
        reason: u8,
        now_ms: i64,
    ) -> Result<Revoking, StoreError> {
        let most_listed = self.most_listed;
        let transaction = self.begin()?;
        let issued: Option<i64> = transaction
            .query_row(
                "SELECT not_after_ms FROM orders WHERE serial = ?1",
                [serial],
                |row| row.get(0),
            )
            .optional()?;
        let Some(not_after_ms) = issued else {
            return Ok(Revoking::NotIssued);
        };
        let before: Option<(u8, i64)> = transaction
            .query_row(
                "SELECT reason, seq FROM revocations WHERE serial = ?1",
                [serial],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        let outcome = match (before, reason) {
            (None, REMOVE) => Revoking::Already,
            (Some((HOLD, revoked_seq)), REMOVE) => {
                let seq = next_seq(&transaction)?;
                let revoked_seq = named_since(&transaction, serial)?.unwrap_or(revoked_seq);
                transaction.execute("DELETE FROM revocations WHERE serial = ?1", [serial])?;
                transaction.execute(
                    "INSERT OR REPLACE INTO releases VALUES (?1, ?2, ?3, ?4, ?5)",
                    params![serial, now_ms, not_after_ms, revoked_seq, seq],
                )?;
                Revoking::Now
            }
            (Some(_), REMOVE) => Revoking::Final,
            // A hold becomes a revocation for good; nothing else changes any more.
            (Some((HOLD, _)), reason) if reason != HOLD => {
                let seq = next_seq(&transaction)?;
                transaction.execute(
                    "UPDATE revocations SET reason = ?2, revoked_at_ms = ?3, seq = ?4 WHERE serial = ?1",
                    params![serial, reason, now_ms, seq],
                )?;
                Revoking::Now
            }
            (Some(_), _) => Revoking::Already,
            (None, _) if listed(&transaction)? >= most_listed => Revoking::Full,
            (None, reason) => {
                // A release before stays: it says since when the list that deltas go with may name it.
                let seq = next_seq(&transaction)?;
                transaction.execute(
                    "INSERT INTO revocations VALUES (?1, ?2, ?3, ?4, ?5)",
                    params![serial, reason, now_ms, not_after_ms, seq],
                )?;
                Revoking::Now
            }
        };
        transaction.commit()?;
        Ok(outcome)
    }

    /// Takes the next number, and says what a list of this kind says. A delta without a base is none.
    pub(super) fn draft(&mut self, kind: ListKind) -> Result<Option<Draft>, StoreError> {
        let transaction = self.begin()?;
        let base = read(&transaction, BASE)?;
        let after = match (kind, &base) {
            (ListKind::Full, _) => 0,
            (ListKind::Delta, Some(base)) => base.upto,
            (ListKind::Delta, None) => return Ok(None),
        };
        let ended_before = ended_before(base.as_ref());
        let mut entries = entries(
            &transaction,
            "SELECT serial, revoked_at_ms, reason FROM revocations WHERE seq > ?1 AND not_after_ms >= ?2 ORDER BY seq",
            (after, ended_before),
        )?;
        if kind == ListKind::Delta {
            // Only what the base names has to be taken from it.
            entries.extend(self::entries(
                &transaction,
                "SELECT serial, released_at_ms, 8 FROM releases WHERE seq > ?1 AND revoked_seq <= ?1 AND not_after_ms >= ?2
                 AND serial NOT IN (SELECT serial FROM revocations) ORDER BY seq",
                (after, ended_before),
            )?);
        }
        let upto =
            transaction.query_row("SELECT coalesce(max(seq), 0) FROM changes", [], |row| {
                row.get(0)
            })?;
        let number: i64 = transaction.query_row(
            "UPDATE authority SET next_list = next_list + 1 WHERE id = 1 RETURNING next_list - 1",
            [],
            |row| row.get(0),
        )?;
        transaction.commit()?;
        Ok(Some(Draft {
            number: number.unsigned_abs(),
            base: base
                .filter(|_| kind == ListKind::Delta)
                .map(|base| base.number),
            entries,
            upto,
        }))
    }

    /// The next list gets a number above this one: where the engine's log knows of lists that this store does not, as after a restore.
    pub(super) fn number_above(&mut self, last: u64) -> Result<(), StoreError> {
        let next = i64::try_from(last.saturating_add(1)).unwrap_or(i64::MAX);
        self.connection.execute(
            "UPDATE authority SET next_list = max(next_list, ?1) WHERE id = 1",
            [next],
        )?;
        Ok(())
    }

    /// Keeps a list, and has it published before anybody can keep another one; an older one than the kept is not published.
    pub(super) fn made(
        &mut self,
        kind: ListKind,
        draft: &Draft,
        signed: &SignedCrl,
        by_schedule: bool,
        publish: impl FnOnce(&[u8]) -> std::io::Result<()>,
    ) -> Result<(), StoreError> {
        let transaction = self.begin()?;
        let own = match kind {
            ListKind::Full => FULL,
            ListKind::Delta => DELTA,
        };
        let number = i64::try_from(draft.number).unwrap_or(i64::MAX);
        let newest = read(&transaction, own)?.is_none_or(|kept| kept.number < draft.number);
        let is_base = by_schedule && kind == ListKind::Full;
        for (kind, wanted) in [(own, true), (BASE, is_base)] {
            if wanted && newest {
                transaction.execute(
                    "INSERT OR REPLACE INTO lists VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    params![
                        kind,
                        number,
                        draft.upto,
                        signed.this_update_ms,
                        signed.next_update_ms,
                        signed.crl.as_slice()
                    ],
                )?;
            }
        }
        if newest {
            publish(signed.crl.as_slice())?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// The newest list of a kind.
    pub(super) fn list(&self, kind: ListKind) -> Result<Option<Made>, StoreError> {
        let kind = match kind {
            ListKind::Full => FULL,
            ListKind::Delta => DELTA,
        };
        Ok(read(&self.connection, kind)?)
    }

    /// The list that deltas go with.
    pub(super) fn base(&self) -> Result<Option<Made>, StoreError> {
        Ok(read(&self.connection, BASE)?)
    }

    /// Whether the newest lists say all that is known.
    pub(super) fn published(&self) -> Result<Published, StoreError> {
        let known: i64 =
            self.connection
                .query_row("SELECT coalesce(max(seq), 0) FROM changes", [], |row| {
                    row.get(0)
                })?;
        let says_all = |made: &Option<Made>| made.as_ref().is_some_and(|made| made.upto >= known);
        let delta = read(&self.connection, DELTA)?;
        let base = read(&self.connection, BASE)?;
        Ok(Published {
            full: says_all(&read(&self.connection, FULL)?),
            // Who has the list that it goes with needs no delta.
            delta: delta.is_some() && (says_all(&delta) || says_all(&base)),
        })
    }

    /// The status of a certificate by its serial number, and how many changes there were by then.
    pub(super) fn status(&self, serial: &[u8]) -> Result<(SerialState, i64), StoreError> {
        let seq =
            self.connection
                .query_row("SELECT coalesce(max(seq), 0) FROM changes", [], |row| {
                    row.get(0)
                })?;
        let revoked = self
            .connection
            .query_row(
                "SELECT revoked_at_ms, reason FROM revocations WHERE serial = ?1",
                [serial],
                |row| {
                    Ok(SerialState::Revoked {
                        at_ms: row.get(0)?,
                        reason: row.get(1)?,
                    })
                },
            )
            .optional()?;
        if let Some(revoked) = revoked {
            return Ok((revoked, seq));
        }
        let issued: bool = self.connection.query_row(
            "SELECT EXISTS (SELECT 1 FROM orders WHERE serial = ?1)",
            [serial],
            |row| row.get(0),
        )?;
        let state = if issued {
            SerialState::Good
        } else {
            SerialState::Unknown
        };
        Ok((state, seq))
    }

    /// The newest certificates, for people.
    pub(super) fn newest(&self, limit: u32) -> Result<Vec<OrderFacts>, StoreError> {
        let mut statement = self.connection.prepare(
            "SELECT order_id, profile, serial, not_after_ms, certificate FROM orders WHERE certificate IS NOT NULL
             ORDER BY issued_at_ms DESC LIMIT ?1",
        )?;
        let rows = statement.query_map([limit], |row| {
            Ok(OrderFacts {
                order_id: row.get(0)?,
                profile: row.get(1)?,
                serial: row.get(2)?,
                not_after_ms: row.get(3)?,
                certificate: row.get(4)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How full its lists are.
    pub(super) fn room(&self) -> Result<ListRoom, StoreError> {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        Ok(ListRoom {
            entries: count(listed(&self.connection)?),
            at_most: count(self.most_listed),
        })
    }

    /// How much is in it.
    pub(super) fn figures(&self) -> Result<StoreFigures, StoreError> {
        let count = |sql: &str| -> Result<u64, StoreError> {
            let count: i64 = self.connection.query_row(sql, [], |row| row.get(0))?;
            Ok(count.unsigned_abs())
        };
        Ok(StoreFigures {
            issued: count("SELECT count(*) FROM orders WHERE certificate IS NOT NULL")?,
            open: count("SELECT count(*) FROM orders WHERE certificate IS NULL")?,
            revoked: count("SELECT count(*) FROM revocations")?,
            list: self.room()?,
        })
    }
}

fn next_seq(transaction: &Transaction<'_>) -> Result<i64, StoreError> {
    transaction.execute("INSERT INTO changes DEFAULT VALUES", [])?;
    Ok(transaction.last_insert_rowid())
}

/// Since when the list that deltas go with names a certificate that is on hold, as far as an earlier release says so: it was on hold when that list
/// was made, was released and is on hold again. A list that was made after the release says nothing of that.
fn named_since(transaction: &Transaction<'_>, serial: &[u8]) -> rusqlite::Result<Option<i64>> {
    let base = read(transaction, BASE)?.map_or(0, |base| base.upto);
    transaction
        .query_row(
            "SELECT revoked_seq FROM releases WHERE serial = ?1 AND seq > ?2",
            params![serial, base],
            |row| row.get(0),
        )
        .optional()
}

/// What ended before this is in no list any more: it stays until a list by schedule has named it after its end (RFC 5280, section 3.3).
fn ended_before(base: Option<&Made>) -> i64 {
    base.map_or(i64::MIN, |base| base.this_update_ms)
}

/// Entries that the next lists have, of either kind: revocations, and releases that a delta names.
fn listed(connection: &Connection) -> rusqlite::Result<usize> {
    let ended_before = ended_before(read(connection, BASE)?.as_ref());
    let count: i64 = connection.query_row(
        "SELECT (SELECT count(*) FROM revocations WHERE not_after_ms >= ?1)
              + (SELECT count(*) FROM releases WHERE not_after_ms >= ?1 AND serial NOT IN (SELECT serial FROM revocations))",
        [ended_before],
        |row| row.get(0),
    )?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

type Known = (String, Vec<u8>, OrderState);

fn lookup(connection: &Connection, order_id: &str) -> rusqlite::Result<Option<Known>> {
    connection
        .query_row(
            "SELECT profile, csr, certificate FROM orders WHERE order_id = ?1",
            [order_id],
            |row| {
                let certificate: Option<Vec<u8>> = row.get(2)?;
                Ok((
                    row.get(0)?,
                    row.get(1)?,
                    certificate.map_or(OrderState::Asked, OrderState::Issued),
                ))
            },
        )
        .optional()
}

fn read(connection: &Connection, kind: i64) -> rusqlite::Result<Option<Made>> {
    connection
        .query_row(
            "SELECT number, this_update_ms, next_update_ms, der, upto FROM lists WHERE kind = ?1",
            [kind],
            |row| {
                Ok(Made {
                    number: row.get::<_, i64>(0)?.unsigned_abs(),
                    this_update_ms: row.get(1)?,
                    next_update_ms: row.get(2)?,
                    der: row.get(3)?,
                    upto: row.get(4)?,
                })
            },
        )
        .optional()
}

fn entries(
    connection: &Connection,
    sql: &str,
    arguments: (i64, i64),
) -> rusqlite::Result<Vec<RevokedSerial>> {
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map(arguments, |row| {
        Ok(RevokedSerial {
            serial: row.get::<_, Vec<u8>>(0)?.into(),
            at_ms: row.get(1)?,
            reason: row.get(2)?,
        })
    })?;
    rows.collect()
}
