//! What custody asks of the formats process, and how its answers are bounded before anybody reads them.

use super::Shared;
use super::queue::{Job, Wait};
use super::refusal::{Came, DECRYPTION_FAILED, Refusal};
use crate::encoding::{Base64Bytes, printable};
use crate::engine::api::{DeviceTarget, FailureCode};
use crate::engine::formats::device::DevicePolicy;
use crate::engine::formats::opening::{self, ClaimedIdentity, OpenTerms, PfxRefusal, Unchecked};
use crate::engine::formats_process::{FormatsCall, FormatsReturn};
use crate::engine::ipc::{Frame, Kind, Payload};
use crate::engine::recrypt::chain::{CheckedDevice, DeviceTrust};
use fips::secret::Password;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

const MAX_REFUSAL_CHARS: usize = 400;
/// How long it is waited at least for what formats says of a password that was decrypted: as long as the longest request may take. The
/// supervisor sees to it that there is an answer: it ends a process that takes too long over a call, and gives the call to the next one.
const VERDICT_LIMIT: Duration = Duration::from_secs(600);

/// Has the formats process parse the device's certificates.
pub(super) fn describe_device(
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
    match ask(shared, job, &call)? {
        FormatsReturn::Device(checked) => Ok(checked),
        FormatsReturn::DeviceRefused(refusal) => Err(Refusal::open(
            FailureCode::DeviceCertificateRefused,
            "device_refused",
            bounded(&refusal.to_string()),
        )),
        _ => Err(not_understood()),
    }
}

/// Has the formats process look at a PFX without its password: what it refuses now costs no use of the key.
///
/// Whether its integrity can be checked, or why not.
pub(super) fn look_at_pfx(
    shared: &Shared,
    job: &Job,
    pfx: &Base64Bytes,
) -> Result<Option<Unchecked>, Refusal> {
    let call = FormatsCall::LookAtPfx {
        pfx: pfx.clone(),
        max_iterations: shared.config.pfx.max_iterations,
    };
    match ask(shared, job, &call)? {
        FormatsReturn::PfxFits(unchecked) => Ok(unchecked),
        FormatsReturn::PfxRefused(refusal) => Err(pfx_refused(&refusal)),
        _ => Err(not_understood()),
    }
}

/// Has the formats process open a PFX. The answer is a claim.
pub(super) fn open_pfx(
    shared: &Shared,
    job: &Job,
    terms: &OpenTerms,
    pfx: &[u8],
    password: &Password,
) -> Result<ClaimedIdentity, Refusal> {
    let answer = verdict(shared, job, opening::call(terms, pfx, password))?;
    opening::claim(&answer)
        .ok_or_else(no_verdict)?
        .map_err(|refusal| not_opened(&refusal))
}

/// Has the formats process hold the password against the integrity check of a PFX. The answer is a claim.
pub(super) fn check_integrity(
    shared: &Shared,
    job: &Job,
    pfx: &[u8],
    password: &Password,
) -> Result<(), Refusal> {
    let terms = OpenTerms {
        thumbprint: String::new(),
        max_iterations: shared.config.pfx.max_iterations,
        integrity_alone: true,
    };
    let answer = verdict(shared, job, opening::call(&terms, pfx, password))?;
    opening::checked(&answer)
        .ok_or_else(no_verdict)?
        .map_err(|refusal| not_opened(&refusal))
}

/// What the password decides looks as a failed decryption does: the two of them are one question to who asks.
fn not_opened(refusal: &PfxRefusal) -> Refusal {
    if refusal.is_of_the_file {
        return pfx_refused(refusal);
    }
    Refusal::new(
        FailureCode::DecryptionFailed,
        DECRYPTION_FAILED,
        "pfx_not_opened",
        bounded(&format!("{}: {}", refusal.code, refusal.message)),
    )
    .that_came(Came::WrongPassword)
}

fn pfx_refused(refusal: &PfxRefusal) -> Refusal {
    Refusal::new(
        FailureCode::PfxRefused,
        bounded(&refusal.message),
        "pfx_refused",
        bounded(&format!("{}: {}", refusal.code, refusal.message)),
    )
}

fn ask(shared: &Shared, job: &Job, call: &FormatsCall) -> Result<FormatsReturn, Refusal> {
    let frame = Frame::json(Kind::Call, job.id, call)
        .map_err(|_| Refusal::bad_request("the device's certificates or the PFX are too large"))?;
    let answer = send(shared, job, frame)?;
    serde_json::from_slice(&answer).map_err(|_| not_understood())
}

/// Sends a call and waits for its answer, for as long as the request has time.
fn send(shared: &Shared, job: &Job, frame: Frame) -> Result<Payload, Refusal> {
    let answer = shared.calls.announce(job.id, Wait::ForCaller);
    shared.link.send(frame);
    let received = answer.recv_timeout(job.deadline.saturating_duration_since(Instant::now()));
    shared.calls.forget(job.id);
    match received {
        Ok(Some(payload)) => Ok(payload),
        // The caller has been told by the supervisor, or nobody waits.
        Ok(None) | Err(RecvTimeoutError::Disconnected) => Err(Refusal::fault(
            "abandoned",
            "nobody waits for this request any more".to_owned(),
        )),
        Err(RecvTimeoutError::Timeout) => Err(Refusal::deadline()),
    }
}

/// Sends what was decrypted to be held against its PFX, and waits for what comes of it, however little time the caller gave and also when
/// it has gone: a wrong password must not escape the budgets because nobody waited for the answer.
fn verdict(shared: &Shared, job: &Job, call: Payload) -> Result<Payload, Refusal> {
    let answer = shared.calls.announce(job.id, Wait::ForVerdict);
    shared
        .link
        .send(Frame::with_payload(Kind::LongCall, job.id, call));
    let until = job.deadline.max(Instant::now() + VERDICT_LIMIT);
    let received = answer.recv_timeout(until.saturating_duration_since(Instant::now()));
    shared.calls.forget(job.id);
    received.ok().flatten().ok_or_else(no_verdict)
}

/// Of what is not shown to open its PFX nobody learns more than of a wrong password, and it counts as one: whatever could bring this about
/// would decrypt past the budgets otherwise.
fn no_verdict() -> Refusal {
    Refusal::new(
        FailureCode::DecryptionFailed,
        DECRYPTION_FAILED,
        "no_verdict",
        "the formats process did not say whether what was decrypted opens the PFX: it died over it repeatedly, or gave no answer; this counts as a wrong password, `oracle release` lets the record go",
    )
    .that_came(Came::WrongPassword)
}

fn not_understood() -> Refusal {
    Refusal::fault(
        "formats_answer",
        "the formats process and custody do not understand each other".to_owned(),
    )
}

/// The formats process may be in a stranger's hand: its words are bounded and cannot forge a log line.
fn bounded(text: &str) -> String {
    printable(text).chars().take(MAX_REFUSAL_CHARS).collect()
}
