//! The messages between the gateway and connectors, devices' management (MDM) and importers (JSON over HTTPS).
//!
//! Paths:
//!
//! | who | method and path | body -> answer |
//! |---|---|---|
//! | importer (bearer) | `POST /beta/deviceManagement/userPfxCertificates` | [`UserPfxCertificate`] -> the same, 201 |
//! | | `GET /beta/deviceManagement/userPfxCertificates[?$filter=...]`, `GET .../{id}` | -> [`Collection`], one; secrets as stubs, as Graph does |
//! | | `DELETE .../{id}` | 204 |
//! | MDM (bearer) | `POST /mdm/v1/deviceRequests` | [`DeviceRequest`] -> [`DeviceRequestAccepted`], 202 |
//! | | `GET /mdm/v1/requests/{id}` | -> [`RequestState`] |
//! | | `POST /mdm/v1/requests/{id}/collect` | -> [`Delivery`]; may be repeated until the result is retired |
//! | connector (mutual TLS) | `POST /connector/v1/lease` | [`LeaseRequest`] -> [`LeaseResponse`] (long poll) |
//! | | `POST /connector/v1/requests/{id}/extend` | [`Fence`] -> [`Extended`] |
//! | | `POST /connector/v1/requests/{id}/complete` | [`Completion`] -> [`Settled`] |
//! | | `POST /connector/v1/requests/{id}/fail` | [`RequestFailure`] -> [`Settled`] |
//! | | `POST /connector/v1/heartbeat` | [`Heartbeat`] -> 204 |
//!
//! The messages of PKCS requests are in [`pkcs_api`](super::pkcs_api), those of revocations in [`revocation_api`](super::revocation_api).
//! | anybody | `GET /openapi.json`, `GET /healthz` | |
//!
//! Errors are `{"error":{"code":"...","message":"..."}}` as in Graph; a fence that is no longer current is 409 with code `staleLease`.

use super::revocation_api::RevocationResult;
use crate::encoding::Base64Bytes;
use crate::engine::api::{CmsFormat, Delivery as DeliveryKind, DeviceTarget, StoredPfx};
use crate::record::{ImporterSignature, Record};
use hsm::Padding;
use serde::{Deserialize, Serialize};

/// Version of the connector protocol, sent by both sides; another one is refused with code `protocolVersion`.
pub const PROTOCOL_VERSION: u16 = 1;

/// Graph beta `microsoft.graph.userPFXCertificate`, with two marked extensions of the gateway (`custodyKey`, `importerSignature`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserPfxCertificate {
    /// `{userObjectId without dashes}-{thumbprint}`; left out on create.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// SHA-1 of the certificate, 40 lower-case hexadecimal digits.
    pub thumbprint: String,
    /// What the certificate is for.
    pub intended_purpose: IntendedPurpose,
    /// The user's principal name.
    pub user_principal_name: String,
    /// Start of the certificate's validity (RFC 3339).
    pub start_date_time: String,
    /// End of the certificate's validity (RFC 3339).
    pub expiration_date_time: String,
    /// Provider of the custody key.
    pub provider_name: String,
    /// Name of the custody key.
    pub key_name: String,
    /// How the password is encrypted.
    pub padding_scheme: Padding,
    /// The PFX; on reading the stub `AA==`.
    pub encrypted_pfx_blob: Base64Bytes,
    /// The encrypted password; on reading empty.
    pub encrypted_pfx_password: String,
    /// Set by the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_date_time: Option<String>,
    /// Set by the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified_date_time: Option<String>,
    /// Extension: SHA-256 of the custody key's SubjectPublicKeyInfo, hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custody_key: Option<String>,
    /// Extension: the importer's signature over the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub importer_signature: Option<ImporterSignature>,
}

/// Graph `userPfxIntendedPurpose`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum IntendedPurpose {
    /// Nothing in particular.
    Unassigned,
    /// S/MIME encryption.
    SmimeEncryption,
    /// S/MIME signing.
    SmimeSigning,
    /// VPN.
    Vpn,
    /// Wi-Fi.
    Wifi,
}

/// An OData collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collection<T> {
    /// The page's elements.
    pub value: Vec<T>,
    /// Where the next page is.
    #[serde(
        rename = "@odata.nextLink",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub next_link: Option<String>,
}

/// A device asks for all certificates of its user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeviceRequest {
    /// The user.
    pub user_principal_name: String,
    /// The MDM's name of the device.
    pub device_id: String,
    /// The device's certificate and what may lie between it and an anchor.
    pub device: DeviceTarget,
    /// The form that the device understands.
    pub format: CmsFormat,
    /// What the device gets; left out: the stored PFX and its password.
    #[serde(default, skip_serializing_if = "DeliveryKind::is_password")]
    pub delivery: DeliveryKind,
    /// Repeating a request with the same key answers the same requests instead of queueing new ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

/// The requests that a device request became: one for each certificate of the user, or one for all of them in a profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeviceRequestAccepted {
    /// One for each certificate, or one for all of them in a profile.
    pub requests: Vec<AcceptedRequest>,
}

/// One queued request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AcceptedRequest {
    /// Name of the request.
    pub request_id: String,
    /// The certificate it will deliver; of a profile, the newest in it.
    pub thumbprint: String,
}

/// Where a request stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestState {
    /// Name of the request.
    pub request_id: String,
    /// Where it stands.
    pub state: State,
    /// Why it failed, when it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureReport>,
    /// How often it was leased.
    pub attempts: u32,
    /// How many completions were accepted: 0 or 1, for ever.
    pub completions: u32,
}

/// States of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// Waits for a connector.
    Queued,
    /// A connector has it.
    Leased,
    /// The result is there.
    Completed,
    /// Final failure.
    Failed,
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FailureReport {
    /// The engine's or the connector's stable code.
    pub code: String,
    /// The same in words.
    pub message: String,
}

/// What the device collects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Delivery {
    /// Name of the request.
    pub request_id: String,
    /// The certificate; of a profile, the newest in it.
    pub thumbprint: String,
    /// What the device gets; left out: the stored PFX and its password.
    #[serde(default, skip_serializing_if = "DeliveryKind::is_password")]
    pub delivery: DeliveryKind,
    /// Whether it is the newest of the user's certificates for its purpose, by the beginning of validity: the one to sign and to be
    /// encrypted to with. The others are for what was encrypted to them.
    #[serde(default)]
    pub newest: bool,
    /// `password`: the PFX, untouched.
    #[serde(default, skip_serializing_if = "Base64Bytes::is_empty")]
    pub pfx: Base64Bytes,
    /// `rewrap`: the new PFX, CMS EnvelopedData to the device (DER).
    #[serde(default, skip_serializing_if = "Base64Bytes::is_empty")]
    pub encrypted_pfx: Base64Bytes,
    /// `password`, `rewrap`: the PFX' password, CMS EnvelopedData to the device (DER).
    #[serde(default, skip_serializing_if = "Base64Bytes::is_empty")]
    pub encrypted_password: Base64Bytes,
    /// `appleProfile`: the configuration profile (a property list), its content CMS EnvelopedData to the device.
    #[serde(default, skip_serializing_if = "Base64Bytes::is_empty")]
    pub profile: Base64Bytes,
}

/// Who asks: every call of a connector carries it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConnectorIdentity {
    /// The protocol's version.
    pub protocol: u16,
    /// Name of the instance, unique among the connectors of one gateway.
    pub instance: String,
    /// Version of its program.
    pub version: String,
    /// What it can do: `pfxImport`, the deliveries that its engine allows besides `password` (`rewrap`, `appleProfile`), `pkcs` and `revocation`.
    pub features: Vec<String>,
}

/// Ask for work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LeaseRequest {
    /// Who asks.
    pub connector: ConnectorIdentity,
    /// How many at most (1 to 256).
    pub max: u32,
    /// How long the gateway may hold the answer back while there is no work, in milliseconds (60,000 at most).
    pub wait_ms: u64,
}

/// Work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LeaseResponse {
    /// The leased requests; empty when there is none.
    pub work: Vec<WorkItem>,
}

/// One leased request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkItem {
    /// Name of the request.
    pub request_id: String,
    /// Grows with every lease of this request; an answer must carry the current one.
    pub fence: u64,
    /// How often it was leased, this time included.
    pub attempt: u32,
    /// How long the lease lasts, in milliseconds, from the moment of the answer.
    pub lease_ms: u64,
    /// The MDM's name of the device.
    pub device_id: String,
    /// The importer's record.
    pub record: Record,
    /// The PFX.
    pub pfx: Base64Bytes,
    /// Where the password goes.
    pub device: DeviceTarget,
    /// In which form.
    pub format: CmsFormat,
    /// What the device gets; only a connector that names the delivery among its features is given another than `password`.
    #[serde(default, skip_serializing_if = "DeliveryKind::is_password")]
    pub delivery: DeliveryKind,
    /// `appleProfile`: the user's other certificates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<StoredPfx>,
}

/// The lease that an answer belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fence {
    /// The fence of the lease.
    pub fence: u64,
}

/// A lease was extended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Extended {
    /// How long it lasts from now, in milliseconds.
    pub lease_ms: u64,
}

/// The result of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Completion {
    /// The fence of the lease.
    pub fence: u64,
    /// `password`, `rewrap`: the password, CMS EnvelopedData (DER).
    #[serde(default, skip_serializing_if = "Base64Bytes::is_empty")]
    pub encrypted_password: Base64Bytes,
    /// `rewrap`: the new PFX, CMS EnvelopedData (DER).
    #[serde(default, skip_serializing_if = "Base64Bytes::is_empty")]
    pub encrypted_pfx: Base64Bytes,
    /// `appleProfile`: the configuration profile.
    #[serde(default, skip_serializing_if = "Base64Bytes::is_empty")]
    pub profile: Base64Bytes,
    /// PKCS requests: the certificate that was issued (DER), besides password and PFX.
    #[serde(default, skip_serializing_if = "Base64Bytes::is_empty")]
    pub certificate: Base64Bytes,
    /// Revocations: how the certificate came to be revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation: Option<RevocationResult>,
}

/// The failure of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestFailure {
    /// The fence of the lease.
    pub fence: u64,
    /// Why.
    pub failure: FailureReport,
    /// `true`: the request goes back to the queue (another connector may manage); `false`: it has failed for good.
    pub retry: bool,
    /// Revocations, with `retry`: it is leased again so much later, in milliseconds, and this was no attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume_ms: Option<u64>,
}

/// How the gateway took a completion or a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settled {
    /// How it was taken.
    pub outcome: Outcome,
}

/// How the gateway took an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// Accepted now.
    Accepted,
    /// The same answer under the same fence had been accepted before: nothing changed, and the caller may regard it as accepted.
    AlreadyAccepted,
    /// The request went back to the queue, as asked.
    Requeued,
}

/// A connector is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Heartbeat {
    /// Who.
    pub connector: ConnectorIdentity,
    /// Requests it has in flight.
    pub in_flight: u32,
    /// Whether its engine answers.
    pub engine_healthy: bool,
}

/// `{"error":{...}}` as Graph sends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The error.
    pub error: FailureReport,
}
