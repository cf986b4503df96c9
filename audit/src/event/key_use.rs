//! A use of the custody key: who asked, for what, under which policy, and what came of it.

use crate::text::Hash;
use serde::{Deserialize, Serialize};

/// Who asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Caller {
    /// The user id that the kernel saw at the other end of the engine's socket (SO_PEERCRED); none where the supervisor did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// SHA-256 of the certificate (DER) by which the connector is known to the gateway, as the connector states it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connector: Option<Hash>,
}

/// What the password was for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Purpose {
    /// A device: SHA-256 of its certificate (DER).
    Device(Hash),
    /// Re-encryption of the record to another custody key: that key's fingerprint.
    Rotation(Hash),
    /// A look whether the key decrypts what it should: the password went nowhere.
    Verify,
    /// A key that the engine had sealed was put into a PFX with its certificate.
    Pack(Packing),
}

/// What a sealed key was opened for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Packing {
    /// SHA-256 of the device's certificate (DER).
    pub device: Hash,
    /// SHA-256 of the issued certificate (DER).
    pub certificate: Hash,
}

/// What came of it. Told here exactly; the caller gets one failure for all that goes wrong in a decryption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum ResultClass {
    /// The password was decrypted and given on as the request says.
    Decrypted,
    /// The ciphertext is not one of this key: proven by another decryption that worked.
    BadCiphertext,
    /// It was decrypted to something that does not open the PFX.
    PasswordRefused,
    /// It was decrypted, and the PFX refused for another reason.
    PfxRefused,
    /// The token failed.
    TokenFailed,
    /// The time was over before the token answered: it may have decrypted, and nobody got the result.
    NoAnswer,
    /// It was decrypted, and the result thrown away: for `reason`.
    ThrownAway,
}

impl ResultClass {
    /// Its name in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Decrypted => "decrypted",
            Self::BadCiphertext => "badCiphertext",
            Self::PasswordRefused => "passwordRefused",
            Self::PfxRefused => "pfxRefused",
            Self::TokenFailed => "tokenFailed",
            Self::NoAnswer => "noAnswer",
            Self::ThrownAway => "thrownAway",
        }
    }

    /// Whether the request's input was at fault: what counts against its importer.
    #[must_use]
    pub const fn is_input_at_fault(self) -> bool {
        matches!(self, Self::BadCiphertext | Self::PasswordRefused)
    }
}

/// Whether the password was held against its PFX before anything was given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PfxCheck {
    /// It had to open it.
    Opened,
    /// The FIPS policy does not let its integrity be checked: the password was given out unchecked, as configured.
    SkippedNotApproved,
    /// It has no integrity check: the password was given out unchecked, as configured.
    SkippedNoMac,
}

/// One use of the custody key, or one answer that was made of another one's use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyUse {
    /// The request's id.
    pub request: String,
    /// Who asked.
    pub caller: Caller,
    /// SHA-256 of the importer's public key whose signature the record has; none for records without a signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub importer: Option<Hash>,
    /// The record's user; for a pack whom the certificate is for, as the caller says.
    pub user: String,
    /// SHA-256 of what the importer signed: user, thumbprint, PFX, ciphertext, padding and key of the record. For a pack, of the sealed key.
    pub record: Hash,
    /// Fingerprint of the custody key: SHA-256 of its SubjectPublicKeyInfo.
    pub key: Hash,
    /// How the password was encrypted, such as `oaepSha512`.
    pub padding: String,
    /// SHA-256 of the ciphertext.
    pub ciphertext: Hash,
    /// What it was for.
    #[serde(rename = "for")]
    pub purpose: Purpose,
    /// The delivery that was asked for, such as `password`.
    pub delivery: String,
    /// Whether the password had to open the PFX; none where that is not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pfx_check: Option<PfxCheck>,
    /// Digest of the policy in force.
    pub policy: Hash,
    /// What came of it.
    pub result: ResultClass,
    /// The reason of a failure, by its stable name; none where it worked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
