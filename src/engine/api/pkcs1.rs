//! Custody keys that decrypt records of old imports, in a report.

use serde::{Deserialize, Serialize};

/// So many days before its last one somebody is warned.
pub const PKCS1_WARN_DAYS: u32 = 30;

/// A custody key that `engine.pkcs1_keys` names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pkcs1KeyStatus {
    /// SHA-256 of the SubjectPublicKeyInfo.
    pub fingerprint: String,
    /// The last day (UTC) on which it decrypts PKCS#1 v1.5.
    pub until: String,
    /// Days after this one; 0 on the last day, null when it is over.
    pub days_left: Option<u32>,
}

impl Pkcs1KeyStatus {
    /// Whether somebody has to act: its last day is near, or over.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.days_left.is_none_or(|days| days <= PKCS1_WARN_DAYS)
    }

    /// How it stands, for people.
    #[must_use]
    pub fn words(&self) -> String {
        let until = &self.until;
        match self.days_left {
            Some(days) => format!(
                "a custody key decrypts PKCS#1 v1.5 until {until} ({days} days left): records with that padding have to be re-encrypted or \
                 imported again before"
            ),
            None => format!(
                "a custody key decrypted PKCS#1 v1.5 until {until}, which is over: records with that padding are refused"
            ),
        }
    }
}
