//! What is asked of the custody key, as far as the ledger counts it.

use super::short::Short;
use crate::event::{KeyUse, Packing, PfxCheck, Purpose, ResultClass};
use crate::text::Hash;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One ciphertext of one importer under one key and padding: SHA-256 over all four.
///
/// The importer is part of it, so that nobody can have somebody else's ciphertext quarantined by signing a bad record around it.
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

/// In whose name keys count that an engine sealed: no importer's, and not that of records that nobody signed, so that neither can use up
/// what the other may fail.
#[must_use]
pub fn sealed_keys() -> Hash {
    Hash::of(b"pfx-connector: keys that an engine made and sealed")
}

/// A use of the custody key that is asked for, or was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Fingerprint of the importer's key; `None` for a record that nobody signed; [`sealed_keys`] for a key that an engine sealed.
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
    /// SHA-256 of the certificate of the device that the password is for; `None` where it goes to none.
    pub device: Option<Hash>,
}

impl Asked {
    /// What is decrypted.
    #[must_use]
    pub fn id(&self) -> CiphertextId {
        // Of fixed lengths but the last: no two are the same bytes.
        let parts: [&[u8]; 5] = [
            &[u8::from(self.importer.is_some())],
            self.importer.as_ref().unwrap_or(&Hash::NONE).as_bytes(),
            self.key.as_bytes(),
            self.ciphertext.as_bytes(),
            self.padding.as_bytes(),
        ];
        CiphertextId(Hash::of(&parts.concat()))
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
            importer: is_sealed_key.then(sealed_keys).or(used.importer),
            caller: used.caller.uid,
            key: used.key,
            padding: used.padding.clone(),
            ciphertext: used.ciphertext,
            // What is decrypted of a sealed key has to open the rest of it.
            opens: (is_sealed_key || used.pfx_check == Some(PfxCheck::Opened))
                .then_some(used.record),
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
