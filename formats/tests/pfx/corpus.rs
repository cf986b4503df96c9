//! Files that no one here wrote: every one opens or is refused for what it is.

use super::read;
use fips::secret::SecretBytes;
use formats::pfx::PfxLimits;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The corpus folder, `None` (after saying so) where there is none and that is allowed.
fn corpora() -> Option<PathBuf> {
    let folder = std::env::var_os("CORPORA_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora"),
        PathBuf::from,
    );
    if folder.join("pfx/manifest.csv").is_file() {
        return Some(folder);
    }
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "no PFX corpus in {} (set CORPORA_DIR)",
        folder.display()
    );
    println!(
        "NOT RUN: no PFX corpus in {} (set CORPORA_DIR)",
        folder.display()
    );
    None
}

/// The rows of a CSV text, by column name. Fields may be quoted (RFC 4180).
fn rows(text: &str) -> Vec<BTreeMap<String, String>> {
    let mut records: Vec<Vec<String>> = vec![vec![String::new()]];
    let mut quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let record = records.last_mut().unwrap();
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                record.last_mut().unwrap().push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(String::new()),
            '\n' if !quoted => records.push(vec![String::new()]),
            '\r' if !quoted => {}
            other => record.last_mut().unwrap().push(other),
        }
    }
    let header = records.remove(0);
    records
        .into_iter()
        .filter(|record| record.len() == header.len())
        .map(|record| header.iter().cloned().zip(record).collect())
        .collect()
}

struct Case {
    row: BTreeMap<String, String>,
    bytes: Vec<u8>,
}

impl Case {
    fn name(&self) -> &str {
        &self.row["file"]
    }

    fn is(&self, column: &str, value: &str) -> bool {
        self.row[column] == value
    }

    /// `opened`, or the code and the text of the refusal.
    fn outcome(&self) -> (String, String) {
        let password = SecretBytes::from_slice(self.row["password"].as_bytes());
        match read(&self.bytes, &password, &PfxLimits::default()) {
            Ok(opened) => {
                for key in opened.keys() {
                    if opened.certificates().is_empty() {
                        continue;
                    }
                    assert!(
                        key.certificate().is_some(),
                        "{}: a key without its certificate",
                        self.name()
                    );
                }
                if let Ok(identity) = opened.identity() {
                    assert_eq!(
                        identity.facts().unwrap().key_matches,
                        Some(true),
                        "{}",
                        self.name()
                    );
                }
                let expected = (&self.row["keys"], &self.row["certs"]);
                let found = (
                    opened.keys().len().to_string(),
                    opened.certificates().len().to_string(),
                );
                assert_eq!(
                    (expected.0.clone(), expected.1.clone()),
                    found,
                    "{}",
                    self.name()
                );
                ("opened".to_owned(), String::new())
            }
            Err(error) => (error.code().to_owned(), error.to_string()),
        }
    }
}

fn cases() -> Vec<Case> {
    let Some(folder) = corpora() else {
        return Vec::new();
    };
    let manifest = std::fs::read_to_string(folder.join("pfx/manifest.csv")).unwrap();
    let cases: Vec<Case> = rows(&manifest)
        .into_iter()
        .map(|row| Case {
            bytes: std::fs::read(folder.join("pfx").join(&row["file"])).unwrap(),
            row,
        })
        .collect();
    assert!(!cases.is_empty(), "the manifest names no files");
    cases
}

fn report(title: &str, outcomes: &[(String, (String, String))]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for (name, (code, text)) in outcomes {
        *counts.entry(code.clone()).or_insert(0) += 1;
        if code != "opened" {
            println!("{name}: {text}");
        }
    }
    println!("{title}: {} files, {counts:?}", outcomes.len());
    counts
}

fn outcomes(wanted: impl Fn(&Case) -> bool) -> Option<Vec<(String, (String, String))>> {
    let cases = cases();
    if cases.is_empty() {
        return None;
    }
    let found: Vec<_> = cases
        .iter()
        .filter(|case| wanted(case))
        .map(|case| (case.name().to_owned(), case.outcome()))
        .collect();
    assert!(!found.is_empty(), "no file of this kind in the corpus");
    Some(found)
}

#[test]
fn valid_pbes2_files_open_or_are_refused_by_name() {
    let Some(outcomes) = outcomes(|case| {
        case.is("expected", "valid") && case.is("encoding", "DER") && case.is("class", "pbes2")
    }) else {
        return;
    };
    let counts = report("valid DER PBES2", &outcomes);
    for (name, (code, text)) in &outcomes {
        assert!(
            code == "opened" || code == "unsupported_algorithm",
            "{name}: {code}: {text}"
        );
    }
    assert!(counts.get("opened").copied().unwrap_or(0) > 0);
}

#[test]
fn no_valid_file_of_any_kind_is_called_malformed_or_its_password_wrong() {
    let Some(outcomes) =
        outcomes(|case| case.is("expected", "valid") && !case.is("password_kind", "unknown"))
    else {
        return;
    };
    report("valid, all kinds", &outcomes);
    for (name, (code, text)) in &outcomes {
        assert!(
            code == "opened" || code == "unsupported_algorithm",
            "{name}: {code}: {text}"
        );
    }
}

#[test]
fn exotic_files_are_no_wrong_password_and_invalid_ones_do_not_open() {
    let Some(exotic) = outcomes(|case| case.is("expected", "exotic")) else {
        return;
    };
    report("exotic", &exotic);
    for (name, (code, text)) in &exotic {
        assert!(
            code == "opened" || code == "unsupported_algorithm",
            "{name}: {code}: {text}"
        );
    }
    let invalid = outcomes(|case| case.is("expected", "invalid")).unwrap();
    report("invalid", &invalid);
    for (name, (code, _)) in &invalid {
        assert_ne!(code, "opened", "{name}");
    }
    // Either way, but cleanly.
    let rest = outcomes(|case| case.is("expected", "robust") || case.is("expected", "policy"));
    report("robust and policy", &rest.unwrap());
}
