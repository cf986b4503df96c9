//! What an auditor is told of TLS: what every configuration offers, and what has happened in this process.

use super::configuration::{REQUIRE_EMS, VERSIONS, provider};
use super::problem::PeerProblem;
use crate::policy::{self, Service};
use crate::{Error, Result};
use rustls::{HandshakeKind, NamedGroup, ProtocolVersion, ServerConnection};
use std::sync::atomic::{AtomicU64, Ordering};

/// TLS of this process. Plain data; the counts are read one after the other, so that they may differ by what happens meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsState {
    /// `fips()` of the one provider: the module is in FIPS mode, and all suites, groups and its random bytes are the module's.
    pub provider_fips: bool,
    /// The protocol versions of every configuration.
    pub versions: Vec<&'static str>,
    /// The cipher suites of every configuration, the preferred one first.
    pub cipher_suites: Vec<Algorithm>,
    /// The key exchange groups of every configuration, the preferred one first.
    pub groups: Vec<Algorithm>,
    /// TLS 1.2 needs the extended master secret (RFC 7627): set in every configuration, and asserted.
    pub extended_master_secret_required: bool,
    /// Client configurations that passed the assertion.
    pub client_configurations: u64,
    /// Server configurations that passed the assertion.
    pub server_configurations: u64,
    /// Configurations that did not pass, so that what wanted them did not start.
    pub refused_configurations: u64,
    /// Connections that were accepted here and whose handshake was completed.
    pub served: Served,
    /// Handshakes with clients that failed, by reason: those that have happened.
    pub refused: Vec<Refusal>,
    /// Calls of this process to others that failed in TLS, by reason. Calls that did well are not counted: the HTTP
    /// client does not show its connections. That each of them is a FIPS connection follows from its configuration.
    pub failed_calls: Vec<Refusal>,
}

/// A cipher suite or a group that is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Algorithm {
    /// Its name in the registry of IANA.
    pub name: String,
    /// What rustls says of it.
    pub fips: bool,
    /// What has to be declared although `fips` is true.
    pub declared: Option<&'static str>,
    /// Accepted connections that used it.
    pub served: u64,
}

/// Completed handshakes with clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Served {
    /// With key exchange and certificates.
    pub full: u64,
    /// That went on with the secrets of a full one.
    pub resumed: u64,
    /// Of both, those with TLS 1.2.
    pub tls12: u64,
    /// Of both, those with TLS 1.3.
    pub tls13: u64,
}

/// How often something was the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The reason.
    pub problem: PeerProblem,
    /// How often.
    pub count: u64,
}

/// Who speaks.
#[derive(Debug, Clone, Copy)]
pub(super) enum Side {
    Client,
    Server,
}

/// More than the provider has suites or groups.
const MAX_ALGORITHMS: usize = 16;

struct Counters {
    client_configurations: AtomicU64,
    server_configurations: AtomicU64,
    refused_configurations: AtomicU64,
    full: AtomicU64,
    resumed: AtomicU64,
    tls12: AtomicU64,
    tls13: AtomicU64,
    suites: [AtomicU64; MAX_ALGORITHMS],
    groups: [AtomicU64; MAX_ALGORITHMS],
    refused: [AtomicU64; PeerProblem::COUNT],
    failed_calls: [AtomicU64; PeerProblem::COUNT],
}

impl Counters {
    const fn new() -> Self {
        Self {
            client_configurations: AtomicU64::new(0),
            server_configurations: AtomicU64::new(0),
            refused_configurations: AtomicU64::new(0),
            full: AtomicU64::new(0),
            resumed: AtomicU64::new(0),
            tls12: AtomicU64::new(0),
            tls13: AtomicU64::new(0),
            suites: [const { AtomicU64::new(0) }; MAX_ALGORITHMS],
            groups: [const { AtomicU64::new(0) }; MAX_ALGORITHMS],
            refused: [const { AtomicU64::new(0) }; PeerProblem::COUNT],
            failed_calls: [const { AtomicU64::new(0) }; PeerProblem::COUNT],
        }
    }
}

static COUNTERS: Counters = Counters::new();

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn add_at(counters: &[AtomicU64], place: Option<usize>) {
    if let Some(counter) = place.and_then(|place| counters.get(place)) {
        add(counter);
    }
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn read_at(counters: &[AtomicU64], place: usize) -> u64 {
    counters.get(place).map_or(0, read)
}

/// Counts whether a configuration passed, and hands on what was said.
pub(super) fn count_configuration(side: Side, asserted: Result<()>) -> Result<()> {
    let asserted = policy::perform(Service::Tls, |_| asserted);
    add(match (&asserted, side) {
        (Ok(()), Side::Client) => &COUNTERS.client_configurations,
        (Ok(()), Side::Server) => &COUNTERS.server_configurations,
        (Err(_), _) => &COUNTERS.refused_configurations,
    });
    asserted
}

/// Counts an accepted connection whose handshake is over, after a look at what was agreed on.
///
/// # Errors
/// [`Error::TlsNotFips`] when the connection is none of FIPS, which no configuration of this crate allows: the caller has to
/// close it. It is counted as [`PeerProblem::Ours`].
pub fn record_served(connection: &ServerConnection) -> Result<()> {
    let provider = provider();
    let suite = connection.negotiated_cipher_suite();
    // A resumed connection of TLS 1.2 has none.
    let group = connection.negotiated_key_exchange_group();
    let is_fips = connection.fips()
        && suite.is_some_and(|suite| suite.fips())
        && group.is_none_or(|group| group.fips());
    let judged: Result<()> = policy::perform(Service::Tls, |_| {
        if is_fips {
            Ok(())
        } else {
            Err(Error::TlsNotFips { side: "server" })
        }
    });
    if judged.is_err() {
        record_refused(PeerProblem::Ours);
        return judged;
    }
    add(match connection.handshake_kind() {
        Some(HandshakeKind::Resumed) => &COUNTERS.resumed,
        _ => &COUNTERS.full,
    });
    match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => add(&COUNTERS.tls13),
        Some(ProtocolVersion::TLSv1_2) => add(&COUNTERS.tls12),
        _ => {}
    }
    let suites = &provider.cipher_suites;
    add_at(
        &COUNTERS.suites,
        suites.iter().position(|offered| Some(*offered) == suite),
    );
    let group = group.and_then(|group| {
        let offered = &provider.kx_groups;
        offered
            .iter()
            .position(|offered| offered.name() == group.name())
    });
    add_at(&COUNTERS.groups, group);
    Ok(())
}

/// Counts a handshake with a client that failed.
pub fn record_refused(problem: PeerProblem) {
    add_at(&COUNTERS.refused, Some(problem as usize));
}

/// Counts a call to another service that failed in TLS.
pub fn record_call_failed(problem: PeerProblem) {
    add_at(&COUNTERS.failed_calls, Some(problem as usize));
}

/// What every configuration of this process offers, and what has happened since it started.
#[must_use]
pub fn state() -> TlsState {
    let provider = provider();
    let cipher_suites = provider.cipher_suites.iter().enumerate();
    let groups = provider.kx_groups.iter().enumerate();
    TlsState {
        provider_fips: provider.fips(),
        versions: VERSIONS
            .iter()
            .map(|version| match version.version {
                ProtocolVersion::TLSv1_3 => "TLS 1.3",
                ProtocolVersion::TLSv1_2 => "TLS 1.2",
                _ => "other",
            })
            .collect(),
        cipher_suites: cipher_suites
            .map(|(place, suite)| Algorithm {
                name: suite
                    .suite()
                    .as_str()
                    .unwrap_or("unknown")
                    .replace("TLS13_", "TLS_"),
                fips: suite.fips(),
                declared: None,
                served: read_at(&COUNTERS.suites, place),
            })
            .collect(),
        groups: groups
            .map(|(place, group)| Algorithm {
                name: group.name().as_str().unwrap_or("unknown").to_owned(),
                fips: group.fips(),
                declared: declared(group.name()),
                served: read_at(&COUNTERS.groups, place),
            })
            .collect(),
        extended_master_secret_required: REQUIRE_EMS,
        client_configurations: read(&COUNTERS.client_configurations),
        server_configurations: read(&COUNTERS.server_configurations),
        refused_configurations: read(&COUNTERS.refused_configurations),
        served: Served {
            full: read(&COUNTERS.full),
            resumed: read(&COUNTERS.resumed),
            tls12: read(&COUNTERS.tls12),
            tls13: read(&COUNTERS.tls13),
        },
        refused: by_reason(&COUNTERS.refused),
        failed_calls: by_reason(&COUNTERS.failed_calls),
    }
}

/// What is part of a group without being approved by itself.
fn declared(group: NamedGroup) -> Option<&'static str> {
    (group == NamedGroup::X25519MLKEM768).then_some(
        "hybrid: ML-KEM-768 is the approved algorithm; X25519 is not one of the module's approved services, it only adds to the secret",
    )
}

fn by_reason(counters: &[AtomicU64]) -> Vec<Refusal> {
    PeerProblem::ALL
        .into_iter()
        .map(|problem| Refusal {
            problem,
            count: read_at(counters, problem as usize),
        })
        .filter(|refusal| refusal.count > 0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_offered_is_of_fips_and_x25519_is_declared() {
        let state = state();
        assert!(state.provider_fips && state.extended_master_secret_required);
        assert_eq!(state.versions, ["TLS 1.3", "TLS 1.2"]);
        let names = |list: &[Algorithm]| -> Vec<_> {
            list.iter()
                .map(|algorithm| algorithm.name.clone())
                .collect()
        };
        assert_eq!(
            names(&state.cipher_suites),
            [
                "TLS_AES_256_GCM_SHA384",
                "TLS_AES_128_GCM_SHA256",
                "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
                "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
                "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
                "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            ]
        );
        assert_eq!(
            names(&state.groups),
            ["X25519MLKEM768", "secp256r1", "secp384r1"]
        );
        let offered = state.cipher_suites.iter().chain(&state.groups);
        for algorithm in offered {
            assert!(algorithm.fips, "{algorithm:?}");
            assert_eq!(
                algorithm.declared.is_some(),
                algorithm.name.contains("X25519"),
                "{algorithm:?}"
            );
        }
        assert!(
            state.cipher_suites.len() <= MAX_ALGORITHMS && state.groups.len() <= MAX_ALGORITHMS
        );
    }
}
