//! The few words of a status that a health page has room for.

use super::FipsStatus;
use crate::evidence::claim::level;
use fips::claim::Level;
use serde::{Deserialize, Serialize};

/// A status in brief.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FipsSummary {
    /// `strict`, `off`, `mixed` or `unknown`.
    pub mode: String,
    /// Names of the exceptions in force.
    pub exceptions: Vec<String>,
    /// What can be claimed of the whole.
    #[serde(with = "level")]
    pub level: Level,
    /// How often something that is not approved was performed.
    pub not_approved: u64,
    /// Processes that say nothing.
    pub silent: Vec<String>,
    /// Stable code of the first fault; null: there is none.
    pub fault: Option<String>,
}

impl FipsStatus {
    /// The status in brief.
    #[must_use]
    pub fn summary(&self) -> FipsSummary {
        FipsSummary {
            mode: self.mode.clone(),
            exceptions: self
                .exceptions
                .iter()
                .map(|exception| exception.name.clone())
                .collect(),
            level: self.overall.level,
            not_approved: self.not_approved,
            silent: self.silent.clone(),
            fault: self.faults.first().map(|found| found.fault.code.clone()),
        }
    }
}
