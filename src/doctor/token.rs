//! The PKCS#11 module, the token and its keys.
//!
//! ```text
//! this process                                            a process of its own (probe)
//! module file, folders, digest        --- spawns --->     the environment of the token's section, and nothing else
//! steps and findings, line by line    <-- socket ----     PIN source, load, slots, flags, login, keys, capabilities, speed
//! ```
//!
//! A library that crashes or hangs ends the other process, and the last step says where.

mod measure;
mod module_file;
mod probe;
mod process;
mod state;
pub(super) mod together;
mod words;

pub use probe::{ProbeRequest, Refused, run as run_probe};
pub use process::{Line, ProbeLaunch};

use super::catalogue::{TOKEN_KEY_COPIES, TOKEN_MODULE_LOADS};
use super::finding::{Finding, Severity};
use crate::config::TokenSection;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Looks at one token section; `key` is its place in the configuration, such as `engine.token`.
#[must_use]
pub fn examine(key: &str, section: &TokenSection, launch: &ProbeLaunch) -> Vec<Finding> {
    let mut findings = module_file::examine(key, &section.module);
    let loadable = findings
        .iter()
        .all(|found| found.severity < Severity::Error);
    if loadable {
        findings.extend(process::run(key, launch));
    } else {
        findings.push(TOKEN_MODULE_LOADS.note(key, "not tried: the file is not safe to load"));
    }
    findings
}

/// Each probe knows one token: a key that several of them have is no single copy.
pub(super) fn count_copies(findings: &mut [Finding]) {
    let fingerprint = |found: &Finding| {
        let is_copy = found.id == TOKEN_KEY_COPIES;
        let fingerprint = found.facts.get("fingerprint").and_then(Value::as_str)?;
        is_copy.then(|| fingerprint.to_owned())
    };
    let mut copies = BTreeMap::new();
    for key in findings.iter().filter_map(fingerprint) {
        *copies.entry(key).or_insert(0_usize) += 1;
    }
    for found in findings {
        let Some(key) = fingerprint(found) else {
            continue;
        };
        match copies.get(&key) {
            Some(&count) if count > 1 => {
                *found = TOKEN_KEY_COPIES
                    .ok(
                        &found.subject,
                        format!("on {count} tokens of this configuration"),
                    )
                    .facts(json!({"copies": count, "fingerprint": key}));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, missing_docs)]
    use super::*;

    #[test]
    fn a_key_on_two_tokens_is_no_single_copy_and_another_beside_it_is() {
        let single = |token: &str, key: &str| {
            TOKEN_KEY_COPIES
                .warning(token, "on this token alone")
                .code("single_copy")
                .facts(json!({"copies": 1, "fingerprint": key}))
        };
        let mut findings = [single("a", "k1"), single("b", "k1"), single("b", "k2")];
        count_copies(&mut findings);
        let severities = findings.each_ref().map(|found| found.severity);
        assert_eq!(severities, [Severity::Ok, Severity::Ok, Severity::Warning]);
        let [first, _, alone] = findings;
        assert_eq!(first.facts.get("copies"), Some(&json!(2)));
        assert_eq!(first.code, None);
        assert_eq!(alone.code.as_deref(), Some("single_copy"));
    }
}
