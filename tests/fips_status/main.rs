//! `fips status` as an auditor meets it: the real program alone, with a running engine, and with a running connector.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

#[path = "../cli_common/mod.rs"]
mod cli_common;
#[path = "../support/engine.rs"]
mod engine;
#[path = "../support/openssl.rs"]
mod openssl;
#[path = "../support/softhsm.rs"]
mod softhsm;
#[path = "../support/stack.rs"]
mod stack;

mod alone;
mod of_connector;
mod of_engine;

use cli_common::{Ran, program};
use pfx_connector::evidence::status::FipsStatus;
use std::path::Path;

/// The status of a service and the exit code.
fn ask(config: &Path) -> (FipsStatus, i32) {
    let config = config.to_str().unwrap();
    read(&program(
        &["fips", "status", "--config", config, "--json"],
        &[],
    ))
}

fn read(ran: &Ran) -> (FipsStatus, i32) {
    let status = serde_json::from_slice(&ran.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", ran.text(), ran.stderr));
    (status, ran.code)
}

/// The page for people.
fn page(config: &Path) -> String {
    let ran = program(
        &["fips", "status", "--config", config.to_str().unwrap()],
        &[],
    );
    let page = ran.text();
    for line in page.lines() {
        assert!(line.chars().count() <= 100, "too wide: {line}");
    }
    page
}
