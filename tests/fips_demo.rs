//! The whole demo in strict mode, as the README has it: the program's own sub-commands as processes, a real token, and OpenSSL at the end.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use serde_json::{Value, json};
use std::process::Command;

const USERS: u64 = 4;

/// One run; its one line of JSON.
fn demo(arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_pfx-connector"))
        .args(["demo", "--json", "--key-bits", "2048", "--users"])
        .arg(USERS.to_string())
        .args(arguments)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{:?} {said} {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_str(&said).unwrap()
}

/// Every delivery was opened by OpenSSL, every process was strict without exception, and the token did all key transport.
fn strict_and_whole(said: &Value, padding: &str) {
    for (name, expected) in [
        ("delivered", USERS),
        ("verified", USERS),
        ("lost", 0),
        ("duplicated", 0),
    ] {
        assert_eq!(said[name], expected, "{name}: {said}");
    }
    assert_eq!(said["padding"], padding);
    let fips = &said["fips"];
    assert_eq!(fips["mode"], "strict", "{said}");
    assert_eq!(fips["exceptions"], json!([]), "{said}");
    assert_eq!(fips["not_approved"], 0, "{said}");
    assert_eq!(fips["module_version"], fips::EXPECTED_VERSION);
    // The two commands that made and exported the key, supervisor, custody, formats, connector, gateway, and each import.
    assert_eq!(fips["processes"], 7 + USERS, "{said}");
    assert_eq!(fips["key_transport"]["module"], 0, "{said}");
    let by_token = fips["key_transport"]["token"].as_u64().unwrap();
    assert!(by_token >= USERS, "{said}");
}

#[test]
fn on_softhsm_the_demo_is_strict_without_exception() {
    strict_and_whole(&demo(&[]), "oaepSha1");
}

#[test]
fn on_kryoptic_the_demo_is_strict_without_exception() {
    strict_and_whole(&demo(&["--token", "kryoptic"]), "oaepSha512");
}

#[test]
fn devices_with_ec_keys_need_their_exception_and_are_counted() {
    let said = demo(&["--devices", "mixed"]);
    assert_eq!(said["verified"], USERS, "{said}");
    let fips = &said["fips"];
    assert_eq!(fips["mode"], "strict");
    assert_eq!(fips["exceptions"], json!(["cms-ecdh-static"]));
    // Two EC devices: each takes one agreement and one key derivation.
    assert_eq!(fips["not_approved"], 4, "{said}");
}
