//! A use of a certification authority's key: who asked, what was signed, under which policy.

use super::key_use::Caller;
use crate::text::Hash;
use serde::{Deserialize, Serialize};

/// What was signed with an authority's key, or with that of its OCSP responder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CaAct {
    /// A certificate for a request.
    #[serde(rename_all = "camelCase")]
    Certificate {
        /// The profile.
        profile: String,
        /// SHA-256 of the request (DER).
        csr: Hash,
        /// The serial number: the content of its INTEGER, lower-case hexadecimal.
        serial: String,
        /// The certificate (DER) in base64: so that the same order gets the same one again, and nothing is issued that the log does not show.
        certificate: String,
    },
    /// The certificate of the authority's OCSP responder.
    #[serde(rename_all = "camelCase")]
    Responder {
        /// The serial number, as above.
        serial: String,
        /// SHA-256 of the certificate (DER).
        certificate: Hash,
    },
    /// A revocation list.
    #[serde(rename_all = "camelCase")]
    List {
        /// Its number.
        number: u64,
        /// The number of the full list that it goes with; none: it is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        base: Option<u64>,
        /// How many certificates it names.
        entries: u64,
        /// SHA-256 of the list (DER).
        list: Hash,
    },
    /// An OCSP answer, by the responder's key.
    #[serde(rename_all = "camelCase")]
    Status {
        /// How many certificates it is about.
        certificates: u64,
        /// SHA-256 of the answer (DER).
        answer: Hash,
    },
}

/// One use of an authority's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CaUse {
    /// The order's or request's id.
    pub request: String,
    /// Who asked.
    pub caller: Caller,
    /// The authority's name in the configuration.
    pub ca: String,
    /// Fingerprint of the key that signed: SHA-256 of its SubjectPublicKeyInfo.
    pub key: Hash,
    /// What was signed.
    pub signed: CaAct,
    /// Digest of the policy in force.
    pub policy: Hash,
}
