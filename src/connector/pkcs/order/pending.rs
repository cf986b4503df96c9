//! An order that the authority decides later.

use super::super::course::{Course, Whose};
use super::super::progress::Step;
use super::recipient::Fit;
use super::recover::waiting;
use super::{End, Next, Run, Stop};
use ca::{Enrolment, ErrorClass, Pending, Recovered};
use std::time::Duration;

impl Run<'_> {
    /// Asks how a pending order fares: by its reference, or, after an answer that did not come, what became of it.
    pub(super) async fn poll(&self, course: &mut Course) -> Stop<Next> {
        let Step::Pending {
            reference,
            since_ms,
        } = course.at.step.clone()
        else {
            return Ok(Next::Step);
        };
        let can = self.authority.ca.capabilities();
        if course.whose == Whose::Told && !can.polls_by_reference {
            return Err(self.wait_for_its_owner(course).await);
        }
        // Where the poll is the request once more (EST), it may be answered with the certificate: not for a device that cannot have it.
        if !can.polls_by_reference
            && let Fit::No(why) = self.device().await
        {
            return Err(self.give_up(course, &why).await);
        }
        let pending = Pending {
            reference: reference.0,
            ask_again_in: Duration::ZERO,
        };
        let slot = self.turn(course).await?;
        if !can.polls_by_reference {
            // And another connector, for whose order nothing is known, may have told the gateway of a key of its own meanwhile: whoever has the
            // request next has to know of this one again.
            let fence = self.fence()?;
            course.at.fence = fence;
            self.share(&course.at, fence, None).await?;
        }
        if !self.keeper.is_held() {
            return Err(End::later(
                "the lease ran out before the authority was asked",
            ));
        }
        // For the same reason, if the answer gets lost, or this connector dies, it is an order whose answer was lost.
        let mut sent = course.clone();
        if !can.polls_by_reference {
            sent.at.asked_ms = Some(self.keeper.now_ms());
            sent.at.reach(Step::Ordered, self.item.fence);
            self.keeper.keep(&sent).await?;
        }
        let order = self.order(&course.at);
        let answer = if can.recovers && course.at.failures > 0 {
            slot.note(self.authority.ca.recover(&order, Some(&pending)).await)
        } else {
            let answer = self.authority.ca.poll(&order, &pending).await;
            slot.note(answer).map(Recovered::Known)
        };
        match answer {
            Ok(Recovered::Known(Enrolment::Pending(pending))) => {
                Err(self.still_pending(course, pending, since_ms).await)
            }
            Ok(recovered) => self.recovered(course, recovered).await,
            Err(error) => match error.class() {
                ErrorClass::Rejected | ErrorClass::Unsupported | ErrorClass::Misissued => {
                    Err(self.rejected(&error).await)
                }
                ErrorClass::Unknown | ErrorClass::Protocol => {
                    Err(self.attempt_failed(&mut sent, &error).await)
                }
                // It has not been asked.
                ErrorClass::Unavailable | ErrorClass::Credential => {
                    Err(self.attempt_failed(course, &error).await)
                }
            },
        }
    }

    async fn still_pending(&self, course: &mut Course, pending: Pending, since_ms: i64) -> End {
        if let Some((code, message)) = self.too_long(course, None) {
            return self.refuse(code, message).await;
        }
        let wait = pending.ask_again_in;
        course.at.failures = 0;
        course.at.reach(waiting(pending, since_ms), self.item.fence);
        if let Err(error) = self.keeper.keep(course).await {
            return error.into();
        }
        self.await_authority(course, wait).await
    }

    /// To poll would be to order another connector's CSR: it has to do that itself.
    async fn wait_for_its_owner(&self, course: &Course) -> End {
        if let Some((code, message)) = self.too_long(course, None) {
            let message = format!(
                "{message}. Only the connector that ordered it can ask for it at an authority of this kind, and it did not come back"
            );
            return self.refuse(code, message).await;
        }
        self.await_authority(course, self.authority.terms.pauses.1)
            .await
    }
}
