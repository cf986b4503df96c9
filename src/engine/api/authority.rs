//! What is asked of the certification authorities whose keys are on the token. The engine builds what it signs itself, from a profile, its
//! own serial numbers and its own clock.

use crate::encoding::Base64Bytes;
use serde::{Deserialize, Serialize};

/// Issue a certificate for a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IssueRequest {
    /// Id of the order, 16 to 64 characters of `[0-9A-Za-z-]`: the same order gets the same certificate again.
    pub request_id: String,
    /// The authority's name.
    pub ca: String,
    /// The profile's name.
    pub profile: String,
    /// The request (PKCS#10, DER).
    pub csr: Base64Bytes,
}

/// A certificate that was issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IssuedCertificate {
    /// The certificate (DER).
    pub certificate: Base64Bytes,
    /// The certificates of the authority (DER), the issuing one first.
    pub chain: Vec<Base64Bytes>,
}

/// A certificate that is revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RevokedSerial {
    /// Content of the serial number's INTEGER.
    pub serial: Base64Bytes,
    /// Since when (milliseconds since 1970).
    pub at_ms: i64,
    /// CRLReason.
    pub reason: u8,
}

/// Sign a revocation list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignCrlRequest {
    /// Name of the request, for logs and receipts.
    pub request_id: String,
    /// The authority's name.
    pub ca: String,
    /// Number of the list: higher than that of every one before.
    pub number: u64,
    /// For a delta: the number of the full list that it goes with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<u64>,
    /// What it says.
    pub entries: Vec<RevokedSerial>,
}

/// A list that was signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignedCrl {
    /// The list (DER).
    pub crl: Base64Bytes,
    /// When it was made (milliseconds since 1970).
    pub this_update_ms: i64,
    /// When the next one has to be there.
    pub next_update_ms: i64,
}

/// What is known of a certificate that an OCSP client asks about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SerialStatus {
    /// Content of the serial number's INTEGER.
    pub serial: Base64Bytes,
    /// The hash by which the client names the authority is SHA-256; else SHA-1.
    pub by_sha256: bool,
    /// The status.
    pub state: SerialState,
}

/// The status of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "camelCase")]
pub enum SerialState {
    /// It was issued here and is not revoked.
    Good,
    /// It is revoked.
    #[serde(rename_all = "camelCase")]
    Revoked {
        /// Since when (milliseconds since 1970).
        at_ms: i64,
        /// CRLReason.
        reason: u8,
    },
    /// It was not issued here.
    Unknown,
}

/// Sign an OCSP answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignOcspRequest {
    /// Name of the request, for logs and receipts.
    pub request_id: String,
    /// The authority's name.
    pub ca: String,
    /// What is asked about, and known of it.
    pub statuses: Vec<SerialStatus>,
    /// The client's nonce.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<Base64Bytes>,
}

/// An OCSP answer that was signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignedOcsp {
    /// The OCSPResponse (DER).
    pub response: Base64Bytes,
    /// Until when it holds (milliseconds since 1970).
    pub next_update_ms: i64,
}

/// A certification authority in a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthorityStatus {
    /// Its name.
    pub name: String,
    /// Its subject (RFC 4514).
    pub subject: String,
    /// The end of its certificate's validity (milliseconds since 1970).
    pub not_after_ms: i64,
    /// Names of its profiles.
    pub profiles: Vec<String>,
    /// It has deltas of its list.
    pub deltas: bool,
    /// Number of the last revocation list that it signed, as the log shows.
    pub last_crl: Option<u64>,
    /// The end of the validity of its OCSP responder's certificate; null while it has none.
    pub responder_not_after_ms: Option<i64>,
}
