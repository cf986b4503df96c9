//! How far a request for a certificate got: kept in the journal before each next step, and at the gateway for whoever goes on.
//!
//! What the gateway hands out is what it likes to hand out. [`super::course`] says what is made of it.

use crate::encoding::Base64Bytes;
use crate::issuance::Rule;
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
    /// That rule as it was when the authority was asked: what comes of it is held against what was allowed then. Of an own order, and kept in the
    /// journal alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) allowed: Option<Box<Rule>>,
    /// SHA-256 of that policy.
    pub(crate) policy: String,
    /// The CSR (DER).
    pub(crate) csr: Base64Bytes,
    /// The private key, sealed by the engine.
    pub(crate) sealed_key: Base64Bytes,
    /// When the authority was first asked, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) asked_ms: Option<i64>,
    /// The fence of the lease under which this step was reached. Whoever reached a step later under a higher one knows more.
    #[serde(default)]
    pub(crate) fence: u64,
    /// Failures since something last worked: pauses grow with them.
    #[serde(default)]
    pub(crate) failures: u32,
    /// That what was issued is not used, once that is known: whatever is known later, it is only to be revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) withdrawn: Option<Withdrawn>,
    /// The step.
    pub(crate) step: Step,
}

/// Why a certificate that was issued is not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Withdrawn {
    /// Since when that is known, in milliseconds since 1970.
    pub(crate) since_ms: i64,
    /// The final failure's code.
    pub(crate) code: String,
    /// The same in words.
    pub(crate) reason: String,
}

/// The step that a request is at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) enum Step {
    /// Key and CSR are there; the authority has not been asked, or is known not to have taken the order.
    KeyMade,
    /// The order may have reached the authority. The gateway is told so before it is sent.
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
    pub(super) fn rank(&self) -> u8 {
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
        fence: u64,
    ) -> Self {
        Self {
            version: VERSION,
            ca,
            rule,
            allowed: None,
            policy,
            csr,
            sealed_key,
            asked_ms: None,
            fence,
            failures: 0,
            withdrawn: None,
            step: Step::KeyMade,
        }
    }

    /// Another step, reached under this lease.
    pub(crate) fn reach(&mut self, step: Step, fence: u64) {
        self.step = step;
        self.fence = fence;
    }

    /// As the gateway keeps it.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let told = Self {
            allowed: None,
            ..self.clone()
        };
        // Texts, numbers and base64 have a JSON form.
        serde_json::to_vec(&told).unwrap_or_default()
    }

    /// What the gateway kept; `None` for what this release does not know.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes)
            .ok()
            .filter(|progress: &Self| progress.version == VERSION)
            .map(|progress| Self {
                // What was allowed is nobody else's to say.
                allowed: None,
                ..progress
            })
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
            ..Progress::key_made(text(), text(), text(), vec![csr].into(), vec![9].into(), 1)
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
}
