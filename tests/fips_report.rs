//! `fips report`: the bundle of a running engine, signed in every way, verified by this program and by others, and changed.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

mod cli_common;
#[path = "support/engine.rs"]
mod engine;
#[path = "support/openssl.rs"]
mod openssl;
#[path = "support/softhsm.rs"]
mod softhsm;

#[path = "fips_report/changed.rs"]
mod changed;
#[path = "fips_report/contents.rs"]
mod contents;
#[path = "fips_report/refused.rs"]
mod refused;
#[path = "fips_report/signed.rs"]
mod signed;
#[path = "fips_report/world.rs"]
mod world;
