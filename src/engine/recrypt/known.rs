//! Device certificates that were verified before: the same ones come again for every password of their user.
//!
//! What is remembered is that the signatures of a path verified, under which anchor, and how the formats process described it. Neither changes with time, and
//! everything that does (dates, the anchors' among them), or that costs next to nothing, is checked again each time.

use super::chain::{
    ChainError, CheckedDevice, DeviceIdentity, DeviceTrust, Signatures, verify_path_with,
};
use super::rules::DeviceRules;
use crate::engine::api::DeviceTarget;
use fips::digest::{Hash, Hasher};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Paths that are remembered; the oldest goes for a new one. A description takes some hundred bytes.
const CAPACITY: usize = 4096;

/// SHA-256 over the certificates, each with its length.
type Key = [u8; 32];

/// A path, and the number of the anchor that vouches for it.
#[derive(Debug)]
struct Verified {
    described: CheckedDevice,
    anchor: Option<usize>,
}

#[derive(Debug, Default)]
struct Entries {
    paths: HashMap<Key, Arc<Verified>>,
    order: VecDeque<Key>,
}

/// What this process knows of device certificates, under the one set of anchors that it has.
#[derive(Debug, Default)]
pub struct KnownDevices {
    entries: Mutex<Entries>,
    rules: Arc<DeviceRules>,
}

impl KnownDevices {
    /// Nothing is known yet. The rules are asked each time, also about what is known: revocation lists change.
    #[must_use]
    pub fn under(rules: Arc<DeviceRules>) -> Self {
        Self {
            entries: Mutex::default(),
            rules,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`chain::verify`](super::chain::verify). `describe` is asked for a path that has not been seen.
    ///
    /// # Errors
    /// What `describe` says, and [`ChainError`].
    pub fn verify<E: From<ChainError>>(
        &self,
        target: &DeviceTarget,
        trust: &DeviceTrust,
        now_ms: i64,
        describe: impl FnOnce() -> Result<CheckedDevice, E>,
    ) -> Result<DeviceIdentity, E> {
        let key = key_of(target);
        let known = self.lock().paths.get(&key).cloned();
        if let Some(known) = known {
            return Ok(verify_path_with(
                target,
                &known.described,
                trust,
                &self.rules,
                now_ms,
                Signatures::Known(known.anchor),
            )?);
        }
        let described = describe()?;
        let identity = verify_path_with(
            target,
            &described,
            trust,
            &self.rules,
            now_ms,
            Signatures::Verify,
        )?;
        let anchor = identity.anchor();
        self.remember(key, Verified { described, anchor });
        Ok(identity)
    }

    fn remember(&self, key: Key, verified: Verified) {
        let mut entries = self.lock();
        if entries.paths.insert(key, Arc::new(verified)).is_none() {
            entries.order.push_back(key);
        }
        if entries.order.len() > CAPACITY
            && let Some(oldest) = entries.order.pop_front()
        {
            entries.paths.remove(&oldest);
        }
    }
}

fn key_of(target: &DeviceTarget) -> Key {
    let mut hasher = Hasher::new(Hash::Sha256);
    let certificates = std::iter::once(&target.certificate).chain(&target.intermediates);
    for certificate in certificates.map(|bytes| bytes.as_slice()) {
        // A length before each: no two lists of certificates give the same bytes.
        let length = u64::try_from(certificate.len()).unwrap_or(u64::MAX);
        hasher.update(&length.to_be_bytes());
        hasher.update(certificate);
    }
    let mut key = [0; 32];
    for (to, from) in key.iter_mut().zip(hasher.finish().as_ref()) {
        *to = *from;
    }
    key
}
