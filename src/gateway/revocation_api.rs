//! The messages of revocation: the device management or an administrator asks, a connector has the authority revoke.
//!
//! | who | method and path | body -> answer |
//! |---|---|---|
//! | MDM, administrator | `POST /mdm/v1/revocations` | [`RevocationRequest`] -> [`RevocationsAccepted`], 202 |
//! | | `GET /mdm/v1/revocations[?deviceId=...&state=...]`, `GET .../{id}` | -> [`RevocationStatus`]es, one |
//! | MDM | `POST /mdm/v1/devices/{id}/retire` | -> [`RevocationsAccepted`], 202 |
//! | administrator | `POST /admin/v1/revocations/{id}/release`, `.../drop` | 204 |
//! | connector | `POST /connector/v1/revocations/lease` | [`RevocationLeaseRequest`] -> [`RevocationLeaseResponse`] |
//!
//! `extend`, `complete` and `fail` are those of every other request. Only a connector that names the feature [`FEATURE`] is given this work,
//! and of that only what was issued under a name that it has an authority for.

use super::api::{ConnectorIdentity, FailureReport};
use crate::encoding::Base64Bytes;
use ca::RevocationReason;
use serde::{Deserialize, Serialize};

/// The feature of connectors that revoke.
pub const FEATURE: &str = "revocation";
/// Certificates of one call at most.
pub const MAX_AT_ONCE: usize = 1_000;
/// Issuers that one connector names at most.
pub const MAX_ISSUERS: usize = 64;
/// Code of a revocation that the connector's own brake stopped.
pub const BRAKED: &str = "revocationBraked";

/// Why a certificate is revoked: CRLReason of RFC 5280 (section 5.3.1) by its name. `removeFromCRL` is not among them: who takes a hold
/// back makes a certificate valid again, and does that at the authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// No reason is given.
    Unspecified,
    /// The private key may be in other hands.
    KeyCompromise,
    /// The authority's key may be in other hands.
    #[serde(rename = "cACompromise")]
    CaCompromise,
    /// What the certificate says of its holder has changed.
    AffiliationChanged,
    /// Another certificate has taken its place.
    Superseded,
    /// It is needed no longer.
    CessationOfOperation,
    /// For the time being.
    CertificateHold,
    /// Its holder has lost the right to it.
    PrivilegeWithdrawn,
    /// The attribute authority's key may be in other hands.
    #[serde(rename = "aACompromise")]
    AaCompromise,
}

impl Reason {
    /// Every one of them.
    pub const ALL: [Self; 9] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::CaCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
        Self::CertificateHold,
        Self::PrivilegeWithdrawn,
        Self::AaCompromise,
    ];

    /// The same for an authority.
    #[must_use]
    pub const fn of_ca(self) -> RevocationReason {
        match self {
            Self::Unspecified => RevocationReason::Unspecified,
            Self::KeyCompromise => RevocationReason::KeyCompromise,
            Self::CaCompromise => RevocationReason::CaCompromise,
            Self::AffiliationChanged => RevocationReason::AffiliationChanged,
            Self::Superseded => RevocationReason::Superseded,
            Self::CessationOfOperation => RevocationReason::CessationOfOperation,
            Self::CertificateHold => RevocationReason::CertificateHold,
            Self::PrivilegeWithdrawn => RevocationReason::PrivilegeWithdrawn,
            Self::AaCompromise => RevocationReason::AaCompromise,
        }
    }

    /// Its name in messages, which is that of RFC 5280.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.of_ca().name()
    }

    /// The reason of a number of RFC 5280.
    #[must_use]
    pub fn of_code(code: u8) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|reason| reason.of_ca().code() == code)
    }
}

/// One certificate, named in one of three ways: by issuer and serial number, by the request that issued it, or by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CertificateName {
    /// The issuer's Name (DER), as in the certificate; together with `serialNumber`.
    #[serde(default, skip_serializing_if = "Base64Bytes::is_empty")]
    pub issuer: Base64Bytes,
    /// The serial number, hexadecimal; together with `issuer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial_number: Option<String>,
    /// The PKCS request that it was issued for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The certificate (DER).
    #[serde(default, skip_serializing_if = "Base64Bytes::is_empty")]
    pub certificate: Base64Bytes,
}

/// Certificates are to be revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RevocationRequest {
    /// Which: 1 to 1,000. All of them are taken or none.
    pub certificates: Vec<CertificateName>,
    /// Why.
    pub reason: Reason,
    /// Repeating a call with the same key answers the same revocations instead of queueing new ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

/// What they became, in the order of the question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RevocationsAccepted {
    /// One for each certificate.
    pub revocations: Vec<AcceptedRevocation>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AcceptedRevocation {
    /// Name of the request.
    pub request_id: String,
    /// Where it stands.
    pub state: RevocationState,
    /// The serial number, hexadecimal.
    pub serial_number: String,
    /// It had been asked for before, and has not failed: this is that request.
    pub duplicate: bool,
}

/// States of a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RevocationState {
    /// Waits for a connector.
    Queued,
    /// The brake against mass revocation holds it, until an administrator releases or drops it.
    Held,
    /// A connector has it.
    Leased,
    /// The certificate is revoked.
    Completed,
    /// Final failure, or dropped.
    Failed,
}

impl RevocationState {
    /// Every one of them.
    pub const ALL: [Self; 5] = [
        Self::Queued,
        Self::Held,
        Self::Leased,
        Self::Completed,
        Self::Failed,
    ];

    /// Its name in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Held => "held",
            Self::Leased => "leased",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    /// The state of a name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// How a certificate came to be revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RevocationResult {
    /// By this request.
    Now,
    /// It was before.
    Already,
}

impl RevocationResult {
    /// Its name in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::Already => "already",
        }
    }

    /// The result of a name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        [Self::Now, Self::Already]
            .into_iter()
            .find(|result| result.name() == name)
    }
}

/// Where a revocation stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RevocationStatus {
    /// Name of the request.
    pub request_id: String,
    /// Where it stands.
    pub state: RevocationState,
    /// The issuer (RFC 4514).
    pub issuer: String,
    /// The serial number, hexadecimal.
    pub serial_number: String,
    /// Why.
    pub reason: Reason,
    /// The MDM's name of the device, where it is a device's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    /// How it came to be revoked, once it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<RevocationResult>,
    /// Why it failed, when it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureReport>,
    /// Why the last attempt came to nothing, while there will be another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<FailureReport>,
    /// How often it was leased; waiting for an authority or for the connector's brake is not counted.
    pub attempts: u32,
    /// When it was asked for (RFC 3339).
    pub created_date_time: String,
    /// When it was settled (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_date_time: Option<String>,
}

/// Ask for revocations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RevocationLeaseRequest {
    /// Who asks.
    pub connector: ConnectorIdentity,
    /// How many at most (1 to 256).
    pub max: u32,
    /// How long the gateway may hold the answer back while there is no work, in milliseconds (60,000 at most).
    pub wait_ms: u64,
    /// SHA-256 of the Names (DER) of the issuers that it has authorities for, hexadecimal: 1 to 64.
    pub issuers: Vec<String>,
}

/// Revocations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RevocationLeaseResponse {
    /// The leased requests; empty when there is none.
    pub work: Vec<RevocationWorkItem>,
}

/// One leased revocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RevocationWorkItem {
    /// Name of the request.
    pub request_id: String,
    /// Grows with every lease of this request; an answer must carry the current one.
    pub fence: u64,
    /// How often it was leased, this time included.
    pub attempt: u32,
    /// How long the lease lasts, in milliseconds, from the moment of the answer.
    pub lease_ms: u64,
    /// The issuer's Name (DER).
    pub issuer: Base64Bytes,
    /// The serial number, hexadecimal: the content octets of its INTEGER.
    pub serial_number: String,
    /// Why.
    pub reason: Reason,
    /// The authority by its name in the connectors' configuration, where the gateway knows it: among several of one name it decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// The certificate (DER), where the gateway knows it.
    #[serde(default, skip_serializing_if = "Base64Bytes::is_empty")]
    pub certificate: Base64Bytes,
    /// The MDM's name of the device, where it is a device's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
}
