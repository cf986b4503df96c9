//! Ends this process when only another one can help: a call that hangs inside a PKCS#11 module, or a module that does not find its
//! token again without a fresh start, or could not be loaded. While other tokens serve, it waits for a moment in which nobody is hurt.

use super::Shared;
use crate::engine::hardening;
use crate::engine::ipc::{Frame, Kind};
use hsm::Operation;
use hsm::group::MemberStatus;
use std::time::{Duration, Instant};

/// Exit code: a call into the module took longer than `call_limit_ms`.
const EXIT_HANGING: i32 = 75;
/// Exit code: the module needs a fresh process to find its token.
const EXIT_TOKEN_LOST: i32 = 76;
/// Opening a token is many calls: it hangs after so many times as long as one.
const OPENING_LIMITS: u32 = 3;
/// How often it looks.
const INTERVAL: Duration = Duration::from_millis(100);
/// How long requests that other threads are busy with may take to finish before the process ends.
const FAREWELL: Duration = Duration::from_millis(500);
/// While other tokens serve: not before the process has worked for so long, so that a token that hangs for good does not keep it
/// starting over ...
const SETTLED: Duration = Duration::from_secs(60);
/// ... and, if it is never idle, so long after it was found out.
const GRACE: Duration = Duration::from_secs(60);

/// Why the process is to be replaced.
struct Reason {
    code: i32,
    text: String,
    /// When the call that hangs was begun, where it is one.
    hangs_since: Option<Instant>,
}

pub(super) fn watch(shared: &Shared) -> ! {
    let limit = Duration::from_millis(shared.config.restart.call_limit_ms);
    let started = Instant::now();
    let mut found: Option<Instant> = None;
    loop {
        std::thread::sleep(INTERVAL);
        let members = shared.tokens.group.members();
        let Some((sick, reason)) = members
            .iter()
            .enumerate()
            .find_map(|(place, member)| Some((place, reason(shared, place, member, limit)?)))
        else {
            found = None;
            continue;
        };
        let since = *found.get_or_insert_with(|| {
            tracing::error!(
                limit_ms = shared.config.restart.call_limit_ms,
                "{}: this process is to be replaced",
                reason.text
            );
            Instant::now()
        });
        let others_serve = members
            .iter()
            .enumerate()
            .any(|(place, member)| place != sick && serves(shared, place, member, limit));
        let is_time = !others_serve
            || (started.elapsed() >= SETTLED
                && ((shared.queue.is_idle()
                    && shared.release.is_empty()
                    && shared.key_making.is_idle())
                    || since.elapsed() >= GRACE));
        if is_time {
            tracing::error!("{}: this process is replaced", reason.text);
            leave(shared, reason.code, reason.hangs_since);
        }
    }
}

fn reason(shared: &Shared, place: usize, member: &MemberStatus, limit: Duration) -> Option<Reason> {
    let name = &member.name;
    let keeper = shared.tokens.keepers.get(place)?;
    if shared.sandbox.is_partly_in_force()
        && let Some(not_loaded) = keeper.not_loaded()
    {
        let served = shared.tokens.group.serves();
        return not_loaded
            .is_worth_another(Instant::now(), served)
            .map(|why| Reason {
                code: EXIT_TOKEN_LOST,
                text: format!("the module of the token `{name}` is not loaded, and {why}"),
                hangs_since: None,
            });
    }
    let opening = keeper.opening_since();
    if opening.is_some_and(|since| since.elapsed() >= limit.saturating_mul(OPENING_LIMITS)) {
        return Some(Reason {
            code: EXIT_HANGING,
            text: format!("opening the token `{name}` hangs"),
            hangs_since: None,
        });
    }
    let health = member.health.as_ref()?;
    // The generation of a key takes as long as it takes.
    let age = health
        .oldest_call_ms
        .filter(|_| health.oldest_call != Some(Operation::Generate))
        .map(Duration::from_millis);
    if let Some(age) = age.filter(|age| *age >= limit) {
        return Some(Reason {
            hangs_since: Instant::now().checked_sub(age),
            code: EXIT_HANGING,
            text: format!(
                "a call into the PKCS#11 module of the token `{name}` hangs ({:?})",
                health.oldest_call
            ),
        });
    }
    health.needs_restart.then(|| Reason {
        code: EXIT_TOKEN_LOST,
        text: format!("the token `{name}` is not found again in this process"),
        hangs_since: None,
    })
}

/// Whether requests can be done by this one.
fn serves(shared: &Shared, place: usize, member: &MemberStatus, limit: Duration) -> bool {
    member.health.is_some()
        && !member.drained
        && member.avoided_ms.is_none()
        && reason(shared, place, member, limit).is_none()
}

/// Ends this process because only another one can open a token.
pub(super) fn leave_over_a_token(shared: &Shared) -> ! {
    leave(shared, EXIT_TOKEN_LOST, None)
}

/// Gives back what has not been begun, lets the rest finish if it does so soon, gives back what is not to blame, and ends.
fn leave(shared: &Shared, code: i32, hangs_since: Option<Instant>) -> ! {
    for job in shared.queue.leave() {
        shared.link.send(Frame::bare(Kind::GivenBack, job.id));
    }
    wait(|| {
        shared.queue.busy().is_empty() && shared.release.is_empty() && shared.link.is_drained()
    });
    // Only what is left in this process' hands is a suspect.
    let mut begun = shared.queue.busy();
    begun.extend(shared.key_making.busy());
    for id in innocent(begun, hangs_since) {
        shared.link.send(Frame::bare(Kind::GivenBack, id));
    }
    wait(|| shared.link.is_drained());
    shared.oracle.book().flush();
    hardening::exit(code)
}

fn wait(done: impl Fn() -> bool) {
    let until = Instant::now() + FAREWELL;
    while !done() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Requests whose call it cannot be that hangs, the newest first: those begun since, and all where none hangs.
fn innocent(mut begun: Vec<(u64, Instant)>, hangs_since: Option<Instant>) -> Vec<u64> {
    begun.retain(|(_, since)| hangs_since.is_none_or(|hangs| *since > hangs));
    begun.sort_unstable_by(|one, other| other.1.cmp(&one.1).then(other.0.cmp(&one.0)));
    begun.into_iter().map(|(id, _)| id).collect()
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;

    #[test]
    fn what_was_begun_before_the_call_that_hangs_is_to_blame_and_nothing_else() {
        let now = Instant::now();
        let at = |ms| now + Duration::from_millis(ms);
        let begun = || vec![(1, at(0)), (4, at(30)), (2, at(10)), (3, at(20))];
        assert_eq!(innocent(begun(), Some(at(10))), [4, 3]);
        assert_eq!(innocent(begun(), Some(at(40))), [0_u64; 0]);
        // A token that is not found again is nobody's fault.
        assert_eq!(innocent(begun(), None), [4, 3, 2, 1]);
    }
}
