//! The system's own setting: while the kernel demands FIPS mode, the mode `off` is refused. The kernel's file is put in place by a mount of
//! the test's own, in a mount namespace of its own.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

/// Runs the program where `/proc/sys/crypto/fips_enabled` says `value`.
fn under(value: &str, arguments: &[&str]) -> Output {
    let script = "mount -t tmpfs none /proc/sys && mkdir /proc/sys/crypto && \
                  printf '%s\\n' \"$1\" > /proc/sys/crypto/fips_enabled && shift && exec \"$@\"";
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command
        .args(["--mount", "sh", "-c", script, "sh", value])
        .arg(env!("CARGO_BIN_EXE_pfx-connector"))
        .args(arguments)
        .output()
        .expect("the program `unshare` (util-linux) is needed for this test")
}

fn json(bytes: &[u8]) -> Value {
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().last().unwrap_or_default();
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn configuration(folder: &Path, mode: &str) -> String {
    let file = folder.join(format!("{mode}.toml"));
    let text = format!(
        "[fips]\nmode = {mode:?}\n[gateway]\nlisten = '127.0.0.1:0'\ncertificate = 'c'\nprivate_key = 'k'\nconnector_ca = 'a'\n\
         database = 'd'\n"
    );
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn off_is_refused_while_the_kernel_demands_fips_mode() {
    let folder = tempfile::tempdir().unwrap();
    let off = configuration(folder.path(), "off");
    let arguments = ["gateway", "--config", &off, "--json"];

    let demanded = under("1", &arguments);
    assert!(!demanded.status.success());
    let error = json(&demanded.stderr);
    assert_eq!(error["error"]["code"], "fips_required_by_system", "{error}");
    let message = error["error"]["message"].as_str().unwrap();
    assert!(message.contains("strict"), "{message}");

    // Where it does not, the same configuration goes on to its next problem: its files are not there.
    let not_demanded = under("0", &arguments);
    let error = json(&not_demanded.stderr);
    assert_ne!(error["error"]["code"], "fips_required_by_system", "{error}");
}

#[test]
fn the_setting_is_reported_and_strict_goes_on_under_it() {
    for (value, name) in [("1", "required"), ("0", "not-required")] {
        let said = under(value, &["fips", "status", "--json"]);
        let status = json(&said.stdout);
        let text = status.to_string();
        assert!(
            text.contains(&format!("\"systemSetting\":\"{name}\"")),
            "{text}"
        );
    }
}
