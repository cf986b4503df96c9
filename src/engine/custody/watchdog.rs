//! Ends this process when only another one can help: a call that hangs inside the PKCS#11 module, or a module that does not find
//! its token again without a fresh start.

use super::Shared;
use crate::engine::hardening;
use crate::engine::ipc::{Frame, Kind};
use hsm::Custody;
use std::time::{Duration, Instant};

/// Exit code: a call into the module took longer than `call_limit_ms`.
const EXIT_HANGING: i32 = 75;
/// Exit code: the module needs a fresh process to find its token.
const EXIT_TOKEN_LOST: i32 = 76;
/// How often it looks.
const INTERVAL: Duration = Duration::from_millis(100);
/// How long requests that other threads are busy with may take to finish before the process ends.
const FAREWELL: Duration = Duration::from_millis(500);

pub(super) fn watch(shared: &Shared) -> ! {
    let limit_ms = shared.config.restart.call_limit_ms;
    loop {
        std::thread::sleep(INTERVAL);
        if let Some(since) = shared.token.opening_since()
            && since.elapsed() >= Duration::from_millis(limit_ms)
        {
            tracing::error!(
                limit_ms,
                "opening the token hangs: this process is replaced"
            );
            leave(shared, EXIT_HANGING);
        }
        let Ok(custody) = shared.token.get() else {
            continue;
        };
        let health = custody.health();
        if let Some(age_ms) = health.oldest_call_ms.filter(|age| *age >= limit_ms) {
            tracing::error!(age_ms, limit_ms, call = ?health.oldest_call, "a call into the PKCS#11 module hangs: this process is replaced");
            leave(shared, EXIT_HANGING);
        }
        if health.needs_restart {
            tracing::error!("the token is not found again in this process: it is replaced");
            leave(shared, EXIT_TOKEN_LOST);
        }
    }
}

/// Gives back what has not been begun, lets the rest finish if it does so soon, and ends.
fn leave(shared: &Shared, code: i32) -> ! {
    for job in shared.queue.leave() {
        shared.link.send(Frame::bare(Kind::GivenBack, job.id));
    }
    let until = Instant::now() + FAREWELL;
    while (shared.queue.busy() > 0 || !shared.link.is_drained()) && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
    hardening::exit(code)
}
