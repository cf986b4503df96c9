//! A private key that was made for a certificate, and sealed to the custody key.

use super::key_use::Caller;
use crate::text::Hash;
use serde::{Deserialize, Serialize};

/// One key. No use of the custody key's private half: the seal is made with its public half.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyMade {
    /// The request's id: the key can be packed for it alone.
    pub request: String,
    /// Who asked.
    pub caller: Caller,
    /// Whom the certificate is for, as the caller says.
    pub user: String,
    /// Which kind of key, such as `rsa3072` or `ecP256`.
    pub kind: String,
    /// SHA-256 of the certification request (DER).
    pub csr: Hash,
    /// SHA-256 of the public key that was made (DER SubjectPublicKeyInfo).
    pub public_key: Hash,
    /// SHA-256 of the sealed key as it was given out: `record` of the pack that opens it.
    pub sealed: Hash,
    /// Fingerprint of the custody key that it is sealed to.
    pub key: Hash,
    /// Digest of the policy in force.
    pub policy: Hash,
}
