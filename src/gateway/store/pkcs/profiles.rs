//! Profiles: what may be asked for, by name.

use super::{of_json, to_json};
use crate::gateway::pkcs_api::{PkcsProfile, PkcsProfileEntry};
use crate::gateway::store::{Actor, Store, StoreError, audit};
use rusqlite::{OptionalExtension, Transaction, params};

/// Profiles of one gateway at most.
const MAX_PROFILES: i64 = 1_000;

/// The profile of a name.
pub(super) fn profile(
    transaction: &Transaction<'_>,
    name: &str,
) -> Result<Option<PkcsProfile>, StoreError> {
    let json: Option<String> = transaction
        .prepare_cached("SELECT profile FROM pkcs_profiles WHERE name = ?")?
        .query_row(params![name], |row| row.get(0))
        .optional()?;
    json.map(|json| of_json(&json, "profile")).transpose()
}

impl Store {
    /// Stores a new profile.
    ///
    /// # Errors
    /// [`StoreError::ProfileExists`], [`StoreError::QueueFull`] for too many, or the database's own failure.
    pub fn create_profile(
        &self,
        actor: &Actor,
        entry: &PkcsProfileEntry,
    ) -> Result<(), StoreError> {
        let json = to_json(&entry.profile)?;
        self.write(|transaction, now| {
            let count: i64 = transaction.query_row("SELECT count(*) FROM pkcs_profiles", [], |row| row.get(0))?;
            if count >= MAX_PROFILES {
                return Err(StoreError::QueueFull);
            }
            let stored = transaction
                .prepare_cached(
                    "INSERT INTO pkcs_profiles (name, profile, created_ms, modified_ms) VALUES (?1, ?2, ?3, ?3) ON CONFLICT DO NOTHING",
                )?
                .execute(params![entry.name, json, now])?;
            if stored == 0 {
                return Err(StoreError::ProfileExists);
            }
            audit::append(transaction, now, actor, &entry.name, "done")
        })
    }

    /// Puts another profile in the place of one. Open requests go on with the old one; renewals take the new one.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or the database's own failure.
    pub fn replace_profile(
        &self,
        actor: &Actor,
        name: &str,
        profile: &PkcsProfile,
    ) -> Result<(), StoreError> {
        let json = to_json(profile)?;
        self.write(|transaction, now| {
            let stored = transaction
                .prepare_cached(
                    "UPDATE pkcs_profiles SET profile = ?2, modified_ms = ?3 WHERE name = ?1",
                )?
                .execute(params![name, json, now])?;
            if stored == 0 {
                return Err(StoreError::NotFound);
            }
            audit::append(transaction, now, actor, name, "done")
        })
    }

    /// Ends a profile: nothing can be asked for by it, and nothing of it is renewed. Open requests go on.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or the database's own failure.
    pub fn delete_profile(&self, actor: &Actor, name: &str) -> Result<(), StoreError> {
        self.write(|transaction, now| {
            let gone = transaction
                .prepare_cached("DELETE FROM pkcs_profiles WHERE name = ?")?
                .execute(params![name])?;
            if gone == 0 {
                return Err(StoreError::NotFound);
            }
            transaction
                .prepare_cached(
                    "UPDATE pkcs_certificates SET renew_ms = NULL WHERE profile_name = ? AND renew_ms IS NOT NULL",
                )?
                .execute(params![name])?;
            audit::append(transaction, now, actor, name, "done")
        })
    }

    /// One profile.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or the database's own failure.
    pub fn profile(&self, name: &str) -> Result<PkcsProfileEntry, StoreError> {
        self.read(|transaction, _| {
            let profile = profile(transaction, name)?.ok_or(StoreError::NotFound)?;
            Ok(PkcsProfileEntry {
                name: name.to_owned(),
                profile,
            })
        })
    }

    /// Every profile, by name.
    ///
    /// # Errors
    /// The database's own failure.
    pub fn profiles(&self) -> Result<Vec<PkcsProfileEntry>, StoreError> {
        self.read(|transaction, _| {
            let mut statement = transaction
                .prepare_cached("SELECT name, profile FROM pkcs_profiles ORDER BY name")?;
            let rows =
                statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
            rows.map(|row| {
                let (name, json) = row?;
                Ok(PkcsProfileEntry {
                    name,
                    profile: of_json(&json, "profile")?,
                })
            })
            .collect()
        })
    }
}
