//! What the engine says of budgets and quarantine, and how an operator lifts them.

use super::ApprovalFile;
use audit::ledger::{Limits, Quarantined, Release, Standing};
use serde::{Deserialize, Serialize};

/// What an operator asks of the ledger. Only the engine's own user may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "camelCase", deny_unknown_fields)]
pub enum OracleRequest {
    /// What is quarantined and who is suspended.
    Show,
    /// Let somebody or something go. It is an entry of the audit log, with the user who asked.
    Release {
        /// Whom or what.
        release: Release,
        /// Who approved it, where approvals are required.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        approvals: Vec<ApprovalFile>,
    },
}

/// A ciphertext in quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct QuarantinedCiphertext {
    /// SHA-256 of the ciphertext, lower-case hexadecimal: by this it is released.
    pub ciphertext: String,
    /// Fingerprint of its importer's key; null for a record that nobody signed.
    pub importer: Option<String>,
    /// When it failed (RFC 3339).
    pub since: String,
}

impl From<&Quarantined> for QuarantinedCiphertext {
    fn from(quarantined: &Quarantined) -> Self {
        Self {
            ciphertext: quarantined.ciphertext.to_string(),
            importer: quarantined.importer.map(|importer| importer.to_string()),
            since: crate::clock::rfc3339(quarantined.since_ms),
        }
    }
}

/// How an importer or a caller stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SubjectStatus {
    /// The importer's fingerprint, or the caller's user id; null: records that nobody signed, or callers of whom it is not known.
    pub id: Option<String>,
    /// The importer's name in the configuration; null for callers, and for an importer that is not in it any more.
    pub name: Option<String>,
    /// Distinct failing ciphertexts within the last hour.
    pub failures_hour: u32,
    /// Distinct failing ciphertexts within the last day.
    pub failures_day: u32,
    /// Until when it is suspended (RFC 3339); null while it is not.
    pub suspended_until: Option<String>,
}

impl SubjectStatus {
    /// With the name that the configuration has for it.
    #[must_use]
    pub fn of(standing: Standing, name: Option<String>) -> Self {
        Self {
            id: standing.name,
            name,
            failures_hour: standing.failures_hour,
            failures_day: standing.failures_day,
            suspended_until: standing.suspended_until_ms.map(crate::clock::rfc3339),
        }
    }
}

/// Budgets and quarantine in a status.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OracleStatus {
    /// Distinct failing ciphertexts of one importer within an hour before it is suspended.
    pub importer_failures_per_hour: u32,
    /// The same within a day.
    pub importer_failures_per_day: u32,
    /// Distinct failing ciphertexts of one caller within an hour before it is suspended.
    pub caller_failures_per_hour: u32,
    /// Decryptions of one ciphertext in a day.
    pub uses_per_ciphertext: u32,
    /// Devices for one ciphertext in a day.
    pub devices_per_ciphertext: u32,
    /// The grid that failing answers leave on, in milliseconds.
    pub grid_ms: u64,
    /// Answers that were not there for the first multiple of the grid, since custody started: many of them say that it is too short.
    pub late_answers: u64,
    /// Importers with failures within a day.
    pub importers: Vec<SubjectStatus>,
    /// Callers with failures within a day.
    pub callers: Vec<SubjectStatus>,
    /// Ciphertexts in quarantine.
    pub quarantined: u64,
    /// Requests refused without a use of the key, since custody started.
    pub refused: u64,
    /// Alarms raised since custody started.
    pub alarms: u64,
}

impl OracleStatus {
    /// With these limits and nothing in it.
    #[must_use]
    pub fn under(limits: &Limits, grid_ms: u64) -> Self {
        Self {
            importer_failures_per_hour: limits.importer_per_hour,
            importer_failures_per_day: limits.importer_per_day,
            caller_failures_per_hour: limits.caller_per_hour,
            uses_per_ciphertext: limits.uses_per_ciphertext,
            devices_per_ciphertext: limits.devices_per_ciphertext,
            grid_ms,
            ..Self::default()
        }
    }
}

/// The answer to an [`OracleRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OracleReport {
    /// Budgets and how everybody stands.
    pub status: OracleStatus,
    /// What is quarantined.
    pub quarantine: Vec<QuarantinedCiphertext>,
}
