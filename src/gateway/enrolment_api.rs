//! The messages by which connectors get their certificates (docs/identity.md).
//!
//! | who | method and path | body -> answer |
//! |---|---|---|
//! | a connector to be (bearer: a one-time token of the role `enrolment`) | `POST /enrolment/v1/connectors` | [`EnrolRequest`] -> [`Enrolled`] |
//! | connector (mutual TLS) | `POST /connector/v1/renew` | [`RenewRequest`] -> [`Enrolled`] |

use super::api::ConnectorIdentity;
use crate::encoding::Base64Bytes;
use serde::{Deserialize, Serialize};

/// The first certificate of a connector. Sent again with the same token it has to be the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnrolRequest {
    /// Version of the protocol.
    pub protocol: u16,
    /// The instance: the one that the token is for, and the only common name of the request.
    pub instance: String,
    /// The request (PKCS#10, DER).
    pub csr: Base64Bytes,
}

/// The next certificate of a connector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RenewRequest {
    /// Who asks.
    pub connector: ConnectorIdentity,
    /// The request (PKCS#10, DER); its only common name is the instance.
    pub csr: Base64Bytes,
}

/// A connector's certificate, or when to ask for it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Enrolled {
    /// The certificate (DER); absent while the authority has not decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Base64Bytes>,
    /// Those above it (DER), its issuer first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<Base64Bytes>,
    /// While there is none: after how many milliseconds to send the same again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask_again_ms: Option<u64>,
}
