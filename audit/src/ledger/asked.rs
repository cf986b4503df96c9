//! What is asked of the custody key, as far as the ledger counts it.

use super::short::Short;
use crate::event::{KeyUse, Packing, PfxCheck, Purpose, ResultClass};
use crate::text::Hash;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One ciphertext of one importer under one key and padding: SHA-256 over all four; for a sealed key over its whole digest too.
///
/// The importer is part of it, so that nobody can have somebody else's ciphertext quarantined by signing a bad record around it. Of a sealed
/// key all of it is, so that a damaged copy does not have the good one quarantined, whose ciphertext is the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CiphertextId(Hash);

impl CiphertextId {
    /// Enough of it to count distinct ones by.
    pub(super) fn short(&self) -> Short {
        Short::of(&self.0)
    }
}

impl fmt::Display for CiphertextId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for CiphertextId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// In whose name the keys count that an engine sealed and a caller of this user id asks for: no importer's, not that of records that nobody
/// signed, and not that of other callers' keys, so that none can use up what another may fail. Those of whom the user is not known count
/// as one.
#[must_use]
pub fn sealed_keys_of(caller: Option<u32>) -> Hash {
    let parts: [&[u8]; 3] = [
        b"pfx-connector: keys that an engine made and sealed, by caller",
        &[u8::from(caller.is_some())],
        &caller.unwrap_or_default().to_be_bytes(),
    ];
    Hash::of(&parts.concat())
}

/// In whose name all sealed keys counted in snapshots up to version 2. What was counted then still counts.
pub(super) fn sealed_keys() -> Hash {
    Hash::of(b"pfx-connector: keys that an engine made and sealed")
}

/// An importer as uses are counted by: records that nobody signed are one importer's.
pub(super) fn owner_of(importer: Option<Hash>) -> Short {
    Short::of(&importer.unwrap_or(Hash::NONE))
}

/// A use of the custody key that is asked for, or was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Fingerprint of the importer's key; `None` for a record that nobody signed; [`sealed_keys_of`] the caller for a key that an engine
    /// sealed.
    pub importer: Option<Hash>,
    /// User id of the caller, as the kernel says it; what a caller states of itself is not counted by. Those of whom nobody knows it
    /// count as one.
    pub caller: Option<u32>,
    /// Fingerprint of the custody key.
    pub key: Hash,
    /// Name of the padding.
    pub padding: String,
    /// SHA-256 of the ciphertext.
    pub ciphertext: Hash,
    /// Digest of the record, if the password has to open its PFX; `None` where it is not tried.
    pub opens: Option<Hash>,
    /// Digest of the whole sealed key, where it is one.
    pub sealed: Option<Hash>,
    /// SHA-256 of the certificate of the device that the password is for; `None` where it goes to none.
    pub device: Option<Hash>,
}

impl Asked {
    /// What is decrypted.
    #[must_use]
    pub fn id(&self) -> CiphertextId {
        self.id_as(self.importer, self.sealed)
    }

    /// What it was called in snapshots up to version 2, for a sealed key: in the name of all callers, and by its ciphertext alone.
    pub(super) fn id_before(&self) -> Option<CiphertextId> {
        self.sealed?;
        Some(self.id_as(Some(sealed_keys()), None))
    }

    fn id_as(&self, importer: Option<Hash>, sealed: Option<Hash>) -> CiphertextId {
        let kind = match (sealed, importer) {
            (Some(_), _) => 2,
            (None, importer) => u8::from(importer.is_some()),
        };
        // Of fixed lengths but the last, by the first: no two are the same bytes.
        let parts: [&[u8]; 6] = [
            &[kind],
            importer.as_ref().unwrap_or(&Hash::NONE).as_bytes(),
            self.key.as_bytes(),
            self.ciphertext.as_bytes(),
            sealed.as_ref().map_or(&[][..], |sealed| sealed.as_bytes()),
            self.padding.as_bytes(),
        ];
        CiphertextId(Hash::of(&parts.concat()))
    }

    /// Whose it is.
    pub(super) fn owner(&self) -> Short {
        owner_of(self.importer)
    }

    pub(super) fn device(&self) -> Option<Short> {
        self.device.as_ref().map(Short::of)
    }

    pub(super) fn opens(&self) -> Option<Short> {
        self.opens.as_ref().map(Short::of)
    }
}

impl From<&KeyUse> for Asked {
    fn from(used: &KeyUse) -> Self {
        let is_sealed_key = matches!(used.purpose, Purpose::Pack(_));
        Self {
            importer: if is_sealed_key {
                Some(sealed_keys_of(used.caller.uid))
            } else {
                used.importer
            },
            caller: used.caller.uid,
            key: used.key,
            padding: used.padding.clone(),
            ciphertext: used.ciphertext,
            // What is decrypted of a sealed key has to open the rest of it.
            opens: (is_sealed_key || used.pfx_check == Some(PfxCheck::Opened))
                .then_some(used.record),
            sealed: is_sealed_key.then_some(used.record),
            device: match used.purpose {
                Purpose::Device(device) | Purpose::Pack(Packing { device, .. }) => Some(device),
                Purpose::Rotation(_) | Purpose::Verify => None,
            },
        }
    }
}

/// How a use ended, as far as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The token decrypted it, where the password was tried it opened its PFX, and it went where it was for.
    Delivered,
    /// It is the input's fault: the token is known to be well and does not decrypt it, or the password does not open its PFX.
    Bad,
    /// Nothing was given out, and nothing is known of the input.
    Nothing,
}

impl From<ResultClass> for Ended {
    fn from(result: ResultClass) -> Self {
        match result {
            ResultClass::Decrypted => Self::Delivered,
            result if result.is_input_at_fault() => Self::Bad,
            _ => Self::Nothing,
        }
    }
}
