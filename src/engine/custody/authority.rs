//! Certification authorities whose keys are on the token: certificates, revocation lists and OCSP answers, built here from a profile of the
//! configuration, with serial numbers and times of this process. A connector in a stranger's hand gets nothing signed that no profile allows.
//!
//! bounds -> the order is not done and in nobody's hand -> the request verifies -> the profile allows it -> the token signs ->
//! the receipt, with the certificate in it, is durable -> the answer leaves
//!
//! The log is the memory of orders: one that is asked for again gets the certificate that it got, also when this process or whoever asked
//! died in between. A certificate whose receipt is late waits in this process' memory: its order gets that one, and nothing else is signed
//! for it. Numbers of lists are taken before anything is signed, so that there are no two lists of one number.

mod keys;
mod responder;
mod responders;

use super::Shared;
use super::pace::Pace;
use super::queue::Job;
use super::refusal::Refusal;
use super::usage::caller;
use crate::clock::{Clock, SystemClock};
use crate::encoding::{Base64Bytes, hex};
use crate::engine::api::{
    AuthorityStatus, FailureCode, IssueRequest, IssuedCertificate, SignCrlRequest, SignedCrl,
};
use crate::engine::policy::LocalAuthority;
use audit::event::{CaAct, CaUse, Event};
use audit::fold::Fold;
use audit::issued::{Begun, Done, IssuedMemory, Signed};
use audit::{Entry, FORMAT_VERSION, Hash, Timestamp};
use pki::Signer;
use pki::crl::{self, List};
use pki::issue::{self, IssueError, Profile, Purpose, Request};
use responders::Responders;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use x509_cert::ext::pkix::CrlReason;

pub(super) use keys::TokenKey;
pub(super) use responder::{LASTS as RESPONDER_LASTS, sign_ocsp};

/// How long it is waited for the receipt of a signature whose deadline is over.
pub(super) const RECEIPT_LIMIT: Duration = Duration::from_secs(1);

/// What is known of authorities in this process, and what the log feeds.
pub(super) struct Authorities {
    memory: Arc<Mutex<IssuedMemory>>,
    responders: Responders,
    /// OCSP answers, by authority.
    answers: Pace,
}

impl Authorities {
    /// With this memory, which the log feeds.
    pub(super) fn new(memory: Arc<Mutex<IssuedMemory>>) -> Self {
        Self {
            memory,
            responders: Responders::default(),
            answers: Pace::default(),
        }
    }

    fn memory(&self) -> MutexGuard<'_, IssuedMemory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For a status.
    pub(super) fn report(&self, authorities: &[LocalAuthority]) -> Vec<AuthorityStatus> {
        let memory = self.memory();
        authorities
            .iter()
            .map(|one| AuthorityStatus {
                name: one.name.clone(),
                subject: subject_of(one),
                not_after_ms: milliseconds(one.authority.not_after()),
                profiles: one
                    .profiles
                    .iter()
                    .map(|profile| profile.name.clone())
                    .collect(),
                deltas: one.published.delta_crl.is_some(),
                last_crl: memory.last_list(&one.name),
                responder_not_after_ms: self.responders.not_after(&one.name).map(milliseconds),
            })
            .collect()
    }
}

fn subject_of(one: &LocalAuthority) -> String {
    <x509_cert::name::Name as der::Decode>::from_der(one.authority.subject_der())
        .map(|name| name.to_string())
        .unwrap_or_default()
}

fn milliseconds(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .unwrap_or(0)
}

fn system_time(ms: i64) -> SystemTime {
    let since = Duration::from_millis(u64::try_from(ms).unwrap_or(0));
    UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH)
}

fn now() -> SystemTime {
    system_time(SystemClock.now_ms())
}

/// An order in this hand.
struct InHand<'a> {
    authorities: &'a Authorities,
    ca: &'a str,
    order: &'a str,
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        self.authorities.memory().end(self.ca, self.order);
    }
}

/// The certificate of an order.
pub(super) fn issue(
    shared: &Shared,
    job: &Job,
    request: &IssueRequest,
) -> Result<IssuedCertificate, Refusal> {
    let ca = find(shared, &request.ca)?;
    let order = &request.request_id;
    let is_order = (16..=64).contains(&order.len())
        && order
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !is_order {
        return Err(Refusal::bad_request(
            "requestId of an order must be 16 to 64 letters, digits and `-`",
        ));
    }
    let profile = ca
        .profiles
        .iter()
        .find(|profile| profile.name == request.profile)
        .ok_or_else(|| {
            Refusal::bad_request(&format!(
                "the authority `{}` has no profile of this name: see [[engine.ca.profiles]]",
                ca.name
            ))
        })?;
    let is_engine = job.caller.uid == Some(rustix::process::geteuid().as_raw());
    if profile.purpose == Purpose::SubordinateAuthority && !is_engine {
        return Err(Refusal::bad_request(
            "certificates of authorities are for the engine's own user to ask for",
        ));
    }
    let csr = Hash::of(request.csr.as_slice());
    let (in_hand, signed) = {
        let mut memory = shared.authorities.memory();
        if let Some(done) = memory.done(&ca.name, order) {
            return again(ca, done, request, csr);
        }
        let busy = |reason, text: &str| Refusal::open(FailureCode::Busy, reason, text.to_owned());
        let signed = match memory.begin(&ca.name, order) {
            Begun::Fresh => None,
            Begun::Signed(signed) => Some(signed),
            Begun::InHand => {
                return Err(busy(
                    "order_in_hand",
                    "this order is being worked on: ask again later",
                ));
            }
            Begun::TooManySigned => {
                return Err(busy(
                    "receipts_late",
                    "too many certificates wait for the audit log: ask again later",
                ));
            }
        };
        let in_hand = InHand {
            authorities: &shared.authorities,
            ca: &ca.name,
            order,
        };
        (in_hand, signed)
    };
    shared.oracle.book().ready()?;
    let signed = match signed {
        // Its receipt was late: the order gets this one, and never another.
        Some(signed) => {
            again(ca, &signed.done, request, csr)?;
            *signed
        }
        None => {
            let signed = sign(shared, job, ca, profile, request, csr)?;
            shared.authorities.memory().signed(signed.clone());
            signed
        }
    };
    record(
        shared,
        job,
        ca,
        order,
        signed.key,
        CaAct::Certificate {
            profile: profile.name.clone(),
            csr,
            serial: signed.serial.clone(),
            certificate: signed.done.certificate.clone(),
        },
    )?;
    tracing::info!(ca = %ca.name, profile = %profile.name, serial = %signed.serial, "a certificate was issued");
    let answer = again(ca, &signed.done, request, csr);
    drop(in_hand);
    answer
}

/// Signs a certificate. Nothing of it has left yet.
fn sign(
    shared: &Shared,
    job: &Job,
    ca: &LocalAuthority,
    profile: &Profile,
    request: &IssueRequest,
    csr: Hash,
) -> Result<Signed, Refusal> {
    let asked = Request::read(request.csr.as_slice()).map_err(|error| refusal(error, None))?;
    let (made, key) = TokenKey::with(shared, &ca.key, job.deadline, &ca.name, |key| {
        let serial = issue::new_serial().map_err(|error| refusal(error, None))?;
        issue::issue(
            &ca.authority,
            profile,
            &ca.published,
            &asked,
            &serial,
            now(),
            key,
        )
        .map(|made| (made, Hash::of(key.spki_der())))
        .map_err(|error| refusal(error, Some(key)))
    })?;
    Ok(Signed {
        done: Done {
            ca: ca.name.clone(),
            order: request.request_id.clone(),
            profile: profile.name.clone(),
            csr,
            certificate: Base64Bytes(made.der).encode(),
        },
        serial: hex(&made.serial),
        key,
    })
}

fn answer(ca: &LocalAuthority, certificate: Base64Bytes) -> IssuedCertificate {
    IssuedCertificate {
        certificate,
        chain: ca.chain.iter().cloned().map(Base64Bytes).collect(),
    }
}

/// What the order got before.
fn again(
    ca: &LocalAuthority,
    done: &Done,
    request: &IssueRequest,
    csr: Hash,
) -> Result<IssuedCertificate, Refusal> {
    if done.csr != csr || done.profile != request.profile {
        return Err(Refusal::bad_request(
            "this order was for another request: an order's id is never used again",
        ));
    }
    let certificate = Base64Bytes::decode(&done.certificate).map_err(|_| {
        Refusal::fault(
            "receipt_unreadable",
            "the certificate in a receipt is no base64".to_owned(),
        )
    })?;
    Ok(answer(ca, certificate))
}

/// How far a list's number may be above the last one: numbers only ever grow, and who asks must not use them up.
const MAX_LIST_STEP: u64 = 1 << 20;

/// A revocation list.
pub(super) fn sign_crl(
    shared: &Shared,
    job: &Job,
    request: &SignCrlRequest,
) -> Result<SignedCrl, Refusal> {
    let ca = find(shared, &request.ca)?;
    if request.entries.len() > crl::MAX_ENTRIES {
        return Err(Refusal::bad_request(&format!(
            "a revocation list has {} entries at most",
            crl::MAX_ENTRIES
        )));
    }
    let entries = request
        .entries
        .iter()
        .map(|entry| {
            let reason = reason(entry.reason)?;
            Ok(crl::Entry {
                serial: entry.serial.as_slice().to_vec(),
                revoked_at: system_time(entry.at_ms),
                reason,
            })
        })
        .collect::<Result<Vec<_>, Refusal>>()?;
    shared.oracle.book().ready()?;
    // No number is taken for a key that is not there.
    TokenKey::of_section(shared, &ca.key, job.deadline, section(&ca.name))?;
    take_number(&mut shared.authorities.memory(), &ca.name, request.number)?;
    let this_update = now();
    let lasts = match request.base {
        Some(_) => ca.delta_lasts,
        None => ca.crl_lasts,
    };
    let next_update = this_update
        .checked_add(lasts)
        .unwrap_or(this_update)
        .min(ca.authority.not_after());
    let list = List {
        number: request.number,
        base: request.base,
        this_update,
        next_update,
        entries,
        published_at: ca.published.crl.clone(),
        delta_at: ca.published.delta_crl.clone(),
    };
    let (der, key) = TokenKey::with(shared, &ca.key, job.deadline, &ca.name, |key| {
        list.sign(&ca.authority, key)
            .map(|der| (der, Hash::of(key.spki_der())))
            .map_err(|error| refusal(error, Some(key)))
    })?;
    record(
        shared,
        job,
        ca,
        &request.request_id,
        key,
        CaAct::List {
            number: request.number,
            base: request.base,
            entries: u64::try_from(request.entries.len()).unwrap_or(u64::MAX),
            list: Hash::of(&der),
        },
    )?;
    Ok(SignedCrl {
        crl: Base64Bytes(der),
        this_update_ms: milliseconds(this_update),
        next_update_ms: milliseconds(next_update),
    })
}

/// Takes a list's number: from now on it is for nobody else, also where this list is not signed.
fn take_number(memory: &mut IssuedMemory, ca: &str, number: u64) -> Result<(), Refusal> {
    let refused = |text| Refusal::open(FailureCode::BadRequest, "crl_number", text);
    let last = memory.last_list(ca);
    if number > last.unwrap_or(0).saturating_add(MAX_LIST_STEP) {
        return Err(refused(format!(
            "the revocation list's number {number} is too far above the last one: nobody could sign another list after it"
        )));
    }
    if !memory.begin_list(ca, number) {
        return Err(refused(format!(
            "the last revocation list had the number {}: the next one has to have a higher one",
            last.unwrap_or(0)
        )));
    }
    Ok(())
}

fn reason(code: u8) -> Result<CrlReason, Refusal> {
    Ok(match code {
        0 => CrlReason::Unspecified,
        1 => CrlReason::KeyCompromise,
        2 => CrlReason::CaCompromise,
        3 => CrlReason::AffiliationChanged,
        4 => CrlReason::Superseded,
        5 => CrlReason::CessationOfOperation,
        6 => CrlReason::CertificateHold,
        8 => CrlReason::RemoveFromCRL,
        9 => CrlReason::PrivilegeWithdrawn,
        10 => CrlReason::AaCompromise,
        _ => {
            return Err(Refusal::bad_request(
                "a revocation reason is none of RFC 5280, section 5.3.1",
            ));
        }
    })
}

fn find<'a>(shared: &'a Shared, name: &str) -> Result<&'a LocalAuthority, Refusal> {
    shared
        .policy
        .authorities
        .iter()
        .find(|known| known.name == name)
        .ok_or_else(|| {
            Refusal::bad_request("this engine has no authority of this name: see [[engine.ca]]")
        })
}

/// The part of the configuration that names an authority.
fn section(ca: &str) -> String {
    format!("engine.ca.{ca}")
}

/// Records what was signed; returns when that is durable.
fn record(
    shared: &Shared,
    job: &Job,
    ca: &LocalAuthority,
    request: &str,
    key: Hash,
    signed: CaAct,
) -> Result<(), Refusal> {
    let event = Event::CaUse(Box::new(CaUse {
        request: request.to_owned(),
        caller: caller(job),
        ca: ca.name.clone(),
        key,
        signed,
        policy: shared.policy_digest,
    }));
    if shared.oracle.book().is_kept() {
        let until = job.deadline.max(Instant::now() + RECEIPT_LIMIT);
        return shared.oracle.book().record(event, Some(until));
    }
    // Under the exception `no-receipts` the memory lives as long as this process.
    shared.authorities.memory().apply(&Entry {
        v: FORMAT_VERSION,
        seq: 0,
        time: Timestamp::from_ms(SystemClock.now_ms()),
        boot: String::new(),
        prev: Hash::NONE,
        event,
    });
    Ok(())
}

/// What the caller is told: reasons that follow from the request and the configuration alone, as they are.
fn refusal(error: IssueError, key: Option<&TokenKey<'_>>) -> Refusal {
    match error {
        IssueError::Refused(_) | IssueError::Authority(_) => Refusal::open(
            FailureCode::IssuanceRefused,
            "issuance_refused",
            error.to_string(),
        ),
        IssueError::Sign(_) => key.and_then(TokenKey::refusal).unwrap_or_else(|| {
            Refusal::fault("signing", "the signing key does not sign".to_owned())
        }),
        other => Refusal::fault("issuing", other.to_string()),
    }
}
