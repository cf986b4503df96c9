//! What the gateway thinks of a body, without a caller and without a store: the first thing that a stranger's bytes meet.

use super::api::{Completion, DeviceRequest, Fence, Heartbeat, LeaseRequest, RequestFailure};
use super::enrolment::held_against;
use super::enrolment_api::{EnrolRequest, RenewRequest};
use super::error::ApiError;
use super::http::message;
use super::pkcs_api::{DeviceUpdate, PkcsProfileEntry, PkcsRequest, Progress};
use super::profiles_api::{ImportProfileEntry, ImportRequest};
use super::revocation_api::RevocationRequest;
use super::rotation_api::RotationReplacement;
use super::{odata, validate};

/// A message that somebody may send to the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// A new record.
    NewRecord,
    /// A change of a record.
    RecordPatch,
    /// The query of a list of records.
    ListQuery,
    /// A device's request.
    DeviceRequest,
    /// A connector's request for work.
    Lease,
    /// The fence of an extension.
    Extend,
    /// A result.
    Completion,
    /// A failure.
    Failure,
    /// A connector's sign of life.
    Heartbeat,
    /// A record for another custody key.
    Rotation,
    /// A profile of stored PFX files.
    ImportProfile,
    /// A device's request by one.
    ImportRequest,
    /// A profile of certificates.
    PkcsProfile,
    /// A device's request for a certificate.
    PkcsRequest,
    /// A device's new certificate.
    DeviceUpdate,
    /// How far a connector got.
    Progress,
    /// Certificates to be revoked.
    Revocation,
    /// A connector that wants its first certificate.
    Enrol,
    /// A connector that wants its next certificate.
    Renew,
}

/// All of them.
pub const MESSAGES: [Message; 19] = [
    Message::NewRecord,
    Message::RecordPatch,
    Message::ListQuery,
    Message::DeviceRequest,
    Message::Lease,
    Message::Extend,
    Message::Completion,
    Message::Failure,
    Message::Heartbeat,
    Message::Rotation,
    Message::ImportProfile,
    Message::ImportRequest,
    Message::PkcsProfile,
    Message::PkcsRequest,
    Message::DeviceUpdate,
    Message::Progress,
    Message::Revocation,
    Message::Enrol,
    Message::Renew,
];

/// Whether a body is a message of this kind, within every bound.
///
/// # Errors
/// [`ApiError`]: what the sender is told.
pub fn judge(kind: Message, body: &[u8]) -> Result<(), ApiError> {
    match kind {
        Message::NewRecord => validate::new_record(body).map(drop),
        Message::RecordPatch => validate::record_patch(body, "record").map(drop),
        Message::ListQuery => odata::list_query(&String::from_utf8_lossy(body)).map(drop),
        Message::DeviceRequest => validate::device_request(&message::<DeviceRequest>(body)?),
        Message::Lease => validate::connector(&message::<LeaseRequest>(body)?.connector),
        Message::Extend => message::<Fence>(body).map(drop),
        Message::Completion => validate::result(&message::<Completion>(body)?).map(drop),
        Message::Failure => validate::failure(message::<RequestFailure>(body)?.failure).map(drop),
        Message::Heartbeat => validate::connector(&message::<Heartbeat>(body)?.connector),
        Message::Rotation => {
            validate::rotated_record(&message::<RotationReplacement>(body)?.record)
        }
        Message::ImportProfile => validate::profiles::entry(
            &message::<ImportProfileEntry>(body)?,
            validate::profiles::import_profile,
        ),
        Message::ImportRequest => {
            validate::profiles::import_request(&message::<ImportRequest>(body)?)
        }
        Message::PkcsProfile => {
            validate::profiles::entry(&message::<PkcsProfileEntry>(body)?, validate::pkcs::profile)
        }
        Message::PkcsRequest => validate::pkcs::request(&message::<PkcsRequest>(body)?),
        Message::DeviceUpdate => validate::pkcs::device_update(&message::<DeviceUpdate>(body)?),
        Message::Progress => validate::pkcs::progress(&message::<Progress>(body)?),
        Message::Revocation => {
            validate::revocation::request(&message::<RevocationRequest>(body)?).map(drop)
        }
        Message::Enrol => {
            let asked = message::<EnrolRequest>(body)?;
            held_against(&asked.instance, asked.csr.as_slice()).map(drop)
        }
        Message::Renew => {
            let asked = message::<RenewRequest>(body)?;
            validate::connector(&asked.connector)?;
            held_against(&asked.connector.instance, asked.csr.as_slice()).map(drop)
        }
    }
}
