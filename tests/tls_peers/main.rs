//! TLS with software that we did not write: who cannot do what FIPS asks for is refused, each for a reason of its own that
//! the operator is told; whoever can is served.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

mod clients;
#[path = "../support/gateway.rs"]
mod gateway;
#[path = "../support/gateway_host.rs"]
mod gateway_host;
#[path = "../support/pki.rs"]
mod pki;
mod servers;
#[path = "../support/tls_peer.rs"]
mod tls_peer;
