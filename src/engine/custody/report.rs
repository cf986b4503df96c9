//! What custody reports of itself to the supervisor.

use super::Shared;
use super::token::describe;
use crate::engine::api::KeyStatus;
use crate::evidence::process::ProcessEvidence;
use hsm::Custody;
use serde::{Deserialize, Serialize};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Custody's part of a status. Nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CustodyReport {
    /// What the process says of its cryptography; none while it says nothing.
    pub fips: Option<ProcessEvidence>,
    /// The token.
    pub token: Option<serde_json::Value>,
    /// The CMVP certificate that the operator states, in the very configuration that the token was opened with.
    pub token_certificate: Option<String>,
    /// Why there is none.
    pub token_problem: Option<String>,
    /// What the token was seen to do.
    pub capabilities: Option<serde_json::Value>,
    /// Keys, with the reason for each that is refused.
    pub keys: Vec<KeyStatus>,
    /// Private-key operations asked of the token for requests.
    pub key_uses: u64,
    /// What the process could not do to protect itself.
    pub notes: Vec<String>,
    /// Names of the exceptions that custody honours: it reads the configuration itself, at each of its starts.
    pub exceptions: Vec<String>,
}

impl CustodyReport {
    /// What can be said while custody says nothing.
    #[must_use]
    pub fn silent() -> Self {
        Self {
            fips: None,
            token: None,
            token_certificate: None,
            token_problem: Some(
                "the custody process does not report: it is being restarted or hangs".to_owned(),
            ),
            capabilities: None,
            keys: Vec::new(),
            key_uses: 0,
            notes: Vec::new(),
            exceptions: Vec::new(),
        }
    }
}

/// A self-test older than this is not much of a statement about now.
const SELF_TEST_AGE: Duration = Duration::from_secs(3600);

/// This process' evidence, with a self-test that is not older than an hour. One that fails is a fault, and in the evidence.
fn evidence() -> ProcessEvidence {
    let fresh = fips::last_self_test()
        .and_then(|test| test.at.elapsed().ok())
        .is_some_and(|age| age < SELF_TEST_AGE);
    if !fresh && let Err(error) = fips::self_test() {
        tracing::error!(%error, "the cryptographic module fails its self-test");
    }
    ProcessEvidence::of_this("custody")
}

/// The report of a module that has failed, made at once: the token is not asked, because it may hang, and this process be replaced for
/// that before anybody knew.
pub(super) fn of_fault(shared: &Shared) -> CustodyReport {
    CustodyReport {
        fips: Some(ProcessEvidence::of_this("custody")),
        token_problem: Some(
            "the token was not asked: the cryptographic module has failed".to_owned(),
        ),
        ..without_token(shared)
    }
}

pub(super) fn make(shared: &Shared) -> CustodyReport {
    let mut report = CustodyReport {
        fips: Some(evidence()),
        ..without_token(shared)
    };
    let custody = match shared.token.get() {
        Ok(custody) => custody,
        Err(problem) => {
            report.token_problem = Some(problem);
            return report;
        }
    };
    match custody.keys() {
        Ok(keys) => {
            report.token = serde_json::to_value(custody.token()).ok();
            report.capabilities = serde_json::to_value(custody.capabilities()).ok();
            report.keys = keys
                .into_iter()
                .map(|key| KeyStatus {
                    fingerprint: key.fingerprint.to_string(),
                    label: key.label,
                    modulus_bits: key.modulus_bits,
                    problems: key.problems.iter().map(ToString::to_string).collect(),
                    origin: key.attributes.origin().words().to_owned(),
                    attributes: serde_json::to_value(&key.attributes).unwrap_or_default(),
                })
                .collect();
        }
        Err(error) => report.token_problem = Some(describe(&error)),
    }
    report
}

/// What is known without anybody being asked.
fn without_token(shared: &Shared) -> CustodyReport {
    CustodyReport {
        token_certificate: shared.config.token.fips_certificate.clone(),
        token_problem: None,
        key_uses: shared.key_uses.load(Ordering::Relaxed),
        notes: shared.notes.clone(),
        exceptions: shared
            .config
            .exceptions
            .iter()
            .map(|exception| exception.name().to_owned())
            .collect(),
        ..CustodyReport::silent()
    }
}
