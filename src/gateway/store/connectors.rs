//! Which connectors there are, and which of them are let in.
//!
//! A certificate that chains to the configured CA may speak for any instance name that nobody has used yet, for 16 at most; from then on
//! the name belongs to that certificate. Certificates that an instance enrolled for are its alone, and a renewed one takes the old one's place
//! when it is first used ([`identity`](super::identity)). An administrator revokes an instance (with its certificates) or forgets it (so that
//! a certificate that was made elsewhere may take the name over).

use super::enrolments::end_orders;
use super::identity::{self, Standing};
use super::{Actor, Store, StoreError, audit};
use crate::gateway::api::ConnectorIdentity;
use rusqlite::{OptionalExtension, Transaction, params};

/// Polls of a waiting connector come often; its last contact is written this often at most, in milliseconds.
const CONTACT_STEP_MS: i64 = 10_000;

/// Instance names that one gateway knows at most; a certificate cannot fill the database with them.
const MAX_INSTANCES: i64 = 1_000;

/// Instance names of one certificate at most: it alone cannot use up the names of all others.
const MAX_INSTANCES_OF_CERTIFICATE: i64 = 16;

const REPLACED: &str = "its certificate was renewed: the new one is used since";
const ANOTHERS: &str = "its certificate was issued for another instance";

/// Who speaks: proven by TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// SHA-256 of the client certificate (DER), lower-case hexadecimal.
    pub certificate: String,
    /// Its subject.
    pub subject: String,
}

/// One connector as administrators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectorRow {
    /// Name of the instance.
    pub instance: String,
    /// SHA-256 of its certificate, hexadecimal.
    pub certificate: String,
    /// Subject of its certificate.
    pub subject: String,
    /// Version of its program.
    pub version: String,
    /// What it can do.
    pub features: Vec<String>,
    /// Requests in flight, by its own last heartbeat.
    pub in_flight: u32,
    /// Whether its engine answered, by its last heartbeat.
    pub engine_healthy: Option<bool>,
    /// First contact, in milliseconds since 1970.
    pub first_contact_ms: i64,
    /// Last contact, in milliseconds since 1970.
    pub last_contact_ms: i64,
    /// When it was revoked, in milliseconds since 1970.
    pub revoked_ms: Option<i64>,
}

/// Refuses a certificate that was revoked here.
pub(super) fn refuse_revoked(
    transaction: &Transaction<'_>,
    certificate: &str,
) -> Result<(), StoreError> {
    let refused = transaction
        .prepare_cached("SELECT 1 FROM refused_certificates WHERE certificate = ?")?
        .exists(params![certificate])?;
    if refused {
        return Err(StoreError::ConnectorRefused(
            "its certificate was revoked here",
        ));
    }
    Ok(())
}

/// What an instance is known by.
struct Pinned {
    last_contact_ms: i64,
    version: String,
    /// The certificate takes the place of the one in use.
    is_next: bool,
}

/// The pinned state of an instance: whether it may speak, and when it last did.
fn look_up(
    transaction: &Transaction<'_>,
    contact: &Contact,
    instance: &str,
    now: i64,
) -> Result<Option<Pinned>, StoreError> {
    refuse_revoked(transaction, &contact.certificate)?;
    let known: Option<(String, i64, Option<i64>, String)> = transaction
        .prepare_cached(
            "SELECT certificate, last_contact_ms, revoked_ms, version FROM connectors WHERE instance = ?",
        )?
        .query_row(params![instance], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()?;
    let standing = identity::standing(transaction, &contact.certificate, instance, now)?;
    match known {
        None => match standing {
            Standing::Unknown if identity::is_enrolled(transaction, instance)? => Err(
                StoreError::ConnectorRefused("the instance name belongs to another certificate"),
            ),
            Standing::Unknown | Standing::Accepted => Ok(None),
            Standing::Replaced => Err(StoreError::ConnectorRefused(REPLACED)),
            Standing::Anothers => Err(StoreError::ConnectorRefused(ANOTHERS)),
        },
        Some((_, _, Some(_), _)) => Err(StoreError::ConnectorRefused("the instance was revoked")),
        Some((certificate, last_contact_ms, _, version)) => {
            let is_own = certificate == contact.certificate;
            let is_next = match standing {
                _ if is_own => false,
                Standing::Accepted => !identity::is_leaving(transaction, &contact.certificate)?,
                Standing::Replaced => return Err(StoreError::ConnectorRefused(REPLACED)),
                Standing::Anothers => return Err(StoreError::ConnectorRefused(ANOTHERS)),
                Standing::Unknown => {
                    return Err(StoreError::ConnectorRefused(
                        "the instance name belongs to another certificate",
                    ));
                }
            };
            Ok(Some(Pinned {
                last_contact_ms,
                version,
                is_next,
            }))
        }
    }
}

/// Refuses a certificate that is not the instance's, and an instance that nobody has seen.
pub(super) fn refuse_unless_own(
    transaction: &Transaction<'_>,
    contact: &Contact,
    instance: &str,
    now: i64,
) -> Result<(), StoreError> {
    match look_up(transaction, contact, instance, now)? {
        Some(_) => Ok(()),
        None => Err(StoreError::ConnectorRefused(
            "the instance has not been seen yet: it renews after its first contact",
        )),
    }
}

impl Store {
    /// Lets a connector in that names itself, or says why not. Takes the instance name for its certificate on first use.
    ///
    /// # Errors
    /// [`StoreError::ConnectorRefused`], or the database's own failure.
    pub fn admit(
        &self,
        contact: &Contact,
        known_as: &ConnectorIdentity,
        report: Option<(u32, bool)>,
    ) -> Result<(), StoreError> {
        let known = self.read(|transaction, now| {
            let pinned = look_up(transaction, contact, &known_as.instance, now)?;
            Ok(pinned.is_some_and(|pinned| {
                !pinned.is_next
                    && pinned.version == known_as.version
                    && (0..CONTACT_STEP_MS).contains(&now.saturating_sub(pinned.last_contact_ms))
            }))
        })?;
        if known && report.is_none() {
            return Ok(());
        }
        let features =
            serde_json::to_string(&known_as.features).unwrap_or_else(|_| "[]".to_owned());
        self.write(|transaction, now| {
            // Again under the writer's lock: two certificates may claim one free name at the same moment.
            let pinned = look_up(transaction, contact, &known_as.instance, now)?;
            if pinned.as_ref().is_some_and(|pinned| pinned.is_next) {
                identity::promote(transaction, contact, &known_as.instance, self.overlap.until(now))?;
            }
            if pinned.is_none() {
                let names: i64 =
                    transaction.query_row("SELECT count(*) FROM connectors", [], |row| row.get(0))?;
                if names >= MAX_INSTANCES {
                    return Err(StoreError::ConnectorRefused(
                        "too many instance names are known; forget some",
                    ));
                }
                let own: i64 = transaction
                    .prepare_cached("SELECT count(*) FROM connectors WHERE certificate = ?")?
                    .query_row(params![contact.certificate], |row| row.get(0))?;
                if own >= MAX_INSTANCES_OF_CERTIFICATE {
                    return Err(StoreError::ConnectorRefused(
                        "its certificate has 16 instance names already; forget some",
                    ));
                }
            }
            transaction.prepare_cached(
                "INSERT INTO connectors (instance, certificate, subject, version, features, in_flight, engine_healthy, first_contact_ms, last_contact_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, coalesce(?6, 0), ?7, ?8, ?8)
                 ON CONFLICT (instance) DO UPDATE SET version = ?4, features = ?5,
                   in_flight = coalesce(?6, in_flight), engine_healthy = coalesce(?7, engine_healthy), last_contact_ms = ?8",
            )?
            .execute(params![
                known_as.instance,
                contact.certificate,
                contact.subject,
                known_as.version,
                features,
                report.map(|(in_flight, _)| in_flight),
                report.map(|(_, healthy)| healthy),
                now
            ])?;
            Ok(())
        })
    }

    /// Lets a connector in that answers a lease: its certificate must be one that some instance uses, and not be revoked.
    ///
    /// # Errors
    /// [`StoreError::ConnectorRefused`], or the database's own failure.
    pub fn admit_known(&self, contact: &Contact) -> Result<(), StoreError> {
        let next_of = self.read(|transaction, now| {
            refuse_revoked(transaction, &contact.certificate)?;
            let known = transaction
                .prepare_cached(
                    "SELECT 1 FROM connectors WHERE certificate = ? AND revoked_ms IS NULL",
                )?
                .exists(params![contact.certificate])?;
            if known {
                return Ok(None);
            }
            let unknown = StoreError::ConnectorRefused("no instance uses this certificate");
            let instance = identity::instance_of(transaction, &contact.certificate)?;
            let instance = instance.ok_or(unknown)?;
            let pinned = look_up(transaction, contact, &instance, now)?.ok_or(
                StoreError::ConnectorRefused("no instance uses this certificate"),
            )?;
            Ok(pinned.is_next.then_some(instance))
        })?;
        match next_of {
            None => Ok(()),
            Some(instance) => self.write(|transaction, now| {
                identity::promote(transaction, contact, &instance, self.overlap.until(now))
            }),
        }
    }

    /// Every connector.
    ///
    /// # Errors
    /// The database's own failure.
    pub fn connectors(&self) -> Result<Vec<ConnectorRow>, StoreError> {
        self.read(|transaction, _| {
            let mut statement = transaction.prepare_cached(
                "SELECT instance, certificate, subject, version, features, in_flight, engine_healthy, first_contact_ms, last_contact_ms, revoked_ms
                 FROM connectors ORDER BY instance",
            )?;
            let rows = statement.query_map([], |row| {
                let features: String = row.get(4)?;
                Ok(ConnectorRow {
                    instance: row.get(0)?,
                    certificate: row.get(1)?,
                    subject: row.get(2)?,
                    version: row.get(3)?,
                    features: serde_json::from_str(&features).unwrap_or_default(),
                    in_flight: row.get(5)?,
                    engine_healthy: row.get(6)?,
                    first_contact_ms: row.get(7)?,
                    last_contact_ms: row.get(8)?,
                    revoked_ms: row.get(9)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Refuses an instance and its certificate from now on. What it has leased goes back to the queue at once.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or the database's own failure.
    pub fn revoke_connector(&self, actor: &Actor, instance: &str) -> Result<(), StoreError> {
        self.write(|transaction, now| {
            let changed = transaction.execute(
                "UPDATE connectors SET revoked_ms = coalesce(revoked_ms, ?) WHERE instance = ?",
                params![now, instance],
            )?;
            if changed == 0 {
                return Err(StoreError::NotFound);
            }
            transaction.execute(
                "INSERT OR IGNORE INTO refused_certificates (certificate, revoked_ms)
                 SELECT certificate, ?1 FROM connectors WHERE instance = ?2
                 UNION SELECT certificate, ?1 FROM connector_certificates WHERE instance = ?2",
                params![now, instance],
            )?;
            end_orders(transaction, instance, now)?;
            transaction.execute(
                "UPDATE requests SET state = 'queued', due_ms = ?1 WHERE state = 'leased'
                 AND lease_certificate IN (SELECT certificate FROM connectors WHERE instance = ?2
                   UNION SELECT certificate FROM connector_certificates WHERE instance = ?2)",
                params![now, instance],
            )?;
            audit::append(
                transaction,
                now,
                actor,
                &format!("connector {instance}"),
                "done",
            )
        })
    }

    /// Frees an instance name, so that another certificate may take it. A revoked certificate stays refused.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or the database's own failure.
    pub fn forget_connector(&self, actor: &Actor, instance: &str) -> Result<(), StoreError> {
        self.write(|transaction, now| {
            transaction.execute(
                "DELETE FROM connector_certificates WHERE instance = ?",
                params![instance],
            )?;
            let changed = transaction.execute(
                "DELETE FROM connectors WHERE instance = ?",
                params![instance],
            )?;
            if changed == 0 {
                return Err(StoreError::NotFound);
            }
            audit::append(
                transaction,
                now,
                actor,
                &format!("connector {instance}"),
                "done",
            )
        })
    }
}
