//! One leased request for a certificate: the order worked at, the lease kept meanwhile, the outcome delivered.

use super::build::Issuance;
use super::course::{Course, Kept, resume};
use super::order::{End, Run};
use super::ports::{Keeper, Keys, Later};
use super::progress::Progress;
use crate::connector::deliver::superseded;
use crate::connector::engine_link::EngineLink;
use crate::connector::error::CallError;
use crate::connector::intake;
use crate::connector::journal::{JournalError, Outcome, State, Subject};
use crate::connector::shared::{Claim, Phase, Shared};
use crate::connector::worker::{finish, give_back, keep_lease};
use crate::engine::api::{JudgeDeviceRequest, MadeKey, MakeKeyRequest, PackRequest, Packed};
use crate::engine::client::RecryptError;
use crate::gateway::api::FailureReport;
use crate::gateway::pkcs_api::PkcsWorkItem;
use crate::telemetry::Draft;
use crate::telemetry::catalogue::EventKind;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The engine, with the deadline of its calls.
struct Engine<'a> {
    link: &'a EngineLink,
    deadline: Duration,
}

impl Keys for Engine<'_> {
    fn make_key(&self, request: MakeKeyRequest) -> Later<'_, Result<MadeKey, RecryptError>> {
        Box::pin(self.link.make_key(request, self.deadline))
    }

    fn judge(&self, request: JudgeDeviceRequest) -> Later<'_, Result<(), RecryptError>> {
        Box::pin(self.link.judge_device(request, self.deadline))
    }

    fn pack(&self, request: PackRequest) -> Later<'_, Result<Packed, RecryptError>> {
        Box::pin(self.link.pack(request, self.deadline))
    }
}

/// Journal and gateway.
struct Memory<'a> {
    shared: &'a Shared,
    claim: &'a Claim,
    request_id: &'a str,
}

impl Keeper for Memory<'_> {
    fn keep<'a>(&'a self, course: &'a Course) -> Later<'a, Result<(), JournalError>> {
        Box::pin(
            self.shared
                .journal
                .keep_order(self.request_id, course.to_bytes()),
        )
    }

    fn share<'a>(
        &'a self,
        progress: &'a Progress,
        fence: u64,
        resume: Option<Duration>,
    ) -> Later<'a, Result<(), CallError>> {
        Box::pin(async move {
            let answer = self
                .shared
                .gateway()
                .progress(self.request_id, fence, progress.to_bytes(), resume)
                .await;
            match answer {
                Ok(()) => {
                    self.shared.service_answered().await;
                    Ok(())
                }
                Err(error) => {
                    self.shared.service_failed(&error).await;
                    Err(error)
                }
            }
        })
    }

    fn fence(&self) -> u64 {
        self.claim.flight.fence()
    }

    fn is_held(&self) -> bool {
        self.claim.flight.is_held()
    }

    fn tell(&self, draft: Draft) -> Later<'_, ()> {
        Box::pin(self.shared.log.record(draft))
    }

    fn now_ms(&self) -> i64 {
        self.shared.clock.0.now_ms()
    }
}

/// Counts a request as one of this kind for as long as it is in hand.
struct Counted<'a>(&'a Shared);

impl<'a> Counted<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.pkcs.fetch_add(1, Ordering::SeqCst);
        Self(shared)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.pkcs.fetch_sub(1, Ordering::SeqCst);
        self.0.freed.notify_one();
    }
}

/// Sees a leased request through.
pub(super) async fn work(
    shared: Arc<Shared>,
    issuance: Arc<Issuance>,
    claim: Claim,
    item: PkcsWorkItem,
) {
    let _counted = Counted::new(&shared);
    claim.flight.hold(Duration::from_millis(item.lease_ms));
    let entry = intake::entry(&item, &claim, 0);
    let lease_ms = item.lease_ms;
    let end = tokio::select! {
        end = order(&shared, &issuance, &claim, &item) => end,
        error = keep_lease(&shared, &claim, &entry.request_id, lease_ms) => End::Lost(error),
        // What is under way is known to the journal: the next start asks the authority what became of it.
        () = shared.until_phase(|phase| phase == Phase::Releasing) => {
            End::later("the connector is about to stop")
        }
    };
    match end {
        End::Done(result) => {
            let outcome = Outcome::completed(result.to_journal());
            finish(&shared, &claim, &entry, outcome, lease_ms).await;
        }
        End::Failed { code, message } => {
            let outcome = Outcome::Failed { code, message };
            finish(&shared, &claim, &entry, outcome, lease_ms).await;
        }
        End::Waits => {
            if let Err(error) = shared
                .journal
                .set_state(&entry.request_id, State::Released)
                .await
            {
                shared.journal_failed(&error).await;
            }
        }
        End::GiveBack(report) => give_back(&shared, &claim, &entry, report).await,
        End::Lost(error) => superseded(&shared, &entry.request_id, &error).await,
        End::Abandon(error) => shared.journal_failed(&error).await,
    }
}

/// Whose certificate goes where; its thumbprint is not known yet.
pub(super) fn subject(item: &PkcsWorkItem) -> Subject {
    Subject {
        user: item.user_principal_name.clone(),
        thumbprint: String::new(),
        device_id: item.device_id.clone(),
        platform: item.profile.platform.clone(),
    }
}

async fn order(shared: &Shared, issuance: &Issuance, claim: &Claim, item: &PkcsWorkItem) -> End {
    let memory = Memory {
        shared,
        claim,
        request_id: &item.request_id,
    };
    let kept = match shared.journal.order(&item.request_id).await {
        Ok(None) => Kept::default(),
        Ok(Some(bytes)) => match Kept::of_bytes(&bytes) {
            Some(kept) => kept,
            // It may say that something was ordered: another key would be a second order.
            None => {
                return End::later(
                    "how far the request got is in the journal in a form that this release does not know: use the release that wrote it",
                );
            }
        },
        Err(error) => return End::Abandon(error),
    };
    let told = if item.progress.is_empty() {
        None
    } else {
        match Progress::of_bytes(item.progress.as_slice()) {
            Some(told) => Some(told),
            // A newer release began it.
            None => {
                return End::later(
                    "how far the request got is told in a form that this release does not know",
                );
            }
        }
    };
    let Some(authority) = issuance.authority(&item.profile.ca) else {
        let (draft, end) = no_authority(item, &issuance.names());
        shared.log.record(draft).await;
        return end;
    };
    let engine = Engine {
        link: &shared.engine,
        deadline: Duration::from_millis(shared.config().engine_timeout_ms.max(1)),
    };
    let policy = issuance.policy();
    let end = Run {
        item,
        policy: &policy,
        authority,
        keys: &engine,
        keeper: &memory,
    }
    .run(resume(kept, told, item.fence))
    .await;
    match &end {
        End::Done(_) => authority.figures.issued.fetch_add(1, Ordering::Relaxed),
        End::Failed { .. } => authority.figures.failed.fetch_add(1, Ordering::Relaxed),
        _ => 0,
    };
    end
}

/// A request for an authority that is not configured here: another connector may have it. A gateway that knows which authorities its connectors
/// have offers none; an older one does, or the profile was changed meanwhile.
pub(super) fn no_authority(item: &PkcsWorkItem, known: &[&str]) -> (Draft, End) {
    let code = "unknownAuthority";
    let message = format!(
        "this connector has no authority {:?}: its `[[connector.ca]]` are {}",
        crate::encoding::printable(&item.profile.ca),
        known.join(", ")
    );
    let draft = Draft::new(
        EventKind::PkcsIssuedFailedAttempt,
        "the request is given back: another connector may have the authority",
    )
    .request(&item.request_id)
    .field("ca", item.profile.ca.clone())
    .field("profile", item.profile_name.clone())
    .platform(&item.profile.platform)
    .field("code", code)
    .field("reason", message.clone());
    let failure = FailureReport {
        code: code.to_owned(),
        message,
    };
    (draft, End::GiveBack(failure))
}
