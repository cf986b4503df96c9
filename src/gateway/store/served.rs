//! What connectors say that they serve when they ask for work, and when one last said so: what nobody serves does not wait for ever.

use super::StoreError;
use rusqlite::{OptionalExtension, Transaction, params};

/// That a connector serves something is written this often at most, in milliseconds.
const STEP_MS: i64 = 600_000;

/// One kind of what is served, with its statements.
pub(super) struct Served {
    look: &'static str,
    note: &'static str,
}

/// Issuers whose certificates are revoked: SHA-256 of their Names, hexadecimal.
pub(super) const ISSUERS: Served = Served {
    look: "SELECT last_ms FROM revocation_issuers WHERE issuer_digest = ?",
    note: "INSERT INTO revocation_issuers (issuer_digest, last_ms) VALUES (?1, ?2)
           ON CONFLICT (issuer_digest) DO UPDATE SET last_ms = ?2",
};

/// Authorities that issue, by their names in profiles.
pub(super) const AUTHORITIES: Served = Served {
    look: "SELECT last_ms FROM pkcs_authorities WHERE name = ?",
    note: "INSERT INTO pkcs_authorities (name, last_ms) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET last_ms = ?2",
};

impl Served {
    /// Whether all of them were noted lately.
    pub(super) fn are_noted(
        &self,
        transaction: &Transaction<'_>,
        names: &[String],
        now: i64,
    ) -> Result<bool, StoreError> {
        let mut look = transaction.prepare_cached(self.look)?;
        for name in names {
            let last: Option<i64> = look.query_row(params![name], |row| row.get(0)).optional()?;
            if !last.is_some_and(|last| (0..STEP_MS).contains(&now.saturating_sub(last))) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Notes that a connector serves them now.
    pub(super) fn note(
        &self,
        transaction: &Transaction<'_>,
        names: &[String],
        now: i64,
    ) -> Result<(), StoreError> {
        let mut note = transaction.prepare_cached(self.note)?;
        for name in names {
            note.execute(params![name, now])?;
        }
        Ok(())
    }
}
