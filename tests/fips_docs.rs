//! The pages for auditors (docs/fips) against the program: the policy table is generated (`UPDATE_DOCS=1 cargo test --test fips_docs` writes it), and
//! what the pages name exists: tests, exceptions, error codes, events, configuration keys, files, other pages.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

#[path = "fips_docs/names.rs"]
mod names;
#[path = "fips_docs/pages.rs"]
mod pages;
mod source;
#[path = "fips_docs/table.rs"]
mod table;

use fips::advisories::ADVISORIES;
use fips::policy::{Exception, Service};
use names::Names;
use pages::{
    anchors, code_words, folder, has_test, links, numbers_behind, pages, prose, tests_named,
};
use pfx_connector::telemetry::catalogue::EventKind;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The page of claims, which the other pages refer to.
const CLAIMS: &str = "verify.md";

#[test]
fn the_page_of_the_policy_table_is_the_table() {
    let path = folder().join("policy-table.md");
    let page = table::page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == page,
        "docs/fips/policy-table.md is stale: run `UPDATE_DOCS=1 cargo test --test fips_docs`"
    );
    for service in Service::ALL {
        assert!(page.contains(&format!("### {}\n", service.name())));
    }
    for exception in Exception::ALL {
        assert!(page.contains(exception.permits()));
    }
}

#[test]
fn every_test_that_a_page_names_is_there() {
    let mut seen = 0;
    for (name, page) in pages() {
        for (file, test) in tests_named(&page) {
            seen += 1;
            assert!(
                has_test(Path::new(&file), &test),
                "{name} names {file}::{test}, which is no test"
            );
        }
    }
    assert!(seen > 50, "the pages were not understood: {seen}");
}

/// `cargo test --test NAME` in text and in blocks of commands.
#[test]
fn every_test_program_that_a_page_runs_is_there() {
    for (name, page) in pages() {
        for (at, _) in page.match_indices("--test ") {
            let rest = &page[at + "--test ".len()..];
            let program: String = rest
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            let there = ["tests", "fips/tests", "hsm/tests"].iter().any(|folder| {
                let folder = source::root().join(folder);
                folder.join(format!("{program}.rs")).exists()
                    || folder.join(&program).join("main.rs").exists()
            });
            assert!(there, "{name} runs --test {program}, which is not there");
        }
    }
}

/// The numbers of the claims: `F-1` and so on, each with a row of its own.
fn claims(page: &str) -> Vec<u32> {
    page.lines()
        .filter_map(|line| line.strip_prefix("| F-"))
        .map(|line| line.split(' ').next().unwrap().parse().unwrap())
        .collect()
}

#[test]
fn every_claim_has_a_number_a_check_and_a_test_and_every_page_refers_to_claims_that_exist() {
    let pages = pages();
    let numbers = claims(&pages[CLAIMS]);
    let count = u32::try_from(numbers.len()).unwrap();
    assert!(count > 40);
    assert_eq!(numbers, (1..=count).collect::<Vec<_>>());
    for row in pages[CLAIMS]
        .lines()
        .filter(|line| line.starts_with("| F-"))
    {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").collect();
        assert_eq!(cells.len(), 4, "{row}");
        assert!(cells.iter().all(|cell| !cell.trim().is_empty()), "{row}");
        let proof = cells[3];
        assert!(
            proof.contains(".rs::") || proof.contains("no test: "),
            "no test and no reason: {row}"
        );
    }
    let mut referred = BTreeSet::new();
    for (name, page) in &pages {
        for (at, _) in page.match_indices("F-") {
            let before = page[..at].chars().next_back();
            let number: String = page[at + 2..]
                .chars()
                .take_while(char::is_ascii_digit)
                .collect();
            if number.is_empty() || before.is_some_and(char::is_alphanumeric) {
                continue;
            }
            let number: u32 = number.parse().unwrap();
            assert!((1..=count).contains(&number), "{name} refers to F-{number}");
            if name != CLAIMS {
                referred.insert(number);
            }
        }
    }
    let unused: Vec<_> = (1..=count)
        .filter(|number| !referred.contains(number))
        .collect();
    assert_eq!(unused, Vec::<u32>::new(), "claims that no page makes");
}

#[test]
fn every_name_that_a_page_mentions_exists() {
    let names = Names::gather();
    let mut unknown = Vec::new();
    for (name, page) in pages() {
        for word in code_words(&page) {
            if let Err(why) = names.check(&word) {
                unknown.push(format!("{name}: `{word}` {why}"));
            }
        }
        for number in numbers_behind(&prose(&page), "event") {
            assert!(
                EventKind::ALL.iter().any(|kind| kind.id() == number),
                "{name} names event {number}"
            );
        }
        for (at, _) in page.match_indices("CVE-") {
            let id: String = page[at..]
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '-')
                .collect();
            let id = id.trim_end_matches('-');
            assert!(
                ADVISORIES.iter().any(|advisory| advisory.id == id),
                "{name} names {id}, which fips::advisories does not"
            );
        }
    }
    assert_eq!(unknown, Vec::<String>::new());
    let module_version = &pages()["module-version.md"];
    for advisory in ADVISORIES {
        assert!(module_version.contains(advisory.id), "{}", advisory.id);
    }
}

#[test]
fn the_check_of_names_finds_what_does_not_exist() {
    let names = Names::gather();
    for word in [
        "pkcs12-legacy-write",
        "no-such-service",
        "indicator_agrees",
        "engine.token.fips_certificates",
        "fips.report_keys",
        "moduleIsOutOfService",
        "src/engine/nothing.rs",
    ] {
        assert!(names.check(word).is_err(), "{word}");
    }
    for word in [
        "pkcs12-legacy-read",
        "no-device-anchors",
        "indicator_disagrees",
        "engine.token.fips_certificate",
        "fips_certificate",
        "moduleOutOfService",
        "src/engine/supervisor",
        "aws-lc-rs",
        "generate-signing",
    ] {
        names.check(word).unwrap();
    }
    assert!(!has_test(Path::new("tests/fips_docs.rs"), "claims"));
}

#[test]
fn every_link_leads_somewhere_and_every_page_is_reached_from_the_first() {
    let pages = pages();
    let mut reached = BTreeSet::new();
    let mut to_read = vec!["README.md".to_owned()];
    while let Some(name) = to_read.pop() {
        let Some(page) = pages.get(&name) else {
            continue;
        };
        if !reached.insert(name.clone()) {
            continue;
        }
        for link in links(page) {
            if link.starts_with("https://") {
                continue;
            }
            let (file, anchor) = match link.split_once('#') {
                Some((file, anchor)) => (file, Some(anchor)),
                None => (link.as_str(), None),
            };
            let target = if file.is_empty() { name.as_str() } else { file };
            let path = folder().join(target);
            assert!(path.exists(), "{name} leads to {link}, which is not there");
            if let Some(anchor) = anchor {
                let text = fs::read_to_string(&path).unwrap();
                assert!(anchors(&text).contains(anchor), "{name}: no heading {link}");
            }
            to_read.push(target.to_owned());
        }
    }
    let all: BTreeSet<_> = pages.keys().cloned().collect();
    assert_eq!(reached, all, "pages that the first one does not lead to");
}
