//! The engine as its callers and its operator meet it: the real program with a real token, killed, stopped, starved and lied to.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

#[path = "support/engine.rs"]
mod engine;
#[path = "support/issuance.rs"]
mod issuance_support;
#[path = "support/openssl.rs"]
mod openssl;
#[path = "support/pki.rs"]
mod pki_files;
#[path = "support/plist.rs"]
mod plist;
#[path = "support/softhsm.rs"]
mod softhsm;
#[path = "support/tls_peer.rs"]
mod tls_peer;

#[path = "engine_processes/access.rs"]
mod access;
#[path = "engine_processes/approvals.rs"]
mod approvals;
#[path = "engine_processes/callers.rs"]
mod callers;
#[path = "engine_processes/client_keys.rs"]
mod client_keys;
#[path = "engine_processes/deliveries.rs"]
mod deliveries;
#[path = "engine_processes/faults.rs"]
mod faults;
#[path = "engine_processes/grid.rs"]
mod grid;
#[path = "engine_processes/hasty.rs"]
mod hasty;
#[path = "engine_processes/issuance.rs"]
mod issuance;
#[path = "engine_processes/issuance_refused.rs"]
mod issuance_refused;
#[path = "engine_processes/judged.rs"]
mod judged;
#[path = "engine_processes/labelled_keys.rs"]
mod labelled_keys;
#[path = "engine_processes/oracle.rs"]
mod oracle;
#[path = "engine_processes/pkcs1.rs"]
mod pkcs1;
#[path = "engine_processes/receipts.rs"]
mod receipts;
#[path = "engine_processes/requests.rs"]
mod requests;
#[path = "engine_processes/sandbox.rs"]
mod sandbox;
#[path = "engine_processes/token.rs"]
mod token;
#[path = "engine_processes/tokens.rs"]
mod tokens;
#[path = "engine_processes/told.rs"]
mod told;
#[path = "engine_processes/upgrades.rs"]
mod upgrades;
