//! Test vectors of others. Every vector of a file is executed, or refused by this crate for a reason that is named; how many of
//! each is written down beside the test, so that none can fall through.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    dead_code
)]

use super::{begin, run};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::{env, fs};

/// What became of a vector.
pub(crate) enum Outcome {
    /// It was executed, and came out as it should.
    Executed,
    /// This crate does not do that, and why. The test has seen the refusal, or there is no function to call.
    Refused(&'static str),
}

/// How many of a file should be executed, and how many refused for which reason.
pub(crate) struct Expected<'a> {
    pub(crate) executed: usize,
    pub(crate) refused: &'a [(&'static str, usize)],
}

/// All of a file, none refused.
pub(crate) fn all(executed: usize) -> Expected<'static> {
    Expected {
        executed,
        refused: &[],
    }
}

#[derive(Default)]
struct Tally {
    executed: usize,
    refused: BTreeMap<&'static str, usize>,
}

impl Tally {
    fn add(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Executed => self.executed += 1,
            Outcome::Refused(reason) => *self.refused.entry(reason).or_default() += 1,
        }
    }

    fn compare(&self, file: &str, expected: &Expected<'_>) {
        println!(
            "{file}: {} vectors executed, refused: {:?}",
            self.executed, self.refused
        );
        let refused: BTreeMap<_, _> = expected.refused.iter().copied().collect();
        assert_eq!(
            (self.executed, &self.refused),
            (expected.executed, &refused),
            "{file}: executed, refused"
        );
    }
}

/// Runs `check` on every vector of a Wycheproof file, with its group.
pub(crate) fn wycheproof(
    file: &str,
    expected: &Expected<'_>,
    mut check: impl FnMut(&Value, &Value) -> Outcome,
) {
    begin();
    let Some(folder) = corpus("wycheproof") else {
        return;
    };
    let path = folder.join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let vectors: Value = serde_json::from_str(&text).unwrap();
    let mut tally = Tally::default();
    for group in vectors["testGroups"].as_array().unwrap() {
        for vector in group["tests"].as_array().unwrap() {
            tally.add(&check(group, vector));
        }
    }
    tally.compare(file, expected);
    let count = tally.executed + tally.refused.values().sum::<usize>();
    assert_eq!(vectors["numberOfTests"], count, "{file}: are missing");
}

/// Runs `check` on every vector of an ACVP vector set, with its group and with what NIST's server expects.
pub(crate) fn acvp(
    name: &str,
    expected: &Expected<'_>,
    mut check: impl FnMut(&Value, &Value, &Value) -> Outcome,
) {
    begin();
    let Some(folder) = corpus("acvp") else {
        return;
    };
    let load = |kind: &str| groups(&folder.join(format!("{name}.{kind}.bz2")));
    let mut answers = HashMap::new();
    for group in load("expected") {
        for answer in group["tests"].as_array().unwrap() {
            let place = (group["tgId"].as_u64(), answer["tcId"].as_u64());
            assert!(answers.insert(place, answer.clone()).is_none());
        }
    }
    let mut tally = Tally::default();
    for group in load("vectors") {
        for vector in group["tests"].as_array().unwrap() {
            let place = (group["tgId"].as_u64(), vector["tcId"].as_u64());
            let answer = answers.remove(&place).unwrap();
            tally.add(&check(&group, vector, &answer));
        }
    }
    assert!(answers.is_empty(), "{name}: answers without a question");
    tally.compare(name, expected);
}

/// The test groups of a compressed ACVP file: a list, of which one element has them.
fn groups(path: &Path) -> Vec<Value> {
    let text = run("bzip2", "any", &["-dc", path.to_str().unwrap()], b"");
    let parts: Vec<Value> = serde_json::from_slice(&text).unwrap();
    let groups = parts.iter().find_map(|part| part["testGroups"].as_array());
    groups.unwrap().clone()
}

/// A folder of the corpora; where there are none, says so, or fails in CI.
pub(crate) fn corpus(name: &str) -> Option<PathBuf> {
    let folder = env::var_os("CORPORA_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora"),
        PathBuf::from,
    );
    if folder.is_dir() {
        return Some(folder.join(name));
    }
    let missing = format!(
        "no folder {}: set CORPORA_DIR to the test vectors",
        folder.display()
    );
    assert!(env::var("CI").as_deref() != Ok("true"), "{missing}");
    println!("NOT RUN: {missing}");
    None
}
