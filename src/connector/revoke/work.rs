//! One leased revocation: the brake, the authority, the outcome delivered.

use super::brake::InHand;
use super::routes::{NoRoute, Revoker};
use crate::connector::deliver::superseded;
use crate::connector::error::{CallError, CallErrorKind};
use crate::connector::intake;
use crate::connector::journal::{Entry, JournalError, Outcome, Permission, State, Subject};
use crate::connector::pkcs::Authority;
use crate::connector::result::DeviceResult;
use crate::connector::shared::{Claim, Phase, Shared};
use crate::connector::worker::{finish, keep_lease};
use crate::encoding::{from_hex, hex};
use crate::gateway::api::{self, FailureReport};
use crate::gateway::revocation_api::{BRAKED, RevocationResult, RevocationWorkItem};
use crate::telemetry::Draft;
use crate::telemetry::catalogue::EventKind;
use crate::telemetry::metrics::Outcome as Counted;
use ca::{Error, ErrorClass, Revocation, Revoked};
use der::{Decode, Encode};
use std::sync::Arc;
use std::time::Duration;

/// How long what the brake stopped waits at the gateway before it is offered again.
const BRAKED_PAUSE: Duration = Duration::from_secs(15);
/// How long one waits for its turn at an authority before it is given back.
const TURN: Duration = Duration::from_secs(30);
/// The longest time that the gateway lets a request wait.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// How the work at a revocation ended.
enum End {
    /// The authority has revoked it.
    Done(RevocationResult),
    /// It will never be.
    Failed { code: &'static str, message: String },
    /// Later, by anybody.
    GiveBack {
        code: &'static str,
        message: String,
        resume: Duration,
    },
    /// The lease is lost.
    Lost(CallError),
    /// The journal cannot be written: the lease is left to expire.
    Abandon(JournalError),
}

/// The issuer in words.
fn issuer_words(item: &RevocationWorkItem) -> String {
    x509_cert::name::Name::from_der(item.issuer.as_slice()).map_or_else(
        |_| "(no Name)".to_owned(),
        |name| crate::encoding::printable(&pki::name::rfc4514(&name)).to_string(),
    )
}

/// What the Admin event tells of it.
pub(super) fn subject(item: &RevocationWorkItem) -> Subject {
    Subject {
        user: issuer_words(item),
        thumbprint: item.serial_number.clone(),
        device_id: item.device_id.clone().unwrap_or_default(),
        ..Subject::default()
    }
}

/// SHA-256 of what names a certificate, hexadecimal.
pub(super) fn certificate_digest(item: &RevocationWorkItem) -> String {
    let issuer = item.issuer.as_slice();
    let mut bytes = u64::try_from(issuer.len())
        .unwrap_or(u64::MAX)
        .to_be_bytes()
        .to_vec();
    bytes.extend_from_slice(issuer);
    bytes.extend_from_slice(item.serial_number.as_bytes());
    hex(fips::digest::digest(fips::digest::Hash::Sha256, &bytes).as_ref())
}

/// Sees a leased revocation through.
pub(super) async fn work(
    shared: Arc<Shared>,
    revoker: Arc<Revoker>,
    claim: Claim,
    item: RevocationWorkItem,
) {
    let _in_hand = InHand::new(&shared);
    claim.flight.hold(Duration::from_millis(item.lease_ms));
    let entry = intake::entry(&item, &claim, 0);
    let lease_ms = item.lease_ms;
    let end = tokio::select! {
        end = revoke(&shared, &revoker, &item) => end,
        error = keep_lease(&shared, &claim, &entry.request_id, lease_ms) => End::Lost(error),
        // Whether the authority acted does not matter: it is asked again, and answers that it is revoked.
        () = shared.until_phase(|phase| phase == Phase::Releasing) => End::GiveBack {
            code: "tryAgain",
            message: "the connector is about to stop".to_owned(),
            resume: Duration::ZERO,
        },
    };
    match end {
        End::Done(result) => {
            let outcome = Outcome::completed(DeviceResult::revoked(result).to_journal());
            finish(&shared, &claim, &entry, outcome, lease_ms).await;
        }
        End::Failed { code, message } => {
            let draft = Draft::new(EventKind::RevokeFailure, "the certificate was not revoked");
            tell(&shared, &item, draft, code, &message).await;
            let code = code.to_owned();
            let outcome = Outcome::Failed { code, message };
            finish(&shared, &claim, &entry, outcome, lease_ms).await;
        }
        End::GiveBack {
            code,
            message,
            resume,
        } => {
            let failure = FailureReport {
                code: code.to_owned(),
                message,
            };
            give_back(&shared, &claim, &entry, failure, resume).await;
        }
        End::Lost(error) => superseded(&shared, &entry.request_id, &error).await,
        End::Abandon(error) => shared.journal_failed(&error).await,
    }
}

async fn tell(
    shared: &Shared,
    item: &RevocationWorkItem,
    draft: Draft,
    code: &'static str,
    message: &str,
) {
    let draft = draft
        .request(&item.request_id)
        .field("code", code)
        .field("reason", message.to_owned())
        .field("issuer", issuer_words(item))
        .field("serialNumber", item.serial_number.clone());
    shared.log.record(draft).await;
}

/// The certificate of a request, if it is the one that is named.
fn certificate(item: &RevocationWorkItem, serial: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let der = item.certificate.as_slice();
    if der.is_empty() {
        return Ok(None);
    }
    let is_same = x509_cert::Certificate::from_der(der).is_ok_and(|certificate| {
        let tbs = certificate.tbs_certificate();
        tbs.serial_number().as_bytes() == serial
            && tbs
                .issuer()
                .to_der()
                .is_ok_and(|issuer| issuer == item.issuer.as_slice())
    });
    if is_same {
        Ok(Some(der.to_vec()))
    } else {
        Err("the certificate that came with the request is not the one that its issuer and serial number name".to_owned())
    }
}

async fn revoke(shared: &Shared, revoker: &Revoker, item: &RevocationWorkItem) -> End {
    let failed = |code, message| End::Failed { code, message };
    let authority = match revoker.authority(item.issuer.as_slice(), item.ca.as_deref()) {
        Ok(authority) => authority,
        Err(NoRoute::Unknown) => {
            let message = format!(
                "no authority of this connector issues under the name {}: configure the one that does as [[connector.ca]], with its issuing certificate in `issuers`",
                issuer_words(item)
            );
            return failed("unknownIssuer", message);
        }
        Err(NoRoute::Several(names)) => {
            let message = format!(
                "several authorities of this connector issue under the name {}: {names}; name the issuing certificates of each with `issuers`",
                issuer_words(item)
            );
            return failed("ambiguousIssuer", message);
        }
    };
    let serial = match from_hex(&item.serial_number) {
        Some(serial) if (1..=64).contains(&serial.len()) => serial,
        _ => {
            let message = "the request's serial number is none".to_owned();
            return failed("badRequest", message);
        }
    };
    let certificate_der = match certificate(item, &serial) {
        Ok(certificate) => certificate,
        Err(message) => return failed("badRequest", message),
    };
    let revocation = Revocation {
        id: Some(item.request_id.clone()),
        issuer_der: item.issuer.as_slice().to_vec(),
        serial,
        certificate_der,
        reason: item.reason.of_ca(),
    };
    // One that cannot says so by itself; that costs nothing of the threshold.
    if authority.ca.capabilities().revokes
        && let Err(end) = permitted(shared, item).await
    {
        return end;
    }
    ask(shared, authority, item, &revocation).await
}

/// Holds a revocation against the brake.
async fn permitted(shared: &Shared, item: &RevocationWorkItem) -> Result<(), End> {
    let limits = shared.config().revoking().unwrap_or_default();
    let permission = shared
        .journal
        .permit_revocation(&certificate_digest(item), limits)
        .await
        .map_err(End::Abandon)?;
    shared.revoking.note(shared, &permission).await;
    match permission {
        Permission::Granted { .. } => Ok(()),
        Permission::Refused { figures } => Err(End::GiveBack {
            code: BRAKED,
            message: format!(
                "the connector's brake against mass revocation: {} certificates in the last hour ({} at most), {} in 24 hours ({} at most)",
                figures.last_hour, limits.per_hour, figures.last_day, limits.per_day
            ),
            resume: BRAKED_PAUSE,
        }),
    }
}

async fn ask(
    shared: &Shared,
    authority: &Authority,
    item: &RevocationWorkItem,
    revocation: &Revocation,
) -> End {
    let slot = match authority.enter_to_revoke(TURN).await {
        Ok(slot) => slot,
        Err(later) => {
            return End::GiveBack {
                code: "authorityUnavailable",
                message: format!(
                    "the authority {:?} is left alone after failures, or has all it can take",
                    authority.ca.name()
                ),
                resume: later.min(LONGEST_PAUSE),
            };
        }
    };
    let error = match slot.note(authority.ca.revoke(revocation).await) {
        Ok(revoked) => {
            let result = match revoked {
                Revoked::Now => RevocationResult::Now,
                Revoked::Already => RevocationResult::Already,
            };
            let draft = Draft::new(
                EventKind::RevokeSuccess,
                "the authority has revoked the certificate",
            )
            .request(&item.request_id)
            .field("ca", authority.ca.name().to_owned())
            .field("issuer", issuer_words(item))
            .field("serialNumber", item.serial_number.clone())
            .field("revocationReason", item.reason.name())
            .field("result", result.name());
            shared.log.record(draft).await;
            return End::Done(result);
        }
        Err(error) => error,
    };
    let message = error.to_string();
    match code_of(&error) {
        (code, true) => End::Failed { code, message },
        (code, false) => {
            let failures = match shared.journal.blame(&item.request_id).await {
                Ok(failures) => failures,
                Err(error) => return End::Abandon(error),
            };
            let draft = Draft::new(
                EventKind::RevokeFailedAttempt,
                "the certificate could not be revoked and will be tried again",
            )
            .field("ca", authority.ca.name().to_owned())
            .field("failures", failures);
            tell(shared, item, draft, code, &message).await;
            let (first, longest) = authority.terms.pauses;
            let doubled = first
                .saturating_mul(
                    1_u32
                        .checked_shl(failures.saturating_sub(1).min(20))
                        .unwrap_or(u32::MAX),
                )
                .min(longest);
            End::GiveBack {
                code,
                message,
                resume: error.retry_after().unwrap_or(doubled).min(LONGEST_PAUSE),
            }
        }
    }
}

/// The code of a failure, and whether it is one for good. A revocation is never given up because an authority is away: who asked for it relies
/// on it.
fn code_of(error: &Error) -> (&'static str, bool) {
    if error.is_unknown_certificate() {
        return ("unknownCertificate", true);
    }
    if error.is_undecided() {
        return ("undecided", false);
    }
    match error.class() {
        ErrorClass::Rejected => ("rejected", true),
        ErrorClass::Unsupported => ("revocationUnsupported", true),
        ErrorClass::Credential => ("credentialRefused", false),
        ErrorClass::Unavailable
        | ErrorClass::Unknown
        | ErrorClass::Protocol
        | ErrorClass::Misissued => ("authorityUnavailable", false),
    }
}

/// Gives a revocation back to the queue, where it waits.
async fn give_back(
    shared: &Shared,
    claim: &Claim,
    entry: &Entry,
    failure: FailureReport,
    resume: Duration,
) {
    let request_id = entry.request_id.as_str();
    let answer = shared
        .gateway()
        .give_back_revocation(request_id, claim.flight.fence(), failure, resume)
        .await;
    match answer {
        Ok((settled, _)) => {
            shared.service_answered().await;
            if settled.outcome == api::Outcome::Requeued {
                shared.count(Counted::Requeued);
            }
            if let Err(error) = shared.journal.set_state(request_id, State::Released).await {
                shared.journal_failed(&error).await;
            }
        }
        Err(error) if matches!(error.kind, CallErrorKind::Stale | CallErrorKind::Gone) => {
            superseded(shared, request_id, &error).await;
        }
        // The lease expires by itself.
        Err(error) => shared.service_failed(&error).await,
    }
}
