//! What became of an order, and what the authority's answers mean.

use super::super::check;
use super::super::course::Course;
use super::super::progress::Step;
use super::{End, Next, Run, Stop};
use crate::config::WhenUnknown;
use crate::telemetry::catalogue::EventKind;
use ca::{Enrolment, Error, ErrorClass, Pending, Recovered};

impl Run<'_> {
    /// Asks what became of an order that may have reached the authority.
    pub(super) async fn recover(&self, course: &mut Course) -> Stop<Next> {
        if !self.authority.ca.capabilities().recovers {
            return self.cannot_tell(course).await;
        }
        let slot = self.turn(course).await?;
        let order = self.order(&course.at);
        let answer = slot.note(self.authority.ca.recover(&order, None).await);
        match answer {
            Ok(recovered) => self.recovered(course, recovered).await,
            Err(error) => match error.class() {
                ErrorClass::Unsupported => self.cannot_tell(course).await,
                ErrorClass::Rejected | ErrorClass::Misissued => Err(self.rejected(&error).await),
                _ => Err(self.attempt_failed(course, &error).await),
            },
        }
    }

    /// Goes on from what the authority says of an order.
    pub(super) async fn recovered(&self, course: &mut Course, known: Recovered) -> Stop<Next> {
        match known {
            Recovered::Known(enrolment) => self.take(course, enrolment).await,
            Recovered::NeverAsked => Ok(Next::Anew),
            Recovered::CannotTell => self.cannot_tell(course).await,
        }
    }

    pub(super) async fn cannot_tell(&self, course: &mut Course) -> Stop<Next> {
        let ca = self.authority.ca.name();
        let id = &self.item.request_id;
        match self.authority.terms.when_unknown {
            WhenUnknown::AskAgain => {
                self.tell_attempt(
                    &course.at,
                    "the authority cannot tell what became of the order; it is asked for again, as `when_unknown` says: there may be two certificates",
                )
                .await;
                Ok(Next::Anew)
            }
            WhenUnknown::Fail => {
                let message = format!(
                    "the answer to the order was lost, and the authority {ca} cannot tell what became of it: look there for a certificate of the order {id} \
                     and revoke it, then ask anew (or let connectors ask again by themselves: `when_unknown = \"ask-again\"`)"
                );
                Err(self.refuse("outcomeUnknown", message).await)
            }
        }
    }

    /// Takes what the authority answered.
    pub(super) async fn take(&self, course: &mut Course, enrolment: Enrolment) -> Stop<Next> {
        course.at.failures = 0;
        match enrolment {
            Enrolment::Issued(issued) => {
                // Two connectors made a key each, and the authority took the other one's.
                let is_of = |csr: &[u8]| check::is_for_key(&issued.certificate_der, csr);
                if !is_of(course.at.csr.as_slice())
                    && course
                        .other
                        .as_ref()
                        .is_some_and(|other| is_of(other.csr.as_slice()))
                {
                    course.switch();
                }
                // Whoever had the request in the meantime reached what it reached under a higher fence.
                let fence = self.item.fence;
                course.at.reach(
                    Step::Issued {
                        certificate: issued.certificate_der.into(),
                        others: issued
                            .others
                            .into_iter()
                            .take(check::MAX_OTHERS)
                            .map(Into::into)
                            .collect(),
                    },
                    fence,
                );
                self.keeper.keep(course).await?;
                Ok(Next::Step)
            }
            Enrolment::Pending(pending) => {
                let wait = pending.ask_again_in;
                let since_ms = self.keeper.now_ms();
                course.at.reach(waiting(pending, since_ms), self.item.fence);
                self.keeper.keep(course).await?;
                self.keeper
                    .tell(
                        self.draft(
                            EventKind::PkcsIssuancePending,
                            "the authority decides later",
                        )
                        .field("askAgainSeconds", wait.as_secs()),
                    )
                    .await;
                Err(self.await_authority(course, wait).await)
            }
        }
    }

    /// The final failure of an order that is not to be asked for again.
    pub(super) async fn rejected(&self, error: &Error) -> End {
        if error.class() == ErrorClass::Misissued {
            self.keeper
                .tell(
                    self.draft(
                        EventKind::PkcsCertificateWithdrawn,
                        "a certificate that cannot be used was not taken",
                    )
                    .field("reason", error.to_string()),
                )
                .await;
            let message = format!("what the authority issued is not what was asked: {error}");
            return self.refuse("issuedCertificateRefused", message).await;
        }
        self.refuse(
            "rejected",
            format!("the authority refuses the request: {error}"),
        )
        .await
    }
}

pub(super) fn waiting(pending: Pending, since_ms: i64) -> Step {
    Step::Pending {
        reference: pending.reference.into(),
        since_ms,
    }
}
