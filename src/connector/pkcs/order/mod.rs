//! One order, from nothing to a certificate on its way to the device.
//!
//! ```text
//! own:            keep         share, keep                         keep                  keep
//! (policy, device) ---> KeyMade ---------> Ordered ----enroll----> Pending ----poll----> Issued --check, pack--> result
//!                         ^                  |   \____________________|_________________/  |
//!                         |                  |                        | no answer          `-> not what was asked: revoked, final failure
//!                         |                  `-- crash, no answer --> recover -> Pending, Issued, or: cannot tell
//!                         `---------------- never asked ----------------'
//!
//! told by the gateway:  KeyMade -> nothing was ordered: an own key
//! (policy, CSR fits)    Ordered -> recover -> Pending, Issued; never asked: an own key
//!                       Pending -> poll, where that orders nothing; else it waits for the connector that ordered
//!                       Issued  -> check, pack; not what was asked: final failure, and nothing is revoked
//! ```
//!
//! An order never goes back to wait for the authority without a look at its device ([`recipient`]).
//!
//! Each step is durable before the next begins, so that whatever dies in between, the authority is asked what became of the order before it
//! is asked for it again. Whose order it is, and which one counts when there are two: [`super::course`].

mod enroll;
mod finish;
mod pending;
mod recipient;
mod recover;
mod told;
mod wait;
mod withdraw;

use super::ask::{self, Question};
use super::authority::{Authority, Slot};
use super::course::{Course, Whose};
use super::ports::{Keeper, Keys};
use super::progress::{Progress, Step};
use crate::connector::error::CallError;
use crate::connector::journal::JournalError;
use crate::connector::result::DeviceResult;
use crate::gateway::api::FailureReport;
use crate::gateway::pkcs_api::PkcsWorkItem;
use crate::issuance::{IssuancePolicy, Rule};
use crate::telemetry::Draft;
use crate::telemetry::catalogue::EventKind;
use ca::Order;
use std::time::Duration;

/// How long one waits for one's turn at an authority before the request goes back to the queue.
const TURN: Duration = Duration::from_secs(20);

/// How the work at a request ended for now.
#[derive(Debug)]
pub(crate) enum End {
    /// With a result.
    Done(Box<DeviceResult>),
    /// For good.
    Failed {
        /// Stable code.
        code: String,
        /// In words.
        message: String,
    },
    /// It waits in the gateway's queue, which knows how far it got.
    Waits,
    /// Somebody else should try, or this instance later.
    GiveBack(FailureReport),
    /// The lease is lost.
    Lost(CallError),
    /// The journal cannot be written: the lease is left to expire.
    Abandon(JournalError),
}

impl End {
    fn failed(code: &str, message: impl Into<String>) -> Self {
        Self::Failed {
            code: code.to_owned(),
            message: message.into(),
        }
    }

    /// Given back for a reason that is not the request's.
    pub(crate) fn later(message: impl Into<String>) -> Self {
        Self::GiveBack(FailureReport {
            code: "tryAgain".to_owned(),
            message: message.into(),
        })
    }
}

impl From<JournalError> for End {
    fn from(error: JournalError) -> Self {
        Self::Abandon(error)
    }
}

/// Why the work stops here.
type Stop<T> = Result<T, End>;

/// What comes after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The step that was reached.
    Step,
    /// The authority may be asked with the own key: nothing was ordered, or the operator wants it asked again.
    Anew,
}

/// What works at one request.
pub(crate) struct Run<'a> {
    pub(crate) item: &'a PkcsWorkItem,
    pub(crate) policy: &'a IssuancePolicy,
    pub(crate) authority: &'a Authority,
    pub(crate) keys: &'a dyn Keys,
    pub(crate) keeper: &'a dyn Keeper,
}

impl Run<'_> {
    /// Works at the request from where it stands.
    pub(crate) async fn run(&self, course: Option<Course>) -> End {
        match self.advance(course).await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn advance(&self, mut known: Option<Course>) -> Stop<std::convert::Infallible> {
        let question = match ask::question(self.item) {
            Ok(question) => question,
            Err(why) => return Err(self.refuse("profileUnusable", why).await),
        };
        let mut admitted = false;
        loop {
            let is_new = known.is_none();
            let mut course = match known.take() {
                Some(course) => course,
                None => self.make_key(&question).await?,
            };
            if course.at.ca != self.authority.ca.name() {
                let message = format!(
                    "the request was begun at the authority {:?}; its profile names another one now: ask anew",
                    crate::encoding::printable(&course.at.ca)
                );
                return Err(self.refuse("authorityChanged", message).await);
            }
            if course.whose == Whose::Told && !admitted {
                self.admit(&question, &mut course).await?;
                admitted = true;
            }
            let next = match &course.at.step {
                Step::KeyMade if course.whose == Whose::Own => {
                    self.enroll(&question, &mut course, is_new).await?
                }
                // Nobody orders what the gateway says.
                Step::KeyMade => Next::Anew,
                Step::Ordered => self.recover(&mut course).await?,
                Step::Pending { .. } => self.poll(&mut course).await?,
                Step::Issued { .. } => return Err(self.finish(&question, &mut course).await),
            };
            known = match next {
                Next::Step => Some(course),
                Next::Anew => course.anew(self.fence()?),
            };
        }
    }

    /// Whether the policy allows it now; its rule.
    async fn allowed(&self, question: &Question) -> Stop<&Rule> {
        match self.policy.decide(&question.asked(self.item)) {
            Ok(rule) => Ok(rule),
            Err(denied) => Err(self.refuse("policyDenied", denied.to_string()).await),
        }
    }

    /// The fence of the lease, if nobody else had the request since the work at it began: they may have ordered with a key of their own.
    fn fence(&self) -> Stop<u64> {
        let fence = self.keeper.fence();
        if fence > self.item.fence.saturating_add(1) {
            return Err(End::later(
                "another connector had the request while it was worked at here",
            ));
        }
        Ok(fence)
    }

    /// One's turn at the authority.
    async fn turn(&self, course: &Course) -> Stop<Slot<'_>> {
        match self.authority.enter(TURN).await {
            Ok(slot) => Ok(slot),
            Err(wait) => Err(self.await_authority(course, wait).await),
        }
    }

    fn order(&self, progress: &Progress) -> Order {
        Order {
            id: self.item.request_id.clone(),
            csr_der: progress.csr.0.clone(),
            profile: self.item.profile.ca_profile.clone(),
        }
    }

    fn draft(&self, kind: EventKind, message: impl Into<String>) -> Draft {
        Draft::new(kind, message)
            .request(&self.item.request_id)
            .field("ca", self.authority.ca.name())
            .field("profile", self.item.profile_name.clone())
            .platform(&self.item.profile.platform)
    }

    /// The final failure of a request of which nothing was issued, as far as is known.
    async fn refuse(&self, code: &str, message: impl Into<String>) -> End {
        let message = message.into();
        self.keeper
            .tell(
                self.draft(
                    EventKind::PkcsIssuedFailure,
                    "the certificate was not issued",
                )
                .field("code", code)
                .field("reason", message.clone()),
            )
            .await;
        End::failed(code, message)
    }
}
