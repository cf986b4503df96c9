//! The brake against mass revocation: certificates are counted before the authority is asked, so that no crash and no restart forgets one.

use super::{Journal, JournalError};
use crate::config::RevocationConfig;
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// The most that can be released at once.
const MOST: u32 = 1_000_000;

/// How the brake stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BrakeFigures {
    /// Certificates of the last hour.
    pub last_hour: u32,
    /// Certificates of the last 24 hours.
    pub last_day: u32,
    /// How many more the operator has released.
    pub released: u32,
}

/// Whether a certificate may be revoked now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// It may: it has been counted, now or, `again`, before.
    Granted {
        /// It was counted before: this is another attempt.
        again: bool,
        /// How the brake stands now.
        figures: BrakeFigures,
    },
    /// The threshold is reached, and nothing is released.
    Refused {
        /// How the brake stands.
        figures: BrakeFigures,
    },
}

fn figures(connection: &Connection, now_ms: i64) -> rusqlite::Result<BrakeFigures> {
    // What lies in the future counts: a clock that was set back does not open the brake.
    let since = |span: i64| -> rusqlite::Result<u32> {
        connection
            .prepare_cached("SELECT count(*) FROM revoked WHERE at_ms > ?1")?
            .query_row([now_ms.saturating_sub(span)], |row| row.get(0))
    };
    Ok(BrakeFigures {
        last_hour: since(HOUR_MS)?,
        last_day: since(DAY_MS)?,
        released: connection
            .prepare_cached("SELECT released FROM brake WHERE id = 1")?
            .query_row([], |row| row.get(0))?,
    })
}

fn permit(
    connection: &Connection,
    certificate: &str,
    limits: RevocationConfig,
    now_ms: i64,
) -> rusqlite::Result<Permission> {
    connection
        .prepare_cached("DELETE FROM revoked WHERE at_ms <= ?1")?
        .execute([now_ms.saturating_sub(2 * DAY_MS)])?;
    let known = connection
        .prepare_cached("SELECT 1 FROM revoked WHERE certificate = ?1")?
        .query_row([certificate], |_| Ok(()))
        .optional()?;
    let before = figures(connection, now_ms)?;
    if known.is_some() {
        return Ok(Permission::Granted {
            again: true,
            figures: before,
        });
    }
    let is_free = before.last_hour < limits.per_hour && before.last_day < limits.per_day;
    if !is_free {
        let taken = connection
            .prepare_cached(
                "UPDATE brake SET released = released - 1 WHERE id = 1 AND released > 0",
            )?
            .execute([])?;
        if taken == 0 {
            return Ok(Permission::Refused { figures: before });
        }
    }
    connection
        .prepare_cached("INSERT INTO revoked (certificate, at_ms) VALUES (?1, ?2)")?
        .execute(params![certificate, now_ms])?;
    Ok(Permission::Granted {
        again: false,
        figures: figures(connection, now_ms)?,
    })
}

impl Journal {
    /// Asks whether a certificate (SHA-256 of issuer and serial number, hexadecimal) may be revoked, and counts it; durable when it returns.
    /// One that was counted within two days is not counted again.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn permit_revocation(
        &self,
        certificate: &str,
        limits: RevocationConfig,
    ) -> Result<Permission, JournalError> {
        let (certificate, now_ms) = (certificate.to_owned(), self.clock.now_ms());
        self.call(move |connection| permit(connection, &certificate, limits, now_ms))
            .await
    }

    /// Lets so many more certificates be revoked than the thresholds do.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn release_revocations(&self, count: u32) -> Result<BrakeFigures, JournalError> {
        let now_ms = self.clock.now_ms();
        self.call(move |connection| {
            connection.execute(
                "UPDATE brake SET released = min(released + ?1, ?2) WHERE id = 1",
                params![count, MOST],
            )?;
            figures(connection, now_ms)
        })
        .await
    }

    /// How the brake stands.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn brake(&self) -> Result<BrakeFigures, JournalError> {
        let now_ms = self.clock.now_ms();
        self.call(move |connection| figures(connection, now_ms))
            .await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, missing_docs)]
    use super::*;
    use crate::clock::ManualClock;
    use std::sync::Arc;

    const LIMITS: RevocationConfig = RevocationConfig {
        per_hour: 2,
        per_day: 3,
        concurrency: 1,
    };

    fn is_granted(permission: Permission) -> bool {
        matches!(permission, Permission::Granted { .. })
    }

    #[tokio::test]
    async fn the_brake_counts_certificates_once_over_restarts_and_clocks_and_opens_by_release() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let clock = Arc::new(ManualClock::at(1_800_000_000_000));
        let open = || Journal::open(&path, 16 << 20, clock.clone()).unwrap();
        let journal = open();
        let ask = async |journal: &Journal, name: &str| {
            journal.permit_revocation(name, LIMITS).await.unwrap()
        };
        assert!(is_granted(ask(&journal, "a").await));
        assert!(is_granted(ask(&journal, "b").await));
        assert!(!is_granted(ask(&journal, "c").await));
        let Permission::Granted { again, .. } = ask(&journal, "a").await else {
            panic!("another attempt is free");
        };
        assert!(again);
        drop(journal);
        let journal = open();
        assert!(!is_granted(ask(&journal, "c").await), "restarted");
        clock.advance_ms(-DAY_MS);
        assert!(!is_granted(ask(&journal, "c").await), "set back");
        clock.advance_ms(DAY_MS + HOUR_MS + 1);
        assert!(is_granted(ask(&journal, "c").await), "an hour later");
        assert!(!is_granted(ask(&journal, "d").await), "the day's share");
        assert_eq!(journal.release_revocations(1).await.unwrap().released, 1);
        drop(journal);
        let journal = open();
        assert!(is_granted(ask(&journal, "d").await), "released");
        assert!(!is_granted(ask(&journal, "e").await));
        assert_eq!(journal.brake().await.unwrap().released, 0);
    }
}
