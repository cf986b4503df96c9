//! Orders at an authority that follows a script, each with real keys and certificates of OpenSSL's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod bench;
mod faults;
mod scripted;
mod steps;
