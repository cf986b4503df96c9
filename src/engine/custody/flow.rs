//! One request from its bytes to its answer, in the order that keeps the key from being used for anything but a record of a
//! configured importer and a device of a configured authority.
//!
//! bounds -> importer's signature -> formats describes the device's certificates -> this process verifies them -> the token
//! decrypts -> CMS to the verified device

use super::queue::Job;
use super::refusal::Refusal;
use super::rotate;
use super::sharing::Ciphertext;
use super::{Shared, deliver, formats};
use crate::clock::{Clock, SystemClock};
use crate::encoding::Base64Bytes;
use crate::engine::api::{
    CmsFormat, DeliverRequest, Delivery, DeviceTarget, EngineReply, EngineRequest, FailureCode,
    RecryptRequest, Recrypted, ReencryptRequest, Reencrypted,
};
use crate::engine::ipc::{Frame, Kind};
use crate::engine::recrypt::chain::DeviceIdentity;
use crate::engine::recrypt::cms::KeyTransport;
use crate::engine::recrypt::{cms, importers};
use crate::record::Record;
use hsm::{Custody, KeyFingerprint, Lane, SecretBytes, Terms};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

const MAX_NAME_BYTES: usize = 1024;
const MAX_PFX_BYTES: usize = 2 * 1024 * 1024;
/// A modulus of 8192 bits.
const MAX_CIPHERTEXT_BYTES: usize = 1024;

/// Does the request and puts the answer into a frame. The operator's log gets one line for each.
pub(super) fn answer(shared: &Shared, job: &Job) -> Frame {
    let (name, outcome) = match parse(job) {
        Ok(Asked::Recrypt(request)) => {
            let outcome = recrypt(shared, job, &request).map(EngineReply::Recrypted);
            (request.request_id, unless_module_failed(shared, outcome))
        }
        Ok(Asked::Deliver(request)) => {
            let outcome = deliver::deliver(shared, job, &request)
                .map(|done| EngineReply::Delivered(Box::new(done)));
            (request.request_id, unless_module_failed(shared, outcome))
        }
        Ok(Asked::Reencrypt(request)) => {
            let outcome = rotate::reencrypt(shared, job, &request)
                .map(|record| EngineReply::Reencrypted(Box::new(Reencrypted { record })));
            (request.request_id, unless_module_failed(shared, outcome))
        }
        Err(refusal) => ("-".to_owned(), Err(refusal)),
    };
    let reply = match outcome {
        Ok(reply) => {
            match &reply {
                EngineReply::Recrypted(done) => {
                    tracing::info!(request_id = %name, custody_key = %done.custody_key, "recrypted");
                }
                EngineReply::Delivered(done) => {
                    tracing::info!(request_id = %name, custody_keys = ?done.custody_keys, certificates = done.certificates.len(), "delivered");
                }
                EngineReply::Reencrypted(done) => {
                    tracing::info!(request_id = %name, custody_key = done.record.custody_key, "re-encrypted to another custody key");
                }
                _ => {}
            }
            reply
        }
        Err(refusal) => {
            tracing::warn!(request_id = %name, uid = job.caller.uid, code = ?refusal.told.code, reason = refusal.reason, "refused: {}", refusal.detail);
            EngineReply::Failed(refusal.told)
        }
    };
    Frame::json(Kind::Reply, job.id, &reply).unwrap_or_else(|error| {
        tracing::error!(request_id = %name, %error, "an answer cannot be framed");
        Frame::bare(Kind::Reply, job.id)
    })
}

/// A result that was made while the module failed is thrown away, and no refusal of that time says anything about the request: a
/// signature that "does not verify" then is not a bad record.
fn unless_module_failed(
    shared: &Shared,
    outcome: Result<EngineReply, Refusal>,
) -> Result<EngineReply, Refusal> {
    let Some(fault) = fips::policy::fault() else {
        return outcome;
    };
    shared.tell_fault();
    Err(Refusal::module_out_of_service(fault.to_string()))
}

/// What is asked for.
enum Asked {
    Recrypt(RecryptRequest),
    Deliver(DeliverRequest),
    Reencrypt(ReencryptRequest),
}

fn parse(job: &Job) -> Result<Asked, Refusal> {
    // The supervisor let the caller in by the kind of the frame: what is in it has to be of that kind.
    match (job.kind, serde_json::from_slice(&job.payload)) {
        (Kind::Request, Ok(EngineRequest::Recrypt(request))) => {
            bounded(&request.request_id, &request.record, &request.pfx)?;
            if request.device.certificate.as_slice().is_empty() {
                return Err(Refusal::bad_request("there is no device certificate"));
            }
            Ok(Asked::Recrypt(*request))
        }
        (Kind::Request, Ok(EngineRequest::Deliver(request))) => {
            deliver::bounded(&request)?;
            Ok(Asked::Deliver(*request))
        }
        (Kind::Reencrypt, Ok(EngineRequest::Reencrypt(request))) => {
            bounded(&request.request_id, &request.record, &request.pfx)?;
            Ok(Asked::Reencrypt(*request))
        }
        (_, Ok(_)) => Err(Refusal::bad_request(
            "this is asked for by a frame of its own kind",
        )),
        // serde's sentence may quote the input.
        (_, Err(_)) => Err(Refusal::bad_request(
            "the request is not a message of this release",
        )),
    }
}

/// Bounds that hold before anything looks into a field.
pub(super) fn bounded(request_id: &str, record: &Record, pfx: &Base64Bytes) -> Result<(), Refusal> {
    let names = [
        &record.user_principal_name,
        &record.provider_name,
        &record.key_name,
    ];
    if request_id.is_empty()
        || request_id.len() > 128
        || !request_id.bytes().all(|byte| byte.is_ascii_graphic())
    {
        return Err(Refusal::bad_request(
            "requestId must be 1 to 128 printable ASCII characters without spaces",
        ));
    }
    if names.iter().any(|name| name.len() > MAX_NAME_BYTES) {
        return Err(Refusal::bad_request(
            "a name in the record is longer than 1024 bytes",
        ));
    }
    if record.thumbprint.len() != 40
        || !record
            .thumbprint
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit())
    {
        return Err(Refusal::bad_request(
            "the record's thumbprint is not 40 hexadecimal digits",
        ));
    }
    if pfx.as_slice().is_empty() || pfx.as_slice().len() > MAX_PFX_BYTES {
        return Err(Refusal::bad_request(
            "the PFX is empty or larger than 2 MiB",
        ));
    }
    if record.encrypted_password.as_slice().len() > MAX_CIPHERTEXT_BYTES {
        return Err(Refusal::bad_request(
            "the encrypted password is longer than any custody key makes it",
        ));
    }
    Ok(())
}

fn recrypt(shared: &Shared, job: &Job, request: &RecryptRequest) -> Result<Recrypted, Refusal> {
    let record = &request.record;
    admit_delivery(shared, Delivery::Password)?;
    admit_record(shared, record, &request.pfx)?;
    let device = admit_device(shared, job, &request.device, request.format)?;
    let custody = open_tokens(shared)?;
    let transport = KeyTransport::choose(custody, Some(job.deadline));
    cms::check_policy(request.format, &device, transport).map_err(cms_refusal)?;
    let key = find_key(custody, record)?;
    let password = password_of(shared, custody, job, record, key)?;
    let cms = cms::envelop(request.format, &device, &password, transport).map_err(cms_refusal)?;
    Ok(Recrypted {
        cms: Base64Bytes(cms),
        custody_key: key.to_string(),
    })
}

/// Whether the operator lets this kind of delivery be asked for.
pub(super) fn admit_delivery(shared: &Shared, delivery: Delivery) -> Result<(), Refusal> {
    if shared.config.deliveries.contains(&delivery) {
        return Ok(());
    }
    Err(Refusal::open(
        FailureCode::DeliveryRefused,
        "delivery_not_allowed",
        format!(
            "the delivery {} is not allowed here: name it in `engine.deliveries`",
            delivery.config_name()
        ),
    ))
}

/// Whether a configured importer vouches for the record and its PFX.
pub(super) fn admit_record(
    shared: &Shared,
    record: &Record,
    pfx: &Base64Bytes,
) -> Result<(), Refusal> {
    let policy = &shared.policy;
    importers::verify(
        record,
        pfx.as_slice(),
        &policy.importers,
        policy.unsigned_records,
    )
    .map(drop)
    .map_err(|refusal| Refusal::open(refusal.failure_code(), refusal.code(), refusal.to_string()))
}

/// Whether a configured authority vouches for the device, and the format is for its key and allowed here.
pub(super) fn admit_device(
    shared: &Shared,
    job: &Job,
    device: &DeviceTarget,
    format: CmsFormat,
) -> Result<DeviceIdentity, Refusal> {
    let policy = &shared.policy;
    if format == CmsFormat::CompatibleDesEde3 && !policy.cms_des_ede3 {
        return Err(Refusal::open(
            FailureCode::FormatRefused,
            "format_not_allowed",
            "the format compatibleDesEde3 is not allowed here: it needs the engine's exception cms-des-ede3".to_owned(),
        ));
    }
    let now_ms = SystemClock.now_ms();
    let identity = shared
        .known_devices
        .verify(device, &policy.devices, now_ms, || {
            formats::describe_device(shared, job, device, now_ms)
        })?;
    cms::check_format(format, &identity).map_err(cms_refusal)?;
    Ok(identity)
}

/// The tokens, if one is open.
pub(super) fn open_tokens(shared: &Shared) -> Result<&dyn Custody, Refusal> {
    shared
        .tokens
        .get()
        .map(|group| group as &dyn Custody)
        .map_err(|problem| Refusal::token_unavailable("token_not_open", problem))
}

pub(super) fn cms_refusal(error: cms::CmsError) -> Refusal {
    match error {
        cms::CmsError::Token(error) if error.class() != hsm::ErrorClass::BadInput => error.into(),
        error => Refusal::open(error.failure_code(), error.code(), error.to_string()),
    }
}

/// The password of a record, decrypted by a token or by whoever is decrypting it already.
pub(super) fn password_of(
    shared: &Shared,
    custody: &dyn Custody,
    job: &Job,
    record: &Record,
    key: KeyFingerprint,
) -> Result<Arc<SecretBytes>, Refusal> {
    let ciphertext = Ciphertext {
        key,
        padding: record.padding,
        bytes: record.encrypted_password.as_slice().to_vec(),
    };
    shared.sharing.decrypt(&ciphertext, job.deadline, || {
        decrypt(
            shared,
            custody,
            &ciphertext,
            job.deadline,
            Lane::Interactive,
        )
    })
}

/// Has a token decrypt, in the time that is left.
pub(super) fn decrypt(
    shared: &Shared,
    custody: &dyn Custody,
    ciphertext: &Ciphertext,
    deadline: Instant,
    lane: Lane,
) -> Result<SecretBytes, Refusal> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(Refusal::deadline());
    }
    let Ciphertext {
        key,
        padding,
        bytes,
    } = ciphertext;
    let decrypted = custody.decrypt_on(
        key,
        *padding,
        bytes,
        Terms {
            lane,
            ..Terms::within(left).on_own_thread()
        },
    );
    if !decrypted.as_ref().is_err_and(was_refused_before_use) {
        shared.key_uses.fetch_add(1, Ordering::Relaxed);
    }
    Ok(decrypted?)
}

/// Whether custody refused without asking the token for a private-key operation. What is not known to be refused counts as a use.
fn was_refused_before_use(error: &hsm::Error) -> bool {
    matches!(
        error,
        hsm::Error::UnknownKey(_)
            | hsm::Error::KeyRefused { .. }
            | hsm::Error::CiphertextLength { .. }
            | hsm::Error::PaddingNotSupported(_)
            | hsm::Error::LabelNotSupported(_)
            | hsm::Error::Overloaded
            | hsm::Error::NoTokenServes
            | hsm::Error::Policy(_)
    )
}

/// The key that the record names by fingerprint; records without one (only let in under `unsigned-records`) name a label.
pub(super) fn find_key(custody: &dyn Custody, record: &Record) -> Result<KeyFingerprint, Refusal> {
    if let Some(fingerprint) = &record.custody_key {
        return fingerprint.parse().map_err(|_| {
            Refusal::bad_request("the record's custodyKey is not a SHA-256 in hexadecimal")
        });
    }
    let mut fitting = custody
        .keys()?
        .into_iter()
        .filter(|key| key.is_usable() && key.label == record.key_name);
    match (fitting.next(), fitting.next()) {
        (Some(key), None) => Ok(key.fingerprint),
        (None, _) => Err(Refusal::key_not_found(format!(
            "no usable key has the label {:?}",
            record.key_name
        ))),
        (Some(_), Some(_)) => Err(Refusal::key_not_found(format!(
            "more than one key has the label {:?}",
            record.key_name
        ))),
    }
}
