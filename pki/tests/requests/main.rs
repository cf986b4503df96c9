//! Requests against OpenSSL: what is made here verifies there, what is made there is read here, and nothing that was changed is taken.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod matrix;
mod mutations;
mod strangers;

use std::path::Path;
use std::process::Command;

/// What `openssl` printed, which has to end well.
fn openssl(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("openssl")
        .current_dir(folder)
        .args(arguments)
        .output()
        .expect("this test needs the program `openssl` (scripts/bootstrap.sh installs it)");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success(),
        "openssl {arguments:?}: {errors}{text}"
    );
    text + &errors
}
