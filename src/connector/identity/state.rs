//! What the parts of the connector that report know of its certificate.

use crate::clock::rfc3339;
use crate::identity::Facts;
use crate::telemetry::health::Reason;
use std::sync::{Mutex, PoisonError};

/// The certificate in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    /// SHA-256 of it.
    pub(crate) digest: [u8; 32],
    /// The end of its validity, in milliseconds since 1970.
    pub(crate) not_after_ms: i64,
    /// When it is renewed, in milliseconds since 1970.
    pub(crate) due_ms: i64,
    overdue_ms: i64,
}

#[derive(Debug, Default)]
struct State {
    known: Option<Known>,
    trouble: Option<String>,
}

/// How the connector's certificate fares; nothing where it does not renew it itself.
#[derive(Debug, Default)]
pub(crate) struct IdentityState(Mutex<State>);

impl IdentityState {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note(&self, facts: &Facts, due_ms: i64) {
        self.state().known = Some(Known {
            digest: facts.digest,
            not_after_ms: facts.not_after_ms,
            due_ms,
            overdue_ms: facts.overdue_at_ms(),
        });
    }

    pub(super) fn trouble(&self, problem: String) {
        self.state().trouble = Some(problem);
    }

    pub(super) fn clear(&self) {
        self.state().trouble = None;
    }

    /// The certificate in use.
    pub(crate) fn known(&self) -> Option<Known> {
        self.state().known
    }

    /// Why the connector is not healthy, if it is that: a renewal that should be done and is not, while there is time to act.
    pub(crate) fn reason(&self, now_ms: i64) -> Option<Reason> {
        let state = self.state();
        let known = state.known?;
        let problem = state.trouble.as_deref();
        let message = if now_ms >= known.not_after_ms {
            format!(
                "the connector's certificate expired at {}: enrol again with a new token",
                rfc3339(known.not_after_ms)
            )
        } else if now_ms >= known.overdue_ms {
            format!(
                "the connector's certificate expires at {} and could not be renewed: {}",
                rfc3339(known.not_after_ms),
                problem.unwrap_or("the gateway's authority has not decided")
            )
        } else {
            return None;
        };
        Some(Reason::new("identity", message))
    }
}
