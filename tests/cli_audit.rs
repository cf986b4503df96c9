//! The audit log on the command line: alone with a folder, a public key and anchors; and the same verified without this program.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

mod cli_common;

use audit::event::{Caller, Event, KeyUse, Opened, Purpose, ResultClass};
use audit::storage::Folder;
use audit::{AuditKey, Hash, Log, Options};
use cli_common::{openssl, program, text, write};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A log of four uses, its keys and its anchors.
struct Site {
    folder: TempDir,
}

impl Site {
    fn new() -> Self {
        let site = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let (key, public) = (site.path("key.pem"), site.path("public.pem"));
        let made = program(
            &[
                "audit",
                "key",
                "generate",
                "--out-key",
                text(&key),
                "--out-public",
                text(&public),
                "--json",
            ],
            &[],
        );
        assert!(made.json()["fingerprint"].is_string());
        fips::start(fips::policy::Policy::STRICT).unwrap();
        let der = openssl(&["pkey", "-in", text(&key), "-outform", "DER"]);
        // OpenSSL writes the traditional form unless it is told otherwise.
        let der = AuditKey::from_pkcs8(&der).or_else(|_| {
            AuditKey::from_pkcs8(&openssl(&[
                "pkcs8",
                "-topk8",
                "-nocrypt",
                "-in",
                text(&key),
                "-outform",
                "DER",
            ]))
        });
        let options = Options {
            anchor_file: Some(site.path("anchors")),
            ..Options::default()
        };
        let storage = Arc::new(Folder::open(&site.log()).unwrap());
        let receipts = Log::open(storage, options)
            .unwrap()
            .start(Arc::new(der.unwrap()))
            .unwrap();
        let soon = Instant::now() + Duration::from_secs(60);
        receipts.note(Event::Opened(Box::new(Opened {
            program: "0.1.0".to_owned(),
            ..Opened::default()
        })));
        for number in 0..4_u8 {
            receipts.record(key_use(number)).wait(soon).unwrap();
        }
        assert!(receipts.close("done", soon));
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn log(&self) -> PathBuf {
        self.path("log")
    }

    fn file(&self) -> PathBuf {
        self.log().join("00000001.receipts")
    }

    fn verify(&self) -> cli_common::Ran {
        program(
            &[
                "audit",
                "verify",
                text(&self.log()),
                "--public-key",
                text(&self.path("public.pem")),
                "--anchor",
                text(&self.path("anchors")),
                "--json",
            ],
            &[],
        )
    }

    fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(self.file()).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

fn key_use(number: u8) -> Event {
    Event::KeyUse(Box::new(KeyUse {
        request: format!("request-{number}"),
        caller: Caller {
            uid: Some(1000),
            connector: None,
        },
        importer: Some(Hash::of(&[number])),
        user: format!("ada=|{number}@example.test"),
        record: Hash::of(b"record"),
        key: Hash::of(b"key"),
        padding: "oaepSha512".to_owned(),
        ciphertext: Hash::of(&[number]),
        purpose: Purpose::Device(Hash::of(b"device")),
        delivery: "password".to_owned(),
        pfx_check: None,
        policy: Hash::of(b"policy"),
        result: match number {
            3 => ResultClass::BadCiphertext,
            _ => ResultClass::Decrypted,
        },
        reason: (number == 3).then(|| "decryption".to_owned()),
    }))
}

#[test]
fn a_sound_log_ends_with_0_a_touched_one_with_1_and_no_log_with_2() {
    let site = Site::new();
    let sound = site.verify();
    assert_eq!(sound.code, 0, "{}", sound.text());
    assert_eq!(sound.json()["sound"], true);
    assert_eq!(sound.json()["events"]["keyUse"], 4);

    let whole = fs::read_to_string(site.file()).unwrap();
    write(&site.file(), whole.replace("request-1", "request-7"), 0o600);
    let touched = site.verify();
    assert_eq!(touched.code, 1);
    let found: Value = serde_json::from_str(&touched.text()).unwrap();
    assert_eq!(found["findings"][0]["code"], "chain_broken");
    assert_eq!(found["findings"][0]["file"], "00000001.receipts");
    assert!(found["findings"][0]["line"].as_u64().unwrap() > 1);

    // Cut off before the anchor.
    let lines: Vec<_> = whole.lines().take(3).collect();
    write(&site.file(), format!("{}\n", lines.join("\n")), 0o600);
    let cut: Value = serde_json::from_str(&site.verify().text()).unwrap();
    let codes: Vec<_> = cut["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["code"].as_str().unwrap().to_owned())
        .collect();
    assert!(codes.contains(&"cut_off".to_owned()), "{codes:?}");

    fs::remove_dir_all(site.log()).unwrap();
    assert_eq!(site.verify().code, 2);
}

#[test]
fn a_half_written_anchor_is_told_and_the_others_are_used() {
    let site = Site::new();
    let anchors = fs::read_to_string(site.path("anchors")).unwrap();
    // No whole line, however many there are.
    let half = &anchors[..anchors.lines().next().unwrap().len() / 2];
    for (broken, line) in [
        (format!("{anchors}{half}"), anchors.lines().count() + 1),
        (format!("{half}\n{anchors}"), 1),
    ] {
        write(&site.path("anchors"), broken, 0o600);
        let found = site.verify();
        assert_eq!(found.code, 0, "{}", found.text());
        assert_eq!(found.json()["anchors"], anchors.lines().count());
        let notes = found.json()["notes"].to_string();
        assert!(
            notes.contains(&format!("line {line} is no anchor")),
            "{notes}"
        );
    }
    // What was cut off is still found by them.
    let whole = fs::read_to_string(site.file()).unwrap();
    let lines: Vec<_> = whole.lines().take(3).collect();
    write(&site.file(), format!("{}\n", lines.join("\n")), 0o600);
    let cut = site.verify();
    assert_eq!(cut.code, 1);
    assert!(cut.text().contains("cut_off"), "{}", cut.text());
    // A file without any is a mistake.
    write(&site.path("anchors"), half, 0o600);
    assert_eq!(site.verify().code, 2);
}

#[test]
fn entries_are_filtered_shown_and_exported() {
    let site = Site::new();
    let show = |more: &[&str]| {
        let log = site.log();
        let ran = program(&[&["audit", "show", text(&log)], more].concat(), &[]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.text()
    };
    assert_eq!(show(&["--request", "request-2"]).lines().count(), 1);
    assert_eq!(show(&["--result", "badCiphertext"]).lines().count(), 1);
    assert_eq!(show(&["--event", "keyUse"]).lines().count(), 4);
    let importer = Hash::of(&[1]).to_string();
    assert_eq!(show(&["--importer", &importer]).lines().count(), 1);
    assert_eq!(show(&["--until", "2001-01-01T00:00:00Z"]), "");
    // As they stand there.
    assert_eq!(show(&["--json"]).lines().collect::<Vec<_>>(), site.lines());
    let log = site.log();
    let cef = program(
        &[
            "audit",
            "export",
            text(&log),
            "--format",
            "cef",
            "--event",
            "keyUse",
        ],
        &[],
    );
    let cef = cef.text();
    let first = cef.lines().next().unwrap();
    assert!(
        first.starts_with("CEF:0|pfx-connector|pfx-connector|"),
        "{first}"
    );
    assert!(
        first.contains("duser=ada\\=|0@example.test") && first.contains("outcome=decrypted"),
        "{first}"
    );
}

#[test]
fn the_chain_and_a_seal_are_verified_by_openssl_alone() {
    let site = Site::new();
    let lines = site.lines();
    let parsed: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let message = site.path("message");
    for (line, next) in lines.iter().zip(parsed.iter().skip(1)) {
        write(&message, line, 0o600);
        let digest = openssl(&["dgst", "-sha256", "-r", text(&message)]);
        let digest = String::from_utf8(digest).unwrap();
        assert!(digest.starts_with(next["prev"].as_str().unwrap()));
    }
    let seal = parsed
        .iter()
        .rfind(|entry| entry["event"] == "seal")
        .unwrap();
    let word = |name: &str| seal[name].as_str().unwrap();
    write(
        &message,
        format!(
            "pfx-connector audit seal v1\n{}\n{}\n{}\n{}\n{}\n",
            parsed[0]["log"].as_str().unwrap(),
            seal["upto"],
            word("head"),
            word("time"),
            word("boot")
        ),
        0o600,
    );
    let base64 = site.path("signature.base64");
    write(&base64, format!("{}\n", word("signature")), 0o600);
    let signature = site.path("signature");
    openssl(&[
        "base64",
        "-d",
        "-A",
        "-in",
        text(&base64),
        "-out",
        text(&signature),
    ]);
    let verified = openssl(&[
        "dgst",
        "-sha256",
        "-verify",
        text(&site.path("public.pem")),
        "-signature",
        text(&signature),
        text(&message),
    ]);
    assert!(verified.starts_with(b"Verified OK"));
    // The same again, as the anchor that is printed for keeping elsewhere.
    let anchor = program(&["audit", "anchor", text(&site.log())], &[]);
    let anchor: Value = serde_json::from_str(&anchor.text()).unwrap();
    assert_eq!(
        (&anchor["upto"], &anchor["head"]),
        (&seal["upto"], &seal["head"])
    );
    assert_eq!(anchor["signature"], seal["signature"]);
}
