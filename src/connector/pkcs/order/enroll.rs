//! A key of one's own, and the order for it: the only place where an authority is asked for a certificate.

use super::super::ask::Question;
use super::super::course::Course;
use super::super::progress::{Progress, Step};
use super::recipient::Fit;
use super::{End, Next, Run, Stop};
use crate::engine::client::RecryptError;
use ca::ErrorClass;

impl Run<'_> {
    pub(super) async fn make_key(&self, question: &Question) -> Stop<Course> {
        let rule = self.allowed(question).await?;
        // The engine judges the device's certificate before it makes the key.
        let request = question.make_key(self.item);
        let made = match self.keys.make_key(request).await {
            Ok(made) => made,
            Err(error) => return Err(self.engine_failed(error).await),
        };
        let course = Course::own(Progress::key_made(
            self.item.profile.ca.clone(),
            rule.name.clone(),
            self.policy.digest().to_owned(),
            made.csr,
            made.sealed_key,
            self.fence()?,
        ));
        self.keeper.keep(&course).await?;
        Ok(course)
    }

    /// `is_new`: the key was made just now, and the engine has judged the device for it.
    pub(super) async fn enroll(
        &self,
        question: &Question,
        course: &mut Course,
        is_new: bool,
    ) -> Stop<Next> {
        // The policy may have become narrower, and the device's certificate worthless, while the request waited.
        let rule = self.allowed(question).await?;
        rule.name.clone_into(&mut course.at.rule);
        course.at.allowed = Some(Box::new(rule.clone()));
        self.policy.digest().clone_into(&mut course.at.policy);
        let now_ms = self.keeper.now_ms();
        let fit = match is_new {
            true => self.device_as_it_says(),
            false => self.device().await,
        };
        match fit {
            Fit::Yes => {}
            Fit::No(why) => return Err(self.give_up(course, &why).await),
            Fit::Unknown(error) => return Err(self.engine_failed(error).await),
        }
        let slot = self.turn(course).await?;
        let fence = self.fence()?;
        let mut ordered = course.at.clone();
        ordered.asked_ms.get_or_insert(now_ms);
        ordered.reach(Step::Ordered, fence);
        // Only a key that the gateway knows is ever ordered, and it knows that it is ordered: whoever has the request next asks what became of
        // it. Here it is not ordered until the journal says so.
        self.share(&ordered, fence, None).await?;
        if !self.keeper.is_held() {
            return Err(End::later(
                "the lease ran out before the authority was asked",
            ));
        }
        *course = Course::own(ordered);
        self.keeper.keep(course).await?;
        let answer = slot.note(self.authority.ca.enroll(&self.order(&course.at)).await);
        match answer {
            Ok(enrolment) => self.take(course, enrolment).await,
            Err(error) => match error.class() {
                ErrorClass::Unavailable | ErrorClass::Credential => {
                    // Nothing was issued, and nothing will be by this call.
                    course.at.reach(Step::KeyMade, fence);
                    Err(self.attempt_failed(course, &error).await)
                }
                ErrorClass::Unknown | ErrorClass::Protocol => {
                    Err(self.attempt_failed(course, &error).await)
                }
                ErrorClass::Rejected | ErrorClass::Unsupported | ErrorClass::Misissued => {
                    Err(self.rejected(&error).await)
                }
            },
        }
    }

    async fn engine_failed(&self, error: RecryptError) -> End {
        match error {
            RecryptError::Failed(failure) if !failure.code.is_transient() => {
                let code = crate::connector::worker::code_text(failure.code);
                self.refuse(&code, failure.message).await
            }
            other => End::later(other.to_string()),
        }
    }
}
