//! Orders at an authority that follows a script, each with real keys and certificates of OpenSSL's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod bench;
mod breakers;
mod chain;
mod course;
mod elsewhere;
mod faults;
mod handover;
mod lies;
mod recipient;
mod scripted;
mod steps;
mod withdrawn;
mod world;
mod worlds;
