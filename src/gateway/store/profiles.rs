//! Profiles of every kind: what may be asked for, by name.

use super::{Actor, Store, StoreError, audit};
use crate::gateway::profiles_api::{ProfileEntry, StoredProfile};
use rusqlite::{OptionalExtension, Transaction, params};

/// Profiles of one kind at most.
const MAX_PROFILES: i64 = 1_000;

fn to_json<P: StoredProfile>(profile: &P) -> Result<String, StoreError> {
    serde_json::to_string(profile).map_err(|_| StoreError::Unreadable("message"))
}

fn of_json<P: StoredProfile>(json: &str) -> Result<P, StoreError> {
    serde_json::from_str(json).map_err(|_| StoreError::Unreadable("profile"))
}

/// The profile of a name.
pub(super) fn profile<P: StoredProfile>(
    transaction: &Transaction<'_>,
    name: &str,
) -> Result<Option<P>, StoreError> {
    let json: Option<String> = transaction
        .prepare_cached(&format!("SELECT profile FROM {} WHERE name = ?", P::TABLE))?
        .query_row(params![name], |row| row.get(0))
        .optional()?;
    json.map(|json| of_json(&json)).transpose()
}

impl Store {
    /// Stores a new profile.
    ///
    /// # Errors
    /// [`StoreError::ProfileExists`], [`StoreError::QueueFull`] for too many, or the database's own failure.
    pub fn create_profile<P: StoredProfile>(
        &self,
        actor: &Actor,
        entry: &ProfileEntry<P>,
    ) -> Result<(), StoreError> {
        let json = to_json(&entry.profile)?;
        self.write(|transaction, now| {
            let count: i64 = transaction.query_row(
                &format!("SELECT count(*) FROM {}", P::TABLE),
                [],
                |row| row.get(0),
            )?;
            if count >= MAX_PROFILES {
                return Err(StoreError::QueueFull);
            }
            let stored = transaction
                .prepare_cached(&format!(
                    "INSERT INTO {} (name, profile, created_ms, modified_ms) VALUES (?1, ?2, ?3, ?3) ON CONFLICT DO NOTHING",
                    P::TABLE
                ))?
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
    pub fn replace_profile<P: StoredProfile>(
        &self,
        actor: &Actor,
        name: &str,
        profile: &P,
    ) -> Result<(), StoreError> {
        let json = to_json(profile)?;
        self.write(|transaction, now| {
            let stored = transaction
                .prepare_cached(&format!(
                    "UPDATE {} SET profile = ?2, modified_ms = ?3 WHERE name = ?1",
                    P::TABLE
                ))?
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
    pub fn delete_profile<P: StoredProfile>(
        &self,
        actor: &Actor,
        name: &str,
    ) -> Result<(), StoreError> {
        self.write(|transaction, now| {
            let gone = transaction
                .prepare_cached(&format!("DELETE FROM {} WHERE name = ?", P::TABLE))?
                .execute(params![name])?;
            if gone == 0 {
                return Err(StoreError::NotFound);
            }
            if P::IS_RENEWED {
                transaction
                    .prepare_cached(
                        "UPDATE pkcs_certificates SET renew_ms = NULL WHERE profile_name = ? AND renew_ms IS NOT NULL",
                    )?
                    .execute(params![name])?;
            }
            audit::append(transaction, now, actor, name, "done")
        })
    }

    /// One profile.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or the database's own failure.
    pub fn profile<P: StoredProfile>(&self, name: &str) -> Result<ProfileEntry<P>, StoreError> {
        self.read(|transaction, _| {
            let profile = profile(transaction, name)?.ok_or(StoreError::NotFound)?;
            Ok(ProfileEntry {
                name: name.to_owned(),
                profile,
            })
        })
    }

    /// Every profile of a kind, by name.
    ///
    /// # Errors
    /// The database's own failure.
    pub fn profiles<P: StoredProfile>(&self) -> Result<Vec<ProfileEntry<P>>, StoreError> {
        self.read(|transaction, _| {
            let mut statement = transaction.prepare_cached(&format!(
                "SELECT name, profile FROM {} ORDER BY name",
                P::TABLE
            ))?;
            let rows =
                statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
            rows.map(|row| {
                let (name, json) = row?;
                Ok(ProfileEntry {
                    name,
                    profile: of_json(&json)?,
                })
            })
            .collect()
        })
    }
}
