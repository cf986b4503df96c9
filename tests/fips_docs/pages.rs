//! The pages as text: what they name and where they lead.

use crate::source::root;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The folder of the pages.
pub(crate) fn folder() -> PathBuf {
    root().join("docs/fips")
}

/// Every page for auditors by its file name.
pub(crate) fn pages() -> BTreeMap<String, String> {
    let mut pages = BTreeMap::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            pages.insert(name, fs::read_to_string(path).unwrap());
        }
    }
    assert!(pages.contains_key("README.md"));
    pages
}

/// A page without its blocks of commands and drawings.
pub(crate) fn prose(page: &str) -> String {
    let mut fenced = false;
    let mut text = String::new();
    for line in page.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if !fenced && !line.starts_with("    ") {
            text.push_str(line);
            text.push('\n');
        }
    }
    assert!(!fenced, "a block does not end");
    text
}

/// What stands between backticks.
pub(crate) fn code_words(page: &str) -> BTreeSet<String> {
    let prose = prose(page);
    let mut words = BTreeSet::new();
    for (number, line) in prose.lines().enumerate() {
        let parts: Vec<_> = line.split('`').collect();
        assert!(
            parts.len() % 2 == 1,
            "an odd number of backticks, line {number}: {line}"
        );
        words.extend(
            parts
                .iter()
                .skip(1)
                .step_by(2)
                .map(|word| (*word).to_owned()),
        );
    }
    words
}

/// The targets of the links of a page, outside of blocks.
pub(crate) fn links(page: &str) -> Vec<String> {
    let prose = prose(page);
    prose
        .match_indices("](")
        .map(|(at, _)| {
            let rest = &prose[at + 2..];
            let end = rest
                .find(')')
                .unwrap_or_else(|| panic!("a link without end: {rest}"));
            rest[..end].to_owned()
        })
        .collect()
}

/// The anchors of a page's headings, as they are made of their text.
pub(crate) fn anchors(page: &str) -> BTreeSet<String> {
    prose(page)
        .lines()
        .filter_map(|line| {
            line.trim_start_matches('#')
                .strip_prefix(' ')
                .filter(|_| line.starts_with('#'))
        })
        .map(|heading| {
            heading
                .to_lowercase()
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        })
        .collect()
}

/// `path.rs::function` wherever it stands in a page, commands included.
pub(crate) fn tests_named(page: &str) -> BTreeSet<(String, String)> {
    let part_of_a_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '/' | '.' | '-');
    page.match_indices(".rs::")
        .map(|(at, _)| {
            let start = page[..at]
                .rfind(|c| !part_of_a_name(c))
                .map_or(0, |before| before + 1);
            let name: String = page[at + ".rs::".len()..]
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            (page[start..at + ".rs".len()].to_owned(), name)
        })
        .collect()
}

/// Whether `file` has a test of this name: the function behind a test's attribute.
pub(crate) fn has_test(file: &Path, name: &str) -> bool {
    let Ok(text) = fs::read_to_string(root().join(file)) else {
        return false;
    };
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some((_, rest)) = line.split_once("fn ") {
            if is_test && rest.split('(').next() == Some(name) {
                return true;
            }
            is_test = false;
        }
    }
    false
}

/// The numbers behind `word` ("event 24", "events 30 and 32").
pub(crate) fn numbers_behind(page: &str, word: &str) -> Vec<u16> {
    let mut numbers = Vec::new();
    for (at, _) in page.match_indices(word) {
        let rest = page[at + word.len()..].trim_start_matches('s');
        for part in rest.split_whitespace() {
            let digits = part.trim_end_matches([',', '.', ';', ':', ')']);
            match digits.parse() {
                Ok(number) => numbers.push(number),
                Err(_) if matches!(part, "and" | "or") => {}
                Err(_) => break,
            }
            if !part.ends_with(',') && digits.len() != part.len() {
                break;
            }
        }
    }
    numbers
}
