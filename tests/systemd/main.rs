//! The services under systemd: units, users and folders, installation, and what the real processes tell the service manager.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

#[path = "../support/engine.rs"]
mod engine;
#[path = "../support/gateway.rs"]
mod gateway;
#[path = "../support/gateway_host.rs"]
mod gateway_host;
mod installation;
mod notifications;
#[path = "../support/openssl.rs"]
mod openssl;
#[path = "../support/pki.rs"]
mod pki;
#[path = "../support/service_manager.rs"]
mod service_manager;
#[path = "../support/softhsm.rs"]
mod softhsm;
mod units;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn packaging() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd")
}

/// The files of a folder of packaging/systemd, by name.
fn files(folder: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(packaging().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{folder}");
    files
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

/// Runs a tool; one that is not there is told by name.
fn run(program: &str, configure: impl FnOnce(&mut Command)) -> Output {
    let mut command = Command::new(program);
    command.env("LC_ALL", "C").env("SYSTEMD_COLORS", "0");
    configure(&mut command);
    command
        .output()
        .unwrap_or_else(|error| panic!("{program} is needed (scripts/bootstrap.sh test): {error}"))
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}
