//! How far a request for a certificate got: kept in the journal before each next step, and at the gateway for whoever goes on.

use crate::encoding::Base64Bytes;
use serde::{Deserialize, Serialize};

/// Version of this form; a newer one is not guessed at.
const VERSION: u16 = 1;

/// How far a request got. Nothing in it is secret: the private key is sealed to a custody key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Progress {
    version: u16,
    /// The authority's name.
    pub(crate) ca: String,
    /// The policy's rule that allowed it.
    pub(crate) rule: String,
    /// SHA-256 of that policy.
    pub(crate) policy: String,
    /// The CSR (DER).
    pub(crate) csr: Base64Bytes,
    /// The private key, sealed by the engine.
    pub(crate) sealed_key: Base64Bytes,
    /// When the authority was first asked, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) asked_ms: Option<i64>,
    /// The lease under which it was kept last: whether somebody else had the request since then shows in the next one's fence.
    #[serde(default)]
    pub(crate) fence: u64,
    /// Failures since something last worked: pauses grow with them.
    #[serde(default)]
    pub(crate) failures: u32,
    /// The step.
    pub(crate) step: Step,
}

/// The step that a request is at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) enum Step {
    /// Key and CSR are there; the authority has not been asked, or is known not to have taken the order.
    KeyMade,
    /// The order may have reached the authority.
    Ordered,
    /// The authority decides later.
    #[serde(rename_all = "camelCase")]
    Pending {
        /// What the authority finds it by.
        reference: Base64Bytes,
        /// Since when, in milliseconds since 1970.
        since_ms: i64,
    },
    /// The certificate is there.
    #[serde(rename_all = "camelCase")]
    Issued {
        /// The certificate (DER).
        certificate: Base64Bytes,
        /// Others that came with it (DER).
        others: Vec<Base64Bytes>,
    },
}

impl Step {
    fn rank(&self) -> u8 {
        match self {
            Self::KeyMade => 0,
            Self::Ordered => 1,
            Self::Pending { .. } => 2,
            Self::Issued { .. } => 3,
        }
    }
}

impl Progress {
    /// Key and CSR are there.
    pub(crate) fn key_made(
        ca: String,
        rule: String,
        policy: String,
        csr: Base64Bytes,
        sealed_key: Base64Bytes,
    ) -> Self {
        Self {
            version: VERSION,
            ca,
            rule,
            policy,
            csr,
            sealed_key,
            asked_ms: None,
            fence: 0,
            failures: 0,
            step: Step::KeyMade,
        }
    }

    /// As it is kept.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        // Texts, numbers and base64 have a JSON form.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// What was kept; `None` for what this release does not know.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes)
            .ok()
            .filter(|progress: &Self| progress.version == VERSION)
    }
}

/// Where to go on under the lease `fence`: what this journal knows, against what the gateway was told last. The gateway was told before the
/// authority was asked with a key, so that a key which it does not know was never ordered; of the same key, the later step counts. That
/// nothing was ordered is believed of one's own journal alone, and only while nobody else has had the request.
pub(crate) fn resume(
    own: Option<Progress>,
    told: Option<Progress>,
    fence: u64,
) -> Option<Progress> {
    match (own, told) {
        (None, None) => None,
        // It may have been ordered by a connector that is gone: that is known only to the authority.
        (None, Some(told)) => Some(doubted(told)),
        (Some(own), None) => Some(own),
        (Some(own), Some(told)) if own.csr != told.csr => Some(doubted(told)),
        (Some(own), Some(told)) => {
            let alone = fence <= own.fence.saturating_add(1);
            Some(if told.step.rank() > own.step.rank() {
                told
            } else if alone {
                own
            } else {
                doubted(own)
            })
        }
    }
}

fn doubted(told: Progress) -> Progress {
    match told.step {
        Step::KeyMade => Progress {
            step: Step::Ordered,
            ..told
        },
        _ => told,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    fn at(csr: u8, step: Step) -> Progress {
        let text = || "t".to_owned();
        Progress {
            step,
            ..Progress::key_made(text(), text(), text(), vec![csr].into(), vec![9].into())
        }
    }

    fn pending() -> Step {
        Step::Pending {
            reference: vec![1].into(),
            since_ms: 1,
        }
    }

    #[test]
    fn it_comes_back_as_it_was_kept_and_another_version_is_not_guessed_at() {
        let progress = at(1, pending());
        let bytes = progress.to_bytes();
        assert_eq!(Progress::of_bytes(&bytes), Some(progress));
        let newer = String::from_utf8(bytes)
            .unwrap()
            .replace("\"version\":1", "\"version\":2");
        assert_eq!(Progress::of_bytes(newer.as_bytes()), None);
        assert_eq!(Progress::of_bytes(b"{}"), None);
    }

    #[test]
    fn the_later_step_of_one_key_counts_and_a_key_that_the_gateway_does_not_know_was_never_ordered()
    {
        let (made, ordered, waits) = (at(1, Step::KeyMade), at(1, Step::Ordered), at(1, pending()));
        let resumed = |own, told| resume(own, told, 1);
        assert_eq!(resumed(None, None), None);
        assert_eq!(resumed(Some(made.clone()), None), Some(made.clone()));
        // Somebody else's: it may have been ordered.
        assert_eq!(resumed(None, Some(made.clone())), Some(ordered.clone()));
        assert_eq!(
            resumed(Some(made.clone()), Some(made.clone())),
            Some(made.clone())
        );
        assert_eq!(
            resumed(Some(ordered.clone()), Some(made.clone())),
            Some(ordered)
        );
        assert_eq!(
            resumed(Some(made.clone()), Some(waits.clone())),
            Some(waits)
        );
        assert_eq!(
            resumed(Some(at(2, Step::Ordered)), Some(made)),
            Some(at(1, Step::Ordered))
        );
    }

    #[test]
    fn after_somebody_elses_lease_it_is_asked_what_became_of_the_order() {
        let own = |fence| {
            Some(Progress {
                fence,
                ..at(1, Step::KeyMade)
            })
        };
        let step =
            |own, fence| resume(own, Some(at(1, Step::KeyMade)), fence).map(|known| known.step);
        assert_eq!(step(own(4), 5), Some(Step::KeyMade));
        assert_eq!(step(own(4), 6), Some(Step::Ordered));
    }
}
