//! The messages of PKCS requests: a device needs a certificate, a connector makes the key and has an authority issue it.
//!
//! | who | method and path | body -> answer |
//! |---|---|---|
//! | administrator | `POST /admin/v1/pkcsProfiles` | [`PkcsProfileEntry`] -> the same, 201 |
//! | | `GET /admin/v1/pkcsProfiles`, `GET`, `POST`, `DELETE .../{id}` | -> list, one; replaces it; ends it |
//! | | `POST /admin/v1/pkcsCertificates/{id}/resume` | 204: one that was on hold is renewed again |
//! | MDM | `POST /mdm/v1/pkcsRequests` | [`PkcsRequest`] -> [`PkcsRequestAccepted`], 202; then `/mdm/v1/requests/{id}` and `.../collect` |
//! | | `POST /mdm/v1/devices/{id}/update` | [`DeviceUpdate`] -> [`DeviceUpdated`] |
//! | | `GET /mdm/v1/pkcsCertificates?deviceId=...` | -> [`PkcsCertificate`]s, and which requests renew them |
//! | connector | `POST /connector/v1/pkcs/lease` | [`PkcsLeaseRequest`] -> [`PkcsLeaseResponse`] |
//! | | `POST /connector/v1/requests/{id}/progress` | [`Progress`] -> [`Settled`](super::api::Settled) |
//!
//! `extend`, `complete` and `fail` are those of every other request. Only a connector that names the feature [`FEATURE`] is given this work,
//! and of that only what an authority of its is to issue.

use super::api::ConnectorIdentity;
use super::profiles_api::{ProfileEntry, StoredProfile};
use crate::encoding::Base64Bytes;
use crate::engine::api::keys::{AltName, KeyType, KeyUsage};
use crate::engine::api::{CmsFormat, Delivery, DeviceTarget};
use serde::{Deserialize, Serialize};

/// The feature of connectors that take PKCS requests.
pub const FEATURE: &str = "pkcs";

/// Authorities that one connector names at most.
pub const MAX_AUTHORITIES: usize = 256;

/// Whether it may be the name of a profile, or that of an authority in one: it stands in paths and in policies.
#[must_use]
pub fn is_plain_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && !name.starts_with('.')
}

/// What devices may get of an issued certificate.
pub const DELIVERIES: [Delivery; 2] = [Delivery::Rewrap, Delivery::AppleProfile];

/// The kind of a subject alternative name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AltNameKind {
    /// rfc822Name.
    Email,
    /// otherName with a Microsoft user principal name.
    Upn,
    /// dNSName.
    Dns,
    /// uniformResourceIdentifier.
    Uri,
}

impl AltNameKind {
    /// Every one of them.
    pub const ALL: [Self; 4] = [Self::Email, Self::Upn, Self::Dns, Self::Uri];

    /// Its name in messages and in policies.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Upn => "upn",
            Self::Dns => "dns",
            Self::Uri => "uri",
        }
    }

    /// A name of this kind.
    #[must_use]
    pub fn with(self, value: String) -> AltName {
        match self {
            Self::Email => AltName::Email(value),
            Self::Upn => AltName::Upn(value),
            Self::Dns => AltName::Dns(value),
            Self::Uri => AltName::Uri(value),
        }
    }
}

/// A subject alternative name of a profile: text with variables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AltNameTemplate {
    /// Its kind.
    pub kind: AltNameKind,
    /// Its text, with variables such as `{{EmailAddress}}`.
    pub value: String,
}

/// Whose certificate it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CertificateType {
    /// A user's.
    User,
    /// A device's: variables of users stand for nothing in it.
    Device,
}

/// What certificates of one kind look like, on one platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PkcsProfile {
    /// What the devices run: the name of a [`Platform`](crate::engine::api::keys::Platform).
    pub platform: String,
    /// Whose certificates they are.
    pub certificate_type: CertificateType,
    /// The authority, by its name in the connectors' configuration.
    pub ca: String,
    /// The authority's own profile or template, where it has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_profile: Option<String>,
    /// The key.
    pub key: KeyType,
    /// The subject, such as `CN={{UserName}},O="Muster, Inc."`.
    pub subject: String,
    /// The names beside it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alt_names: Vec<AltNameTemplate>,
    /// What the key is for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub key_usage: Vec<KeyUsage>,
    /// What the certificate is for: dotted object identifiers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extended_key_usage: Vec<String>,
    /// The name of a template of a Microsoft CA, to be named in the CSR.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub microsoft_template: Option<String>,
    /// The security identifier for Microsoft's strong mapping, such as `{{OnPremisesSecurityIdentifier}}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_identifier: Option<String>,
    /// The longest validity that a certificate may have, in days. A CSR cannot ask for one: the authority decides, and a longer one is refused.
    pub validity_days: u32,
    /// It is asked for again when less than this part of its life is left, in per cent; 0: never.
    #[serde(default = "default_renewal_percent")]
    pub renewal_percent: u32,
    /// How PFX and password are encrypted to the devices.
    pub format: CmsFormat,
    /// What the devices get: PFX and password ([`Delivery::Rewrap`]), or both in a configuration profile of this name
    /// ([`Delivery::AppleProfile`], on Apple's systems).
    #[serde(
        default = "pfx_and_password",
        skip_serializing_if = "is_pfx_and_password"
    )]
    pub delivery: Delivery,
}

/// The default of [`PkcsProfile::delivery`].
#[must_use]
pub const fn pfx_and_password() -> Delivery {
    Delivery::Rewrap
}

fn is_pfx_and_password(delivery: &Delivery) -> bool {
    *delivery == Delivery::Rewrap
}

/// The default of [`PkcsProfile::renewal_percent`].
#[must_use]
pub const fn default_renewal_percent() -> u32 {
    20
}

impl StoredProfile for PkcsProfile {
    const TABLE: &'static str = "pkcs_profiles";
    const IS_RENEWED: bool = true;
}

/// A [`PkcsProfile`] with its name.
pub type PkcsProfileEntry = ProfileEntry<PkcsProfile>;

/// What stands for a variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Variable {
    /// Its name, without braces.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A device needs a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PkcsRequest {
    /// The profile.
    pub profile: String,
    /// The user.
    pub user_principal_name: String,
    /// The MDM's name of the device.
    pub device_id: String,
    /// The device's certificate and what may lie between it and an anchor.
    pub device: DeviceTarget,
    /// What stands for the profile's variables: those of the user and those of the device.
    #[serde(default)]
    pub variables: Vec<Variable>,
    /// Repeating a request with the same key answers the same request instead of queueing a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

/// What it became.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PkcsRequestAccepted {
    /// Name of the request.
    pub request_id: String,
}

/// A device has another certificate, and perhaps something else stands for the variables of one of its users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeviceUpdate {
    /// The device's certificate and what may lie between it and an anchor.
    pub device: DeviceTarget,
    /// The user whose variables they are; together with `variables`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_principal_name: Option<String>,
    /// What stands for the variables, all of them; together with `userPrincipalName`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variables: Option<Vec<Variable>>,
}

/// What it concerns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeviceUpdated {
    /// Certificates of the device whose renewals go to its new certificate.
    pub certificates: u64,
    /// Requests that no connector has had yet, and that go to it.
    pub requests: u64,
}

/// A certificate that was issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PkcsCertificate {
    /// The request that it was issued for.
    pub request_id: String,
    /// The profile.
    pub profile: String,
    /// The user.
    pub user_principal_name: String,
    /// The device.
    pub device_id: String,
    /// The authority, by its name in the connectors' configuration.
    pub ca: String,
    /// SHA-1 of it.
    pub thumbprint: String,
    /// Its serial number, hexadecimal.
    pub serial_number: String,
    /// Start of its validity (RFC 3339).
    pub start_date_time: String,
    /// End of its validity (RFC 3339).
    pub expiration_date_time: String,
    /// When it is asked for again by itself (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal_date_time: Option<String>,
    /// The newest request that renews it: to be collected once it is completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewed_by: Option<String>,
    /// When it was first collected (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collected_date_time: Option<String>,
    /// The request whose certificate has taken its place: it was collected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<String>,
    /// Since when it is on hold (RFC 3339): it is not renewed until an administrator resumes that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_hold_date_time: Option<String>,
    /// When it was revoked (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_date_time: Option<String>,
}

/// Ask for PKCS work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PkcsLeaseRequest {
    /// Who asks.
    pub connector: ConnectorIdentity,
    /// How many at most (1 to 256).
    pub max: u32,
    /// How long the gateway may hold the answer back while there is no work, in milliseconds (60,000 at most).
    pub wait_ms: u64,
    /// The authorities that the connector has, by their names in its configuration: it is given what one of them is to issue. Without them (an
    /// older release) it is given anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorities: Option<Vec<String>>,
}

/// PKCS work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PkcsLeaseResponse {
    /// The leased requests; empty when there is none.
    pub work: Vec<PkcsWorkItem>,
}

/// One leased PKCS request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PkcsWorkItem {
    /// Name of the request; the authorities know the order by it.
    pub request_id: String,
    /// Grows with every lease of this request; an answer must carry the current one.
    pub fence: u64,
    /// How often it was leased, this time included.
    pub attempt: u32,
    /// How long the lease lasts, in milliseconds, from the moment of the answer.
    pub lease_ms: u64,
    /// The MDM's name of the device.
    pub device_id: String,
    /// The user.
    pub user_principal_name: String,
    /// Name of the profile.
    pub profile_name: String,
    /// The profile as it was when it was asked.
    pub profile: PkcsProfile,
    /// What stands for its variables.
    pub variables: Vec<Variable>,
    /// The device's certificate and what may lie between it and an anchor.
    pub device: DeviceTarget,
    /// The request whose certificate is renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renews: Option<String>,
    /// How far a connector got with it, in a form of the connectors'.
    #[serde(default, skip_serializing_if = "Base64Bytes::is_empty")]
    pub progress: Base64Bytes,
}

/// How far a connector got with a PKCS request: kept, so that whoever leases it next goes on from there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Progress {
    /// The fence of the lease.
    pub fence: u64,
    /// In a form of the connectors'. Nothing in it is secret: private keys are sealed to a custody key.
    pub progress: Base64Bytes,
    /// The authority takes its time: the request goes back to the queue and is leased again so much later, in milliseconds. That was no
    /// attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume_ms: Option<u64>,
}
