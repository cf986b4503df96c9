//! A policy as text: what security rests on, one statement a key, so that its digest can be approved and a change of it read.

use super::joined;
use crate::text::Hash;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Separates these digests from every other one; ends in the format's version.
const CONTEXT: &[u8] = b"pfx-connector policy v1";

/// Statements by their names, such as `engine.importers.ada` = `fingerprint`, in the order of the names. The same policy has the same text,
/// in whatever order the configuration says it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PolicyText(BTreeMap<String, String>);

impl PolicyText {
    /// One more statement; a later one of the same name replaces the first.
    pub fn say(&mut self, name: impl Into<String>, value: impl ToString) {
        self.0.insert(name.into(), value.to_string());
    }

    /// Every statement.
    pub fn statements(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// SHA-256 over all of it.
    #[must_use]
    pub fn digest(&self) -> Hash {
        let statements = self
            .statements()
            .flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
        Hash::of(&joined(std::iter::once(CONTEXT).chain(statements)))
    }

    /// What is different in `after`, in the order of the names.
    #[must_use]
    pub fn changes(&self, after: &Self) -> Vec<Change> {
        let names: BTreeSet<_> = self.0.keys().chain(after.0.keys()).collect();
        names
            .into_iter()
            .filter_map(|name| {
                let (before, after) = (self.0.get(name), after.0.get(name));
                (before != after).then(|| Change {
                    name: name.clone(),
                    before: before.cloned(),
                    after: after.cloned(),
                })
            })
            .collect()
    }
}

/// One difference between two policies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Which statement.
    pub name: String,
    /// What it said; none where it is new.
    pub before: Option<String>,
    /// What it says; none where it is gone.
    pub after: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => match (before.parse::<u64>(), after.parse::<u64>()) {
                (Ok(less), Ok(more)) if less < more => {
                    write!(f, "{name}: {before} is RAISED to {after}")
                }
                (Ok(_), Ok(_)) => write!(f, "{name}: {before} is LOWERED to {after}"),
                _ => write!(f, "{name}: {before} becomes {after}"),
            },
            (None, Some(after)) => write!(f, "{name}: NEW, {after}"),
            (Some(before), None) => write!(f, "{name}: GONE, was {before}"),
            (None, None) => write!(f, "{name}: as it was"),
        }
    }
}
