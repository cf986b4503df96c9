//! CMP against the mock server of `openssl cmp`, and against authorities that lie. Strict mode, no exception.
#![forbid(unsafe_code)]
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

#[path = "../support/authority.rs"]
mod authority;
#[path = "../support/mock.rs"]
mod mock;
#[path = "../../../tests/support/openssl.rs"]
mod openssl;
#[path = "../support/world.rs"]
mod world;

mod enrolment;
mod hostile;
mod polling;
mod questions;
mod revocation;
mod trust;

/// Strict, for every test of the process.
fn strict() {
    fips::start(fips::policy::Policy::STRICT).unwrap();
}
