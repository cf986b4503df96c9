//! A connector's own key on the token: what it is asked to sign, and what comes back.

use crate::encoding::Base64Bytes;
use serde::{Deserialize, Serialize};

/// Sign the client's CertificateVerify of a TLS 1.3 handshake (RFC 8446, section 4.4.3), and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignTlsRequest {
    /// Name of the request, for logs and receipts.
    pub request_id: String,
    /// The key's name in `[[engine.client_keys]]`.
    pub key: String,
    /// What the signature covers: 64 octets 0x20, `TLS 1.3, client CertificateVerify`, an octet 0x00, and the transcript's hash of 32 or 48
    /// octets. Anything else is refused.
    pub content: Base64Bytes,
}

/// A signature of a handshake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignedTls {
    /// The signature as TLS carries it: ECDSA in DER, RSASSA-PSS as it is.
    pub signature: Base64Bytes,
    /// The key (DER SubjectPublicKeyInfo).
    pub public_key: Base64Bytes,
}

/// Make and sign a certification request for the key itself. Its subject is the configuration's, whoever asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignClientCsrRequest {
    /// Name of the request, for logs and receipts.
    pub request_id: String,
    /// The key's name in `[[engine.client_keys]]`.
    pub key: String,
}

/// A certification request that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignedClientCsr {
    /// The request (PKCS#10, DER).
    pub csr: Base64Bytes,
    /// The key (DER SubjectPublicKeyInfo).
    pub public_key: Base64Bytes,
    /// The common name in its subject.
    pub common_name: String,
}
