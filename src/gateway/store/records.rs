//! Records: what importers stored. Lists and reads never give the PFX or the password back.

use super::{Actor, Store, StoreError, audit};
use crate::clock::rfc3339;
use crate::encoding::Base64Bytes;
use crate::gateway::api::{IntendedPurpose, UserPfxCertificate};
use crate::record::{ImporterSignature, Record};
use hsm::Padding;
use rusqlite::{OptionalExtension, Row, Transaction, params};

/// A checked record on its way into the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecord {
    /// What the importer signed, and the signature.
    pub record: Record,
    /// The PFX.
    pub pfx: Vec<u8>,
    /// What the certificate is for.
    pub intended_purpose: IntendedPurpose,
    /// Start of its validity, in milliseconds since 1970.
    pub starts_ms: i64,
    /// End of its validity, in milliseconds since 1970.
    pub expires_ms: i64,
}

/// What an update changes; the user and the certificate stay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordPatch {
    /// New purpose.
    pub intended_purpose: Option<IntendedPurpose>,
    /// New start, in milliseconds since 1970.
    pub starts_ms: Option<i64>,
    /// New end, in milliseconds since 1970.
    pub expires_ms: Option<i64>,
    /// New provider.
    pub provider_name: Option<String>,
    /// New key name.
    pub key_name: Option<String>,
    /// New padding.
    pub padding: Option<Padding>,
    /// New custody key.
    pub custody_key: Option<String>,
    /// New PFX.
    pub pfx: Option<Vec<u8>>,
    /// New ciphertext.
    pub encrypted_password: Option<Vec<u8>>,
    /// New signature.
    pub importer_signature: Option<ImporterSignature>,
}

/// Which records to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// Only those of this user (lower case).
    pub user_key: Option<String>,
    /// Only the one of this certificate.
    pub thumbprint: Option<String>,
    /// Only those after this id.
    pub after: Option<String>,
    /// How many at most.
    pub limit: u32,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPage {
    /// The records, secrets as stubs, by id.
    pub records: Vec<UserPfxCertificate>,
    /// Whether there are more.
    pub more: bool,
}

/// Users are the same whatever the case of their names: Unicode lower case, independent of any locale.
#[must_use]
pub fn user_key(user_principal_name: &str) -> String {
    // By character: `str::to_lowercase` looks at the neighbours of a capital sigma.
    user_principal_name
        .chars()
        .flat_map(char::to_lowercase)
        .collect()
}

/// The id of a record: 32 hexadecimal digits for the user, a dash, the thumbprint, as in Graph. The gateway has no directory with
/// object ids; it derives the user's part from the name (the first half of SHA-256 over the lower-cased name).
#[must_use]
pub fn record_id(user_principal_name: &str, thumbprint: &str) -> String {
    let digest = super::sha256(&[
        b"pfx-connector gateway user v1",
        user_key(user_principal_name).as_bytes(),
    ]);
    let user: String = crate::encoding::hex(&digest).chars().take(32).collect();
    format!("{user}-{thumbprint}")
}

fn purpose_name(purpose: IntendedPurpose) -> &'static str {
    match purpose {
        IntendedPurpose::Unassigned => "unassigned",
        IntendedPurpose::SmimeEncryption => "smimeEncryption",
        IntendedPurpose::SmimeSigning => "smimeSigning",
        IntendedPurpose::Vpn => "vpn",
        IntendedPurpose::Wifi => "wifi",
    }
}

fn purpose_of(name: &str) -> Result<IntendedPurpose, StoreError> {
    match name {
        "unassigned" => Ok(IntendedPurpose::Unassigned),
        "smimeEncryption" => Ok(IntendedPurpose::SmimeEncryption),
        "smimeSigning" => Ok(IntendedPurpose::SmimeSigning),
        "vpn" => Ok(IntendedPurpose::Vpn),
        "wifi" => Ok(IntendedPurpose::Wifi),
        _ => Err(StoreError::Unreadable("intended purpose")),
    }
}

fn padding_of(name: &str) -> Result<Padding, StoreError> {
    Padding::of_record(name).ok_or(StoreError::Unreadable("padding"))
}

/// The columns of a record without its secrets, in the order of [`read_stub`].
const STUB: &str = "id, user_principal_name, thumbprint, intended_purpose, starts_ms, expires_ms, provider_name, key_name, padding, \
                    custody_key, importer, signature, created_ms, modified_ms";

fn read_stub(row: &Row<'_>) -> Result<UserPfxCertificate, StoreError> {
    let purpose: String = row.get(3)?;
    let padding: String = row.get(8)?;
    let importer: Option<String> = row.get(10)?;
    let signature: Option<Vec<u8>> = row.get(11)?;
    Ok(UserPfxCertificate {
        id: Some(row.get(0)?),
        user_principal_name: row.get(1)?,
        thumbprint: row.get(2)?,
        intended_purpose: purpose_of(&purpose)?,
        start_date_time: rfc3339(row.get(4)?),
        expiration_date_time: rfc3339(row.get(5)?),
        provider_name: row.get(6)?,
        key_name: row.get(7)?,
        padding_scheme: padding_of(&padding)?,
        encrypted_pfx_blob: Base64Bytes(vec![0]),
        encrypted_pfx_password: String::new(),
        created_date_time: Some(rfc3339(row.get(12)?)),
        last_modified_date_time: Some(rfc3339(row.get(13)?)),
        custody_key: row.get(9)?,
        importer_signature: signature_of(importer, signature),
    })
}

fn signature_of(importer: Option<String>, signature: Option<Vec<u8>>) -> Option<ImporterSignature> {
    Some(ImporterSignature {
        importer: importer?,
        signature: Base64Bytes(signature?),
    })
}

/// The columns of a record with what the engine needs, for joins (`r` is the table), in the order of [`read_record`].
pub(super) const FULL: &str = "r.user_principal_name, r.thumbprint, r.provider_name, r.key_name, r.custody_key, r.padding, \
                               r.encrypted_password, r.importer, r.signature, r.pfx";

/// How many columns [`FULL`] names.
pub(super) const FULL_COLUMNS: usize = 10;

pub(super) fn read_record(row: &Row<'_>) -> Result<(Record, Vec<u8>), StoreError> {
    let padding: String = row.get(5)?;
    let record = Record {
        user_principal_name: row.get(0)?,
        thumbprint: row.get(1)?,
        provider_name: row.get(2)?,
        key_name: row.get(3)?,
        custody_key: row.get(4)?,
        padding: padding_of(&padding)?,
        encrypted_password: Base64Bytes(row.get(6)?),
        importer_signature: signature_of(row.get(7)?, row.get(8)?),
    };
    Ok((record, row.get(9)?))
}

fn stub(transaction: &Transaction<'_>, id: &str) -> Result<UserPfxCertificate, StoreError> {
    let mut statement =
        transaction.prepare_cached(&format!("SELECT {STUB} FROM records WHERE id = ?"))?;
    let mut rows = statement.query(params![id])?;
    let row = rows.next()?.ok_or(StoreError::NotFound)?;
    read_stub(row)
}

impl Store {
    /// Stores a new record.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when there is one of this user and certificate; the database's own failure.
    pub fn create_record(
        &self,
        actor: &Actor,
        new: &NewRecord,
    ) -> Result<UserPfxCertificate, StoreError> {
        let record = &new.record;
        let id = record_id(&record.user_principal_name, &record.thumbprint);
        self.write(|transaction, now| {
            let changed = transaction
                .prepare_cached(
                    "INSERT INTO records (id, user_key, thumbprint, user_principal_name, intended_purpose, starts_ms, expires_ms,
                       provider_name, key_name, padding, custody_key, importer, signature, encrypted_password, pfx, created_ms, modified_ms)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?16)
                     ON CONFLICT DO NOTHING",
                )?
                .execute(params![
                    id,
                    user_key(&record.user_principal_name),
                    record.thumbprint,
                    record.user_principal_name,
                    purpose_name(new.intended_purpose),
                    new.starts_ms,
                    new.expires_ms,
                    record.provider_name,
                    record.key_name,
                    record.padding.to_string(),
                    record.custody_key,
                    record.importer_signature.as_ref().map(|by| &by.importer),
                    record.importer_signature.as_ref().map(|by| by.signature.as_slice()),
                    record.encrypted_password.as_slice(),
                    new.pfx,
                    now
                ])?;
            if changed == 0 {
                return Err(StoreError::Exists);
            }
            audit::append(transaction, now, actor, &format!("record {id}"), "done")?;
            stub(transaction, &id)
        })
    }

    /// One record, its secrets as stubs.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or the database's own failure.
    pub fn record(&self, id: &str) -> Result<UserPfxCertificate, StoreError> {
        self.read(|transaction, _| stub(transaction, id))
    }

    /// One page of records, secrets as stubs.
    ///
    /// # Errors
    /// The database's own failure.
    pub fn list_records(&self, query: &ListQuery) -> Result<ListPage, StoreError> {
        self.read(|transaction, _| {
            let mut statement = transaction.prepare_cached(&format!(
                "SELECT {STUB} FROM records
                 WHERE (?1 IS NULL OR user_key = ?1) AND (?2 IS NULL OR thumbprint = ?2) AND (?3 IS NULL OR id > ?3)
                 ORDER BY id LIMIT ?4"
            ))?;
            let mut rows = statement.query(params![
                query.user_key,
                query.thumbprint,
                query.after,
                i64::from(query.limit) + 1
            ])?;
            let mut records = Vec::new();
            while let Some(row) = rows.next()? {
                records.push(read_stub(row)?);
            }
            let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
            let more = records.len() > limit;
            records.truncate(limit);
            Ok(ListPage { records, more })
        })
    }

    /// Changes a record. Requests that wait go on with the new content; those that a connector has are queued again, and results
    /// made from the old content are deleted: a password of the old PFX must not travel with the new one.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::SignatureMissing`] when the record is signed, the patch changes what the signature
    /// covers, and brings no new one; the database's own failure.
    pub fn update_record(
        &self,
        actor: &Actor,
        id: &str,
        patch: &RecordPatch,
    ) -> Result<UserPfxCertificate, StoreError> {
        self.write(|transaction, now| {
            let (mut record, old_pfx) = full(transaction, id)?;
            let before = record.signed_bytes(&old_pfx);
            let pfx = patch.pfx.as_ref().unwrap_or(&old_pfx);
            let overwrite = |field: &mut String, new: &Option<String>| {
                if let Some(new) = new {
                    field.clone_from(new);
                }
            };
            overwrite(&mut record.provider_name, &patch.provider_name);
            overwrite(&mut record.key_name, &patch.key_name);
            record.padding = patch.padding.unwrap_or(record.padding);
            record.custody_key = patch.custody_key.clone().or(record.custody_key);
            if let Some(password) = &patch.encrypted_password {
                record.encrypted_password = Base64Bytes(password.clone());
            }
            let content_changed = record.signed_bytes(pfx) != before;
            let was_signed = record.importer_signature.is_some();
            if patch.importer_signature.is_some() {
                record.importer_signature.clone_from(&patch.importer_signature);
            } else if content_changed && was_signed {
                return Err(StoreError::SignatureMissing);
            }
            transaction.execute(
                "UPDATE records SET intended_purpose = coalesce(?2, intended_purpose), starts_ms = coalesce(?3, starts_ms),
                   expires_ms = coalesce(?4, expires_ms), provider_name = ?5, key_name = ?6, padding = ?7, custody_key = ?8,
                   importer = ?9, signature = ?10, encrypted_password = ?11, pfx = ?12, modified_ms = ?13 WHERE id = ?1",
                params![
                    id,
                    patch.intended_purpose.map(purpose_name),
                    patch.starts_ms,
                    patch.expires_ms,
                    record.provider_name,
                    record.key_name,
                    record.padding.to_string(),
                    record.custody_key,
                    record.importer_signature.as_ref().map(|by| &by.importer),
                    record.importer_signature.as_ref().map(|by| by.signature.as_slice()),
                    record.encrypted_password.as_slice(),
                    pfx,
                    now
                ],
            )?;
            if content_changed {
                requeue(transaction, now, id)?;
                delete_results(transaction, id)?;
            }
            audit::append(transaction, now, actor, &format!("record {id}"), "done")?;
            stub(transaction, id)
        })?;
        self.forget_log_soon();
        self.record(id)
    }

    /// Deletes a record for real, with every result made from it; its requests that are not settled have failed.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or the database's own failure.
    pub fn delete_record(&self, actor: &Actor, id: &str) -> Result<(), StoreError> {
        self.write(|transaction, now| {
            remove(transaction, now, id)?;
            audit::append(transaction, now, actor, &format!("record {id}"), "done")
        })?;
        self.forget_log_soon();
        Ok(())
    }
}

pub(super) fn full(
    transaction: &Transaction<'_>,
    id: &str,
) -> Result<(Record, Vec<u8>), StoreError> {
    let mut statement =
        transaction.prepare_cached(&format!("SELECT {FULL} FROM records r WHERE id = ?"))?;
    let mut rows = statement.query(params![id])?;
    read_record(rows.next()?.ok_or(StoreError::NotFound)?)
}

/// The requests whose result is made from the record `?1`: its own, and those of profiles, which have all of its user's certificates.
const MADE_FROM: &str = "(record = ?1 OR device_request IN (SELECT d.id FROM device_requests d JOIN records r ON r.user_key = d.user_key
                          WHERE r.id = ?1 AND d.delivery = 'appleProfile'))";

fn delete_results(transaction: &Transaction<'_>, record: &str) -> Result<(), StoreError> {
    transaction.execute(
        &format!(
            "DELETE FROM results WHERE request IN (SELECT seq FROM requests WHERE {MADE_FROM})"
        ),
        params![record],
    )?;
    Ok(())
}

/// What a connector has in hand is made from content that is no longer there.
fn requeue(transaction: &Transaction<'_>, now_ms: i64, record: &str) -> Result<(), StoreError> {
    transaction.execute(
        &format!(
            "UPDATE requests SET state = 'queued', due_ms = ?2 WHERE state = 'leased' AND {MADE_FROM}"
        ),
        params![record, now_ms],
    )?;
    Ok(())
}

/// Takes a record out; shared with retention.
pub(super) fn remove(
    transaction: &Transaction<'_>,
    now_ms: i64,
    id: &str,
) -> Result<(), StoreError> {
    let known: Option<i64> = transaction
        .query_row("SELECT 1 FROM records WHERE id = ?", params![id], |row| {
            row.get(0)
        })
        .optional()?;
    if known.is_none() {
        return Err(StoreError::NotFound);
    }
    transaction.execute(
        "UPDATE requests SET state = 'failed', settled_ms = ?2, failure_code = 'recordDeleted',
           failure_message = 'the record was deleted before it was delivered'
         WHERE record = ?1 AND state IN ('queued', 'leased')",
        params![id, now_ms],
    )?;
    requeue(transaction, now_ms, id)?;
    delete_results(transaction, id)?;
    transaction.execute("DELETE FROM records WHERE id = ?", params![id])?;
    Ok(())
}
