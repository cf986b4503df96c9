//! `doctor`: the real program with real tokens, certificates and services, healthy and with one thing wrong at a time.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

#[path = "../support/engine.rs"]
mod engine;
#[path = "../support/gateway.rs"]
mod gateway;
#[path = "../support/gateway_host.rs"]
mod gateway_host;
#[path = "../support/openssl.rs"]
mod openssl;
#[path = "../support/pki.rs"]
mod pki;
#[path = "../support/softhsm.rs"]
mod softhsm;

mod authorities;
mod certificates;
mod command;
mod endpoints;
mod examined;
mod files;
mod modules;
mod services;
mod token;
