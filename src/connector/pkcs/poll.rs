//! Asking for certificates to be issued: as the loop for stored PFX files does, with a budget of its own, so that a slow authority holds
//! up nobody's mail.

use super::build::Issuance;
use super::work;
use crate::connector::again;
use crate::connector::backoff::Backoff;
use crate::connector::error::CallErrorKind;
use crate::connector::intake::{self, LeasedItem, Starting};
use crate::connector::journal::{Kind, Subject};
use crate::connector::shared::{Phase, Shared};
use crate::gateway::pkcs_api::PkcsWorkItem;
use crate::telemetry::Draft;
use crate::telemetry::catalogue::EventKind;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Pause after a gateway that knows no such requests: an older release, which may be replaced.
const OLDER_GATEWAY: Duration = Duration::from_secs(300);
/// An answer without work that came sooner is followed by a pause.
const SHORTEST_WAIT: Duration = Duration::from_millis(200);

/// Leases and starts work until the connector drains, then returns the tasks that still run.
pub(in crate::connector) async fn poll(
    shared: Arc<Shared>,
    issuance: Arc<Issuance>,
    again: again::Sender,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let mut failing = Backoff::new(shared.config().retry);
    let authorities = issuance.names();
    loop {
        let free = async {
            loop {
                let freed = shared.freed.notified();
                shared.engine.until_up().await;
                let mut fault = shared.journal_fault.subscribe();
                let _ = fault.wait_for(Option::is_none).await;
                let busy = shared.pkcs.load(Ordering::SeqCst);
                let free = issuance.concurrency().saturating_sub(busy);
                if free > 0 && shared.engine.is_up() {
                    return u32::try_from(free).unwrap_or(u32::MAX);
                }
                tokio::select! {
                    () = freed => {}
                    () = tokio::time::sleep(Duration::from_millis(250)) => {}
                }
            }
        };
        let free = tokio::select! {
            biased;
            () = shared.until_phase(|phase| phase != Phase::Running) => break,
            free = free => free,
        };
        while tasks.try_join_next().is_some() {}
        let config = shared.config();
        let gateway = shared.gateway();
        let deliveries = shared.engine.deliveries();
        let asked = Instant::now();
        let answer = tokio::select! {
            answer = gateway.lease_pkcs(free, config.wait_ms, &deliveries, &authorities) => answer,
            () = shared.until_phase(|phase| phase != Phase::Running) => break,
        };
        match answer {
            Ok(leased) => {
                failing = Backoff::new(config.retry);
                shared.service_answered().await;
                let (work, correlation) = leased;
                let empty = work.is_empty();
                take(
                    &shared,
                    &issuance,
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
                }
            }
            Err(error) if error.kind == CallErrorKind::Gone => shared.pause(OLDER_GATEWAY).await,
            Err(error) => {
                shared.service_failed(&error).await;
                shared
                    .log
                    .record(
                        Draft::new(
                            EventKind::PkcsDownloadFailure,
                            "requests for certificates could not be downloaded and will be asked for again",
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

impl LeasedItem for PkcsWorkItem {
    const KIND: Kind = Kind::Pkcs;

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
        let bytes = serde_json::to_vec(&(
            &self.user_principal_name,
            &self.device_id,
            &self.profile_name,
            &self.profile,
            &self.variables,
            &self.device,
        ))
        .unwrap_or_default();
        crate::encoding::hex(fips::digest::digest(fips::digest::Hash::Sha256, &bytes).as_ref())
    }

    fn subject(&self) -> Subject {
        work::subject(self)
    }
}

/// Journals what was leased and starts it.
async fn take(
    shared: &Arc<Shared>,
    issuance: &Arc<Issuance>,
    again: &again::Sender,
    tasks: &mut JoinSet<()>,
    work: Vec<PkcsWorkItem>,
    correlation: Option<&str>,
) {
    let mut admitted = intake::admit(shared, work).await;
    let starting = std::mem::take(&mut admitted.starting);
    if !starting.is_empty() {
        shared
            .log
            .record(
                Draft::new(
                    EventKind::PkcsDownloadSuccess,
                    "a batch of requests for certificates was downloaded",
                )
                .correlation(correlation)
                .field("count", starting.len())
                .platforms(
                    starting
                        .iter()
                        .map(|one| one.item.profile.platform.as_str()),
                ),
            )
            .await;
    }
    for Starting { claim, item, .. } in starting {
        shared
            .log
            .record(
                Draft::new(
                    EventKind::PkcsDownloadedRequest,
                    "a request for a certificate was downloaded",
                )
                .request(&item.request_id)
                .correlation(correlation)
                .field("attempt", item.attempt)
                .field("profile", item.profile_name.clone())
                .platform(&item.profile.platform),
            )
            .await;
        tasks.spawn(work::work(
            Arc::clone(shared),
            Arc::clone(issuance),
            claim,
            item,
        ));
    }
    admitted.deliver_finished(shared, again, tasks);
}
