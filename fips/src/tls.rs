//! TLS 1.2 and 1.3 by rustls, with the module's cryptography. Approved as one composite service.
//!
//! ```text
//!   client_config()   server_config()     the only makers: from our provider, checked, counted
//!        |                 |
//!        |   assert_fips_client / _server     fips() of rustls, extended master secret, no early data, no key export
//!        v                 v
//!   reqwest           the accept loop ---- record_served / record_refused ----> state(): the evidence
//! ```
//!
//! Evidence is `fips()` on each finished configuration: it takes the cipher suites, the groups, and for TLS 1.2 the
//! extended master secret (RFC 7627; without it the module's TLS key derivation is not approved) into account. The
//! hybrid X25519MLKEM768 contains X25519, which is not approved alone; the approved part is ML-KEM-768.
//!
//! No default provider is installed for the process: a library that makes a configuration of its own finds none, and fails.

mod configuration;
mod problem;
mod state;

pub use configuration::{
    ClientCertificates, Identity, assert_fips_client, assert_fips_server, client_config,
    client_config_with_key, provider, server_config,
};
pub use problem::PeerProblem;
pub use state::{
    Algorithm, Refusal, Served, TlsState, record_call_failed, record_refused, record_served, state,
};
