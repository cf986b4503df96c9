//! What custody reports of itself to the supervisor.

use super::Shared;
use super::ends;
use super::pkcs1;
use super::token::describe;
use crate::calendar::Dated;
use crate::clock::{Clock, SystemClock};
use crate::engine::api::{
    AuthorityStatus, Delivery, HealingStatus, IssuanceStatus, KeyStatus, OracleStatus,
    Pkcs1KeyStatus, SwitchingStatus, TokenStatus,
};
use crate::engine::recrypt::revocation::ListStatus;
use crate::evidence::process::ProcessEvidence;
use hsm::group::MemberStatus;
use hsm::{Custody, KeyInfo};
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
    /// The revocation lists that device certificates are looked up in.
    pub revocation_lists: Vec<ListStatus>,
    /// What the token was seen to do.
    pub capabilities: Option<serde_json::Value>,
    /// Keys, with the reason for each that is refused.
    pub keys: Vec<KeyStatus>,
    /// Every token.
    pub tokens: Vec<TokenStatus>,
    /// What was done by itself among the tokens.
    pub switching: SwitchingStatus,
    /// Private-key operations asked of the token for requests.
    pub key_uses: u64,
    /// Requests that were answered by another one's decryption.
    pub decryptions_shared: u64,
    /// Budgets and quarantine.
    pub oracle: Option<OracleStatus>,
    /// Keys made and packed; none where that is not configured.
    pub issuance: Option<IssuanceStatus>,
    /// The log of uses of the key; none under the exception `no-receipts`.
    pub audit: Option<audit::Status>,
    /// Custody keys that decrypt records of old imports, and until when.
    pub pkcs1_keys: Vec<Pkcs1KeyStatus>,
    /// Everything with an end that custody depends on.
    pub calendar: Vec<Dated>,
    /// What the process could not do to protect itself.
    pub notes: Vec<String>,
    /// What is left to the process.
    pub sandbox: Option<sandbox::Report>,
    /// Names of the exceptions that custody honours: it reads the configuration itself, at each of its starts.
    pub exceptions: Vec<String>,
    /// The deliveries that it does.
    pub deliveries: Vec<Delivery>,
    /// Certification authorities whose keys are on the token.
    pub authorities: Vec<AuthorityStatus>,
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
            revocation_lists: Vec::new(),
            capabilities: None,
            keys: Vec::new(),
            tokens: Vec::new(),
            switching: SwitchingStatus::default(),
            key_uses: 0,
            decryptions_shared: 0,
            oracle: None,
            issuance: None,
            audit: None,
            pkcs1_keys: Vec::new(),
            calendar: Vec::new(),
            notes: Vec::new(),
            sandbox: None,
            exceptions: Vec::new(),
            deliveries: Vec::new(),
            authorities: Vec::new(),
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
    let group = match shared.tokens.get() {
        Ok(group) => group,
        Err(problem) => {
            report.token_problem = Some(problem);
            return report;
        }
    };
    match group.copies() {
        Ok(keys) => {
            report.token = serde_json::to_value(group.token()).ok();
            report.capabilities = serde_json::to_value(group.capabilities()).ok();
            report.keys = keys.into_iter().map(key_status).collect();
        }
        Err(error) => report.token_problem = Some(describe(&error)),
    }
    report
}

/// Warning: nobody can read the records of such a key any more once its token is lost.
const SINGLE_COPY: &str = "single_copy";

fn key_status((key, tokens): (KeyInfo, Vec<String>)) -> KeyStatus {
    let is_single = key.is_usable() && tokens.len() < 2;
    KeyStatus {
        fingerprint: key.fingerprint.to_string(),
        label: key.label,
        modulus_bits: key.modulus_bits,
        problems: key.problems.iter().map(ToString::to_string).collect(),
        origin: key.attributes.origin().words().to_owned(),
        attributes: serde_json::to_value(&key.attributes).unwrap_or_default(),
        tokens,
        warnings: is_single
            .then(|| SINGLE_COPY.to_owned())
            .into_iter()
            .collect(),
    }
}

fn token_status(shared: &Shared, member: MemberStatus) -> TokenStatus {
    let section = shared
        .config
        .named_tokens()
        .find(|(name, _)| *name == member.name);
    TokenStatus {
        certificate: section.and_then(|(_, section)| section.fips_certificate.clone()),
        name: member.name,
        state: member.state,
        problem: member.problem,
        drained: member.drained,
        in_hand: member.in_hand,
        avoided_ms: member.avoided_ms,
        weight_per_mille: member.weight_per_mille,
        requests: member.requests,
        failures: member.failures,
        token: member
            .token
            .and_then(|token| serde_json::to_value(token).ok()),
        capabilities: member
            .capabilities
            .and_then(|capabilities| serde_json::to_value(capabilities).ok()),
        healing: member.health.as_ref().map(HealingStatus::from),
        load: member.health.map(|health| health.load),
    }
}

/// What is known without anybody being asked.
fn without_token(shared: &Shared) -> CustodyReport {
    let group = &shared.tokens.group;
    let figures = group.figures();
    let tokens: Vec<_> = group
        .members()
        .into_iter()
        .map(|member| token_status(shared, member))
        .collect();
    let authorities = shared.authorities.report(&shared.policy.authorities);
    let revocation_lists = shared
        .policy
        .rules
        .revocation()
        .map(|lists| lists.report(SystemClock.now_ms()))
        .unwrap_or_default();
    let calendar = ends::of(
        &shared.config,
        &shared.policy,
        &authorities,
        &revocation_lists,
    );
    // Of the token that is shown: the first that is open.
    let shown = tokens
        .iter()
        .find(|token| token.token.is_some())
        .or(tokens.first());
    CustodyReport {
        token_certificate: shown.and_then(|token| token.certificate.clone()),
        token_problem: None,
        revocation_lists,
        tokens,
        switching: SwitchingStatus {
            failovers: figures.failovers,
            rescues: figures.rescues,
            hedges: figures.hedges,
            hedges_won: figures.hedges_won,
        },
        decryptions_shared: shared.sharing.count(),
        oracle: Some(shared.oracle.status(shared.release.late())),
        issuance: shared
            .config
            .issuance
            .as_ref()
            .map(|_| shared.key_making.status()),
        audit: shared.oracle.book().status(),
        pkcs1_keys: pkcs1::status(&shared.config.pkcs1_keys, SystemClock.now_ms()),
        calendar,
        key_uses: shared.key_uses.load(Ordering::Relaxed),
        notes: shared.notes.clone(),
        sandbox: Some(shared.sandbox.clone()),
        deliveries: shared.config.deliveries.clone(),
        authorities,
        exceptions: shared
            .config
            .exceptions
            .iter()
            .map(|exception| exception.name().to_owned())
            .collect(),
        ..CustodyReport::silent()
    }
}
