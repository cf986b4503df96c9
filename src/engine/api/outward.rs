//! What connectors are told of an engine's status. The engine's own user is told all of it.
//!
//! A failing answer does not say why it failed, and leaves when the clock says. Figures that move with single requests would say it: how
//! long a token took, whether it was asked a second time, which services were performed, how many entries the log has. So connectors are
//! told the state of everything, and of figures only those that move in the same way whatever made a request fail
//! (see docs/timing.md, "What status says").

use super::{EngineStatus, OracleStatus, PartStatus, SwitchingStatus, TokenStatus};
use crate::engine::api::keys::IssuanceStatus;
use crate::evidence::memory::MemoryEvidence;
use crate::evidence::process::{ProcessEvidence, ServiceEvidence};

impl EngineStatus {
    /// What connectors may know of it: without everything that differs by why a request failed. Figures that do not are still as they
    /// are now: [`Figures`] is what holds them back.
    #[must_use]
    pub fn for_connectors(self) -> Self {
        // Every field, so that a new one does not compile before somebody has decided whether connectors are told.
        let Self {
            version,
            module_version,
            program,
            module_fault,
            fips,
            token,
            token_certificate,
            token_problem,
            revocation_lists,
            capabilities,
            keys,
            parts,
            exceptions,
            deliveries,
            key_uses,
            decryptions_shared,
            tokens,
            switching: _,
            oracle,
            issuance,
            audit,
            authorities,
            pkcs1_keys,
            calendar,
            answered,
            in_flight,
            coarse: _,
        } = self;
        Self {
            version,
            module_version,
            program,
            module_fault,
            fips: fips.into_iter().map(process).collect(),
            token,
            token_certificate,
            token_problem,
            revocation_lists,
            capabilities,
            keys,
            parts: parts.into_iter().map(part).collect(),
            exceptions,
            deliveries,
            key_uses,
            decryptions_shared,
            tokens: tokens.into_iter().map(token_state).collect(),
            switching: SwitchingStatus::default(),
            oracle,
            issuance,
            audit: audit.map(log),
            authorities,
            pkcs1_keys,
            calendar,
            answered,
            in_flight,
            coarse: true,
        }
    }
}

/// Its services say whether they were performed, not how often: bad padding needs a random password and a wrong one does not.
fn process(said: ProcessEvidence) -> ProcessEvidence {
    let happened = |count: u64| u64::from(count > 0);
    ProcessEvidence {
        services: said
            .services
            .into_iter()
            .map(|service| ServiceEvidence {
                done: happened(service.done.saturating_add(service.failed)),
                failed: 0,
                refused: happened(service.refused),
                disagreed: happened(service.disagreed),
                ..service
            })
            .collect(),
        not_approved: happened(said.not_approved),
        memory: said.memory.map(|memory| MemoryEvidence {
            in_pool_now: 0,
            in_pool: 0,
            on_heap_too_long: 0,
            on_heap_no_place: 0,
            ..memory
        }),
        ..said
    }
}

fn part(said: PartStatus) -> PartStatus {
    PartStatus {
        resident_bytes: None,
        ..said
    }
}

/// Whether it serves, and nothing of what it did for whom and how long that took.
fn token_state(said: TokenStatus) -> TokenStatus {
    let TokenStatus {
        name,
        state,
        problem,
        drained,
        in_hand: _,
        avoided_ms: _,
        weight_per_mille: _,
        requests: _,
        failures: _,
        certificate,
        token,
        capabilities,
        load: _,
        healing: _,
    } = said;
    TokenStatus {
        name,
        state,
        problem,
        drained,
        in_hand: 0,
        avoided_ms: None,
        weight_per_mille: 0,
        requests: 0,
        failures: 0,
        certificate,
        token,
        capabilities,
        load: None,
        healing: None,
    }
}

/// Whether it is written and sealed. Known ciphertexts that were decrypted are entries too, and the hash of a line could be compared with
/// that of a line for each class of failures.
fn log(said: audit::Status) -> audit::Status {
    audit::Status {
        file: String::new(),
        seq: 0,
        head: None,
        sealed_upto: 0,
        entries: 0,
        commits: 0,
        largest_commit: 0,
        commit_us: 0,
        seal_waited_ms: 0,
        ..said
    }
}

/// The figures that connectors are told. They move in the same way whatever made a request fail, and are renewed seldom, so that they do
/// not say when something happened either.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures {
    key_uses: u64,
    decryptions_shared: u64,
    oracle: Option<OracleStatus>,
    issuance: Option<IssuanceStatus>,
    answered: u64,
    in_flight: u64,
}

impl Figures {
    /// Those of a status.
    #[must_use]
    pub fn of(status: &EngineStatus) -> Self {
        Self {
            key_uses: status.key_uses,
            decryptions_shared: status.decryptions_shared,
            oracle: status.oracle.clone(),
            issuance: status.issuance,
            answered: status.answered,
            in_flight: status.in_flight,
        }
    }

    /// Puts them into a status in the place of its own; what that does not tell at all, it does not tell now.
    pub fn put_into(&self, status: &mut EngineStatus) {
        if status.custody_reports() {
            status.key_uses = self.key_uses;
            status.decryptions_shared = self.decryptions_shared;
            status.oracle.clone_from(&self.oracle);
            status.issuance = status.issuance.and(self.issuance);
        }
        status.answered = self.answered;
        status.in_flight = self.in_flight;
    }
}
