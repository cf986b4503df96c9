//! Keys on a token that agree on secrets (ECDH) and do nothing else. They are no custody keys and sign nothing.

use fips::ec::Curve;

use crate::{KeyAttributes, KeyFingerprint, KeyProblem};

/// One private key on a token that is allowed to derive (CKA_DERIVE), on P-256, P-384 or P-521.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgreementKeyInfo {
    /// Names the key.
    pub fingerprint: KeyFingerprint,
    /// CKA_LABEL, with what is not UTF-8 replaced.
    pub label: String,
    /// CKA_ID.
    pub id: Vec<u8>,
    /// The curve.
    pub curve: Curve,
    /// The public key: DER SubjectPublicKeyInfo with id-ecPublicKey on a named curve (RFC 5480).
    pub spki_der: Vec<u8>,
    /// What the token says about the key.
    pub attributes: KeyAttributes,
    /// Why the key is refused for key agreement. Empty: it can be used. There is no switch that waives any of this.
    pub problems: Vec<KeyProblem>,
}

impl AgreementKeyInfo {
    /// True if the key is not refused.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.problems.is_empty()
    }
}
