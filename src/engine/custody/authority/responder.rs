//! The OCSP responders of authorities, each with a key of its own on the token. The authority's key gives it a certificate when it is first
//! needed and again at half of its life, so that nobody has to think of it and a stolen responder's key is of use for days only.

use super::super::Shared;
use super::super::queue::Job;
use super::super::refusal::Refusal;
use super::responders::Delegated;
use super::{TokenKey, find, milliseconds, now, reason, record, refusal, system_time};
use crate::encoding::{Base64Bytes, hex};
use crate::engine::api::{FailureCode, SerialState, SerialStatus, SignOcspRequest, SignedOcsp};
use crate::engine::policy::LocalAuthority;
use audit::Hash;
use audit::event::CaAct;
use hsm::SigningKeyName;
use pki::Signer;
use pki::issue;
use pki::ocsp::{CertId, IdHash, MAX_ASKED, MAX_NONCE_BYTES, Responder, Single, Status};
use std::time::{Duration, Instant};
use x509_cert::name::Name;

/// How long a responder's certificate is valid; it is renewed at half of that.
pub(in super::super) const LASTS: Duration = Duration::from_secs(14 * 86_400);
/// The longest serial number (RFC 5280, section 4.1.2.2, with room for a sign).
const MAX_SERIAL_BYTES: usize = 21;

/// An OCSP answer.
pub(in super::super) fn sign_ocsp(
    shared: &Shared,
    job: &Job,
    request: &SignOcspRequest,
) -> Result<SignedOcsp, Refusal> {
    let ca = find(shared, &request.ca)?;
    let Some(name) = &ca.ocsp_key else {
        return Err(Refusal::bad_request(&format!(
            "the authority `{0}` has no OCSP responder: name its key as `ocsp_key` of engine.ca.{0}",
            ca.name
        )));
    };
    let nonce = request.nonce.as_ref().map(Base64Bytes::as_slice);
    let fits = (1..=MAX_ASKED).contains(&request.statuses.len())
        && nonce.is_none_or(|nonce| (1..=MAX_NONCE_BYTES).contains(&nonce.len()))
        && request
            .statuses
            .iter()
            .all(|one| (1..=MAX_SERIAL_BYTES).contains(&one.serial.as_slice().len()));
    if !fits {
        return Err(Refusal::bad_request(
            "an OCSP answer is about 1 to 16 serial numbers of 1 to 21 octets, and its nonce has 1 to 128",
        ));
    }
    on_pace(shared, ca, request)?;
    shared.oracle.book().ready()?;
    let singles = request
        .statuses
        .iter()
        .map(|one| single(ca, one))
        .collect::<Result<Vec<_>, Refusal>>()?;
    let made = TokenKey::with(shared, name, job.deadline, &ca.name, |key| {
        let delegated = delegated(shared, job, ca, key, name)?;
        let this_update = now();
        let next_update = this_update
            .checked_add(ca.ocsp_lasts)
            .unwrap_or(this_update)
            .min(delegated.not_after);
        let response = Responder {
            certificate_der: &delegated.certificate,
            this_update,
            next_update,
        }
        .answer(&singles, nonce, key)
        .map_err(|error| refusal(error, Some(key)))?;
        Ok((response, next_update, Hash::of(key.spki_der())))
    })?;
    let (response, next_update, key) = made;
    record(
        shared,
        job,
        ca,
        &request.request_id,
        key,
        CaAct::Status {
            certificates: u64::try_from(singles.len()).unwrap_or(u64::MAX),
            answer: Hash::of(&response),
        },
    )?;
    Ok(SignedOcsp {
        response: Base64Bytes(response),
        next_update_ms: milliseconds(next_update),
    })
}

/// Everybody on the network may ask, and each answer costs a signature of the token and an entry of the audit log. The last quarter of a minute's
/// answers is for those that can be given again: about one certificate that is known, without a nonce.
fn on_pace(shared: &Shared, ca: &LocalAuthority, request: &SignOcspRequest) -> Result<(), Refusal> {
    let is_for_many = request.nonce.is_none()
        && matches!(request.statuses.as_slice(), [one] if one.state != SerialState::Unknown);
    let kept_back = if is_for_many {
        0
    } else {
        ca.ocsp_per_minute / 4
    };
    let most = ca.ocsp_per_minute.saturating_sub(kept_back);
    if shared
        .authorities
        .answers
        .admit(&ca.name, most, Instant::now())
    {
        return Ok(());
    }
    Err(Refusal::open(
        FailureCode::Busy,
        "ocsp_pace",
        format!(
            "the authority `{0}` has signed as many OCSP answers of this kind within a minute as it may: `engine.ca.{0}.ocsp_per_minute` is {1}",
            ca.name, ca.ocsp_per_minute
        ),
    ))
}

/// What is said of one serial number.
fn single(ca: &LocalAuthority, one: &SerialStatus) -> Result<Single, Refusal> {
    let hash = if one.by_sha256 {
        IdHash::Sha256
    } else {
        IdHash::Sha1
    };
    let id = CertId::of(
        hash,
        ca.authority.subject_der(),
        ca.authority.spki_der(),
        one.serial.as_slice(),
    )
    .map_err(|_| Refusal::bad_request("a serial number is none"))?;
    let status = match one.state {
        SerialState::Good => Status::Good,
        SerialState::Unknown => Status::Unknown,
        SerialState::Revoked {
            at_ms,
            reason: code,
        } => Status::Revoked {
            at: system_time(at_ms),
            reason: reason(code)?,
        },
    };
    Ok(Single { id, status })
}

/// The responder's certificate, a new one where there is none or half of its life is over.
fn delegated(
    shared: &Shared,
    job: &Job,
    ca: &LocalAuthority,
    key: &TokenKey<'_>,
    name: &SigningKeyName,
) -> Result<Delegated, Refusal> {
    shared
        .authorities
        .responders
        .get(&ca.name, key.spki_der(), job.deadline, now, || {
            make(shared, job, ca, key, name)
        })
}

fn make(
    shared: &Shared,
    job: &Job,
    ca: &LocalAuthority,
    key: &TokenKey<'_>,
    name: &SigningKeyName,
) -> Result<Delegated, Refusal> {
    let now = now();
    if *name == ca.key {
        return Err(Refusal::bad_request(
            "`ocsp_key` is the authority's own key: the responder needs another one",
        ));
    }
    let subject: Name = format!("CN=OCSP responder of {}", ca.name)
        .parse()
        .map_err(|_| Refusal::fault("responder_name", "no subject for it".to_owned()))?;
    let serial = issue::new_serial().map_err(|error| refusal(error, None))?;
    let (made, authority_key) =
        TokenKey::with(shared, &ca.key, job.deadline, &ca.name, |issuer| {
            issue::responder(
                &ca.authority,
                &subject,
                key.spki_der(),
                &serial,
                (LASTS, now),
                issuer,
            )
            .map(|made| (made, Hash::of(issuer.spki_der())))
            .map_err(|error| refusal(error, Some(issuer)))
        })?;
    record(
        shared,
        job,
        ca,
        &format!("responder-{}", ca.name),
        authority_key,
        CaAct::Responder {
            serial: hex(&made.serial),
            certificate: Hash::of(&made.der),
        },
    )?;
    let life = made.not_after.duration_since(now).unwrap_or_default();
    Ok(Delegated {
        certificate: made.der,
        spki: key.spki_der().to_vec(),
        renew_at: now.checked_add(life / 2).unwrap_or(now),
        not_after: made.not_after,
    })
}
