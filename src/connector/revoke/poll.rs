//! Asking for revocations: as the loops for the other kinds of work do, with a budget of its own.

use super::routes::Revoker;
use super::work::{self, certificate_digest};
use crate::connector::again;
use crate::connector::backoff::Backoff;
use crate::connector::error::CallErrorKind;
use crate::connector::intake::{self, LeasedItem, Starting};
use crate::connector::journal::{Kind, Subject};
use crate::connector::shared::{Phase, Shared};
use crate::gateway::revocation_api::RevocationWorkItem;
use crate::telemetry::Draft;
use crate::telemetry::catalogue::EventKind;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Pause after a gateway that knows no such requests: an older release, which may be replaced.
const OLDER_GATEWAY: Duration = Duration::from_secs(300);
/// An answer without work that came sooner is followed by a pause.
const SHORTEST_WAIT: Duration = Duration::from_millis(200);
/// Pause after a batch while the brake gives requests back: those that it lets through go on, and the others are no busy loop.
const BRAKED_PACE: Duration = Duration::from_secs(1);

/// Returns with how many more may be leased, once some may.
async fn free(shared: &Shared) -> u32 {
    loop {
        let freed = shared.freed.notified();
        let mut fault = shared.journal_fault.subscribe();
        let _ = fault.wait_for(Option::is_none).await;
        let at_once = shared.config().revoking().unwrap_or_default().concurrency;
        let busy = u32::try_from(shared.revoking.in_hand()).unwrap_or(u32::MAX);
        match at_once.max(1).saturating_sub(busy) {
            0 => {}
            free => return free,
        }
        tokio::select! {
            () = freed => {}
            () = tokio::time::sleep(Duration::from_millis(250)) => {}
        }
    }
}

/// Leases and starts work until the connector drains, then returns the tasks that still run.
pub(in crate::connector) async fn poll(
    shared: Arc<Shared>,
    revoker: Arc<Revoker>,
    again: again::Sender,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let mut failing = Backoff::new(shared.config().retry);
    loop {
        let free = tokio::select! {
            biased;
            () = shared.until_phase(|phase| phase != Phase::Running) => break,
            free = free(&shared) => free,
        };
        while tasks.try_join_next().is_some() {}
        let config = shared.config();
        let gateway = shared.gateway();
        let deliveries = shared.engine.deliveries();
        let asked = Instant::now();
        let answer = tokio::select! {
            answer = gateway.lease_revocations(free, config.wait_ms, &deliveries, revoker.digests()) => answer,
            () = shared.until_phase(|phase| phase != Phase::Running) => break,
        };
        match answer {
            Ok((work, correlation)) => {
                failing = Backoff::new(config.retry);
                shared.service_answered().await;
                let empty = work.is_empty();
                take(
                    &shared,
                    &revoker,
                    &again,
                    &mut tasks,
                    work,
                    correlation.as_deref(),
                )
                .await;
                if empty && config.wait_ms == 0 {
                    shared.pause(Duration::from_millis(config.poll_ms)).await;
                } else if empty && asked.elapsed() < SHORTEST_WAIT {
                    shared.pause(failing.next()).await;
                } else if shared.revoking.is_braked() {
                    shared.pause(BRAKED_PACE).await;
                }
            }
            Err(error) if error.kind == CallErrorKind::Gone => shared.pause(OLDER_GATEWAY).await,
            Err(error) => {
                shared.service_failed(&error).await;
                shared
                    .log
                    .record(
                        Draft::new(
                            EventKind::RevokeDownloadFailure,
                            "requests to revoke could not be downloaded and will be asked for again",
                        )
                        .correlation(error.correlation.as_deref())
                        .field("reason", error.message.clone()),
                    )
                    .await;
                shared.pause(failing.next()).await;
            }
        }
    }
    tasks
}

impl LeasedItem for RevocationWorkItem {
    const KIND: Kind = Kind::Revocation;

    fn request_id(&self) -> &str {
        &self.request_id
    }

    fn fence(&self) -> u64 {
        self.fence
    }

    fn attempt(&self) -> u32 {
        self.attempt
    }

    fn content(&self) -> String {
        format!(
            "{}/{}",
            certificate_digest(self),
            self.reason.of_ca().code()
        )
    }

    fn subject(&self) -> Subject {
        work::subject(self)
    }
}

/// Journals what was leased and starts it.
async fn take(
    shared: &Arc<Shared>,
    revoker: &Arc<Revoker>,
    again: &again::Sender,
    tasks: &mut JoinSet<()>,
    work: Vec<RevocationWorkItem>,
    correlation: Option<&str>,
) {
    let mut admitted = intake::admit(shared, work).await;
    let starting = std::mem::take(&mut admitted.starting);
    if !starting.is_empty() {
        let draft = Draft::new(
            EventKind::RevokeDownloadSuccess,
            "a batch of requests to revoke was downloaded",
        );
        let draft = draft.correlation(correlation);
        shared
            .log
            .record(draft.field("count", starting.len()))
            .await;
    }
    for Starting { claim, item, .. } in starting {
        shared
            .log
            .record(
                Draft::new(
                    EventKind::RevokeDownloadedRequest,
                    "a request to revoke was downloaded",
                )
                .request(&item.request_id)
                .correlation(correlation)
                .field("attempt", item.attempt)
                .field("serialNumber", item.serial_number.clone())
                .field("revocationReason", item.reason.name()),
            )
            .await;
        let (shared, revoker) = (Arc::clone(shared), Arc::clone(revoker));
        tasks.spawn(work::work(shared, revoker, claim, item));
    }
    admitted.deliver_finished(shared, again, tasks);
}
