//! What one process says of its cryptography: mode, exceptions, module, self-tests, and how often each service was performed.
//!
//! Each process speaks for itself, since counters and self-tests are a process's own. The engine's supervisor, the connector and
//! `fips status` gather what the others say; the formats process parses what strangers made, so its word is a claim of a part that
//! may be in a stranger's hand.

use super::environment::EnvironmentEvidence;
use super::memory::MemoryEvidence;
use super::tls::TlsEvidence;
use crate::clock::rfc3339;
use fips::policy::{self, Standing};
use fips::provenance;
use serde::{Deserialize, Serialize};
use std::time::{SystemTime, UNIX_EPOCH};

/// The evidence of one process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessEvidence {
    /// `supervisor`, `custody`, `formats`, `connector`, `gateway` or the name of a command.
    pub process: String,
    /// Version of the program that runs in it.
    #[serde(default)]
    pub version: String,
    /// Since when its counters count: when its module had passed the tests of the start (RFC 3339); empty when it did not.
    #[serde(default)]
    pub since: String,
    /// `strict` or `off`.
    pub mode: String,
    /// Names of the exceptions in force.
    pub exceptions: Vec<String>,
    /// Whether the system itself demands FIPS mode: `required`, `not-required` or `unknown`.
    pub system_setting: String,
    /// The module, as it is linked into this process.
    pub module: ModuleEvidence,
    /// Version of the policy table.
    pub policy_table: u32,
    /// Every service of the table with its counters since the process started.
    pub services: Vec<ServiceEvidence>,
    /// How often something that is not approved was performed.
    pub not_approved: u64,
    /// TLS of the process; null from a release that did not tell.
    #[serde(default)]
    pub tls: Option<TlsEvidence>,
    /// Where its secrets are; null from a release that did not tell.
    #[serde(default)]
    pub memory: Option<MemoryEvidence>,
    /// Where it runs; null from a release that did not tell.
    #[serde(default)]
    pub environment: Option<EnvironmentEvidence>,
    /// Why the process does no more cryptography.
    pub fault: Option<FaultEvidence>,
}

/// The module in one process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModuleEvidence {
    /// What it says of itself, e.g. `AWS-LC FIPS 3.1.0`; empty when it did not start.
    pub version: String,
    /// The CMVP certificate that names this version in this form.
    pub certificate: String,
    /// Whether it is part of the executable.
    pub static_build: bool,
    /// SHA-256 over its source as it was compiled; null where the build could not compute it.
    #[serde(default)]
    pub source_sha256: Option<String>,
    /// Whether all of what it was compiled from is the pinned source. What is not known is not.
    #[serde(default)]
    pub source_matches_pinned: bool,
    /// The last run of its tests.
    pub self_test: Option<SelfTestEvidence>,
}

/// A run of the module's own tests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SelfTestEvidence {
    /// The integrity test over code and constants.
    pub integrity_passed: bool,
    /// The known-answer tests.
    pub known_answers_passed: bool,
    /// When it ended (RFC 3339).
    pub at: String,
    /// How long it took, in microseconds.
    pub took_us: u64,
}

/// One service in one process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceEvidence {
    /// Its stable name in the table.
    pub name: String,
    /// Whether it is approved.
    pub approved: bool,
    /// `module`, `token` or `program`.
    pub performer: String,
    /// Performed with a result.
    pub done: u64,
    /// Performed without one, such as a signature that does not verify.
    pub failed: u64,
    /// Refused by the policy, or after a fault.
    pub refused: u64,
    /// Performed, and the module's indicator contradicted the table.
    pub disagreed: u64,
}

/// Why a process does no more cryptography.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FaultEvidence {
    /// Stable code: `integrity_failed`, `self_test_failed`, `indicator_disagrees`.
    pub code: String,
    /// In words.
    pub message: String,
    /// When (RFC 3339).
    pub at: String,
}

impl ProcessEvidence {
    /// What this process can say now. Runs no self-test.
    #[must_use]
    pub fn of_this(process: &str) -> Self {
        let in_force = policy::in_force();
        Self {
            process: process.to_owned(),
            version: crate::VERSION.to_owned(),
            since: fips::start(in_force)
                .map(|module| time(module.started_at()))
                .unwrap_or_default(),
            mode: in_force.mode().name().to_owned(),
            exceptions: in_force
                .exceptions()
                .iter()
                .map(|exception| exception.name().to_owned())
                .collect(),
            system_setting: policy::system::setting().name().to_owned(),
            module: ModuleEvidence::of_this_process(),
            policy_table: policy::TABLE_VERSION,
            services: policy::counts().iter().map(ServiceEvidence::of).collect(),
            not_approved: policy::not_approved(),
            tls: Some(TlsEvidence::of_this_process()),
            memory: Some(MemoryEvidence::of_this_process()),
            environment: Some(EnvironmentEvidence::of_this_process()),
            fault: policy::fault().map(|fault| FaultEvidence {
                code: fault.code().to_owned(),
                message: fault.to_string(),
                at: time(fault.at()),
            }),
        }
    }

    /// How often a service was performed; 0 for one that this release does not know.
    #[must_use]
    pub fn performed(&self, service: policy::Service) -> u64 {
        self.services
            .iter()
            .find(|found| found.name == service.name())
            .map_or(0, |found| found.done.saturating_add(found.failed))
    }
}

impl ModuleEvidence {
    pub(super) fn of_this_process() -> Self {
        let module = fips::start(policy::in_force()).ok();
        Self {
            version: module.map_or("", fips::Module::version).to_owned(),
            certificate: module.map_or("", fips::Module::certificate).to_owned(),
            static_build: module.is_some_and(fips::Module::static_build),
            source_sha256: provenance::MODULE_SOURCE.sha256.map(str::to_owned),
            source_matches_pinned: provenance::MODULE_SOURCE.matches_pinned()
                && provenance::LIBRARY_SOURCE.matches_pinned(),
            self_test: fips::last_self_test().map(|test| SelfTestEvidence {
                integrity_passed: test.integrity_passed,
                known_answers_passed: test.known_answers_passed,
                at: time(test.at),
                took_us: u64::try_from(test.took.as_micros()).unwrap_or(u64::MAX),
            }),
        }
    }
}

impl ServiceEvidence {
    fn of(count: &policy::ServiceCount) -> Self {
        let entry = count.service.entry();
        Self {
            name: entry.name.to_owned(),
            approved: matches!(entry.standing, Standing::Approved),
            performer: entry.performer.name().to_owned(),
            done: count.done,
            failed: count.failed,
            refused: count.refused,
            disagreed: count.disagreed,
        }
    }
}

fn time(at: SystemTime) -> String {
    let ms = at
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_millis()).ok());
    rfc3339(ms.unwrap_or(0))
}

/// The few words about FIPS that every report of a command carries: mode, exceptions, what was done that is not approved.
#[must_use]
pub fn summary() -> serde_json::Value {
    let in_force = policy::in_force();
    serde_json::json!({
        "mode": in_force.mode().name(),
        "exceptions": in_force.exceptions().iter().map(policy::Exception::name).collect::<Vec<_>>(),
        "notApproved": policy::not_approved(),
        "moduleVersion": fips::EXPECTED_VERSION,
    })
}

/// The same as a note for people, where something is worth one.
#[must_use]
pub fn note() -> Option<String> {
    let in_force = policy::in_force();
    let done: Vec<String> = policy::counts()
        .iter()
        .filter(|count| count.performed() > 0 && !count.service.entry().standing.is_approved())
        .map(|count| count.service.name().to_owned())
        .collect();
    match (in_force.mode(), done.is_empty()) {
        (policy::Mode::Strict, true) => None,
        (policy::Mode::Off, true) => {
            Some("FIPS mode is off here; nothing was done that is not approved".to_owned())
        }
        (policy::Mode::Off, false) => Some(format!(
            "FIPS mode is off here; not approved: {}",
            done.join(", ")
        )),
        (policy::Mode::Strict, false) => Some(format!(
            "not approved, under exceptions: {}",
            done.join(", ")
        )),
    }
}
