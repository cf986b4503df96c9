//! The device that an order is for, looked at again while the order waits. Its certificate may end, be revoked or lose its anchor meanwhile:
//! then nothing that is issued could be delivered, and nobody waits for it any longer.
//!
//! It is looked at before the authority is asked for a certificate, and each time before an order goes back to wait for the authority. So an
//! order that the authority has decided by then is finished as ever: what was issued and cannot be packed for the device is revoked.

use super::super::course::Course;
use super::super::device;
use super::super::progress::Step;
use super::{End, Run};
use crate::config::WhenUnknown;
use crate::engine::api::{FailureCode, JudgeDeviceRequest};
use crate::engine::client::RecryptError;
use std::time::Duration;

/// Whether something can be encrypted to the device now.
pub(super) enum Fit {
    Yes,
    /// In words: why not.
    No(String),
    /// The engine did not say.
    Unknown(RecryptError),
}

impl Run<'_> {
    /// By its certificate's own dates and key.
    pub(super) fn device_as_it_says(&self) -> Fit {
        match device::usable(&self.item.device, self.keeper.now_ms()) {
            Ok(()) => Fit::Yes,
            Err(why) => Fit::No(why),
        }
    }

    /// The same, and by the engine, which knows anchors and revocation lists.
    pub(super) async fn device(&self) -> Fit {
        if let Fit::No(why) = self.device_as_it_says() {
            return Fit::No(why);
        }
        let request = JudgeDeviceRequest {
            request_id: self.item.request_id.clone(),
            device: self.item.device.clone(),
            format: self.item.profile.format,
        };
        match self.keys.judge(request).await {
            Ok(()) => Fit::Yes,
            Err(RecryptError::Failed(failure))
                if failure.code == FailureCode::DeviceCertificateRefused =>
            {
                Fit::No(failure.message)
            }
            Err(error) => Fit::Unknown(error),
        }
    }

    /// The order waits for the authority, for so long, unless its device is gone. An engine that does not say so now is asked the next time.
    pub(super) async fn await_authority(&self, course: &Course, time: Duration) -> End {
        match self.device().await {
            Fit::No(why) => self.give_up(course, &why).await,
            Fit::Yes | Fit::Unknown(_) => self.wait(&course.at, time).await,
        }
    }

    /// The final failure of an order whose device is gone, with what is left to do at the authority.
    pub(super) async fn give_up(&self, course: &Course, why: &str) -> End {
        let (ca, id) = (self.authority.ca.name(), &self.item.request_id);
        // Where an order whose outcome nobody can tell is made once more, there may be two.
        let may_be_two = course.at.asked_ms.is_some()
            && self.authority.terms.when_unknown == WhenUnknown::AskAgain;
        let left = match course.at.step {
            Step::KeyMade if !may_be_two => "nothing was ordered".to_owned(),
            Step::Pending { .. } => format!(
                "the order {id} is not waited for any longer: have it rejected at the authority {ca}, and revoke what is issued for it all the same"
            ),
            _ => format!(
                "whether the authority {ca} issued for the order {id} is not known: look there for its certificate and revoke it"
            ),
        };
        let message =
            format!("{why}; {left}; ask anew once the device has a certificate that is accepted");
        self.refuse("deviceCertificateRefused", message).await
    }
}
