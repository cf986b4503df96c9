//! Ends this process when only another one can help: a call that hangs inside a PKCS#11 module, or a module that does not find its
//! token again without a fresh start, or could not be loaded. While other tokens serve, it waits for a moment in which nobody is hurt.

use super::Shared;
use crate::engine::hardening;
use crate::engine::ipc::{Frame, Kind};
use hsm::group::MemberStatus;
use std::time::{Duration, Instant};

/// Exit code: a call into the module took longer than `call_limit_ms`.
const EXIT_HANGING: i32 = 75;
/// Exit code: the module needs a fresh process to find its token.
pub(super) const EXIT_TOKEN_LOST: i32 = 76;
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
            leave(shared, reason.code);
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
            });
    }
    let opening = keeper.opening_since();
    if opening.is_some_and(|since| since.elapsed() >= limit) {
        return Some(Reason {
            code: EXIT_HANGING,
            text: format!("opening the token `{name}` hangs"),
        });
    }
    let health = member.health.as_ref()?;
    let hangs = |age_ms| Duration::from_millis(age_ms) >= limit;
    if health.oldest_call_ms.is_some_and(hangs) {
        return Some(Reason {
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
    })
}

/// Whether requests can be done by this one.
fn serves(shared: &Shared, place: usize, member: &MemberStatus, limit: Duration) -> bool {
    member.health.is_some()
        && !member.drained
        && member.avoided_ms.is_none()
        && reason(shared, place, member, limit).is_none()
}

/// Gives back what has not been begun, lets the rest finish if it does so soon, and ends.
fn leave(shared: &Shared, code: i32) -> ! {
    for job in shared.queue.leave() {
        shared.link.send(Frame::bare(Kind::GivenBack, job.id));
    }
    let until = Instant::now() + FAREWELL;
    while (shared.queue.busy() > 0 || !shared.release.is_empty() || !shared.link.is_drained())
        && Instant::now() < until
    {
        std::thread::sleep(Duration::from_millis(5));
    }
    shared.oracle.book().flush();
    hardening::exit(code)
}
