//! What the log says of itself: its files, its starts and ends, its seals.

use crate::approval::{PolicyText, Quorum};
use crate::text::Hash;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The first line of a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Begin {
    /// The log's own name: 32 random hexadecimal digits, the same in each of its files.
    pub log: String,
    /// Number of the file; its name is this with eight digits, and `.receipts`.
    pub file: u64,
    /// The last `opened` before this line: what is in force; none at the very beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened: Option<Opened>,
    /// What was made of all entries before this line, by the name of the [`Fold`](crate::Fold): a start reads the newest file only.
    pub state: BTreeMap<String, serde_json::Value>,
}

/// Custody started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Opened {
    /// Version of the program.
    pub program: String,
    /// Digest of the policy in force.
    pub policy: Option<Hash>,
    /// The policy itself, so that a later change of it can be read.
    #[serde(default)]
    pub rules: PolicyText,
    /// Who has to approve what is dangerous, with their public keys; none: nobody. A change of policy is held against this, and not against the
    /// configuration, which would be the change itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approvals: Option<Quorum>,
}

/// Uses of a key for known ciphertexts, since the line of this kind before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Canary {
    /// The token's name.
    pub token: String,
    /// Fingerprint of the key.
    pub key: Hash,
    /// How many decrypted to what they should.
    pub worked: u64,
    /// How many did not.
    pub failed: u64,
}

/// The audit key's signature over the chain up to an entry, and with it over everything before. [`crate::seal`] says over which bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seal {
    /// Number of the entry.
    pub upto: u64,
    /// Hash of its line.
    pub head: Hash,
    /// Fingerprint of the audit key: SHA-256 of its SubjectPublicKeyInfo.
    pub key: Hash,
    /// ECDSA-Sig-Value (DER) in base64.
    pub signature: String,
}

/// What was cut off or could not be written in its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recovered {
    /// Why, in words.
    pub why: String,
    /// Bytes cut off the end: an unfinished write. Nothing that was answered for is in them.
    pub cut_bytes: u64,
    /// SHA-256 of those bytes; none where there were none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<Hash>,
    /// Entries that follow this one although they happened before it: they could not be written then, and nothing left the engine for them.
    pub late: u64,
}

/// Custody ended in an orderly way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Closed {
    /// Why, in words.
    pub why: String,
}
