//! Files that no one here wrote.

use super::bench::report;
use crate::cli_common::{program, text, write};
use crate::manifest;
use serde_json::Value;
use std::fs;
use tempfile::TempDir;

#[test]
fn every_file_of_the_corpus_ends_in_a_report_with_the_readers_own_code() {
    ::fips::start(::fips::policy::Policy::OFF).unwrap();
    let folder = TempDir::new().unwrap();
    let (file, password) = (folder.path().join("file"), folder.path().join("password"));
    let mut wrong: Vec<String> = Vec::new();
    for case in manifest::cases() {
        let secret = case.column("password").as_bytes();
        fs::write(&file, &case.bytes).unwrap();
        write(&password, secret, 0o600);
        let (code, seen) = report(&program(
            &[
                "pfx",
                "inspect",
                text(&file),
                "--password-file",
                text(&password),
                "--json",
            ],
            &[],
        ));
        let read = formats::pfx::read(
            &case.bytes,
            &::fips::secret::SecretBytes::from_slice(secret),
            &formats::pfx::PfxLimits::default(),
        );
        let expected = read
            .as_ref()
            .map(|_| "")
            .unwrap_or_else(|error| error.code());
        let told = seen["error"]["code"].as_str().unwrap_or_default();
        let fits = told == expected
            && seen["opens"] == Value::Bool(read.is_ok())
            && code == i32::from(read.is_err());
        if !fits {
            wrong.push(format!(
                "{}: {code} {told} instead of {expected}",
                case.name()
            ));
        }
        if case.column("expected") == "valid" && !case.column("password").is_empty() && read.is_ok()
        {
            let keys = seen["entries"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|entry| entry["kind"] == "private_key")
                .count();
            let opened = read.as_ref().map_or(0, |opened| opened.keys().len());
            if keys != opened {
                wrong.push(format!("{}: {keys} keys instead of {opened}", case.name()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}
