//! One request from its bytes to its answer, in the order that keeps the key from being used for anything but a record of a
//! configured importer and a device of a configured authority.
//!
//! bounds -> importer's signature -> formats describes the device's certificates -> this process verifies them -> the token
//! decrypts -> CMS to the verified device

use super::Shared;
use super::queue::Job;
use super::refusal::Refusal;
use super::rotate;
use super::sharing::Ciphertext;
use crate::clock::{Clock, SystemClock};
use crate::encoding::Base64Bytes;
use crate::engine::api::{
    CmsFormat, DeviceTarget, EngineReply, EngineRequest, FailureCode, RecryptRequest, Recrypted,
    ReencryptRequest, Reencrypted,
};
use crate::engine::formats::device::DevicePolicy;
use crate::engine::formats_process::{FormatsCall, FormatsReturn};
use crate::engine::ipc::{Frame, Kind};
use crate::engine::recrypt::chain::{CheckedDevice, DeviceTrust};
use crate::engine::recrypt::cms::KeyTransport;
use crate::engine::recrypt::{cms, importers};
use crate::record::Record;
use hsm::{Custody, KeyFingerprint, Lane, SecretBytes, Terms};
use std::sync::atomic::Ordering;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Instant;

const MAX_NAME_BYTES: usize = 1024;
const MAX_PFX_BYTES: usize = 2 * 1024 * 1024;
/// A modulus of 8192 bits.
const MAX_CIPHERTEXT_BYTES: usize = 1024;
const MAX_REFUSAL_CHARS: usize = 400;

/// Does the request and puts the answer into a frame. The operator's log gets one line for each.
pub(super) fn answer(shared: &Shared, job: &Job) -> Frame {
    let (name, outcome) = match parse(job) {
        Ok(Asked::Recrypt(request)) => {
            let outcome = recrypt(shared, job, &request).map(EngineReply::Recrypted);
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
                EngineReply::Reencrypted(done) => {
                    tracing::info!(request_id = %name, custody_key = done.record.custody_key, "re-encrypted to another custody key");
                }
                _ => {}
            }
            reply
        }
        Err(refusal) => {
            tracing::warn!(request_id = %name, code = ?refusal.told.code, reason = refusal.reason, "refused: {}", refusal.detail);
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
fn bounded(request_id: &str, record: &Record, pfx: &Base64Bytes) -> Result<(), Refusal> {
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
    let policy = &shared.policy;
    let record = &request.record;
    importers::verify(
        record,
        request.pfx.as_slice(),
        &policy.importers,
        policy.unsigned_records,
    )
    .map_err(|refusal| {
        Refusal::open(refusal.failure_code(), refusal.code(), refusal.to_string())
    })?;
    if request.format == CmsFormat::CompatibleDesEde3 && !policy.cms_des_ede3 {
        return Err(Refusal::open(
            FailureCode::FormatRefused,
            "format_not_allowed",
            "the format compatibleDesEde3 is not allowed here: it needs the engine's exception cms-des-ede3".to_owned(),
        ));
    }

    let now_ms = SystemClock.now_ms();
    let device = shared
        .known_devices
        .verify(&request.device, &policy.devices, now_ms, || {
            describe_device(shared, job, &request.device, now_ms)
        })?;
    let cms_refusal = |error: cms::CmsError| match error {
        cms::CmsError::Token(error) if error.class() != hsm::ErrorClass::BadInput => error.into(),
        error => Refusal::open(error.failure_code(), error.code(), error.to_string()),
    };
    cms::check_format(request.format, &device).map_err(cms_refusal)?;

    let custody = shared
        .tokens
        .get()
        .map_err(|problem| Refusal::token_unavailable("token_not_open", problem))?;
    let transport = KeyTransport::choose(custody, Some(job.deadline));
    cms::check_policy(request.format, &device, transport).map_err(cms_refusal)?;
    let ciphertext = Ciphertext {
        key: find_key(custody, record)?,
        padding: record.padding,
        bytes: record.encrypted_password.as_slice().to_vec(),
    };
    let password = shared.sharing.decrypt(&ciphertext, job.deadline, || {
        decrypt(
            shared,
            custody,
            &ciphertext,
            job.deadline,
            Lane::Interactive,
        )
    })?;
    let cms = cms::envelop(request.format, &device, &password, transport).map_err(cms_refusal)?;
    Ok(Recrypted {
        cms: Base64Bytes(cms),
        custody_key: ciphertext.key.to_string(),
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

/// Has the formats process parse the device's certificates.
fn describe_device(
    shared: &Shared,
    job: &Job,
    device: &DeviceTarget,
    now_ms: i64,
) -> Result<CheckedDevice, Refusal> {
    let call = FormatsCall::CheckDevice {
        device: device.clone(),
        policy: DevicePolicy {
            anchors: shared.policy.anchors_der.clone(),
            require_anchor: matches!(shared.policy.devices, DeviceTrust::Anchors(_)),
            now_ms,
        },
    };
    let frame = Frame::json(Kind::Call, job.id, &call)
        .map_err(|_| Refusal::bad_request("the device's certificates are too large"))?;
    let answer = shared.calls.announce(job.id);
    shared.link.send(frame);
    let received = answer.recv_timeout(job.deadline.saturating_duration_since(Instant::now()));
    shared.calls.forget(job.id);
    let payload = match received {
        Ok(Some(payload)) => payload,
        // The caller has been told by the supervisor, or nobody waits.
        Ok(None) | Err(RecvTimeoutError::Disconnected) => {
            return Err(Refusal::fault(
                "abandoned",
                "nobody waits for this request any more".to_owned(),
            ));
        }
        Err(RecvTimeoutError::Timeout) => return Err(Refusal::deadline()),
    };
    match serde_json::from_slice(&payload) {
        Ok(FormatsReturn::Device(checked)) => Ok(checked),
        Ok(FormatsReturn::DeviceRefused(refusal)) => Err(Refusal::open(
            FailureCode::DeviceCertificateRefused,
            "device_refused",
            printable(&refusal.to_string()),
        )),
        Ok(FormatsReturn::NotUnderstood) | Err(_) => Err(Refusal::fault(
            "formats_answer",
            "the formats process and custody do not understand each other".to_owned(),
        )),
    }
}

/// The formats process may be in a stranger's hand: its words are bounded and cannot forge a log line.
fn printable(text: &str) -> String {
    text.chars()
        .filter(|letter| !letter.is_control())
        .take(MAX_REFUSAL_CHARS)
        .collect()
}

/// The key that the record names by fingerprint; records without one (only let in under `unsigned-records`) name a label.
fn find_key(custody: &dyn Custody, record: &Record) -> Result<KeyFingerprint, Refusal> {
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
