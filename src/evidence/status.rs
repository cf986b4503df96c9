//! `fips status`: what is known about the cryptography of a running service, who said it, and what can be claimed.
//!
//! The processes speak for themselves ([`ProcessEvidence`]); this puts together what they said. Whoever was not asked or does not
//! answer is named, and what only they know is unknown.

mod gather;
mod service;
mod summary;
mod token;

pub use service::{ExceptionStatus, ServiceTotal};
pub use summary::FipsSummary;
pub use token::TokenEvidence;

use super::claim::{Claim, Part};
use super::environment::EnvironmentEvidence;
use super::process::{FaultEvidence, ProcessEvidence};
use crate::engine::api::KeyStatus;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Who was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The running connector, which asked its engine.
    RunningConnector,
    /// The running engine.
    RunningEngine,
    /// Nobody: what this very command knows of itself.
    ThisCommandOnly,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RunningConnector => "the running connector and its engine",
            Self::RunningEngine => "the running engine",
            Self::ThisCommandOnly => "this command only: no running service was asked",
        })
    }
}

/// The whole status. It holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FipsStatus {
    /// Version of the program that made it.
    pub version: String,
    /// When (RFC 3339).
    pub made_at: String,
    /// Who was asked.
    pub source: Source,
    /// What can be claimed of the whole: the lowest of [`FipsStatus::claim`].
    pub overall: Part,
    /// What can be claimed of each part.
    pub claim: Claim,
    /// Whether nothing is wrong: no fault, no disagreement, nobody who does not report.
    pub healthy: bool,
    /// What is wrong with the module in a process, in words: faults, and an indicator that contradicts the policy table.
    pub module_problems: Vec<String>,
    /// The validated module.
    pub module: ModuleStatus,
    /// What it was built from.
    pub build: BuildStatus,
    /// Where it runs; where the processes run in several, the first that was not tested.
    pub environment: EnvironmentEvidence,
    /// Whether the system itself demands FIPS mode: `required`, `not-required` or `unknown`.
    pub system_setting: String,
    /// `strict`, `off`, or `mixed` where the processes differ.
    pub mode: String,
    /// Exceptions in force.
    pub exceptions: Vec<ExceptionStatus>,
    /// Exceptions of trust, such as `no-device-anchors`: they permit no algorithm.
    pub trust_exceptions: Vec<String>,
    /// The tokens that are open.
    pub tokens: Vec<TokenEvidence>,
    /// Why there is none.
    pub token_problem: Option<String>,
    /// The custody keys with the attributes that the token reports.
    pub keys: Vec<KeyStatus>,
    /// What each process says.
    pub processes: Vec<ProcessEvidence>,
    /// Processes that say nothing.
    pub silent: Vec<String>,
    /// Processes of the engine that died and were started again, with how often: what they did before is not counted.
    #[serde(default)]
    pub restarts: BTreeMap<String, u64>,
    /// Every service of the policy table, over all processes.
    pub services: Vec<ServiceTotal>,
    /// How often something that is approved was performed.
    pub approved: u64,
    /// How often something that is not approved was performed.
    pub not_approved: u64,
    /// Known problems of the module's version.
    pub advisories: Vec<AdvisoryStatus>,
    /// Why cryptography is out of service, by process.
    pub faults: Vec<FaultStatus>,
}

/// The validated module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModuleStatus {
    /// What it says of itself: name and version.
    pub version: String,
    /// The CMVP certificate that names this version in this form.
    pub certificate: String,
    /// `static`: part of the executable; `dynamic`: a shared library.
    pub linkage: String,
}

/// What the module was built from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildStatus {
    /// SHA-256 over the source that was compiled; null where the build could not compute it.
    pub source_sha256: Option<String>,
    /// What it has to be for this version.
    pub pinned_sha256: String,
    /// Whether all of what was compiled is the pinned source, in every process.
    pub matches_pinned: bool,
}

/// A known problem of the module's version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdvisoryStatus {
    /// Its number or name.
    pub id: String,
    /// What is wrong.
    pub problem: String,
    /// The versions that have it.
    pub versions: String,
    /// Whether this version is one of them.
    pub affected: bool,
    /// Whether it is inside of the validated module.
    pub in_module: bool,
    /// Whether this program uses what it is in.
    pub used: bool,
    /// Why it does or does not.
    pub why: String,
}

/// Why a process does no more cryptography.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FaultStatus {
    /// Which process, or `engine` where its supervisor found out.
    pub process: String,
    /// The fault.
    #[serde(flatten)]
    pub fault: FaultEvidence,
}

/// What was gathered, before anything is claimed of it.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) source: Source,
    pub(super) processes: Vec<ProcessEvidence>,
    pub(super) silent: Vec<String>,
    pub(super) restarts: BTreeMap<String, u64>,
    pub(super) tokens: Vec<TokenEvidence>,
    pub(super) token_problem: Option<String>,
    pub(super) keys: Vec<KeyStatus>,
    pub(super) trust_exceptions: Vec<String>,
    pub(super) faults: Vec<FaultStatus>,
}

#[cfg(test)]
mod tests;
