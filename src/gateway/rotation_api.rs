//! The messages of the paths for rotation (`/rotation/v1/...`): a custody key's records are read as they are stored, re-encrypted by an engine
//! to another custody key, and replaced if nobody has changed them meanwhile.

use crate::encoding::Base64Bytes;
use crate::record::Record;
use serde::{Deserialize, Serialize};

/// One page of the records that name a custody key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RotationPage {
    /// Ids, in their order.
    pub ids: Vec<String>,
    /// How many records name the key now, those of other pages included.
    pub records: u64,
    /// Whether there are further ones after the last id.
    pub more: bool,
}

/// A record as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RotationRecord {
    /// SHA-256 over everything that the importer signed and the signature, hexadecimal.
    pub revision: String,
    /// What the importer encrypted and signed.
    pub record: Record,
    /// The PFX.
    pub pfx: Base64Bytes,
}

/// What is to take the place of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RotationReplacement {
    /// The revision that was read.
    pub revision: String,
    /// The record for another custody key; user, thumbprint and provider are the same.
    pub record: Record,
}
