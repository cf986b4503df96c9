//! A Python with the package `cryptography`: the only reader of PBMAC1 (RFC 9579) that can be had on Debian 12.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs
)]

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

/// Whether its OpenSSL is 3.4 or newer, which is what knows PBMAC1.
const PROBE: &str = "
import sys
from cryptography.hazmat.backends.openssl import backend
sys.exit(backend.openssl_version_number() < 0x30400000)
";

/// A command that runs it: the environment that `make bootstrap` makes, or else the machine's own if that is new enough.
pub fn interpreter() -> Command {
    static FOUND: OnceLock<String> = OnceLock::new();
    Command::new(FOUND.get_or_init(|| {
        // Cargo's folder for temporary files is in the target folder, as the tools are.
        let tools = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("tools");
        let made = tools.join("python/bin/python3");
        let candidates = [made.to_str().unwrap().to_owned(), "python3".to_owned()];
        let usable = |program: &String| {
            Command::new(program)
                .args(["-c", PROBE])
                .output()
                .is_ok_and(|output| output.status.success())
        };
        candidates.into_iter().find(usable).unwrap_or_else(|| {
            panic!("this test needs Python with a recent package `cryptography`: `make bootstrap` makes one in {}", tools.display())
        })
    }))
}
