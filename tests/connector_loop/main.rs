//! The connector as a process, against a strict service and an engine that does what a test wants.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

mod calendar;
mod delivery;
mod engine;
mod journal_full;
mod kills;
mod module_fault;
mod offered_again;
#[path = "../support/openssl.rs"]
mod openssl;
mod pki;
mod process;
mod proxy;
mod service;
mod service_faults;
#[path = "../support/service_manager.rs"]
mod service_manager;
mod signals;
#[path = "../support/tls_peer.rs"]
mod tls_peer;
mod told;
