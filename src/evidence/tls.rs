//! TLS of one process, as plain data for reports: what [`fips::tls::state`] says.

use fips::tls::{Algorithm, Refusal, TlsState};
use serde::{Deserialize, Serialize};

/// TLS of one process since it started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TlsEvidence {
    /// `fips()` of the one provider.
    pub provider_fips: bool,
    /// The protocol versions of every configuration.
    pub versions: Vec<String>,
    /// The cipher suites of every configuration, the preferred one first.
    pub cipher_suites: Vec<TlsAlgorithm>,
    /// The key exchange groups of every configuration, the preferred one first.
    pub groups: Vec<TlsAlgorithm>,
    /// TLS 1.2 needs the extended master secret (RFC 7627).
    pub extended_master_secret_required: bool,
    /// Client configurations that passed the assertion.
    pub client_configurations: u64,
    /// Server configurations that passed the assertion.
    pub server_configurations: u64,
    /// Configurations that did not pass, so that what wanted them did not start.
    pub refused_configurations: u64,
    /// Accepted connections whose handshake was completed: with key exchange and certificates.
    pub full_handshakes: u64,
    /// Accepted connections that went on with the secrets of an earlier one.
    pub resumed_handshakes: u64,
    /// Of both, those with TLS 1.2.
    pub tls12: u64,
    /// Of both, those with TLS 1.3.
    pub tls13: u64,
    /// Handshakes with clients that failed, by reason.
    pub refused: Vec<TlsRefusal>,
    /// Calls to others that failed in TLS, by reason.
    pub failed_calls: Vec<TlsRefusal>,
}

/// A cipher suite or a group that is offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TlsAlgorithm {
    /// Its name in the registry of IANA.
    pub name: String,
    /// What rustls says of it.
    pub fips: bool,
    /// What has to be declared although `fips` is true.
    pub declared: Option<String>,
    /// Accepted connections that used it.
    pub served: u64,
}

/// How often something was the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TlsRefusal {
    /// Stable code.
    pub problem: String,
    /// How often.
    pub count: u64,
}

impl TlsEvidence {
    /// TLS of this process.
    #[must_use]
    pub fn of_this_process() -> Self {
        fips::tls::state().into()
    }

    /// Whether nothing can be agreed on with it that is none of FIPS.
    #[must_use]
    pub fn is_fips(&self) -> bool {
        let offered = || self.cipher_suites.iter().chain(&self.groups);
        self.provider_fips
            && self.extended_master_secret_required
            && offered().count() > 0
            && offered().all(|algorithm| algorithm.fips)
    }

    /// Configurations that passed the assertion.
    #[must_use]
    pub const fn configurations(&self) -> u64 {
        self.client_configurations
            .saturating_add(self.server_configurations)
    }
}

impl From<TlsState> for TlsEvidence {
    fn from(state: TlsState) -> Self {
        let algorithms = |list: Vec<Algorithm>| list.into_iter().map(TlsAlgorithm::from).collect();
        let refusals = |list: Vec<Refusal>| list.into_iter().map(TlsRefusal::from).collect();
        Self {
            provider_fips: state.provider_fips,
            versions: state.versions.into_iter().map(str::to_owned).collect(),
            cipher_suites: algorithms(state.cipher_suites),
            groups: algorithms(state.groups),
            extended_master_secret_required: state.extended_master_secret_required,
            client_configurations: state.client_configurations,
            server_configurations: state.server_configurations,
            refused_configurations: state.refused_configurations,
            full_handshakes: state.served.full,
            resumed_handshakes: state.served.resumed,
            tls12: state.served.tls12,
            tls13: state.served.tls13,
            refused: refusals(state.refused),
            failed_calls: refusals(state.failed_calls),
        }
    }
}

impl From<Algorithm> for TlsAlgorithm {
    fn from(algorithm: Algorithm) -> Self {
        Self {
            name: algorithm.name,
            fips: algorithm.fips,
            declared: algorithm.declared.map(str::to_owned),
            served: algorithm.served,
        }
    }
}

impl From<Refusal> for TlsRefusal {
    fn from(refusal: Refusal) -> Self {
        Self {
            problem: refusal.problem.code().to_owned(),
            count: refusal.count,
        }
    }
}
