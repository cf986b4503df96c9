//! Bearer tokens: 256 random bits, shown once; the database holds their SHA-256, which is enough for a secret that nobody can guess.

use super::enrolments::has_order;
use super::{Actor, Store, StoreError, audit, sha256};
use crate::encoding::hex;
use crate::gateway::auth::Role;
use rusqlite::{OptionalExtension, params};

/// Separates this digest from every other; names the format's version.
const CONTEXT: &[u8] = b"pfx-connector gateway token v1";

/// A token as it is shown once.
pub struct NewToken {
    /// Its public name in lists and in the audit trail.
    pub id: String,
    /// The secret: what stands behind `Bearer`.
    pub secret: String,
    /// When it ends, in milliseconds since 1970.
    pub expires_ms: i64,
}

impl std::fmt::Debug for NewToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NewToken({})", self.id)
    }
}

/// A stored token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// Its public name.
    pub id: String,
    /// What it may do.
    pub role: Role,
    /// What the administrator called it.
    pub name: String,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it ends, in milliseconds since 1970.
    pub expires_ms: i64,
    /// When it was revoked, in milliseconds since 1970.
    pub revoked_ms: Option<i64>,
}

impl Store {
    /// Makes a token that is valid for `lifetime_ms` milliseconds. One of the role `enrolment` is for the instance `name`.
    ///
    /// # Errors
    /// No random numbers, or the database's own failure.
    pub fn create_token(
        &self,
        actor: &Actor,
        role: Role,
        name: &str,
        lifetime_ms: i64,
    ) -> Result<NewToken, StoreError> {
        let id = hex(&fips::random::array::<8>()?);
        let secret = format!("pfxgw1_{id}_{}", hex(&fips::random::array::<32>()?));
        let digest = sha256(&[CONTEXT, secret.as_bytes()]);
        // One of these is for the certificate of the instance that it is called by.
        let instance = (role == Role::Enrolment).then_some(name);
        self.write(|transaction, now| {
            let expires_ms = now.saturating_add(lifetime_ms);
            transaction.execute(
                "INSERT INTO tokens (id, digest, role, name, created_ms, expires_ms, instance) VALUES (?, ?, ?, ?, ?, ?, ?)",
                params![id, digest, role.name(), name, now, expires_ms, instance],
            )?;
            audit::append(transaction, now, actor, &format!("token {id} ({}, {name})", role.name()), "done")?;
            Ok(NewToken { id: id.clone(), secret: secret.clone(), expires_ms })
        })
    }

    /// The token that `secret` is, if it is one that is neither expired nor revoked. One of the role `enrolment` that was used in time stays
    /// good for its order, which the authority may decide later: the order is for one request alone.
    ///
    /// # Errors
    /// The database's own failure.
    pub fn find_token(&self, secret: &str) -> Result<Option<TokenRow>, StoreError> {
        let digest = sha256(&[CONTEXT, secret.as_bytes()]);
        self.read(|transaction, now| {
            let row = transaction
                .prepare_cached(
                    "SELECT id, role, name, created_ms, expires_ms, revoked_ms FROM tokens WHERE digest = ?",
                )?
                .query_row(params![digest], read_token)
                .optional()?;
            let Some(token) = row.flatten().filter(|token| token.revoked_ms.is_none()) else {
                return Ok(None);
            };
            let is_good = token.expires_ms > now
                || (token.role == Role::Enrolment && has_order(transaction, &token.id)?);
            Ok(is_good.then_some(token))
        })
    }

    /// The instance whose certificate may be asked for with an enrolment token.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or the database's own failure.
    pub fn enrolment_instance(&self, id: &str) -> Result<String, StoreError> {
        self.read(|transaction, _| {
            let instance: Option<Option<String>> = transaction
                .prepare_cached("SELECT instance FROM tokens WHERE id = ? AND role = 'enrolment'")?
                .query_row(params![id], |row| row.get(0))
                .optional()?;
            instance.flatten().ok_or(StoreError::NotFound)
        })
    }

    /// Every token, newest first.
    ///
    /// # Errors
    /// The database's own failure.
    pub fn tokens(&self) -> Result<Vec<TokenRow>, StoreError> {
        self.read(|transaction, _| {
            let mut statement = transaction.prepare_cached(
                "SELECT id, role, name, created_ms, expires_ms, revoked_ms FROM tokens ORDER BY created_ms DESC, id",
            )?;
            let rows = statement.query_map([], read_token)?;
            let tokens: Vec<Option<TokenRow>> = rows.collect::<Result<_, _>>()?;
            Ok(tokens.into_iter().flatten().collect())
        })
    }

    /// Ends a token at once; ending it again changes nothing.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or the database's own failure.
    pub fn revoke_token(&self, actor: &Actor, id: &str) -> Result<(), StoreError> {
        self.write(|transaction, now| {
            let changed = transaction.execute(
                "UPDATE tokens SET revoked_ms = coalesce(revoked_ms, ?) WHERE id = ?",
                params![now, id],
            )?;
            if changed == 0 {
                return Err(StoreError::NotFound);
            }
            audit::append(transaction, now, actor, &format!("token {id}"), "done")
        })
    }
}

/// `None` for a role that this program does not know: such a token opens nothing.
fn read_token(row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<TokenRow>> {
    let role: String = row.get(1)?;
    let Some(role) = Role::from_name(&role) else {
        return Ok(None);
    };
    Ok(Some(TokenRow {
        id: row.get(0)?,
        role,
        name: row.get(2)?,
        created_ms: row.get(3)?,
        expires_ms: row.get(4)?,
        revoked_ms: row.get(5)?,
    }))
}
