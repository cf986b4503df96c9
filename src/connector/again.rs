//! Finished requests that are offered again: answered from the journal, beside the real work, and less and less often.

use super::deliver::{Upload, deliver_once, of_kind, undelivered, upload};
use super::journal::Entry;
use super::shared::Shared;
use crate::telemetry::Draft;
use crate::telemetry::catalogue::EventKind;
use crate::telemetry::metrics::Outcome as Counted;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Answers at once.
const AT_ONCE: usize = 4;
/// Answers that may wait; what does not fit is offered again anyway.
const QUEUE: usize = 4096;

/// Where finished requests that were offered again go.
#[derive(Debug, Clone)]
pub(super) struct Sender(mpsc::Sender<Entry>);

/// Where they are answered.
pub(super) type Receiver = mpsc::Receiver<Entry>;

/// The two ends.
pub(super) fn channel() -> (Sender, Receiver) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    (Sender(sender), receiver)
}

impl Sender {
    /// Takes an offer; answers are given the 1st, 2nd, 4th, 8th ... time, so that a service that offers for ever costs little.
    pub(super) fn offer(&self, shared: &Shared, entry: Entry) {
        shared.count(Counted::OfferedAgain);
        if entry.offered_again.is_power_of_two() {
            let _ = self.0.try_send(entry);
        }
    }
}

/// Answers until the senders are gone.
pub(super) async fn answer(shared: Arc<Shared>, queue: Receiver) {
    let queue = Arc::new(tokio::sync::Mutex::new(queue));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..AT_ONCE {
        let (shared, queue) = (Arc::clone(&shared), Arc::clone(&queue));
        tasks.spawn(async move {
            loop {
                let next = queue.lock().await.recv().await;
                let Some(entry) = next else { return };
                answer_one(&shared, entry).await;
            }
        });
    }
    while tasks.join_next().await.is_some() {}
}

/// Uploads an outcome that the gateway had not taken before.
pub(super) async fn deliver(shared: Arc<Shared>, entry: Entry) {
    shared.count(Counted::OfferedAgain);
    tell(&shared, &entry).await;
    let Some(claim) = shared.claim(&entry.request_id, entry.fence, &entry.content) else {
        return;
    };
    match undelivered(&shared, &entry.request_id).await {
        // What fails is the sweeper's, or comes again.
        Ok(Some((entry, outcome))) => {
            let _ = deliver_once(&shared, &claim, &entry, &outcome).await;
        }
        Ok(None) => {}
        Err(error) => shared.journal_failed(&error).await,
    }
}

/// Whatever the gateway says to this: the Admin event of the request is written or on its way.
async fn answer_one(shared: &Arc<Shared>, entry: Entry) {
    tell(shared, &entry).await;
    let Some(outcome) = &entry.outcome else {
        return;
    };
    if let Upload::Failed(error) = upload(shared, &entry.request_id, entry.fence, outcome).await {
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
                    "a finished request could not be answered again",
                )
                .request(&entry.request_id)
                .correlation(error.correlation.as_deref())
                .platform(&entry.subject.platform)
                .field("reason", error.message),
            )
            .await;
    }
}

async fn tell(shared: &Shared, entry: &Entry) {
    shared
        .log
        .record(
            Draft::new(
                EventKind::RequestOfferedAgain,
                "a finished request was offered again; the key was not used",
            )
            .request(&entry.request_id)
            .field("times", entry.offered_again),
        )
        .await;
}
