//! SECURITY.md and docs/neighbours.md name files, types and tests as what shows a claim: each of them has to be there.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use std::fs;
use std::path::{Path, PathBuf};

const PAGES: [&str; 2] = ["SECURITY.md", "docs/neighbours.md"];
/// Where the things are that a page can name; other words with a `/` in them are none.
const FOLDERS: [&str; 12] = [
    "audit/",
    "benches/",
    "ca/",
    "docs/",
    "fips/",
    "formats/",
    "hsm/",
    "packaging/",
    "pki/",
    "sandbox/",
    "scripts/",
    "src/",
];

/// What stands between backticks and is the name of a file, with or without something in it.
fn named(page: &str) -> Vec<String> {
    page.split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| {
            FOLDERS
                .iter()
                .chain(&["tests/"])
                .any(|folder| word.starts_with(folder))
                || word.ends_with(".toml") && !word.contains(' ')
        })
        .map(ToOwned::to_owned)
        .collect()
}

/// Whether a source file has an item of this name.
fn has_item(source: &str, name: &str) -> bool {
    [
        "fn", "struct", "enum", "trait", "const", "static", "type", "mod",
    ]
    .iter()
    .any(|kind| {
        source
            .match_indices(&format!("{kind} {name}"))
            .any(|(at, found)| {
                let next = source[at + found.len()..].chars().next();
                next.is_none_or(|next| !next.is_alphanumeric() && next != '_')
            })
    })
}

/// Whether a function of this name is a test, and not one that is ignored.
fn is_test(source: &str, name: &str) -> bool {
    let Some(at) = source.find(&format!("fn {name}(")) else {
        return false;
    };
    let before = &source[..at];
    let attributes = before.rsplit("\n\n").next().unwrap();
    attributes.contains("test") && attributes.contains("#[") && !attributes.contains("#[ignore")
}

fn problem(name: &str) -> Option<String> {
    let (path, item) = match name.split_once('#') {
        Some((path, item)) => (path, Some(item)),
        None => (name, None),
    };
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if !file.exists() {
        return Some(format!("{name}: there is no {path}"));
    }
    let item = item?;
    let source = fs::read_to_string(&file).unwrap_or_default();
    let is_there = match source.contains(&format!("fn {item}(")) {
        // A sentence is the name of a test.
        true if item.matches('_').count() >= 4 => is_test(&source, item),
        _ => has_item(&source, item),
    };
    (!is_there).then(|| format!("{name}: {path} has no such item or test"))
}

#[test]
fn everything_that_the_pages_on_security_name_is_there() {
    let mut problems = Vec::new();
    for page in PAGES {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
        let names = named(&text);
        assert!(names.len() > 20, "{page} names {} things", names.len());
        problems.extend(
            names
                .iter()
                .filter_map(|name| problem(name))
                .map(|problem| format!("{page}: {problem}")),
        );
    }
    assert_eq!(problems, [""; 0], "{}", problems.join("\n"));
}

/// Every file below a folder whose name ends so.
fn files(folder: &Path, ends: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, ends, found);
        } else if path.to_str().is_some_and(|name| name.ends_with(ends)) {
            found.push(path);
        }
    }
}

/// What a program says to believe any certificate, in the words of rustls and reqwest.
fn turns_verification_off(source: &str) -> bool {
    [
        "danger_accept_",
        ".dangerous()",
        "ServerCertVerifier for",
        "ClientCertVerifier for",
    ]
    .iter()
    .any(|word| source.contains(word))
}

#[test]
fn no_switch_turns_the_verification_of_certificates_off() {
    assert!(turns_verification_off(
        "client.danger_accept_invalid_certs(true)"
    ));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    let mut manifests = vec![root.join("Cargo.toml")];
    files(&root.join("src"), ".rs", &mut sources);
    for part in ["audit", "ca", "fips", "formats", "hsm", "pki", "sandbox"] {
        manifests.push(root.join(part).join("Cargo.toml"));
        files(&root.join(part).join("src"), ".rs", &mut sources);
    }
    assert!(sources.len() > 300, "{}", sources.len());
    for path in sources {
        let source = fs::read_to_string(&path).unwrap();
        assert!(!turns_verification_off(&source), "{}", path.display());
    }
    for path in manifests {
        let manifest = fs::read_to_string(&path).unwrap();
        assert!(
            !manifest.contains("[features]"),
            "{}: a build with another feature is another program",
            path.display()
        );
    }
}

#[test]
fn what_is_not_there_would_be_found() {
    let own = "tests/security_pages.rs";
    for name in [
        "tests/no_such_file.rs".to_owned(),
        format!("{own}#no_such_item"),
        format!("{own}#FOLDER"),
        format!("{own}#everything_that_the_pages_on_security_name_is"),
    ] {
        assert!(problem(&name).is_some(), "{name}");
    }
    for name in [
        own.to_owned(),
        format!("{own}#FOLDERS"),
        format!("{own}#everything_that_the_pages_on_security_name_is_there"),
    ] {
        assert_eq!(problem(&name), None);
    }
    assert!(!is_test(
        "#[test]\nfn one() {}\n\nfn other_name_is_no_test() {}\n",
        "other_name_is_no_test"
    ));
    assert_eq!(
        named("see `deny.toml`, `a/b` and `src/x.rs#Y`"),
        ["deny.toml", "src/x.rs#Y"]
    );
}
