//! What every loop does with the requests that it has leased, whatever kind of work they are: those under way get their new fence, the journal
//! says which are to be worked at and which are finished, and each has one claim.

use super::again;
use super::journal::{Admission, Entry, Kind, Offer, State, Subject};
use super::shared::{Claim, Refence, Shared};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::task::JoinSet;

/// A leased request of some kind of work.
pub(super) trait LeasedItem {
    /// The kind.
    const KIND: Kind;

    /// Name of the request.
    fn request_id(&self) -> &str;

    /// Fence of the lease.
    fn fence(&self) -> u64;

    /// How often it was leased by anybody.
    fn attempt(&self) -> u32;

    /// Digest of everything that its outcome is made from.
    fn content(&self) -> String;

    /// Whose it is.
    fn subject(&self) -> Subject;
}

/// A request to be worked at.
pub(super) struct Starting<I> {
    /// The right to it.
    pub(super) claim: Claim,
    /// What it is.
    pub(super) item: I,
    /// Attempts that failed here before.
    pub(super) failures: u32,
}

/// What became of a batch.
pub(super) struct Admitted<I> {
    /// To be worked at, in the order in which they came.
    pub(super) starting: Vec<Starting<I>>,
    finished: Vec<Entry>,
}

impl<I> Admitted<I> {
    const fn nothing() -> Self {
        Self {
            starting: Vec::new(),
            finished: Vec::new(),
        }
    }

    /// Goes on with what was finished before; call it once the others are started.
    pub(super) fn deliver_finished(
        self,
        shared: &Arc<Shared>,
        again: &again::Sender,
        tasks: &mut JoinSet<()>,
    ) {
        for entry in self.finished {
            if matches!(entry.state, State::Settled | State::Reported) {
                again.offer(shared, entry);
            } else {
                // Its outcome never arrived: the lease is fresh now, and may not be for long.
                tasks.spawn(again::deliver(Arc::clone(shared), entry));
            }
        }
    }
}

/// Journals a batch. What the journal cannot take returns to the queue when its lease expires.
pub(super) async fn admit<I: LeasedItem>(shared: &Arc<Shared>, leased: Vec<I>) -> Admitted<I> {
    // Of one request offered twice in one answer, the newest lease counts.
    let mut items: HashMap<String, (I, String)> = HashMap::new();
    let mut order = Vec::new();
    for item in leased {
        let content = item.content();
        match shared.refence(item.request_id(), item.fence(), &content) {
            Refence::Noted => {
                if let Err(error) = shared
                    .journal
                    .refence(item.request_id(), item.fence())
                    .await
                {
                    shared.journal_failed(&error).await;
                }
                continue;
            }
            // The old work ends with its lease; then the new one is offered again.
            Refence::OtherContent => continue,
            Refence::NotInFlight => {}
        }
        if items
            .get(item.request_id())
            .is_some_and(|(known, _)| known.fence() > item.fence())
        {
            continue;
        }
        let id = item.request_id().to_owned();
        if items.insert(id.clone(), (item, content)).is_none() {
            order.push(id);
        }
    }
    if order.is_empty() {
        return Admitted::nothing();
    }
    let offers = order
        .iter()
        .filter_map(|id| items.get(id))
        .map(|(item, content)| Offer {
            request_id: item.request_id().to_owned(),
            kind: I::KIND,
            fence: item.fence(),
            attempt: item.attempt(),
            content: content.clone(),
            subject: item.subject(),
        })
        .collect();
    let admissions = match shared.journal.admit(offers).await {
        Ok(admissions) => admissions,
        Err(error) => {
            shared.journal_failed(&error).await;
            return Admitted::nothing();
        }
    };
    let mut admitted = Admitted::nothing();
    for (id, admission) in order.into_iter().zip(admissions) {
        let Some((item, content)) = items.remove(&id) else {
            continue;
        };
        match admission {
            Admission::Finished(entry) => admitted.finished.push(*entry),
            Admission::Work { failures } => {
                if let Some(claim) = shared.claim(&id, item.fence(), &content) {
                    admitted.starting.push(Starting {
                        claim,
                        item,
                        failures,
                    });
                }
            }
        }
    }
    admitted
}

/// The journal's entry of a request that is worked at.
pub(super) fn entry<I: LeasedItem>(item: &I, claim: &Claim, failures: u32) -> Entry {
    Entry {
        request_id: item.request_id().to_owned(),
        kind: I::KIND,
        state: State::Leased,
        fence: item.fence(),
        attempt: item.attempt(),
        failures,
        offered_again: 0,
        content: claim.flight.content().to_owned(),
        subject: item.subject(),
        outcome: None,
        leased_at_ms: 0,
    }
}
