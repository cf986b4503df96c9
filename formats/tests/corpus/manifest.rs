//! The list of the corpus's files: what each is, and what has to become of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One file.
pub(crate) struct Case {
    row: BTreeMap<String, String>,
    pub bytes: Vec<u8>,
}

impl Case {
    pub(crate) fn name(&self) -> &str {
        self.column("file")
    }

    pub(crate) fn column(&self, name: &str) -> &str {
        self.row
            .get(name)
            .unwrap_or_else(|| panic!("the manifest has no column {name}"))
    }

    pub(crate) fn count(&self, name: &str) -> usize {
        self.column(name)
            .parse()
            .unwrap_or_else(|_| panic!("{}: {name} is no number", self.name()))
    }

    /// Whether it has a MAC under a password, and is whole enough to have one.
    pub(crate) fn has_mac(&self) -> bool {
        !matches!(self.column("mac"), "none" | "?")
    }
}

/// Every file, none (after saying so) where there is no corpus and that is allowed.
pub(crate) fn cases() -> Vec<Case> {
    let folder = std::env::var_os("CORPORA_DIR").map_or_else(beside_the_project, PathBuf::from);
    let folder = folder.join("pfx");
    let Ok(manifest) = std::fs::read_to_string(folder.join("manifest.csv")) else {
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "no PFX corpus in {} (set CORPORA_DIR)",
            folder.display()
        );
        println!(
            "NOT RUN: no PFX corpus in {} (set CORPORA_DIR)",
            folder.display()
        );
        return Vec::new();
    };
    let cases: Vec<Case> = rows(&manifest)
        .into_iter()
        .map(|row| Case {
            bytes: std::fs::read(folder.join(&row["file"])).unwrap(),
            row,
        })
        .collect();
    assert!(!cases.is_empty(), "the manifest names no files");
    cases
}

/// `../shared/corpora`, seen from the project's folder: the package that compiles this file may be the project itself or one below it.
fn beside_the_project() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let project = package
        .ancestors()
        .filter(|folder| folder.join("Cargo.lock").is_file())
        .last()
        .unwrap_or(package);
    project.join("../shared/corpora")
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
