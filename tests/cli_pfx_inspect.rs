//! `pfx inspect` on files that OpenSSL, Java, NSS and GnuTLS write now, on what people give by mistake, and on the corpus.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    unreachable_pub,
    missing_docs
)]

mod cli_common;
#[path = "../formats/tests/corpus/manifest.rs"]
#[allow(dead_code)]
mod manifest;

#[path = "../formats/tests/support/asn1.rs"]
mod asn1;
#[path = "cli_pfx_inspect/bench.rs"]
mod bench;
#[path = "cli_pfx_inspect/corpus.rs"]
mod corpus;
#[path = "cli_pfx_inspect/mistakes.rs"]
mod mistakes;
#[path = "cli_pfx_inspect/terminal.rs"]
mod terminal;
#[path = "cli_pfx_inspect/unclear.rs"]
mod unclear;

use bench::{Bench, MAIL, PASSWORD, report, verdict};
use cli_common::{program, text, write};
use serde_json::Value;
use std::fs;
use std::process::Command;

#[test]
fn a_file_of_openssl_shows_entries_algorithms_fitness_and_what_each_target_says() {
    let bench = Bench::new();
    let file = bench.pfx("ada.pfx", &[]);
    let (code, report) = bench.report(text(&file), &[]);
    assert_eq!(code, 0);
    assert_eq!(report["opens"], true);
    assert_eq!(report["key_matches_certificate"], true);
    let entries = report["entries"].as_array().unwrap();
    let of_kind = |kind: &str| {
        entries
            .iter()
            .filter(|entry| entry["kind"] == kind)
            .collect::<Vec<_>>()
    };
    let (keys, certificates) = (of_kind("private_key"), of_kind("certificate"));
    assert_eq!((keys.len(), certificates.len()), (1, 2), "{entries:?}");
    assert_eq!(keys[0]["key"]["algorithm"], "rsa");
    assert_eq!(keys[0]["key"]["bits"], 2048);
    assert_eq!(keys[0]["friendly_name"], "Ada's mail");
    let certificate = &entries[usize::try_from(keys[0]["certificate"].as_u64().unwrap()).unwrap()];
    assert_eq!(certificate["email_addresses"][0], MAIL);
    assert_eq!(certificate["validity"], "valid");
    assert_eq!(certificate["smime"]["signing"], true);
    assert_eq!(certificate["smime"]["encryption"], true);
    assert_eq!(certificate["smime"]["problems"], Value::Array(Vec::new()));
    assert_eq!(certificate["chain"]["complete"], true);
    assert_eq!(certificate["chain"]["issuers"].as_array().unwrap().len(), 1);
    // MAC, certificates, key.
    assert_eq!(report["algorithms"].as_array().unwrap().len(), 3);
    assert!(report["algorithms"][0]["iterations"].as_u64() == Some(2048));
    assert!(!report["not_approved"].as_array().unwrap().is_empty());
    assert_eq!(verdict(&report, "openssl3"), "yes");
    assert_eq!(verdict(&report, "windows-2019"), "yes");
    assert_eq!(verdict(&report, "windows-server-2016"), "no");
    assert_eq!(verdict(&report, "ios"), "with_condition");
    assert_eq!(verdict(&report, "fips-strict"), "no");
    assert_eq!(report["fips"]["mode"], "off");

    let page = bench
        .inspect(text(&file), &["--password-file", text(&bench.path("pw"))])
        .text();
    for words in [
        "Ada's mail",
        "RSA 2048",
        MAIL,
        "signing and encryption",
        "windows-server-2016",
        "FIPS mode is off",
    ] {
        assert!(page.contains(words), "{words} is not in\n{page}");
    }
    assert!(
        !page.contains('\u{1b}'),
        "colours where there is no terminal"
    );
    assert!(!page.contains(PASSWORD));
}

#[test]
fn without_its_password_a_file_shows_what_it_can_and_says_what_is_missing() {
    let bench = Bench::new();
    let file = bench.pfx("ada.pfx", &[]);
    let (code, seen) = report(&bench.inspect(text(&file), &["--json"]));
    assert_eq!(code, 0);
    assert_eq!(seen["opens"], Value::Null);
    assert!(seen["missing"].as_str().unwrap().contains("password"));
    assert_eq!(seen["key_matches_certificate"], Value::Null);
    assert_eq!(seen["algorithms"].as_array().unwrap().len(), 3);
    assert_eq!(verdict(&seen, "windows-server-2016"), "no");

    // What is under no password needs none.
    let clear = bench.pfx(
        "clear.pfx",
        &["-keypbe", "NONE", "-certpbe", "NONE", "-nomac"],
    );
    let (code, seen) = report(&bench.inspect(text(&clear), &["--json"]));
    assert_eq!((code, &seen["opens"]), (0, &Value::Bool(true)));
    assert_eq!(seen["key_matches_certificate"], true);
    assert_eq!(seen["integrity"], "none");
}

#[test]
fn a_wrong_password_is_told_with_what_can_be_seen_without_it() {
    let bench = Bench::new();
    let file = bench.pfx("ada.pfx", &[]);
    write(&bench.path("wrong"), "another password", 0o600);
    let ran = bench.inspect(
        text(&file),
        &["--json", "--password-file", text(&bench.path("wrong"))],
    );
    assert!(!ran.stderr.contains("another password"));
    let (code, seen) = report(&ran);
    assert_eq!(code, 1);
    assert_eq!(seen["opens"], false);
    assert_eq!(seen["error"]["code"], "wrong_password");
    assert!(
        seen["error"]["hint"]
            .as_str()
            .unwrap()
            .contains("check the password")
    );
    assert_eq!(seen["algorithms"].as_array().unwrap().len(), 3);
}

#[test]
fn an_empty_password_file_opens_what_has_an_empty_password() {
    let bench = Bench::new();
    write(&bench.path("pw"), "", 0o600);
    let file = bench.pfx("empty.pfx", &["-passout", "pass:"]);
    let (code, seen) = bench.report(text(&file), &[]);
    assert_eq!((code, &seen["opens"]), (0, &Value::Bool(true)), "{seen}");
}

#[test]
fn strict_mode_refuses_old_algorithms_by_name_and_opens_what_is_approved() {
    let bench = Bench::new();
    let old = bench.pfx(
        "old.pfx",
        &[
            "-keypbe",
            "PBE-SHA1-3DES",
            "-certpbe",
            "PBE-SHA1-3DES",
            "-macalg",
            "sha1",
        ],
    );
    let (code, seen) = bench.report(text(&old), &[]);
    assert_eq!((code, &seen["opens"]), (0, &Value::Bool(true)));
    assert_eq!(verdict(&seen, "windows-server-2016"), "yes");
    let refused = |seen: &Value| {
        assert_eq!(seen["opens"], false);
        assert_eq!(seen["error"]["code"], "not_approved");
        let message = seen["error"]["message"].as_str().unwrap();
        assert!(message.contains("3DES"), "{message}");
        let hint = seen["error"]["hint"].as_str().unwrap();
        assert!(hint.contains("pkcs12-legacy-read"), "{hint}");
        assert!(!seen["not_approved"].as_array().unwrap().is_empty());
    };
    let (code, seen) = bench.report(text(&old), &["--fips", "strict"]);
    assert_eq!(code, 1);
    refused(&seen);
    // A password would not help, so it is said without one.
    let (code, seen) = report(&bench.inspect(text(&old), &["--json", "--fips", "strict"]));
    assert_eq!(code, 1);
    refused(&seen);
    write(
        &bench.path("strict.toml"),
        "[fips]\nmode = \"strict\"\n",
        0o600,
    );
    let (code, seen) = bench.report(text(&old), &["--config", text(&bench.path("strict.toml"))]);
    assert_eq!(code, 1);
    refused(&seen);
    write(
        &bench.path("named.toml"),
        "[fips]\nmode = \"strict\"\nexceptions = [\"pkcs12-legacy-read\"]\n",
        0o600,
    );
    let (code, seen) = bench.report(text(&old), &["--config", text(&bench.path("named.toml"))]);
    assert_eq!((code, &seen["opens"]), (0, &Value::Bool(true)));

    let (new, new_password) = (bench.path("new.pfx"), bench.path("new.pw"));
    let password = bench.path("pw");
    let made = program(
        &[
            "pfx",
            "convert",
            text(&old),
            "--password-file",
            text(&password),
            "--for",
            "fips-strict",
            "--out",
            text(&new),
            "--new-password-out",
            text(&new_password),
            "--json",
        ],
        &[],
    );
    assert_eq!(made.code, 0, "{}", made.stderr);
    let strict = [
        "--json",
        "--fips",
        "strict",
        "--password-file",
        text(&new_password),
    ];
    let (code, seen) = report(&bench.inspect(text(&new), &strict));
    assert_eq!((code, &seen["opens"]), (0, &Value::Bool(true)), "{seen}");
    assert_eq!(seen["not_approved"], Value::Array(Vec::new()));
    assert_eq!(verdict(&seen, "fips-strict"), "yes");
    assert_eq!(verdict(&seen, "openssl3"), "with_condition");
}

#[test]
fn files_of_java_nss_and_gnutls_open() {
    let bench = Bench::new();
    let source = bench.pfx("ada.pfx", &[]);
    let password = bench.path("pw");
    let java = bench.path("java.p12");
    bench.run(
        "keytool",
        &[
            "-importkeystore",
            "-noprompt",
            "-srckeystore",
            text(&source),
            "-srcstoretype",
            "PKCS12",
            "-srcstorepass:file",
            text(&password),
            "-destkeystore",
            text(&java),
            "-deststoretype",
            "PKCS12",
            "-deststorepass:file",
            text(&password),
        ],
    );
    let nss = bench.path("nss.p12");
    let database = format!("sql:{}", bench.folder.path().display());
    bench.run("certutil", &["-N", "--empty-password", "-d", &database]);
    bench.run(
        "pk12util",
        &[
            "-i",
            text(&source),
            "-d",
            &database,
            "-w",
            text(&password),
            "-K",
            "",
        ],
    );
    bench.run(
        "pk12util",
        &[
            "-o",
            text(&nss),
            "-n",
            "Ada's mail",
            "-d",
            &database,
            "-w",
            text(&password),
            "-K",
            "",
        ],
    );
    let gnutls = bench.path("gnutls.p12");
    bench.run(
        "certtool",
        &[
            "--to-p12",
            "--load-privkey",
            text(&bench.path("ada.key")),
            "--load-certificate",
            text(&bench.path("ada.pem")),
            "--p12-name",
            "Ada's mail",
            "--password",
            PASSWORD,
            "--outder",
            "--outfile",
            text(&gnutls),
        ],
    );
    for (file, encoding, by_itself) in [
        (java, "der", "java"),
        (nss, "ber", "nss"),
        (gnutls, "der", "openssl3"),
    ] {
        let (code, seen) = bench.report(text(&file), &[]);
        assert_eq!(
            (code, &seen["opens"]),
            (0, &Value::Bool(true)),
            "{}: {seen}",
            file.display()
        );
        assert_eq!(seen["key_matches_certificate"], true);
        assert_eq!(seen["encoding"], encoding, "{}", file.display());
        assert_eq!(
            verdict(&seen, by_itself),
            "yes",
            "{}: {seen}",
            file.display()
        );
    }
}

#[test]
fn a_file_may_come_on_standard_input() {
    let bench = Bench::new();
    let file = bench.pfx("ada.pfx", &[]);
    let output = Command::new(env!("CARGO_BIN_EXE_pfx-connector"))
        .args(["pfx", "inspect", "-", "--json", "--password-file"])
        .arg(bench.path("pw"))
        .stdin(fs::File::open(file).unwrap())
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["opens"], true);
}

#[test]
fn what_cannot_be_opened_is_named_beside_what_can() {
    let bench = Bench::new();
    let closed = ["-certpbe", "CAMELLIA-256-CBC", "-keypbe", "AES-256-CBC"];
    let file = bench.pfx("closed.pfx", &closed);
    let (code, seen) = bench.report(text(&file), &[]);
    assert_eq!((code, &seen["opens"]), (0, &Value::Bool(true)), "{seen}");
    assert_eq!(seen["closed_parts"].as_array().unwrap().len(), 1);
    assert_eq!(seen["hidden_parts"], 0);
    let entries = seen["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!(entries[0]["kind"], "private_key");
    // The certificate may be in there.
    assert_eq!(seen["key_matches_certificate"], Value::Null);
    assert!(seen["notes"].to_string().contains("stays closed"), "{seen}");
    let page = bench
        .inspect(text(&file), &["--password-file", text(&bench.path("pw"))])
        .text();
    assert!(page.contains("stays closed"), "{page}");

    let closed = ["-keypbe", "CAMELLIA-256-CBC", "-certpbe", "AES-256-CBC"];
    let file = bench.pfx("closed-key.pfx", &closed);
    let (code, seen) = bench.report(text(&file), &[]);
    assert_eq!((code, &seen["opens"]), (1, &Value::Bool(false)));
    assert_eq!(seen["error"]["code"], "unsupported_algorithm");
    // Without the password it is said already.
    let (_, seen) = report(&bench.inspect(text(&file), &["--json"]));
    assert!(seen["entries"][0]["not_supported"].is_string(), "{seen}");
}
