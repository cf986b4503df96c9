//! Keys on a token that sign and do nothing else, for reports that have to be signed. They are no custody keys, and custody keys
//! never sign.

use fips::sign::SignatureAlgorithm;
use serde::{Serialize, Serializer};

use crate::{KeyAttributes, KeyFingerprint, KeyProblem};

/// How a signing key is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SigningKeyName {
    /// By its CKA_LABEL, which has to be the only one of its kind.
    Label(String),
    /// By its fingerprint.
    Fingerprint(KeyFingerprint),
}

impl std::fmt::Display for SigningKeyName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Label(label) => write!(f, "with the label {label:?}"),
            Self::Fingerprint(fingerprint) => write!(f, "{fingerprint}"),
        }
    }
}

/// One private key on a token that is allowed to sign (CKA_SIGN).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SigningKeyInfo {
    /// Names the key.
    pub fingerprint: KeyFingerprint,
    /// CKA_LABEL, with what is not UTF-8 replaced.
    pub label: String,
    /// CKA_ID.
    pub id: Vec<u8>,
    /// What it signs with.
    #[serde(serialize_with = "name")]
    pub algorithm: SignatureAlgorithm,
    /// The public key: DER SubjectPublicKeyInfo with rsaEncryption, or id-ecPublicKey on a named curve.
    pub spki_der: Vec<u8>,
    /// What the token says about the key.
    pub attributes: KeyAttributes,
    /// Why the key is refused for signing. Empty: it can be used. There is no switch that waives any of this.
    pub problems: Vec<KeyProblem>,
}

impl SigningKeyInfo {
    /// True if the key is not refused.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.problems.is_empty()
    }
}

fn name<S: Serializer>(algorithm: &SignatureAlgorithm, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(algorithm.name())
}

/// A signature that a token made, and that [`fips::sign::verify`] has accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSignature {
    /// How the message was signed.
    pub algorithm: SignatureAlgorithm,
    /// The public key: DER SubjectPublicKeyInfo.
    pub spki_der: Vec<u8>,
    /// The signature: DER ECDSA-Sig-Value (RFC 3279, section 2.2.3), or RSASSA-PSS (RFC 8017, section 8.1).
    pub signature: Vec<u8>,
}
