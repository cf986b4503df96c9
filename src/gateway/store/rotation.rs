//! Records on their way to another custody key.

use super::records::full;
use super::{Actor, Store, StoreError, audit, sha256};
use crate::encoding::hex;
use crate::record::Record;
use rusqlite::params;

/// Separates this digest from every other; names the format's version.
const CONTEXT: &[u8] = b"pfx-connector gateway record revision v1";

/// One page of ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdPage {
    /// The ids, in their order.
    pub ids: Vec<String>,
    /// How many records there are on all pages.
    pub records: u64,
    /// Whether there are further ones after the last.
    pub more: bool,
}

/// A record with its secrets, which are encrypted to keys that the gateway does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// What the importer signed, and the signature.
    pub record: Record,
    /// The PFX.
    pub pfx: Vec<u8>,
    /// Changes whenever one of them does.
    pub revision: String,
}

/// SHA-256 over what is signed, who signed and the signature; the first is bounded by its own lengths, the second has a fixed one.
fn revision(record: &Record, pfx: &[u8]) -> String {
    let (importer, signature) = record
        .importer_signature
        .as_ref()
        .map_or((&b""[..], &b""[..]), |by| {
            (by.importer.as_bytes(), by.signature.as_slice())
        });
    hex(&sha256(&[
        CONTEXT,
        &record.signed_bytes(pfx),
        importer,
        signature,
    ]))
}

impl Store {
    /// Ids of the records that name this custody key, after that id.
    ///
    /// # Errors
    /// The database's own failure.
    pub fn ids_of_custody_key(
        &self,
        custody_key: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<IdPage, StoreError> {
        self.read(|transaction, _| {
            let records: i64 = transaction.query_row(
                "SELECT count(*) FROM records WHERE custody_key = ?",
                params![custody_key],
                |row| row.get(0),
            )?;
            let mut statement = transaction.prepare_cached(
                "SELECT id FROM records WHERE custody_key = ?1 AND (?2 IS NULL OR id > ?2) ORDER BY id LIMIT ?3",
            )?;
            let mut ids = statement
                .query_map(params![custody_key, after, i64::from(limit) + 1], |row| {
                    row.get(0)
                })?
                .collect::<Result<Vec<String>, _>>()?;
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            let more = ids.len() > limit;
            ids.truncate(limit);
            Ok(IdPage {
                ids,
                records: u64::try_from(records).unwrap_or(0),
                more,
            })
        })
    }

    /// A record as it is stored; that it was read is recorded.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or the database's own failure.
    pub fn stored_record(&self, actor: &Actor, id: &str) -> Result<StoredRecord, StoreError> {
        self.write(|transaction, now| {
            let (record, pfx) = full(transaction, id)?;
            audit::append(transaction, now, actor, &format!("record {id}"), "done")?;
            Ok(StoredRecord {
                revision: revision(&record, &pfx),
                record,
                pfx,
            })
        })
    }

    /// Puts a record for another custody key in the place of the one that was read. The password in it is the same: results that were made
    /// from the old one stay, and connectors that have it go on with it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::RecordChanged`] when the record is not that revision any more;
    /// [`StoreError::NotARotation`] when user, thumbprint or provider differ, the custody key does not, or there is no signature; the database's
    /// own failure.
    pub fn replace_record(
        &self,
        actor: &Actor,
        id: &str,
        read: &str,
        new: &Record,
    ) -> Result<(), StoreError> {
        self.write(|transaction, now| {
            let (old, pfx) = full(transaction, id)?;
            if revision(&old, &pfx) != read {
                return Err(StoreError::RecordChanged);
            }
            let is_same = new.user_principal_name == old.user_principal_name
                && new.thumbprint == old.thumbprint
                && new.provider_name == old.provider_name;
            let Some(by) = &new.importer_signature else {
                return Err(StoreError::NotARotation);
            };
            if !is_same || new.custody_key.is_none() || new.custody_key == old.custody_key {
                return Err(StoreError::NotARotation);
            }
            transaction.execute(
                "UPDATE records SET key_name = ?2, padding = ?3, custody_key = ?4, importer = ?5, signature = ?6,
                   encrypted_password = ?7, modified_ms = ?8 WHERE id = ?1",
                params![
                    id,
                    new.key_name,
                    new.padding.to_string(),
                    new.custody_key,
                    by.importer,
                    by.signature.as_slice(),
                    new.encrypted_password.as_slice(),
                    now
                ],
            )?;
            audit::append(transaction, now, actor, &format!("record {id}"), "done")
        })?;
        self.forget_log_soon();
        Ok(())
    }
}
