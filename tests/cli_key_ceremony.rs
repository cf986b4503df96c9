//! `key ceremony` on SoftHSM tokens.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

mod cli_common;

use cli_common::life::{second, word};
use cli_common::{Ran, TOKEN, Token, openssl, program, text, write};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// A ceremony with a copy, both forms of the public half, and a signed transcript.
fn ceremony(token: &Token, other: &str, more: &str) -> PathBuf {
    let pin = token.path("pin");
    let other_module = other
        .split(',')
        .next()
        .unwrap()
        .strip_prefix("module=")
        .unwrap();
    let file = token.path("ceremony.toml");
    write(
        &file,
        format!(
            "version = 1\ntitle = \"Custody key of the first year\"\nwitnesses = [\"security officer\", \"auditor\"]\n\
             [token]\nmodule = {:?}\nlabel = {TOKEN:?}\npin_file = \"pin\"\n\
             [key]\nlabel = \"custody\"\nbits = 2048\nreplicable = true\n{more}\
             [[replicate]]\nmodule = {other_module:?}\nlabel = \"second\"\npin_file = {pin:?}\n\
             [[export]]\nfile = \"custody.pem\"\n[[export]]\nfile = \"custody.blob\"\nformat = \"rsapublicblob\"\n\
             [transcript]\nfile = \"transcript.json\"\nsigning_key = \"report\"\n",
            token.module
        ),
        0o600,
    );
    file
}

fn run_ceremony(token: &Token, file: &Path, more: &[&str]) -> Ran {
    let conf = token.path("softhsm2.conf");
    program(
        &[&["key", "ceremony", "--file", text(file), "--json"], more].concat(),
        &[("SOFTHSM2_CONF", text(&conf))],
    )
}

#[test]
fn a_ceremony_does_what_its_dry_run_said_and_openssl_verifies_the_transcript() {
    let token = Token::new();
    let other = second(&token);
    let report_key = token.path("report.pem");
    token
        .run(&[
            "key",
            "generate-signing",
            "--key-label",
            "report",
            "--out-public",
            text(&report_key),
            "--json",
        ])
        .json();
    let file = ceremony(&token, &other, "paddings = [\"oaepSha1\"]\n");
    let planned = run_ceremony(&token, &file, &["--dry-run"]).json();
    let plan = planned["plan"].as_array().unwrap();
    assert!(
        plan.iter()
            .any(|step| step.as_str().unwrap().contains("seal it"))
    );
    assert_eq!(
        token.run(&["key", "list", "--json"]).json()["keys"],
        serde_json::json!([])
    );
    assert!(!token.path("transcript.json").exists());

    let digest = word(&planned, "sha256");
    let changed = run_ceremony(
        &token,
        &file,
        &["--sha256", &digest.replace(&digest[..1], "x")],
    );
    assert_eq!(
        (changed.code, &changed.error()["code"]),
        (1, &"ceremony_changed".into())
    );
    let done = run_ceremony(&token, &file, &["--sha256", digest]).json();
    assert_eq!(done["usable"], true);
    let steps: Vec<_> = done["transcript"]["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["step"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        steps,
        [
            "generated",
            "copied",
            "sealed",
            "verified",
            "verified",
            "exported",
            "exported"
        ]
    );
    let transcript = token.path("transcript.json");
    let written: Value = serde_json::from_slice(&fs::read(&transcript).unwrap()).unwrap();
    assert_eq!(written["ceremonySha256"], digest);
    assert_eq!(written["witnesses"][1], "auditor");
    openssl(&[
        "dgst",
        "-sha256",
        "-verify",
        text(&report_key),
        "-signature",
        text(&token.path("transcript.json.sig")),
        text(&transcript),
    ]);
    let shown = token
        .run(&["key", "show", "--also", &other, "--json"])
        .json();
    assert_eq!(shown["fingerprint"], done["fingerprint"]);
    assert_eq!(shown["copies"].as_array().unwrap().len(), 2);
    let verified = token
        .run(&[
            "key",
            "verify",
            "--public",
            text(&token.path("custody.blob")),
            "--json",
        ])
        .json();
    assert_eq!(verified["verified"], true);

    let again = run_ceremony(&token, &file, &["--sha256", digest]);
    assert_eq!(
        (again.code, &again.error()["code"]),
        (2, &"file_exists".into())
    );
}

#[test]
fn a_ceremony_that_fails_leaves_a_transcript_that_says_so() {
    let token = Token::new();
    let other = second(&token);
    token
        .run(&["key", "generate-signing", "--key-label", "report", "--json"])
        .json();
    // SoftHSM does not do it by itself.
    let file = ceremony(&token, &other, "paddings = [\"oaepSha512\"]\n");
    let digest = word(
        &run_ceremony(&token, &file, &["--dry-run"]).json(),
        "sha256",
    )
    .to_owned();
    let failed = run_ceremony(&token, &file, &["--sha256", &digest]);
    assert_eq!(
        (failed.code, &failed.error()["code"]),
        (1, &"padding_not_native".into())
    );
    let written: Value =
        serde_json::from_slice(&fs::read(token.path("transcript.json")).unwrap()).unwrap();
    let last = written["steps"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(
        (&last["step"], &last["result"]["error"]["code"]),
        (&"FAILED".into(), &"padding_not_native".into())
    );
    assert!(token.path("transcript.json.sig").exists());
    assert!(!token.path("custody.pem").exists());
}

#[test]
fn a_ceremony_with_a_word_that_is_not_known_or_does_not_fit_is_refused() {
    let token = Token::new();
    let other = second(&token);
    for (from, to) in [
        ("version = 1", "version = 2"),
        ("bits = 2048", "bits = 1024"),
        ("replicable = true", "replicable = false"),
        ("replicable = true", "extractable = true"),
        ("label = \"custody\"", "label = \"\""),
        // Found out before a key is made, and nothing that is shown hides what is done.
        ("custody.blob", "custody.pem"),
        ("custody.blob", "transcript.json"),
        ("custody.blob", "a\\u001b[2K"),
        ("first year", "first\\u202eyear"),
    ] {
        let file = ceremony(&token, &other, "");
        let changed = fs::read_to_string(&file).unwrap().replacen(from, to, 1);
        write(&file, changed, 0o600);
        let refused = run_ceremony(&token, &file, &["--dry-run"]);
        assert_eq!(
            (refused.code, &refused.error()["code"]),
            (2, &"ceremony".into()),
            "{to}: {}",
            refused.stderr
        );
    }
    token
        .run(&["key", "generate-signing", "--key-label", "report", "--json"])
        .json();
    // A copy goes to the token that was reviewed, and no file is found to have no folder when the key is made.
    for (from, to, code) in [
        (
            "label = \"second\"",
            "label = \"second\"\nserial = \"0\"",
            "other_token",
        ),
        ("custody.blob", "none/custody.blob", "file_unwritable"),
    ] {
        let file = ceremony(&token, &other, "");
        let changed = fs::read_to_string(&file).unwrap().replacen(from, to, 1);
        write(&file, changed, 0o600);
        let refused = run_ceremony(&token, &file, &["--dry-run"]);
        assert_eq!(refused.error()["code"], code, "{to}");
    }
}
