//! What has to hold before anything is done about an order that is only known from the gateway.

use super::super::ask::Question;
use super::super::check::{self, MAX_OTHERS};
use super::super::course::Course;
use super::super::progress::{Progress, Step};
use super::{Run, Stop};
use crate::engine::api::keys::{MAX_CERTIFICATE_BYTES, MAX_SEALED_KEY_BYTES};

/// The longest reference of a pending order, in bytes ([`ca::Pending::reference`]).
const MAX_REFERENCE_BYTES: usize = 4096;

impl Run<'_> {
    /// The policy allows the request, and the CSR is one for it.
    pub(super) async fn admit(&self, question: &Question, course: &mut Course) -> Stop<()> {
        let told = &mut course.at;
        match self.policy.decide(&question.asked(self.item)) {
            // Which rule it was is the gateway's word as well.
            Ok(rule) => rule.name.clone_into(&mut told.rule),
            Err(denied) => {
                let message = format!(
                    "{denied}; another connector may have ordered it: look at the authority for the order {}",
                    self.item.request_id
                );
                return Err(self.refuse("policyDenied", message).await);
            }
        }
        self.policy.digest().clone_into(&mut told.policy);
        let fits = bounded(told)
            .and_then(|()| check::is_request_for(told.csr.as_slice(), question, self.item));
        if let Err(why) = fits {
            let message = format!(
                "how far the request got, as the gateway tells it, is not about this request: {why}. Nothing was ordered, and nothing revoked: look at the \
                 gateway, and for the order {} at the authority",
                self.item.request_id
            );
            return Err(self.refuse("progressRefused", message).await);
        }
        // Times that are still to come would make it wait for ever.
        let now_ms = self.keeper.now_ms();
        told.asked_ms = Some(told.asked_ms.map_or(now_ms, |asked| asked.min(now_ms)));
        if let Step::Pending { since_ms, .. } = &mut told.step {
            *since_ms = (*since_ms).min(now_ms);
            // Nothing waits at an authority that decides at once.
            if !self.authority.ca.capabilities().pends {
                told.step = Step::Ordered;
            }
        }
        Ok(())
    }
}

fn bounded(told: &Progress) -> Result<(), String> {
    let most = |what: &str, length: usize, most: usize| match length {
        length if length > most => Err(format!("its {what} has more than {most} bytes")),
        _ => Ok(()),
    };
    let most_of = |what: &str, bytes: &crate::encoding::Base64Bytes, limit| {
        most(what, bytes.as_slice().len(), limit)
    };
    most_of("CSR", &told.csr, MAX_CERTIFICATE_BYTES)?;
    most_of("sealed key", &told.sealed_key, MAX_SEALED_KEY_BYTES)?;
    match &told.step {
        Step::KeyMade | Step::Ordered => Ok(()),
        Step::Pending { reference, .. } => most_of("reference", reference, MAX_REFERENCE_BYTES),
        Step::Issued {
            certificate,
            others,
        } => {
            if others.len() > MAX_OTHERS {
                return Err(format!(
                    "more than {MAX_OTHERS} certificates come with its own"
                ));
            }
            std::iter::once(certificate)
                .chain(others)
                .try_for_each(|one| most_of("certificate", one, MAX_CERTIFICATE_BYTES))
        }
    }
}
