//! Importers or callers with their failures.

use super::failures::Failures;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// So many have an account of their own within a day. Both are configured by name, so this is never reached where nobody changes the
/// configuration hundreds of times a day; then the rest share one account, whose budget is used up the sooner.
const MOST_SUBJECTS: usize = 1024;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[serde(bound(
    serialize = "K: Ord + Serialize",
    deserialize = "K: Ord + Deserialize<'de>"
))]
pub(super) struct Subjects<K: Ord> {
    // Some of them have no name, which a key of JSON needs.
    #[serde(with = "pairs")]
    own: BTreeMap<K, Failures>,
    shared: Failures,
}

/// A map as a list of pairs.
mod pairs {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::collections::BTreeMap;

    pub(super) fn serialize<S: Serializer, K: Serialize, V: Serialize>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(super) fn deserialize<'de, D, K, V>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        D: Deserializer<'de>,
        K: Ord + Deserialize<'de>,
        V: Deserialize<'de>,
    {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?
            .into_iter()
            .collect())
    }
}

impl<K: Ord> Default for Subjects<K> {
    fn default() -> Self {
        Self {
            own: BTreeMap::new(),
            shared: Failures::default(),
        }
    }
}

impl<K: Ord> Subjects<K> {
    /// The account of a subject.
    pub(super) fn of(&self, key: &K) -> &Failures {
        // Who has no account and could get one has no failures, and as much as the shared one has.
        self.own.get(key).unwrap_or(&self.shared)
    }

    /// The account of a subject, opened if it has none.
    pub(super) fn of_mut(&mut self, key: K, now_ms: i64) -> &mut Failures {
        if !self.own.contains_key(&key) {
            self.own.retain(|_, failures| !failures.is_empty_at(now_ms));
            if self.own.len() >= MOST_SUBJECTS {
                return &mut self.shared;
            }
        }
        self.own.entry(key).or_default()
    }

    pub(super) fn forget(&mut self, key: &K) {
        if self.own.remove(key).is_none() {
            self.shared = Failures::default();
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &Failures)> {
        self.own.iter()
    }

    /// What a snapshot keeps: without those whose failures are over.
    pub(super) fn pruned(&self, now_ms: i64) -> Self
    where
        K: Clone,
    {
        Self {
            own: self
                .own
                .iter()
                .filter(|(_, failures)| !failures.is_empty_at(now_ms))
                .map(|(key, failures)| (key.clone(), failures.clone()))
                .collect(),
            shared: self.shared.clone(),
        }
    }
}
