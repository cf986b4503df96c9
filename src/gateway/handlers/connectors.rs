//! The connectors' side: lease, extend, complete, fail, heartbeat.

use crate::gateway::api::{
    Completion, Extended, Fence, Heartbeat, LeaseRequest, LeaseResponse, RequestFailure, Settled,
};
use crate::gateway::error::ApiError;
use crate::gateway::http::{Call, Reply, ok};
use crate::gateway::store::{Answer, Contact, LeaseTerms, Offered, Store, StoreError};
use crate::gateway::validate;
use serde::Serialize;
use std::time::Duration;
use tokio::time::Instant;

/// Requests in one answer at most.
const MAX_BATCH: u32 = 256;
/// How long an answer is held back at most.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// A waiting connector looks this often whatever happens: the clock may have been set, another process may have queued something.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a look for work brought.
pub(super) enum Waiting<T> {
    /// Work: this is the answer.
    Over(T),
    /// None; when some will be due, in milliseconds since 1970.
    Until(Option<i64>),
}

/// Leases work; waits for some when there is none.
pub(crate) async fn lease(call: Call) -> Result<Reply, ApiError> {
    let message: LeaseRequest = call.message()?;
    validate::connector(&message.connector)?;
    let look = |store: &Store, contact: &Contact, instance: &str, terms: &LeaseTerms| {
        let lease = store.lease(contact, instance, terms)?;
        Ok(if lease.work.is_empty() {
            Waiting::Until(lease.next_due_ms)
        } else {
            Waiting::Over(LeaseResponse { work: lease.work })
        })
    };
    poll(&call, message, look, LeaseResponse { work: Vec::new() }).await
}

/// Looks for work until there is some or the connector's patience is over; `nothing` is the answer then.
pub(super) async fn poll<T: Serialize + Send + 'static>(
    call: &Call,
    message: LeaseRequest,
    look: impl Fn(&Store, &Contact, &str, &LeaseTerms) -> Result<Waiting<T>, StoreError>
    + Clone
    + Send
    + 'static,
    nothing: T,
) -> Result<Reply, ApiError> {
    if !(1..=MAX_BATCH).contains(&message.max) {
        return Err(ApiError::bad_request(format!("max: 1 to {MAX_BATCH}")));
    }
    let contact = call.contact()?;
    let identity = message.connector.clone();
    let admitted = contact.clone();
    call.app
        .stored(move |store| store.admit(&admitted, &identity, None))
        .await?;
    let terms = LeaseTerms {
        max: message.max,
        offered: Offered::of(&message.connector.features),
        ..call.app.terms
    };
    let deadline = Instant::now() + Duration::from_millis(message.wait_ms).min(MAX_WAIT);
    let mut stopping = call.app.stopping.clone();
    loop {
        // Registered before the look, so that what comes in between is not missed.
        let woken = call.app.work.notified();
        tokio::pin!(woken);
        woken.as_mut().enable();
        let (who, instance) = (contact.clone(), message.connector.instance.clone());
        let look = look.clone();
        let (found, now_ms) = call
            .app
            .stored(move |store| Ok((look(store, &who, &instance, &terms)?, store.now_ms())))
            .await?;
        let next_due_ms = match found {
            Waiting::Over(work) => return ok(&work),
            Waiting::Until(next_due_ms) => next_due_ms,
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || *stopping.borrow() {
            return ok(&nothing);
        }
        let until_due = next_due_ms
            .and_then(|due| u64::try_from(due.saturating_sub(now_ms).max(0)).ok())
            .map_or(LOOK_EVERY, Duration::from_millis)
            .max(Duration::from_millis(10));
        tokio::select! {
            () = &mut woken => {}
            () = tokio::time::sleep(left.min(until_due).min(LOOK_EVERY)) => {}
            _ = stopping.changed() => {}
        }
    }
}

/// Makes a lease last longer.
pub(crate) async fn extend(call: Call) -> Result<Reply, ApiError> {
    let Fence { fence } = call.message()?;
    let contact = call.contact()?;
    let lease_ms = call.app.terms.lease_ms;
    let id = call.id;
    call.app
        .stored(move |store| {
            store.admit_known(&contact)?;
            store.extend(&contact, &id, fence, lease_ms)
        })
        .await?;
    ok(&Extended { lease_ms })
}

/// Takes a result.
pub(crate) async fn complete(call: Call) -> Result<Reply, ApiError> {
    let message: Completion = call.message()?;
    validate::result(&message)?;
    let contact = call.contact()?;
    let terms = call.app.terms;
    let id = call.id;
    let outcome = call
        .app
        .stored(move |store| {
            store.admit_known(&contact)?;
            let completed = validate::result(&message).map_err(|_| StoreError::WrongResult)?;
            let answer = Answer::Completed(completed);
            store.settle(&contact, &id, message.fence, &answer, &terms)
        })
        .await?;
    ok(&Settled { outcome })
}

/// Takes a failure.
pub(crate) async fn fail(call: Call) -> Result<Reply, ApiError> {
    let message: RequestFailure = call.message()?;
    let failure = validate::failure(message.failure)?;
    let resume_ms = message
        .resume_ms
        .filter(|_| message.retry)
        .map(validate::revocation::resume_ms)
        .transpose()?;
    let contact = call.contact()?;
    let terms = call.app.terms;
    let id = call.id;
    let outcome = call
        .app
        .stored(move |store| {
            store.admit_known(&contact)?;
            if let Some(resume_ms) = resume_ms {
                return store.give_back_revocation(
                    &contact,
                    &id,
                    message.fence,
                    &failure,
                    resume_ms,
                );
            }
            let answer = Answer::Failed {
                failure: &failure,
                retry: message.retry,
            };
            store.settle(&contact, &id, message.fence, &answer, &terms)
        })
        .await?;
    // Others may try what this one could not.
    call.app.work.notify_waiters();
    ok(&Settled { outcome })
}

/// Notes that a connector is there.
pub(crate) async fn heartbeat(call: Call) -> Result<Reply, ApiError> {
    let message: Heartbeat = call.message()?;
    validate::connector(&message.connector)?;
    let contact = call.contact()?;
    call.app
        .stored(move |store| {
            let report = (message.in_flight, message.engine_healthy);
            store.admit(&contact, &message.connector, Some(report))
        })
        .await?;
    Ok(Reply::empty())
}
