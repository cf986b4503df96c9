//! A use of a connector's own key: what it signed as a client.

use super::key_use::Caller;
use crate::text::Hash;
use serde::{Deserialize, Serialize};

/// What was signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ClientAct {
    /// The client's CertificateVerify of a TLS 1.3 handshake (RFC 8446, section 4.4.3).
    #[serde(rename_all = "camelCase")]
    Handshake {
        /// The handshake's transcript hash, 32 or 48 octets as the cipher suite has it, in lower-case hexadecimal.
        transcript: String,
    },
    /// A certification request for the key itself.
    #[serde(rename_all = "camelCase")]
    Request {
        /// Its subject's common name.
        common_name: String,
        /// SHA-256 of the request (DER).
        csr: Hash,
    },
}

/// One use of a connector's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientKeyUse {
    /// The request's id.
    pub request: String,
    /// Who asked.
    pub caller: Caller,
    /// The key's name in the configuration.
    pub name: String,
    /// Fingerprint of the key: SHA-256 of its SubjectPublicKeyInfo.
    pub key: Hash,
    /// What it signed.
    pub signed: ClientAct,
    /// Digest of the policy in force.
    pub policy: Hash,
}
