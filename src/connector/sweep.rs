//! What crashes, full disks and a failing service left over: outcomes that are not uploaded, Admin events that are not written.

use super::deliver::{deliver_once, of_kind, report, undelivered};
use super::journal::{JournalError, Kind, State};
use super::shared::{Phase, Shared};
use crate::telemetry::Draft;
use crate::telemetry::catalogue::EventKind;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Entries looked at in one pass and state.
const PASS: u32 = 512;
/// Uploads that may fail one after the other before the pass ends.
const FAILURES: u32 = 3;
/// How far the wall clock may have been set back between a lease and its event.
const CLOCK_STEP_MS: i64 = 24 * 3_600_000;
/// Pause between two removals of old entries.
const PRUNE: Duration = Duration::from_secs(3600);
/// Pause between two looks at a journal that cannot be written.
const JOURNAL_LOOK: Duration = Duration::from_secs(1);

/// One pass over everything that is left over and that nobody has in hand.
pub(super) async fn pass(shared: &Arc<Shared>) {
    for result in [report_settled(shared).await, upload_outcomes(shared).await] {
        if let Err(error) = result {
            shared.journal_failed(&error).await;
        }
    }
}

/// Sweeps, prunes and looks after the journal until the connector releases what it has.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut pruned = None::<Instant>;
    loop {
        let broken = shared.journal_fault.borrow().is_some();
        let pause = if broken {
            JOURNAL_LOOK
        } else {
            Duration::from_millis(shared.config().retry.max_ms.clamp(100, 30_000))
        };
        let nudged = async {
            shared.sweep.notified().await;
            // Whatever failed a moment ago gets a moment.
            tokio::time::sleep(Duration::from_millis(
                shared.config().retry.base_ms.clamp(10, 5_000),
            ))
            .await;
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = nudged => {}
            () = shared.until_phase(|phase| phase == Phase::Releasing) => return,
        }
        if broken || pruned.is_none_or(|at| at.elapsed() >= PRUNE) {
            pruned = Some(Instant::now());
            let hours = shared.config().remember_finished_hours;
            // What cannot be pruned shows in the look below.
            let _ = shared.journal.prune(hours).await;
        }
        if broken {
            match shared.journal.probe().await {
                Ok(()) => shared.journal_recovered().await,
                Err(_) => continue,
            }
        }
        pass(&shared).await;
        if let Ok(figures) = shared.journal.figures().await {
            shared
                .metrics
                .journal_bytes
                .set(i64::try_from(figures.bytes).unwrap_or(i64::MAX));
        }
    }
}

/// Settled requests get their Admin event, unless the log has it already.
async fn report_settled(shared: &Arc<Shared>) -> Result<(), JournalError> {
    let settled = shared.journal.in_state(State::Settled, PASS).await?;
    let mut claimed = Vec::new();
    for entry in settled {
        if let Some(claim) = shared.claim(&entry.request_id, entry.fence, &entry.content) {
            // It may have moved on between the query and the claim.
            if let Some(entry) = shared.journal.load(&entry.request_id).await?
                && entry.state == State::Settled
            {
                claimed.push((claim, entry));
            }
        }
    }
    let Some(since_ms) = claimed.iter().map(|(_, entry)| entry.leased_at_ms).min() else {
        return Ok(());
    };
    let wanted: HashSet<String> = claimed
        .iter()
        .map(|(_, entry)| entry.request_id.clone())
        .collect();
    let Ok(followed) = shared.log.follow().await else {
        return Ok(());
    };
    let reported = tokio::task::spawn_blocking(move || {
        followed
            .snapshot
            .reported(&wanted, since_ms - CLOCK_STEP_MS)
    })
    .await;
    let Ok(Ok(reported)) = reported else {
        return Ok(());
    };
    for (claim, entry) in claimed {
        if reported.contains(&entry.request_id) {
            shared
                .journal
                .set_state(&entry.request_id, State::Reported)
                .await?;
        } else if let Some(outcome) = entry.outcome.clone() {
            report(shared, &entry, &outcome, None).await;
            if !shared.log.figures().ok {
                break;
            }
        }
        drop(claim);
    }
    Ok(())
}

/// Outcomes are uploaded under the fence that they have; the pass ends when the service is not there at all.
async fn upload_outcomes(shared: &Arc<Shared>) -> Result<(), JournalError> {
    let mut failures = 0;
    let mut uploaded = [Kind::Import, Kind::Pkcs, Kind::Revocation]
        .map(|kind| (kind, 0_usize, BTreeSet::<String>::new()));
    let mut waiting = shared.journal.in_state(State::Outcome, PASS).await?;
    // Each pass starts elsewhere, so that those that always fail do not keep the others waiting.
    if let Some(start) = usize::from(fips::random::array::<2>().map_or(0, u16::from_be_bytes))
        .checked_rem(waiting.len())
    {
        waiting.rotate_left(start);
    }
    for listed in waiting {
        let Some(claim) = shared.claim(&listed.request_id, listed.fence, &listed.content) else {
            continue;
        };
        let Some((entry, outcome)) = undelivered(shared, &listed.request_id).await? else {
            continue;
        };
        match deliver_once(shared, &claim, &entry, &outcome).await {
            Ok(()) => {
                failures = 0;
                let of_kind = uploaded.iter_mut().find(|(kind, ..)| *kind == entry.kind);
                if let Some((_, count, platforms)) = of_kind {
                    *count = count.saturating_add(1);
                    platforms.insert(entry.subject.platform);
                }
            }
            // One request that the service chokes on must not hold up the others; a service that is not there need not be asked
            // for each of them.
            Err(_) => failures += 1,
        }
        if failures > FAILURES {
            break;
        }
    }
    for (kind, count, platforms) in uploaded.into_iter().filter(|(_, count, _)| *count > 0) {
        let event = of_kind(
            kind,
            EventKind::PkcsImportUploadSuccess,
            EventKind::PkcsUploadSuccess,
            EventKind::RevokeUploadSuccess,
        );
        shared
            .log
            .record(
                Draft::new(event, "results that had waited were uploaded")
                    .field("count", count)
                    .platforms(platforms.iter().map(String::as_str)),
            )
            .await;
    }
    Ok(())
}
