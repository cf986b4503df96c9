//! Asks the authorities how they fare, each at its own pace, so that a missing right is known before a request needs it.

use super::authority::Authority;
use super::build::Issuance;
use super::course::Kept;
use super::progress::Step;
use crate::ca::Asked;
use crate::calendar::{Dated, Effect, Kind, Source};
use crate::connector::shared::Shared;
use crate::telemetry::Draft;
use crate::telemetry::catalogue::EventKind;
use ca::{Error, ErrorClass};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinSet;

/// Pause after an authority that is well.
const WELL: Duration = Duration::from_secs(300);
/// Pause after one that is not.
const UNWELL: Duration = Duration::from_secs(30);
/// How long an answer may take, whatever the authority's own deadlines add up to.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often the journal is asked for pending orders.
const COUNT: Duration = Duration::from_secs(15);

/// Watches every authority until the task is dropped.
pub(in crate::connector) async fn watch(shared: Arc<Shared>, issuance: Arc<Issuance>) {
    let names: Vec<String> = issuance
        .authorities()
        .map(|(name, _)| name.to_owned())
        .collect();
    // Dropped with this task, and with it every question.
    let mut tasks = JoinSet::new();
    for name in names {
        let (shared, issuance) = (Arc::clone(&shared), Arc::clone(&issuance));
        tasks.spawn(async move {
            while let Some(authority) = issuance.authority(&name) {
                let is_well = ask(&shared, &issuance, authority).await;
                tokio::time::sleep(if is_well { WELL } else { UNWELL }).await;
            }
        });
    }
    loop {
        count_pending(&shared, &issuance).await;
        tokio::time::sleep(COUNT).await;
    }
}

/// Asks once, notes the answer, and tells what changed; whether it is well.
async fn ask(shared: &Shared, issuance: &Issuance, authority: &Authority) -> bool {
    let answer = match tokio::time::timeout(PATIENCE, authority.ca.health()).await {
        Ok(answer) => answer,
        Err(_) => Err(Error::new(
            ErrorClass::Unavailable,
            format!("no answer within {} s", PATIENCE.as_secs()),
        )),
    };
    let asked = Asked::of(answer, shared.clock.0.now_ms());
    let before = authority.note_asked(asked.clone());
    shared.calendar.set(Source::Authorities, lists(issuance));
    for draft in turns(authority.ca.name(), before.as_ref(), &asked) {
        shared.log.record(draft).await;
    }
    asked.problem.is_none()
}

/// Revocation lists that are made here, of all authorities.
fn lists(issuance: &Issuance) -> Vec<Dated> {
    let states = issuance.states().into_iter();
    states
        .filter_map(|state| {
            let (this_update, next_update) = state.asked?.revocation_list_ms?;
            Some(Dated {
                kind: Kind::Crl,
                name: format!("local_ca.{}.crl", state.name),
                subject: String::new(),
                begins_ms: Some(this_update),
                ends_ms: next_update,
                effect: Effect::Weakens,
            })
        })
        .collect()
}

/// What has to be told of an answer after the one before: each change once.
fn turns(name: &str, before: Option<&Asked>, now: &Asked) -> Vec<Draft> {
    let reason = |asked: &Asked| asked.problem.clone().unwrap_or_default();
    let draft = |kind, message| Draft::new(kind, message).field("authority", name);
    let is_away = |asked: &Asked| asked.reachable == Some(false);
    let lacks = |asked: &Asked| !is_away(asked) && asked.may_enroll == Some(false);
    let mut drafts = Vec::new();
    let was_away = before.is_some_and(is_away);
    if is_away(now) && !was_away {
        drafts.push(
            draft(
                EventKind::AuthorityUnavailable,
                "a certification authority does not answer; its requests wait",
            )
            .field("reason", reason(now)),
        );
    }
    if !is_away(now) && was_away {
        drafts.push(draft(
            EventKind::AuthorityRecovered,
            "a certification authority answers again",
        ));
    }
    if lacks(now) && !before.is_some_and(lacks) {
        drafts.push(
            draft(
                EventKind::AuthorityRightMissing,
                "a certification authority does not let this connector enrol",
            )
            .field("reason", reason(now)),
        );
    }
    drafts
}

/// The authority of an order that is pending, as the journal keeps it.
fn pending_at(order: &[u8]) -> Option<String> {
    let kept = Kept::of_bytes(order)?;
    [kept.own, kept.told]
        .into_iter()
        .flatten()
        .find(|progress| matches!(progress.step, Step::Pending { .. }))
        .map(|progress| progress.ca)
}

async fn count_pending(shared: &Shared, issuance: &Issuance) {
    // A journal that cannot be read says so elsewhere; what was known stands.
    let Ok(counts) = shared.journal.count_orders(pending_at).await else {
        return;
    };
    for (name, authority) in issuance.authorities() {
        let count = counts.get(name).copied().unwrap_or_default();
        authority.figures.pending.store(count, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::super::course::Course;
    use super::super::progress::Progress;
    use super::*;

    fn asked(reachable: bool, may_enroll: Option<bool>) -> Asked {
        Asked {
            reachable: Some(reachable),
            may_enroll,
            problem: (!reachable || may_enroll == Some(false)).then(|| "so".to_owned()),
            ..Asked::default()
        }
    }

    #[test]
    fn each_change_of_an_authority_is_told_once() {
        let (well, away) = (asked(true, None), asked(false, None));
        let refused = asked(true, Some(false));
        let told = |before: Option<&Asked>, now: &Asked| -> Vec<u16> {
            let drafts = turns("company", before, now);
            drafts.iter().map(|draft| draft.kind().id()).collect()
        };
        let nothing: [u16; 0] = [];
        assert_eq!(told(None, &well), nothing);
        assert_eq!(told(None, &away), [5010]);
        assert_eq!(told(Some(&away), &away), nothing);
        assert_eq!(told(Some(&away), &well), [5011]);
        assert_eq!(told(Some(&well), &refused), [5012]);
        assert_eq!(told(Some(&refused), &refused), nothing);
        assert_eq!(told(Some(&away), &refused), [5011, 5012]);
        assert_eq!(told(Some(&refused), &away), [5010]);
    }

    #[test]
    fn only_orders_that_the_authority_decides_later_are_pending() {
        let text = || "t".to_owned();
        let mut progress = Progress::key_made(
            "company".to_owned(),
            text(),
            text(),
            vec![1].into(),
            vec![2].into(),
            1,
        );
        let kept = |progress: &Progress| Course::own(progress.clone()).to_bytes();
        assert_eq!(pending_at(&kept(&progress)), None);
        progress.step = Step::Pending {
            reference: vec![1].into(),
            since_ms: 1,
        };
        assert_eq!(pending_at(&kept(&progress)).as_deref(), Some("company"));
        assert_eq!(pending_at(b"{}"), None);
    }
}
