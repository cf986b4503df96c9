//! What the connector tells the service manager: how it fares, and that it is alive.

use super::shared::Shared;
use crate::service_manager::{Beats, Notifier};
use crate::telemetry::health::Health;
use std::sync::Arc;
use std::time::Duration;

/// What a step of the loop may take beyond the deadlines of the calls in it: the journal's and the log's waits for the disk.
const LOCAL_WORK: Duration = Duration::from_secs(60);

/// The connector's side of it.
pub(super) struct Manager {
    notifier: Arc<Notifier>,
    beats: Beats,
    ready_told: bool,
}

impl Manager {
    /// To whom the environment says.
    pub(super) fn from_environment() -> Self {
        let notifier = Arc::new(Notifier::from_environment());
        Self {
            beats: Beats::new(Arc::clone(&notifier)),
            notifier,
            ready_told: false,
        }
    }

    /// The connector works, and says with what success. Not that everything it needs is there: it waits for that itself.
    pub(super) fn ready(&mut self, shared: &Shared) {
        self.ready_told = self.notifier.ready(&in_words(&shared.health()));
    }

    /// Its configuration is read again; [`ready`](Self::ready) ends that.
    pub(super) fn reloading(&self) {
        self.notifier.reloading();
    }

    /// It finishes what it has.
    pub(super) fn stopping(&self) {
        self.notifier.stopping("finishing what is in flight");
    }

    /// Returns when there may be something to tell.
    pub(super) async fn due(&mut self) {
        self.beats.due().await;
    }

    /// Tells how it fares, and that it is alive: that the loop does not hang, and that the threads of journal and event log answer.
    pub(super) fn tell(&mut self, shared: &Arc<Shared>) {
        if self.ready_told {
            self.notifier.status(&in_words(&shared.health()));
        } else {
            self.ready(shared);
        }
        let shared = Arc::clone(shared);
        self.beats.beat(async move {
            let config = shared.config();
            let calls =
                Duration::from_millis(config.wait_ms.saturating_add(config.http_timeout_ms));
            if shared.turn.is_stuck(calls.saturating_add(LOCAL_WORK)) {
                tracing::error!(
                    "the loop that asks for work hangs: the watchdog is not fed any more"
                );
                std::future::pending::<()>().await;
            }
            // An error is an answer: a full disk is told elsewhere, and no restart helps against it.
            let _ = shared.journal.figures().await;
            shared.log.answers().await;
        });
    }
}

fn in_words(health: &Health) -> String {
    if health.healthy {
        return "running, healthy".to_owned();
    }
    let reasons: Vec<_> = health
        .reasons
        .iter()
        .map(|reason| format!("{}: {}", reason.code, reason.message))
        .collect();
    format!("running, not healthy: {}", reasons.join("; "))
}
