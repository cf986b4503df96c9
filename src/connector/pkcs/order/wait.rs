//! Attempts that came to nothing, and the time until the next.

use super::super::course::{Course, Whose};
use super::super::progress::{Progress, Step};
use super::recipient::Fit;
use super::{End, Run, Stop};
use crate::connector::error::CallErrorKind;
use crate::telemetry::catalogue::EventKind;
use ca::Error;
use std::time::Duration;

/// The longest time until a pending order is asked for again.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

impl Run<'_> {
    pub(super) async fn tell_attempt(&self, progress: &Progress, reason: &str) {
        self.keeper
            .tell(
                self.draft(
                    EventKind::PkcsIssuedFailedAttempt,
                    "the certificate could not be issued yet and will be tried again",
                )
                .field("reason", reason)
                .field("failures", progress.failures),
            )
            .await;
    }

    /// An attempt that came to nothing: it is kept, told, and made again later, unless that went on for too long.
    pub(super) async fn attempt_failed(&self, course: &mut Course, error: &Error) -> End {
        course.at.failures = course.at.failures.saturating_add(1);
        if let Some((code, message)) = self.too_long(course, Some(error)) {
            return self.refuse(code, message).await;
        }
        if let Fit::No(why) = self.device().await {
            return self.give_up(course, &why).await;
        }
        self.tell_attempt(&course.at, &error.to_string()).await;
        if let Err(error) = self.keeper.keep(course).await {
            return End::Abandon(error);
        }
        let pause = error
            .retry_after()
            .unwrap_or_default()
            .max(self.pause(&course.at));
        self.wait(&course.at, pause).await
    }

    /// Whether it went on for too long: the code and the words of the final failure. `last` is what the authority said last, where it did not
    /// answer as it should.
    pub(super) fn too_long(
        &self,
        course: &Course,
        last: Option<&Error>,
    ) -> Option<(&'static str, String)> {
        let now_ms = self.keeper.now_ms();
        let (since_ms, most) = match course.at.step {
            Step::Pending { since_ms, .. } => (since_ms, self.authority.terms.pending),
            _ => (
                course.at.asked_ms.unwrap_or(now_ms),
                self.authority.terms.patience,
            ),
        };
        let waited = now_ms.saturating_sub(since_ms);
        if !u128::try_from(waited).is_ok_and(|waited| waited > most.as_millis()) {
            return None;
        }
        let (ca, id) = (self.authority.ca.name(), &self.item.request_id);
        let hours = most.as_secs() / 3600;
        let said = last.map_or_else(String::new, |error| format!(", the last time: {error}"));
        Some(match (&course.at.step, course.whose) {
            (Step::Pending { .. }, _) => (
                "pendingTooLong",
                format!(
                    "the authority {ca} has not decided for {hours} hours{said}: have the order {id} approved or withdrawn there, revoke what was issued for \
                     it, then ask anew"
                ),
            ),
            (Step::KeyMade, Whose::Own) => (
                "authorityUnavailable",
                format!(
                    "the authority {ca} did not answer for {hours} hours{said}; nothing was issued; ask anew when it works"
                ),
            ),
            _ => (
                "outcomeUnknown",
                format!(
                    "the authority {ca} did not answer for {hours} hours{said}; whether it issued is not known: look there for a certificate of the order {id} \
                     and revoke it, then ask anew"
                ),
            ),
        })
    }

    /// Doubled with each failure.
    pub(super) fn pause(&self, progress: &Progress) -> Duration {
        let (first, longest) = self.authority.terms.pauses;
        let step = progress.failures.saturating_sub(1).min(16);
        first
            .saturating_mul(1_u32.checked_shl(step).unwrap_or(u32::MAX))
            .min(longest)
    }

    /// Puts the request back into the queue, for so long.
    pub(super) async fn wait(&self, progress: &Progress, time: Duration) -> End {
        let time = time.clamp(self.authority.terms.pauses.0, LONGEST_WAIT);
        let shared = match self.fence() {
            Ok(fence) => self.share(progress, fence, Some(time)).await,
            Err(end) => Err(end),
        };
        match shared {
            Ok(()) => End::Waits,
            Err(end) => end,
        }
    }

    pub(super) async fn share(
        &self,
        progress: &Progress,
        fence: u64,
        resume: Option<Duration>,
    ) -> Stop<()> {
        match self.keeper.share(progress, fence, resume).await {
            Ok(()) => Ok(()),
            Err(error) if matches!(error.kind, CallErrorKind::Stale | CallErrorKind::Gone) => {
                Err(End::Lost(error))
            }
            // What is known here comes back with the next lease.
            Err(error) => Err(End::later(error.message)),
        }
    }
}
