//! One leased request: attempts at the engine, the lease kept meanwhile, the outcome made durable and delivered.

use super::backoff::Backoff;
use super::deliver::{PARKED, accepted, deliver_once, superseded};
use super::engine_link::{EngineHealth, Work};
use super::error::{CallError, CallErrorKind};
use super::intake;
use super::journal::{Entry, JournalError, Outcome, State};
use super::shared::{Claim, Phase, Shared};
use crate::engine::api::{Delivery, Failure, FailureCode};
use crate::engine::client::RecryptError;
use crate::gateway::api::{self, FailureReport, WorkItem};
use crate::telemetry::Draft;
use crate::telemetry::catalogue::EventKind;
use crate::telemetry::metrics::{Attempt, Outcome as Counted};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How the attempts at one request ended.
enum Verdict {
    /// With an outcome.
    Done(Outcome),
    /// Somebody else should try, or this instance later.
    GiveBack(FailureReport),
    /// The lease is lost.
    Lost(CallError),
    /// The journal cannot be written: the lease is left to expire.
    Abandon(JournalError),
}

impl Verdict {
    /// Given back for a reason that is not the request's.
    fn later(message: String) -> Self {
        Self::GiveBack(FailureReport {
            code: "tryAgain".to_owned(),
            message,
        })
    }
}

/// Sees a leased request through.
pub(super) async fn work(shared: Arc<Shared>, claim: Claim, item: WorkItem, failures: u32) {
    let entry = intake::entry(&item, &claim, failures);
    let lease_ms = item.lease_ms;
    let verdict = tokio::select! {
        verdict = attempts(&shared, item, failures) => verdict,
        error = keep_lease(&shared, &claim, &entry.request_id, lease_ms) => Verdict::Lost(error),
        () = shared.until_phase(|phase| phase == Phase::Releasing) => {
            Verdict::later("the connector is about to stop".to_owned())
        }
    };
    match verdict {
        Verdict::Done(outcome) => finish(&shared, &claim, &entry, outcome, lease_ms).await,
        Verdict::GiveBack(report) => give_back(&shared, &claim, &entry, report).await,
        Verdict::Lost(error) => superseded(&shared, &entry.request_id, &error).await,
        Verdict::Abandon(error) => shared.journal_failed(&error).await,
    }
}

/// Makes an outcome durable and delivers it.
pub(super) async fn finish(
    shared: &Shared,
    claim: &Claim,
    entry: &Entry,
    outcome: Outcome,
    lease_ms: u64,
) {
    let stored = shared
        .journal
        .record_outcome(&entry.request_id, outcome.clone())
        .await;
    if let Err(error) = stored {
        // Nothing may go out that a restart would not know of.
        shared.journal_failed(&error).await;
        return;
    }
    let retry = shared.config().retry;
    let mut backoff = Backoff::new(retry);
    let uploads = async {
        for _ in 0..retry.max_attempts.max(1) {
            let Err(_) = deliver_once(shared, claim, entry, &outcome).await else {
                return;
            };
            tokio::select! {
                () = tokio::time::sleep(backoff.next()) => {}
                // What is journaled is uploaded after the next start.
                () = shared.until_phase(|phase| phase == Phase::Releasing) => return,
            }
        }
        shared.sweep.notify_one();
    };
    // A refused extension says nothing here: the gateway may have the result already. Only the answer to the result counts.
    let keep = async {
        loop {
            let _ = keep_lease(shared, claim, &entry.request_id, lease_ms).await;
            tokio::time::sleep(Duration::from_millis(lease_ms)).await;
        }
    };
    tokio::select! {
        () = uploads => {}
        () = keep => {}
    }
}

/// Extends the lease at half of its life; returns when it is lost.
pub(super) async fn keep_lease(
    shared: &Shared,
    claim: &Claim,
    request_id: &str,
    lease_ms: u64,
) -> CallError {
    let mut lease = Duration::from_millis(lease_ms);
    let mut backoff = Backoff::new(shared.config().retry).at_most(lease / 4);
    tokio::time::sleep(lease / 2).await;
    loop {
        let fence = claim.flight.fence();
        match shared.gateway().extend(request_id, fence).await {
            Ok(lease_ms) => {
                claim.flight.hold(Duration::from_millis(lease_ms));
                backoff.reset();
                lease = Duration::from_millis(lease_ms);
                shared
                    .log
                    .record(
                        Draft::new(EventKind::StepDetail, "the lease was extended")
                            .request(request_id)
                            .field("leaseMs", lease_ms),
                    )
                    .await;
                tokio::time::sleep(lease / 2).await;
            }
            Err(error) if matches!(error.kind, CallErrorKind::Stale | CallErrorKind::Gone) => {
                // It may have been leased to this instance anew.
                if claim.flight.fence() == fence {
                    return error;
                }
            }
            // The work goes on: it may well be accepted even after the lease.
            Err(_) => tokio::time::sleep(backoff.next()).await,
        }
    }
}

async fn attempts(shared: &Shared, item: WorkItem, failures: u32) -> Verdict {
    let config = shared.config();
    let received = Instant::now();
    // How long a fault that is not the request's is waited out before another connector gets its chance.
    let patience = received + Duration::from_millis(item.lease_ms);
    let mut backoff = Backoff::new(config.retry);
    let mut failures = failures;
    let mut first = true;
    let (request_id, delivery, attempt) = (item.request_id.clone(), item.delivery, item.attempt);
    let work = Work::from(item);
    loop {
        if tokio::time::timeout_at(patience.into(), shared.engine.until_up())
            .await
            .is_err()
        {
            return Verdict::later("the engine does not answer".to_owned());
        }
        let Ok(slot) = shared.slots.acquire().await else {
            return Verdict::later("the connector is about to stop".to_owned());
        };
        if first {
            shared
                .metrics
                .queue_seconds
                .observe(received.elapsed().as_secs_f64());
            first = false;
        }
        let started = Instant::now();
        let deadline = Duration::from_millis(config.engine_timeout_ms.max(1));
        let result = shared.engine.work(&work, deadline).await;
        drop(slot);
        shared
            .metrics
            .engine_seconds
            .observe(started.elapsed().as_secs_f64());
        let (failure, answered) = match result {
            Ok(worked) => {
                shared.metrics.count_attempt(Attempt::Succeeded);
                shared
                    .log
                    .record(
                        Draft::new(
                            EventKind::PkcsImportReencryptSuccess,
                            done_in_words(delivery),
                        )
                        .request(&request_id)
                        .field("custodyKey", worked.custody_keys.join(" "))
                        .field("delivery", delivery.name())
                        .field(
                            "milliseconds",
                            u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
                        ),
                    )
                    .await;
                return Verdict::Done(Outcome::completed(worked.result.to_journal()));
            }
            Err(RecryptError::Failed(failure)) => (failure, true),
            Err(RecryptError::Unavailable(reason)) => {
                let code = FailureCode::EngineFault;
                (
                    Failure {
                        code,
                        message: reason,
                    },
                    false,
                )
            }
        };
        let code = code_text(failure.code);
        if !failure.code.is_transient() {
            shared.metrics.count_attempt(Attempt::Permanent);
            failed_for_good(shared, &request_id, &code, &failure.message).await;
            return Verdict::Done(Outcome::Failed {
                code,
                message: failure.message,
            });
        }
        shared.metrics.count_attempt(Attempt::Transient);
        let own_fault = answered && is_own_fault(shared, failure.code).await;
        if own_fault {
            failures = match shared.journal.blame(&request_id).await {
                Ok(failures) => failures,
                Err(error) => return Verdict::Abandon(error),
            };
        }
        shared
            .log
            .record(
                Draft::new(
                    EventKind::PkcsImportReencryptFailedAttempt,
                    "re-encrypting failed and will be tried again",
                )
                .request(&request_id)
                .field("code", code.clone())
                .field("reason", failure.message.clone())
                .field("failures", failures)
                .field("attempt", attempt),
            )
            .await;
        // The engine refuses by a rule of its own and for longer than a lease lasts: the gateway queues it again, and counts no attempt.
        if failure.code.is_suspension() {
            return Verdict::GiveBack(FailureReport {
                code,
                message: failure.message,
            });
        }
        // Leases are not counted: an outage or a crash costs leases too, and is not the request's fault.
        if own_fault && failures >= config.retry.max_attempts.max(1) {
            let message = format!(
                "given up after {failures} attempts; the last one: {} ({code})",
                failure.message
            );
            failed_for_good(shared, &request_id, PARKED, &message).await;
            return Verdict::Done(Outcome::Failed {
                code: PARKED.to_owned(),
                message,
            });
        }
        if !own_fault && Instant::now() >= patience {
            return Verdict::later(failure.message);
        }
        if !sleep_between(shared, backoff.next()).await {
            return Verdict::later(failure.message);
        }
    }
}

/// A sleeping request does not keep others from being leased; `false` when so many sleep that this one should be given back.
async fn sleep_between(shared: &Shared, pause: Duration) -> bool {
    struct Awake<'a>(&'a Shared);
    impl Drop for Awake<'_> {
        fn drop(&mut self) {
            self.0.sleeping.fetch_sub(1, Ordering::SeqCst);
        }
    }
    let limit = usize::try_from(shared.config().concurrency.max(1))
        .unwrap_or(1)
        .saturating_mul(2);
    if shared.sleeping.fetch_add(1, Ordering::SeqCst) >= limit {
        shared.sleeping.fetch_sub(1, Ordering::SeqCst);
        return false;
    }
    let _awake = Awake(shared);
    shared.freed.notify_one();
    tokio::time::sleep(pause).await;
    true
}

/// A broken engine or token is no bad request: only while both answer is a failure counted against the request.
async fn is_own_fault(shared: &Shared, code: FailureCode) -> bool {
    match code {
        FailureCode::EngineFault | FailureCode::DeadlineExceeded => {
            shared.engine.look().await == EngineHealth::Up
        }
        _ => false,
    }
}

fn done_in_words(delivery: Delivery) -> &'static str {
    match delivery {
        Delivery::Password => "the password was re-encrypted to the device",
        Delivery::Rewrap => "the PFX was written anew and encrypted to the device",
        Delivery::AppleProfile => {
            "a profile with the user's certificates was encrypted to the device"
        }
    }
}

async fn failed_for_good(shared: &Shared, request_id: &str, code: &str, message: &str) {
    shared
        .log
        .record(
            Draft::new(
                EventKind::PkcsImportReencryptFailure,
                "re-encrypting failed",
            )
            .request(request_id)
            .field("code", code)
            .field("reason", message),
        )
        .await;
}

/// Gives a request back to the queue, as an attempt that failed.
pub(super) async fn give_back(
    shared: &Shared,
    claim: &Claim,
    entry: &Entry,
    failure: FailureReport,
) {
    let request_id = entry.request_id.as_str();
    let reason = failure.message.clone();
    match shared
        .gateway()
        .fail(request_id, claim.flight.fence(), failure, true)
        .await
    {
        // The gateway does not queue it again: this was its last lease, and this the end that its Admin event tells.
        Ok((settled, correlation)) if settled.outcome == api::Outcome::Accepted => {
            shared.service_answered().await;
            let outcome = Outcome::Failed {
                code: "tooManyAttempts".to_owned(),
                message: reason,
            };
            let stored = shared
                .journal
                .record_outcome(request_id, outcome.clone())
                .await;
            match stored {
                Ok(()) => accepted(shared, entry, &outcome, correlation).await,
                Err(error) => shared.journal_failed(&error).await,
            }
        }
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

/// A code as it stands in messages.
pub(super) fn code_text(code: FailureCode) -> String {
    serde_json::to_value(code)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}
