//! What is wrong with several tokens only because one process has them all: each is probed in a process of its own, and the engine's custody
//! is one.

use super::words;
use crate::config::{EngineConfig, TokenSection};
use crate::doctor::catalogue::{TOKEN_QUIRKS, TOKEN_TOGETHER};
use crate::doctor::finding::Finding;
use hsm::Error;
use std::path::PathBuf;

/// Holds the engine's tokens against each other; `findings` are those of the probes.
pub(in crate::doctor) fn examine(engine: &EngineConfig, findings: &[Finding]) -> Vec<Finding> {
    let tokens: Vec<_> = engine
        .token_paths()
        .map(|(key, section)| (key, section, module(section)))
        .collect();
    if tokens.len() < 2 {
        return Vec::new();
    }
    let mut problems = Vec::new();
    for (place, (key, section, path)) in tokens.iter().enumerate() {
        let before = tokens.iter().take(place);
        let on_it = before.filter(|(_, _, other)| other == path);
        let clash = on_it.into_iter().find_map(|(other_key, other, _)| {
            let alone = is_alone(key, findings) || is_alone(other_key, findings);
            clash(section, other, alone).map(|error| (other_key, error))
        });
        if let Some((other_key, error)) = clash {
            let found = words::of_error(TOKEN_TOGETHER, key, &error);
            let text = format!(
                "the engine cannot have it open beside {other_key}, which has the same module: {}",
                found.found
            );
            problems.push(Finding {
                found: text,
                ..found
            });
        }
    }
    if problems.is_empty() {
        problems.push(TOKEN_TOGETHER.ok(
            "engine.tokens",
            "nothing is known to keep one process from having all of them open",
        ));
    }
    problems
}

/// What custody says when it opens this token after the other one of the same module.
fn clash(section: &TokenSection, other: &TokenSection, alone: bool) -> Option<Error> {
    if section.init_parameters != other.init_parameters {
        return Some(Error::InitParameters(
            "are others than those with which this process uses the module already",
        ));
    }
    (alone && section.label != other.label).then(|| Error::SecondToken {
        present: other.label.clone(),
    })
}

/// Whether the token of this section is known to share with others in one process what it should not.
fn is_alone(key: &str, findings: &[Finding]) -> bool {
    findings
        .iter()
        .filter(|found| found.id == TOKEN_QUIRKS && found.subject == key)
        .any(|found| found.facts.pointer("/quirks/severalTokens") == Some(&false.into()))
}

/// The module's file, whatever way leads to it.
fn module(section: &TokenSection) -> PathBuf {
    std::fs::canonicalize(&section.module).unwrap_or_else(|_| section.module.clone())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]
    use super::*;
    use crate::config::Config;
    use crate::doctor::finding::Severity;
    use serde_json::json;

    fn engine(tokens: &[(&str, &str)]) -> EngineConfig {
        let tables: String = tokens
            .iter()
            .map(|(name, more)| {
                format!("[[engine.tokens]]\nname = '{name}'\nlabel = '{name}'\npin_file = '/p'\n{more}\n")
            })
            .collect();
        let text = format!("[engine]\nsocket = '/nowhere/s'\n{tables}");
        toml::from_str::<Config>(&text).unwrap().engine.unwrap()
    }

    fn quirks(key: &str, several: Option<bool>) -> Finding {
        TOKEN_QUIRKS
            .ok(key, "known")
            .facts(json!({"quirks": {"severalTokens": several}}))
    }

    #[test]
    fn of_a_library_that_has_one_token_in_a_process_the_second_one_fails() {
        let two = engine(&[("a", "module = '/m'"), ("b", "module = '/m'")]);
        let of = |several| {
            let known = ["engine.tokens.a", "engine.tokens.b"].map(|key| quirks(key, several));
            examine(&two, &known)
        };
        let found = of(Some(false));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].severity, Severity::Error);
        assert_eq!(found[0].subject, "engine.tokens.b");
        assert!(found[0].found.contains("engine.tokens.a"), "{found:?}");
        assert!(found[0].remedy.is_some());
        for several in [Some(true), None] {
            assert_eq!(of(several)[0].severity, Severity::Ok);
        }
        // Two modules are two libraries.
        let apart = engine(&[("a", "module = '/m'"), ("b", "module = '/n'")]);
        let known = ["engine.tokens.a", "engine.tokens.b"].map(|key| quirks(key, Some(false)));
        assert_eq!(examine(&apart, &known)[0].severity, Severity::Ok);
    }

    #[test]
    fn a_module_is_told_one_thing_by_one_process() {
        let told = |parameters| format!("module = '/m'\ninit_parameters = '{parameters}'");
        let (one, other) = (told("one"), told("other"));
        let found = examine(&engine(&[("a", &one), ("b", &other)]), &[]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].severity, Severity::Error);
        assert!(found[0].found.contains("engine.tokens.a"), "{found:?}");
        let same = examine(&engine(&[("a", &one), ("b", &one)]), &[]);
        assert_eq!(same[0].severity, Severity::Ok);
        assert!(examine(&engine(&[("a", &one)]), &[]).is_empty());
    }
}
