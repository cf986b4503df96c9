//! Whether the running service is healthy, and if not, why.

use crate::evidence::status::FipsSummary;
use serde::{Deserialize, Serialize};

/// What `/healthz` and `status` say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// Whether everything needed to finish requests works.
    pub healthy: bool,
    /// Why not; empty when healthy.
    pub reasons: Vec<Reason>,
    /// FIPS mode in brief, as of the engine's last answer; null from who has none.
    #[serde(default)]
    pub fips: Option<FipsSummary>,
}

/// One thing that does not work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reason {
    /// Stable code: `engine`, `token`, `module`, `service`, `journal`, `log`, `revocation`, `draining`.
    pub code: String,
    /// The same in words.
    pub message: String,
}

impl Health {
    /// Healthy when there is no reason against it.
    #[must_use]
    pub fn of(reasons: Vec<Reason>) -> Self {
        Self {
            healthy: reasons.is_empty(),
            reasons,
            fips: None,
        }
    }

    /// The same with what is known of FIPS mode.
    #[must_use]
    pub fn with_fips(self, fips: FipsSummary) -> Self {
        Self {
            fips: Some(fips),
            ..self
        }
    }
}

impl Reason {
    /// A reason.
    #[must_use]
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
        }
    }
}
