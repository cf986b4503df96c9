//! Asking for work: never more than can be worked on, never in a hot loop, never while it could not be finished.

use super::again;
use super::backoff::Backoff;
use super::error::CallError;
use super::gateway_client::Leased;
use super::intake::{self, LeasedItem, Starting};
use super::journal::{Kind, Subject};
use super::shared::{Phase, Shared};
use super::worker;
use crate::gateway::api::WorkItem;
use crate::telemetry::Draft;
use crate::telemetry::catalogue::EventKind;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// The longest pause after polls that brought nothing new: work that arrives meanwhile waits no longer than this.
const LONGEST_PACE: Duration = Duration::from_secs(2);

/// An answer without work that came sooner is followed by a pause, however short a wait is configured.
const SHORTEST_WAIT: Duration = Duration::from_millis(50);

/// Leases and starts work until the connector drains, then returns the tasks that still run.
pub(super) async fn poll(shared: Arc<Shared>, again: again::Sender) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let mut failing = Backoff::new(shared.config().retry);
    let mut pace = Backoff::new(shared.config().retry).at_most(LONGEST_PACE);
    loop {
        // What follows may wait as long as engine, journal and service make it.
        shared.turn.rest();
        if !until_ready(&shared).await {
            break;
        }
        shared.turn.step();
        while tasks.try_join_next().is_some() {}
        let config = shared.config();
        let gateway = shared.gateway();
        let deliveries = shared.engine.deliveries();
        let asked = Instant::now();
        let answer = tokio::select! {
            answer = gateway.lease(shared.free(), config.wait_ms, &deliveries) => answer,
            () = shared.until_phase(|phase| phase != Phase::Running) => break,
        };
        match answer {
            Ok(leased) => {
                failing = Backoff::new(config.retry);
                shared.service_answered().await;
                let empty = leased.work.is_empty() && leased.malformed.is_none();
                let milliseconds = u64::try_from(asked.elapsed().as_millis()).unwrap_or(u64::MAX);
                shared
                    .log
                    .record(
                        Draft::new(EventKind::StepDetail, "the service was asked for work")
                            .correlation(leased.correlation.as_deref())
                            .field("items", leased.work.len())
                            .field("milliseconds", milliseconds),
                    )
                    .await;
                let new = take(&shared, &again, &mut tasks, leased).await;
                shared.turn.rest();
                if new > 0 {
                    pace = Backoff::new(config.retry).at_most(LONGEST_PACE);
                } else if empty && config.wait_ms == 0 {
                    shared.pause(Duration::from_millis(config.poll_ms)).await;
                } else if !empty
                    || asked.elapsed()
                        < Duration::from_millis(config.wait_ms / 2).max(SHORTEST_WAIT)
                {
                    // Only old acquaintances, or a service that does not wait although it was asked to.
                    shared.pause(pace.next()).await;
                }
            }
            Err(error) => {
                download_failed(&shared, &error).await;
                shared.turn.rest();
                shared.pause(failing.next()).await;
            }
        }
    }
    shared.turn.rest();
    tasks
}

/// Returns `true` when there is room, the engine answers and the journal can be written; `false` when the connector drains.
async fn until_ready(shared: &Shared) -> bool {
    let ready = async {
        loop {
            let freed = shared.freed.notified();
            shared.engine.until_up().await;
            let mut fault = shared.journal_fault.subscribe();
            let _ = fault.wait_for(Option::is_none).await;
            if shared.free() > 0 && shared.engine.is_up() {
                return;
            }
            tokio::select! {
                () = freed => {}
                // A configuration with more room may have come.
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        }
    };
    tokio::select! {
        biased;
        () = shared.until_phase(|phase| phase != Phase::Running) => false,
        () = ready => true,
    }
}

async fn download_failed(shared: &Shared, error: &CallError) {
    shared.service_failed(error).await;
    shared
        .log
        .record(
            Draft::new(
                EventKind::PkcsImportDownloadFailure,
                "requests could not be downloaded and will be asked for again",
            )
            .correlation(error.correlation.as_deref())
            .field("reason", error.message.clone()),
        )
        .await;
}

impl LeasedItem for WorkItem {
    const KIND: Kind = Kind::Import;

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
        let mut bytes = self.record.signed_bytes(self.pfx.as_slice());
        bytes.extend_from_slice(format!("{:?}", self.format).as_bytes());
        bytes.extend_from_slice(self.device.certificate.as_slice());
        // As an older release made it, where that knew the request.
        if !self.delivery.is_password() {
            bytes.extend_from_slice(self.delivery.name().as_bytes());
            for other in &self.others {
                bytes.extend_from_slice(&other.record.signed_bytes(other.pfx.as_slice()));
            }
        }
        crate::encoding::hex(fips::digest::digest(fips::digest::Hash::Sha256, &bytes).as_ref())
    }

    fn subject(&self) -> Subject {
        Subject {
            user: self.record.user_principal_name.clone(),
            thumbprint: self.record.thumbprint.clone(),
            device_id: self.device_id.clone(),
            ..Subject::default()
        }
    }
}

/// Journals what was leased, starts what is new, and returns how many that are.
async fn take(
    shared: &Arc<Shared>,
    again: &again::Sender,
    tasks: &mut JoinSet<()>,
    leased: Leased,
) -> usize {
    let correlation = leased.correlation;
    if let Some((count, reason)) = leased.malformed {
        shared
            .log
            .record(
                Draft::new(
                    EventKind::PkcsImportDownloadFailure,
                    "the service sent requests that are none of this protocol",
                )
                .correlation(correlation.as_deref())
                .field("count", count)
                .field("reason", reason),
            )
            .await;
    }
    let mut admitted = intake::admit(shared, leased.work).await;
    let starting = std::mem::take(&mut admitted.starting);
    let new = starting.len();
    if new > 0 {
        shared
            .log
            .record(
                Draft::new(
                    EventKind::PkcsImportDownloadSuccess,
                    "a batch of requests was downloaded",
                )
                .correlation(correlation.as_deref())
                .field("count", new),
            )
            .await;
    }
    for Starting {
        claim,
        item,
        failures,
    } in starting
    {
        shared
            .log
            .record(
                Draft::new(
                    EventKind::PkcsImportDownloadedRequest,
                    "a request was downloaded",
                )
                .request(&item.request_id)
                .correlation(correlation.as_deref())
                .field("attempt", item.attempt),
            )
            .await;
        tasks.spawn(worker::work(Arc::clone(shared), claim, item, failures));
    }
    admitted.deliver_finished(shared, again, tasks);
    new
}
