//! The second half of a request: outcome -> gateway -> journal -> Admin event -> journal. Every step may be repeated after a crash.

use super::error::{CallError, CallErrorKind};
use super::journal::{Entry, JournalError, Kind, Outcome, State};
use super::result::DeviceResult;
use super::shared::{Claim, Shared};
use crate::gateway::api::{self, FailureReport};
use crate::telemetry::Draft;
use crate::telemetry::catalogue::EventKind;
use crate::telemetry::metrics::Outcome as Counted;
use std::time::Instant;

/// Code of the final failure of a request whose attempts are used up.
pub(super) const PARKED: &str = "parked";

/// The event of a request of this kind.
pub(super) fn of_kind(
    kind: Kind,
    import: EventKind,
    pkcs: EventKind,
    revocation: EventKind,
) -> EventKind {
    match kind {
        Kind::Import => import,
        Kind::Pkcs => pkcs,
        Kind::Revocation => revocation,
    }
}

/// How one upload ended.
#[derive(Debug)]
pub(super) enum Upload {
    /// The gateway has it from this instance; with both ids of the call.
    Accepted(Option<String>),
    /// The request is no longer ours.
    NotOurs(CallError),
    /// Try again later.
    Failed(CallError),
}

/// Sends an outcome once. A result that was dropped to make room becomes the failure `resultNotKept`, which tells those who ask to
/// ask anew.
pub(super) async fn upload(
    shared: &Shared,
    request_id: &str,
    fence: u64,
    outcome: &Outcome,
) -> Upload {
    let gateway = shared.gateway();
    let answer = match outcome {
        Outcome::Completed { cms: Some(cms), .. } => {
            let result = DeviceResult::of_journal(cms.clone());
            gateway.complete(request_id, fence, result).await
        }
        Outcome::Completed { cms: None, .. } => {
            let failure = FailureReport {
                code: "resultNotKept".to_owned(),
                message: "this request was delivered before and its result is no longer kept; request it anew".to_owned(),
            };
            gateway.fail(request_id, fence, failure, false).await
        }
        Outcome::Failed { code, message } => {
            let failure = FailureReport {
                code: code.clone(),
                message: message.clone(),
            };
            gateway.fail(request_id, fence, failure, false).await
        }
    };
    match answer {
        Ok((settled, correlation)) => {
            shared.service_answered().await;
            match settled.outcome {
                api::Outcome::Accepted | api::Outcome::AlreadyAccepted => {
                    Upload::Accepted(correlation)
                }
                api::Outcome::Requeued => Upload::Failed(CallError {
                    kind: CallErrorKind::Garbage,
                    message: "the service put a request back into its queue that was finished"
                        .to_owned(),
                    tls: None,
                    correlation,
                }),
            }
        }
        Err(error) => {
            shared.service_failed(&error).await;
            match error.kind {
                CallErrorKind::Stale | CallErrorKind::Gone => Upload::NotOurs(error),
                CallErrorKind::Unavailable | CallErrorKind::Garbage | CallErrorKind::Refused => {
                    Upload::Failed(error)
                }
            }
        }
    }
}

/// What the journal says of a request now that it is in one's hands: its outcome, if that still has to be delivered. Whoever read
/// the journal before the claim may have been overtaken, and would deliver and report it a second time.
///
/// # Errors
/// The journal's.
pub(super) async fn undelivered(
    shared: &Shared,
    request_id: &str,
) -> Result<Option<(Entry, Outcome)>, JournalError> {
    let entry = shared.journal.load(request_id).await?;
    Ok(entry
        .filter(|entry| entry.state == State::Outcome)
        .and_then(|entry| entry.outcome.clone().map(|outcome| (entry, outcome))))
}

/// Uploads an outcome that the journal holds, and sees it through to its Admin event. Returns the reason when the upload has to be
/// tried again; everything else that is left over is the sweeper's.
pub(super) async fn deliver_once(
    shared: &Shared,
    claim: &Claim,
    entry: &Entry,
    outcome: &Outcome,
) -> Result<(), CallError> {
    let started = Instant::now();
    loop {
        let fence = claim.flight.fence();
        match upload(shared, &entry.request_id, fence, outcome).await {
            Upload::Accepted(correlation) => {
                shared
                    .metrics
                    .upload_seconds
                    .observe(started.elapsed().as_secs_f64());
                accepted(shared, entry, outcome, correlation).await;
                return Ok(());
            }
            // It was leased to this instance again meanwhile.
            Upload::NotOurs(_) if claim.flight.fence() != fence => {}
            Upload::NotOurs(error) => {
                superseded(shared, &entry.request_id, &error).await;
                return Ok(());
            }
            Upload::Failed(error) => {
                shared
                    .log
                    .record(
                        Draft::new(
                            of_kind(
                                entry.kind,
                                EventKind::PkcsImportUploadFailure,
                                EventKind::PkcsUploadFailure,
                                EventKind::RevokeUploadFailure,
                            ),
                            "a result could not be uploaded and will be tried again",
                        )
                        .request(&entry.request_id)
                        .correlation(error.correlation.as_deref())
                        .platform(&entry.subject.platform)
                        .field("reason", error.message.clone()),
                    )
                    .await;
                return Err(error);
            }
        }
    }
}

/// Sees a request that the gateway has taken the outcome of through to its Admin event.
pub(super) async fn accepted(
    shared: &Shared,
    entry: &Entry,
    outcome: &Outcome,
    correlation: Option<String>,
) {
    let request_id = &entry.request_id;
    // The Admin event may only be written once the journal knows that it is due: otherwise a restart would not look for it.
    if let Err(error) = shared.journal.set_state(request_id, State::Settled).await {
        shared.journal_failed(&error).await;
        return;
    }
    shared.count(match outcome {
        Outcome::Completed { .. } => Counted::Delivered,
        Outcome::Failed { code, .. } if code == PARKED => Counted::Parked,
        Outcome::Failed { .. } => Counted::Failed,
    });
    shared
        .log
        .record(
            Draft::new(
                of_kind(
                    entry.kind,
                    EventKind::PkcsImportUploadedRequest,
                    EventKind::PkcsUploadedRequest,
                    EventKind::RevokeUploadedRequest,
                ),
                "the result was uploaded",
            )
            .request(request_id)
            .correlation(correlation.as_deref())
            .platform(&entry.subject.platform),
        )
        .await;
    report(shared, entry, outcome, correlation.as_deref()).await;
}

/// Writes the Admin event of a settled request and notes that it is written. When the log cannot be written the request stays
/// settled, and the sweeper comes back to it.
pub(super) async fn report(
    shared: &Shared,
    entry: &Entry,
    outcome: &Outcome,
    correlation: Option<&str>,
) {
    let draft = match outcome {
        Outcome::Completed { .. } if entry.kind == Kind::Revocation => Draft::new(
            EventKind::RevokeRequestSuccess,
            "the certificate is revoked, and the service knows it",
        ),
        Outcome::Failed { code, message } if entry.kind == Kind::Revocation => Draft::new(
            EventKind::RevokeRequestFailure,
            "the certificate was not revoked",
        )
        .field("code", code.clone())
        .field("reason", message.clone()),
        Outcome::Completed { digest, .. } if entry.kind == Kind::Pkcs => Draft::new(
            EventKind::PkcsRequestSuccess,
            "the certificate was issued and uploaded",
        )
        .field("resultSha256", digest.clone()),
        Outcome::Failed { code, message } if entry.kind == Kind::Pkcs => Draft::new(
            EventKind::PkcsRequestFailure,
            "the request for a certificate failed for good",
        )
        .field("code", code.clone())
        .field("reason", message.clone()),
        Outcome::Completed { digest, .. } => Draft::new(
            EventKind::PkcsImportRequestSuccess,
            "the PKCS import request was uploaded",
        )
        .field("resultSha256", digest.clone()),
        Outcome::Failed { code, message } => Draft::new(
            EventKind::PkcsImportRequestFailure,
            "the PKCS import request failed for good",
        )
        .field("code", code.clone())
        .field("reason", message.clone()),
    };
    let draft = draft.request(&entry.request_id).correlation(correlation);
    let (whose, which) = match entry.kind {
        Kind::Import | Kind::Pkcs => ("user", "thumbprint"),
        Kind::Revocation => ("issuer", "serialNumber"),
    };
    let draft = draft
        .field(whose, entry.subject.user.clone())
        .field(which, entry.subject.thumbprint.clone())
        .field("deviceId", entry.subject.device_id.clone())
        .platform(&entry.subject.platform)
        .field("attempt", entry.attempt);
    if shared.log.record_durably(draft).await.is_err() {
        shared.sweep.notify_one();
        return;
    }
    // If this fails, the sweeper finds the event in the log.
    if let Err(error) = shared
        .journal
        .set_state(&entry.request_id, State::Reported)
        .await
    {
        shared.journal_failed(&error).await;
    }
}

/// The request belongs to somebody else now.
pub(super) async fn superseded(shared: &Shared, request_id: &str, error: &CallError) {
    shared.count(Counted::Superseded);
    if let Err(error) = shared
        .journal
        .set_state(request_id, State::Superseded)
        .await
    {
        shared.journal_failed(&error).await;
    }
    shared
        .log
        .record(
            Draft::new(
                EventKind::RequestSuperseded,
                "the request is no longer leased to this connector",
            )
            .request(request_id)
            .correlation(error.correlation.as_deref())
            .field("reason", error.message.clone()),
        )
        .await;
}
