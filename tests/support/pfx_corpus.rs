//! The corpus of PFX files that no one here made, beside the project or where `CORPORA_DIR` says.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

use std::collections::BTreeMap;
use std::path::PathBuf;

/// A file with what its row in the manifest says of it.
pub struct CorpusFile {
    row: BTreeMap<String, String>,
    pub bytes: Vec<u8>,
}

impl CorpusFile {
    /// Its path in the corpus.
    pub fn name(&self) -> &str {
        &self.row["file"]
    }

    /// A column of its row.
    pub fn column(&self, column: &str) -> &str {
        &self.row[column]
    }

    /// UTF-8; empty where there is none.
    pub fn password(&self) -> &[u8] {
        self.row["password"].as_bytes()
    }

    /// Whether the manifest knows the password, and one opens everything.
    pub fn has_one_password(&self) -> bool {
        matches!(self.column("password_kind"), "text" | "empty" | "null")
    }
}

/// Every file, or `None` (after saying so) where there is no corpus and that is allowed.
pub fn files() -> Option<Vec<CorpusFile>> {
    let folder = folder()?.join("pfx");
    let manifest = std::fs::read_to_string(folder.join("manifest.csv")).unwrap();
    let files: Vec<CorpusFile> = rows(&manifest)
        .into_iter()
        .map(|row| CorpusFile {
            bytes: std::fs::read(folder.join(&row["file"])).unwrap(),
            row,
        })
        .collect();
    assert!(!files.is_empty(), "the manifest names no files");
    Some(files)
}

fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("CORPORA_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora"),
        PathBuf::from,
    );
    if folder.join("pfx/manifest.csv").is_file() {
        return Some(folder);
    }
    let missing = format!("no PFX corpus in {} (set CORPORA_DIR)", folder.display());
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{missing}");
    println!("NOT RUN: {missing}");
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
