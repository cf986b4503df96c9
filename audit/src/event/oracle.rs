//! What was refused, what raised an alarm, and what an operator allowed.

use super::key_use::Caller;
use crate::ledger::Release;
use crate::text::Hash;
use serde::{Deserialize, Serialize};

/// Requests that were refused without a use of the key; those of one kind in a short time are one entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refused {
    /// Why, by its stable name, such as `quarantined` or `importerBudget`.
    pub why: String,
    /// Who asked.
    pub caller: Caller,
    /// Whose record it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub importer: Option<Hash>,
    /// SHA-256 of the ciphertext of the first of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ciphertext: Option<Hash>,
    /// Id of the first of them.
    pub request: String,
    /// How many they are.
    pub count: u64,
}

/// Something that an operator should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alarm {
    /// What, by its stable name, such as `importerSuspended`.
    pub what: String,
    /// Whose records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub importer: Option<Hash>,
    /// Whose requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<Caller>,
    /// Which ciphertext.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ciphertext: Option<Hash>,
    /// The same in words.
    pub detail: String,
}

/// An operator lifted a quarantine or a suspension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Released {
    /// Which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Release>,
    /// The user id that asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
}

/// An approval that was used; its nonce never works again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Approved {
    /// What was approved, by the verb's name.
    pub verb: String,
    /// Digest of what exactly.
    pub subject: Hash,
    /// Nonces of the approvals.
    pub nonces: Vec<String>,
    /// Fingerprints of those who approved.
    pub approvers: Vec<Hash>,
    /// When the last of the approvals would have expired (milliseconds since 1970): afterwards the nonces need not be remembered.
    pub expires_ms: i64,
}
