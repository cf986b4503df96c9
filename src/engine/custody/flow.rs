//! One request from its bytes to its answer, in the order that keeps the key from being used for anything but a record of a
//! configured importer and a device of a configured authority.
//!
//! bounds -> importer's signature -> formats describes the device's certificates -> this process verifies them -> the ledger admits ->
//! the token decrypts -> CMS to the verified device -> the receipt is durable -> the answer leaves, on the grid if it failed

use super::authorise::Leave;
use super::password_check::PasswordCheck;
use super::queue::Job;
use super::refusal::{Refusal, was_refused_before_use};
use super::sharing::Ciphertext;
use super::usage::{Usage, Wanted};
use super::{
    Shared, approvals, authorise, authority, client_key, deliver, formats, judge, key_making,
    operator, pack, rotate,
};
use crate::clock::{Clock, SystemClock};
use crate::config::ReleaseOnGrid;
use crate::encoding::Base64Bytes;
use crate::engine::api::{
    CmsFormat, DeliverRequest, Delivery, DeviceTarget, EngineReply, EngineRequest, FailureCode,
    IssueRequest, JudgeDeviceRequest, MakeKeyRequest, OracleRequest, PackRequest, RecryptRequest,
    Recrypted, ReencryptRequest, Reencrypted, SignCrlRequest, SignOcspRequest,
};
use crate::engine::ipc::{Frame, Kind};
use crate::engine::recrypt::chain::DeviceIdentity;
use crate::engine::recrypt::cms::KeyTransport;
use crate::engine::recrypt::importers::Importer;
use crate::engine::recrypt::{cms, importers};
use crate::record::Record;
use audit::Verb;
use audit::event::{Purpose, ResultClass};
use fips::secret::Password;
use hsm::{Custody, KeyFingerprint, Lane, Terms};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

const MAX_NAME_BYTES: usize = 1024;
const MAX_PFX_BYTES: usize = 2 * 1024 * 1024;
/// A modulus of 8192 bits.
const MAX_CIPHERTEXT_BYTES: usize = 1024;
/// A token that was asked gets so long to say what is wrong, however little time the caller gave: a bad ciphertext takes several
/// operations where a good one takes one, and a deadline between the two must not keep a failure from being counted.
const VERDICT_LIMIT: Duration = Duration::from_secs(2);

/// The answer to a request, and when it leaves.
pub(super) struct Answer {
    pub(super) frame: Frame,
    pub(super) on_grid: bool,
}

/// Does the request and puts the answer into a frame. The operator's log gets one line for each.
pub(super) fn answer(shared: &Shared, job: &Job) -> Answer {
    let (name, outcome) = match parse(shared, job) {
        Ok((Asked::Recrypt(request), _)) => {
            let outcome = recrypt(shared, job, &request).map(EngineReply::Recrypted);
            (request.request_id, unless_module_failed(shared, outcome))
        }
        Ok((Asked::Deliver(request), _)) => {
            let outcome = deliver::deliver(shared, job, &request)
                .map(|done| EngineReply::Delivered(Box::new(done)));
            (request.request_id, unless_module_failed(shared, outcome))
        }
        Ok((Asked::Reencrypt(request), _)) => {
            let outcome = rotate::reencrypt(shared, job, &request)
                .map(|record| EngineReply::Reencrypted(Box::new(Reencrypted { record })));
            (request.request_id, unless_module_failed(shared, outcome))
        }
        Ok((Asked::MakeKey(request), _)) => match key_making::accept(shared, job, &request) {
            Ok(()) => {
                return Answer {
                    frame: key_making::held(job),
                    on_grid: false,
                };
            }
            Err(refusal) => (
                request.request_id,
                unless_module_failed(shared, Err(refusal)),
            ),
        },
        Ok((Asked::Pack(request), _)) => {
            let outcome =
                pack::pack(shared, job, &request).map(|done| EngineReply::Packed(Box::new(done)));
            (request.request_id, unless_module_failed(shared, outcome))
        }
        Ok((Asked::JudgeDevice(request), _)) => {
            let outcome = judge::judge(shared, job, &request).map(|()| EngineReply::DeviceJudged);
            (request.request_id, unless_module_failed(shared, outcome))
        }
        Ok((Asked::Authority(request), _)) => {
            let (name, outcome) = authority(shared, job, request);
            (name, unless_module_failed(shared, outcome))
        }
        Ok((Asked::ClientKey(request), _)) => {
            let (name, outcome) = client_key::sign(shared, job, request);
            (name, unless_module_failed(shared, outcome))
        }
        Ok((Asked::Oracle(request), leave)) => (
            "-".to_owned(),
            operator::oracle(shared, job, request, leave),
        ),
        Ok((Asked::Allow, leave)) => ("-".to_owned(), approvals::allow(leave)),
        Err(refusal) => ("-".to_owned(), Err(refusal)),
    };
    let all = shared.config.oracle.release == ReleaseOnGrid::All;
    let on_grid = match &outcome {
        Ok(EngineReply::Recrypted(_) | EngineReply::Delivered(_) | EngineReply::Packed(_)) => all,
        Ok(_) => false,
        Err(refusal) => {
            refusal.on_grid
                || (all && matches!(job.verb, Some(Verb::Recrypt | Verb::Deliver | Verb::Pack)))
        }
    };
    Answer {
        frame: frame_of(job.id, &name, job.caller.uid, outcome),
        on_grid,
    }
}

/// The answer to a request, told in the operator's log.
pub(super) fn frame_of(
    id: u64,
    name: &str,
    uid: Option<u32>,
    outcome: Result<EngineReply, Refusal>,
) -> Frame {
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
                EngineReply::KeyMade(done) => {
                    tracing::info!(request_id = %name, custody_key = done.custody_key, public_key = done.public_key, "a key was made");
                }
                EngineReply::Packed(done) => {
                    tracing::info!(request_id = %name, custody_key = done.custody_key, certificate = done.thumbprint, form = done.form, "packed");
                    for warning in &done.warnings {
                        tracing::warn!(request_id = %name, "{warning}");
                    }
                }
                _ => {}
            }
            reply
        }
        Err(refusal) => {
            tracing::warn!(request_id = %name, uid, code = ?refusal.told.code, reason = refusal.reason, "refused: {}", refusal.detail);
            EngineReply::Failed(refusal.told)
        }
    };
    Frame::json(Kind::Reply, id, &reply).unwrap_or_else(|error| {
        tracing::error!(request_id = %name, %error, "an answer cannot be framed");
        Frame::bare(Kind::Reply, id)
    })
}

/// A result that was made while the module failed is thrown away, and no refusal of that time says anything about the request: a
/// signature that "does not verify" then is not a bad record.
pub(super) fn unless_module_failed(
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
    MakeKey(MakeKeyRequest),
    Pack(PackRequest),
    JudgeDevice(JudgeDeviceRequest),
    Authority(AskedAuthority),
    ClientKey(client_key::Asked),
    Oracle(OracleRequest),
    Allow,
}

/// What an authority is asked for.
enum AskedAuthority {
    Issue(Box<IssueRequest>),
    Crl(Box<SignCrlRequest>),
    Ocsp(Box<SignOcspRequest>),
}

fn authority(
    shared: &Shared,
    job: &Job,
    asked: AskedAuthority,
) -> (String, Result<EngineReply, Refusal>) {
    match asked {
        AskedAuthority::Issue(request) => {
            let outcome = authority::issue(shared, job, &request);
            (
                request.request_id,
                outcome.map(|done| EngineReply::Issued(Box::new(done))),
            )
        }
        AskedAuthority::Crl(request) => {
            let outcome = authority::sign_crl(shared, job, &request);
            (
                request.request_id,
                outcome.map(|done| EngineReply::CrlSigned(Box::new(done))),
            )
        }
        AskedAuthority::Ocsp(request) => {
            let outcome = authority::sign_ocsp(shared, job, &request);
            (
                request.request_id,
                outcome.map(|done| EngineReply::OcspSigned(Box::new(done))),
            )
        }
    }
}

/// What is asked for, with leave to do it: there is no way to a handler but by this.
fn parse(shared: &Shared, job: &Job) -> Result<(Asked, Leave), Refusal> {
    let request: EngineRequest = serde_json::from_slice(&job.payload)
        // serde's sentence may quote the input.
        .map_err(|_| Refusal::bad_request("the request is not a message of this release"))?;
    let admission = authorise::admit(&shared.config, job, &request)?;
    let step = request.dangerous_step();
    let asked = well_formed(request)?;
    // Last: approvals are used up, whatever becomes of the request.
    let book = shared.oracle.book();
    let leave = admission.leave(step, &shared.approvals, book, job.deadline)?;
    Ok((asked, leave))
}

fn well_formed(request: EngineRequest) -> Result<Asked, Refusal> {
    match request {
        EngineRequest::Recrypt(request) => {
            bounded(&request.request_id, &request.record, &request.pfx)?;
            if request.device.certificate.as_slice().is_empty() {
                return Err(Refusal::bad_request("there is no device certificate"));
            }
            Ok(Asked::Recrypt(*request))
        }
        EngineRequest::Deliver(request) => {
            deliver::bounded(&request)?;
            Ok(Asked::Deliver(*request))
        }
        EngineRequest::Reencrypt(request) => {
            bounded(&request.request_id, &request.record, &request.pfx)?;
            Ok(Asked::Reencrypt(*request))
        }
        EngineRequest::MakeKey(request) => Ok(Asked::MakeKey(*request)),
        EngineRequest::Pack(request) => {
            pack::bounded(&request)?;
            Ok(Asked::Pack(*request))
        }
        EngineRequest::JudgeDevice(request) => {
            judge::bounded(&request)?;
            Ok(Asked::JudgeDevice(*request))
        }
        EngineRequest::Issue(request) => {
            named(&request.request_id)?;
            Ok(Asked::Authority(AskedAuthority::Issue(request)))
        }
        EngineRequest::SignCrl(request) => {
            named(&request.request_id)?;
            Ok(Asked::Authority(AskedAuthority::Crl(request)))
        }
        EngineRequest::SignOcsp(request) => {
            named(&request.request_id)?;
            Ok(Asked::Authority(AskedAuthority::Ocsp(request)))
        }
        EngineRequest::SignTls(request) => {
            named(&request.request_id)?;
            Ok(Asked::ClientKey(client_key::Asked::Handshake(request)))
        }
        EngineRequest::SignClientCsr(request) => {
            named(&request.request_id)?;
            Ok(Asked::ClientKey(client_key::Asked::Request(request)))
        }
        EngineRequest::Oracle(request) => Ok(Asked::Oracle(request)),
        EngineRequest::Allow(request) => {
            approvals::may_be_allowed(&request)?;
            Ok(Asked::Allow)
        }
        EngineRequest::Status => Err(Refusal::bad_request(
            "a status is asked for by a frame of its own kind",
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
    named(request_id)?;
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

/// Whether it names a request, in logs and receipts too.
pub(super) fn named(request_id: &str) -> Result<(), Refusal> {
    let fits = (1..=128).contains(&request_id.len())
        && request_id.bytes().all(|byte| byte.is_ascii_graphic());
    if fits {
        return Ok(());
    }
    Err(Refusal::bad_request(
        "requestId must be 1 to 128 printable ASCII characters without spaces",
    ))
}

fn recrypt(shared: &Shared, job: &Job, request: &RecryptRequest) -> Result<Recrypted, Refusal> {
    let record = &request.record;
    admit_delivery(shared, Delivery::Password)?;
    let importer = admit_record(shared, record, &request.pfx)?;
    let device = admit_device(shared, job, &request.device, request.format)?;
    let custody = open_tokens(shared, job.deadline)?;
    let transport = KeyTransport::choose(custody, Some(job.deadline));
    cms::check_policy(request.format, &device, transport).map_err(cms_refusal)?;
    let key = find_key(custody, record)?;
    let check = PasswordCheck::of(shared, job, record.padding, &request.pfx)?;
    let mut usage = Usage::begin(
        shared,
        job,
        &Wanted {
            request_id: &request.request_id,
            record,
            pfx: request.pfx.as_slice(),
            importer,
            key,
            purpose: for_device(&request.device),
            delivery: Delivery::Password.name(),
            pfx_check: check.receipt(),
        },
    )?;
    let cms = usage
        .decrypt_and_check(custody, job, Lane::Interactive, |password| {
            check.hold(shared, job, &request.pfx, password)
        })
        .and_then(|password| {
            cms::envelop(request.format, &device, password.bytes(), transport).map_err(cms_refusal)
        });
    match cms {
        Ok(cms) => {
            usage.end(ResultClass::Decrypted)?;
            Ok(Recrypted {
                cms: Base64Bytes(cms),
                custody_key: key.to_string(),
            })
        }
        Err(refusal) => Err(usage.refuse(refusal)),
    }
}

/// What a password for this device is for, as the log names it.
pub(super) fn for_device(device: &DeviceTarget) -> Purpose {
    Purpose::Device(audit::Hash::of(device.certificate.as_slice()))
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

/// The configured importer who vouches for the record and its PFX.
pub(super) fn admit_record<'a>(
    shared: &'a Shared,
    record: &Record,
    pfx: &Base64Bytes,
) -> Result<Option<&'a Importer>, Refusal> {
    let policy = &shared.policy;
    importers::verify(
        record,
        pfx.as_slice(),
        &policy.importers,
        policy.unsigned_records,
    )
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

/// The tokens, once one is open, as long as that is worth waiting for.
pub(super) fn open_tokens(shared: &Shared, deadline: Instant) -> Result<&dyn Custody, Refusal> {
    shared
        .tokens
        .get_by(deadline)
        .map(|group| group as &dyn Custody)
        .map_err(|problem| Refusal::token_unavailable("token_not_open", problem))
}

pub(super) fn cms_refusal(error: cms::CmsError) -> Refusal {
    match error {
        cms::CmsError::Token(error) if error.class() != hsm::ErrorClass::BadInput => error.into(),
        error => Refusal::open(error.failure_code(), error.code(), error.to_string()),
    }
}

/// Has a token decrypt, in the time that is left.
pub(super) fn decrypt(
    shared: &Shared,
    custody: &dyn Custody,
    ciphertext: &Ciphertext,
    deadline: Instant,
    lane: Lane,
) -> Result<Password, Refusal> {
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
            ..Terms::within(left.max(VERDICT_LIMIT)).on_own_thread()
        },
    );
    let was_asked = !decrypted.as_ref().is_err_and(|error| {
        was_refused_before_use(error) || matches!(error, hsm::Error::CiphertextLength { .. })
    });
    if was_asked {
        shared.key_uses.fetch_add(1, Ordering::Relaxed);
    }
    Ok(Password::new(decrypted?))
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
