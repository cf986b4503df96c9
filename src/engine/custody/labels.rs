//! Signing keys that were found by their labels. A look for a label reads every signing key on a token; a key that is named by its
//! fingerprint is looked for once, as long as the token's handles are good. So a label is asked for once, and what it names signs by its
//! fingerprint.
//!
//! What is remembered says which key is meant, and nothing else is concluded from it. A key that does not sign is forgotten, and its label
//! asked for anew: one that took its place is found at the first signature. One that bears the label while the old one is still on the
//! token is found once what is remembered is [`LASTS`] old, as is that two bear it.

use hsm::{KeyFingerprint, SigningKeyInfo};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a label is not asked for again.
const LASTS: Duration = Duration::from_secs(60);

/// A key, and the token that has it.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// The token's name.
    pub(super) token: String,
    pub(super) info: Arc<SigningKeyInfo>,
    since: Instant,
}

impl Found {
    /// As the token has just said.
    pub(super) fn now(token: &str, info: SigningKeyInfo) -> Self {
        Self {
            token: token.to_owned(),
            info: Arc::new(info),
            since: Instant::now(),
        }
    }
}

/// The keys of this process, by their labels. There are no more of them than the configuration names.
#[derive(Debug, Default)]
pub(super) struct Labels(Mutex<BTreeMap<String, Found>>);

impl Labels {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Found>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key that was found under this label, if that was not too long ago.
    pub(super) fn get(&self, label: &str, now: Instant) -> Option<Found> {
        let known = self.lock();
        let found = known.get(label)?;
        (now.saturating_duration_since(found.since) < LASTS).then(|| found.clone())
    }

    /// Remembers what was found under the label.
    pub(super) fn keep(&self, label: &str, found: Found) {
        self.lock().insert(label.to_owned(), found);
    }

    /// The key did not sign: its label is asked for anew, unless somebody has done that meanwhile and found another one.
    pub(super) fn forget(&self, label: &str, key: &KeyFingerprint) {
        let mut known = self.lock();
        if known
            .get(label)
            .is_some_and(|found| found.info.fingerprint == *key)
        {
            known.remove(label);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use fips::sign::SignatureAlgorithm;
    use hsm::KeyAttributes;

    fn found(number: u8) -> Found {
        let info = SigningKeyInfo {
            fingerprint: KeyFingerprint::from_bytes([number; 32]),
            label: "ca".to_owned(),
            id: Vec::new(),
            algorithm: SignatureAlgorithm::EcdsaP256Sha256,
            spki_der: Vec::new(),
            attributes: KeyAttributes::default(),
            problems: Vec::new(),
        };
        Found::now("token", info)
    }

    #[test]
    fn a_label_is_asked_for_again_when_its_key_did_not_sign_and_after_a_while() {
        let labels = Labels::default();
        let now = Instant::now();
        assert!(labels.get("ca", now).is_none());
        labels.keep("ca", found(1));
        assert_eq!(
            labels.get("ca", now).unwrap().info.fingerprint,
            found(1).info.fingerprint
        );
        assert!(labels.get("other", now).is_none());
        assert!(labels.get("ca", now + 2 * LASTS).is_none());

        // Somebody has found its successor already.
        labels.keep("ca", found(2));
        labels.forget("ca", &found(1).info.fingerprint);
        assert!(labels.get("ca", now).is_some());
        labels.forget("ca", &found(2).info.fingerprint);
        assert!(labels.get("ca", now).is_none());
    }
}
