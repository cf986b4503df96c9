//! Ends by kill and by power cut at every write of the stores: the connector's journal, the gateway's database, and SoftHSM's token.
//!
//! The store's own code runs in a real process on a real file system under strace. What it wrote is then played up to every moment,
//! with the un-synced writes lost, torn and reordered by chance from a seed, and each time the store is opened again by its own code.
//! `CRASH_STATES=50000` plays so many ends of each recording (`make soak`); `CRASH_FIRST=9000` begins with another seed.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod gateway;
mod journal;
#[path = "../support/power.rs"]
mod power;
mod record;
mod replay;
mod rows;
mod softhsm;
#[path = "../support/softhsm.rs"]
mod softhsm_token;
mod trace;
