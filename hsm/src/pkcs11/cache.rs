//! The key handles that are good now.
//!
//! A handle belongs to a generation. When a token was in trouble, its handles may be gone or mean other objects: the
//! generation is counted up, every handle of the old one is forgotten, and the keys are looked up again. What was learned
//! about a key by probing is public and stays.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cryptoki::object::ObjectHandle;

use super::probe::{FoundKeyRef, Probe};
use super::signing::FoundSigningKey;
use crate::custody::Capabilities;
use crate::key::{KeyFingerprint, KeyInfo};
use crate::padding::Padding;
use crate::public_key::PublicKey;

/// A key that can be used: found in a generation of handles, and probed.
pub(super) struct LoadedKey {
    pub(super) handle: ObjectHandle,
    pub(super) generation: u64,
    pub(super) public: PublicKey,
    pub(super) info: KeyInfo,
    pub(super) probe: Arc<Probe>,
}

impl LoadedKey {
    /// What a decryption needs to know of it.
    pub(super) fn reference(&self) -> FoundKeyRef<'_> {
        FoundKeyRef {
            handle: self.handle,
            modulus_len: self.public.modulus().len(),
            public: &self.public,
            always_authenticate: self.info.attributes.always_authenticate == Some(true),
        }
    }
}

#[derive(Default)]
struct State {
    generation: u64,
    /// The generation of the library's state that the handles are of.
    module: u64,
    keys: HashMap<KeyFingerprint, Arc<LoadedKey>>,
    /// Signing keys with handles of the generation, looked up and judged.
    signers: HashMap<KeyFingerprint, Arc<FoundSigningKey>>,
    /// Every key that was ever seen on the token, with what probing showed.
    known: HashMap<KeyFingerprint, Option<Arc<Probe>>>,
    /// Every signing key that was ever seen on the token.
    signing: HashSet<KeyFingerprint>,
    /// Every key for agreements that was ever seen on the token.
    agreeing: HashSet<KeyFingerprint>,
    /// Keys that are known and were not seen the last time, and in which state of the library that was so first.
    missing: HashMap<KeyFingerprint, u64>,
    /// Whether the last look showed any private keys.
    shows_keys: bool,
}

impl State {
    /// Forgets every handle.
    fn next_generation(&mut self) {
        self.generation += 1;
        self.keys.clear();
        self.signers.clear();
    }

    /// Notes which of the `known` keys are missing, and gives those back that may come back.
    fn note(
        &mut self,
        known: Vec<KeyFingerprint>,
        seen: &[KeyFingerprint],
        shows_keys: bool,
    ) -> Vec<KeyFingerprint> {
        self.shows_keys = shows_keys;
        let module = self.module;
        for key in seen {
            self.missing.remove(key);
        }
        known
            .into_iter()
            .filter(|key| !seen.contains(key))
            .filter(|key| {
                self.missing.entry(*key).or_insert(module);
                !self.is_gone(key)
            })
            .collect()
    }

    fn is_gone(&self, key: &KeyFingerprint) -> bool {
        self.shows_keys
            && self
                .missing
                .get(key)
                .is_some_and(|since| *since < self.module)
    }
}

/// Shared by the workers. Never locked during a call to the token.
#[derive(Default)]
pub(super) struct Cache(Mutex<State>);

impl Cache {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn generation(&self) -> u64 {
        self.lock().generation
    }

    /// A handle of the current generation.
    pub(super) fn get(&self, fingerprint: &KeyFingerprint) -> Option<Arc<LoadedKey>> {
        self.lock().keys.get(fingerprint).cloned()
    }

    /// Any key to which the token was seen to encrypt with `padding`: a canary for encryption. It needs no handle, and so
    /// is there whatever became of the handles.
    pub(super) fn any_that_encrypts(&self, padding: Padding) -> Option<Arc<Probe>> {
        let state = self.lock();
        state
            .known
            .values()
            .flatten()
            .find(|probe| probe.encrypts(padding))
            .cloned()
    }

    /// The keys to which the token was seen to encrypt with `padding`, but for those that somebody has destroyed.
    pub(super) fn that_encrypt(&self, padding: Padding) -> Vec<KeyFingerprint> {
        let state = self.lock();
        let encrypts = |probe: &Option<Arc<Probe>>| {
            probe.as_ref().is_some_and(|probe| probe.encrypts(padding))
        };
        state
            .known
            .iter()
            .filter(|(key, probe)| encrypts(probe) && !state.is_gone(key))
            .map(|(key, _)| *key)
            .collect()
    }

    pub(super) fn probe_of(&self, fingerprint: &KeyFingerprint) -> Option<Arc<Probe>> {
        self.lock().known.get(fingerprint).cloned().flatten()
    }

    /// Keeps a key, unless its handle is of an older generation by now.
    pub(super) fn insert(&self, key: Arc<LoadedKey>) {
        let mut state = self.lock();
        let fingerprint = key.info.fingerprint;
        state
            .known
            .insert(fingerprint, Some(Arc::clone(&key.probe)));
        if key.generation == state.generation {
            state.keys.insert(fingerprint, key);
        }
    }

    /// A signing key with a handle of the current generation.
    pub(super) fn signer(&self, fingerprint: &KeyFingerprint) -> Option<Arc<FoundSigningKey>> {
        self.lock().signers.get(fingerprint).cloned()
    }

    /// Keeps a signing key, unless its handle, which is of this `generation`, is of an older one by now.
    pub(super) fn insert_signer(&self, generation: u64, key: Arc<FoundSigningKey>) {
        let mut state = self.lock();
        if generation == state.generation {
            state.signers.insert(key.info.fingerprint, key);
        }
    }

    /// The handle of this signing key is not good any more.
    pub(super) fn forget_signer(&self, fingerprint: &KeyFingerprint) {
        self.lock().signers.remove(fingerprint);
    }

    /// Remembers the keys that a scan showed, and gives those back that were there before and may come back: see
    /// [`is_gone`](Self::is_gone). `shows_keys`: the token shows private keys, be it of other kinds.
    pub(super) fn compare(&self, seen: &[KeyFingerprint], shows_keys: bool) -> Vec<KeyFingerprint> {
        let mut state = self.lock();
        let known = state.known.keys().copied().collect();
        let missing = state.note(known, seen, shows_keys);
        for fingerprint in seen {
            state.known.entry(*fingerprint).or_default();
        }
        missing
    }

    /// Remembers the signing keys that a scan showed, and gives one back that was there before and may come back.
    pub(super) fn compare_signing(
        &self,
        seen: &[KeyFingerprint],
        shows_keys: bool,
    ) -> Option<KeyFingerprint> {
        let mut state = self.lock();
        let known = state.signing.iter().copied().collect();
        let missing = state.note(known, seen, shows_keys).first().copied();
        state.signing.extend(seen);
        missing
    }

    /// The same for the keys for agreements.
    pub(super) fn compare_agreeing(
        &self,
        seen: &[KeyFingerprint],
        shows_keys: bool,
    ) -> Option<KeyFingerprint> {
        let mut state = self.lock();
        let known = state.agreeing.iter().copied().collect();
        let missing = state.note(known, seen, shows_keys).first().copied();
        state.agreeing.extend(seen);
        missing
    }

    /// Forgets a key that this very custody has destroyed: that it is not there any more is no trouble of the token's.
    pub(super) fn forget(&self, destroyed: &KeyFingerprint) {
        let mut state = self.lock();
        state.keys.remove(destroyed);
        state.known.remove(destroyed);
        state.signers.remove(destroyed);
        state.signing.remove(destroyed);
        state.agreeing.remove(destroyed);
        state.missing.remove(destroyed);
    }

    /// True if a key was on the token, and is not any more although the module was initialised again since, and the token shows
    /// others, of whatever kind: somebody has destroyed it. Nothing that heals a token brings it back, and nobody who asks for it is to set that off.
    pub(super) fn is_gone(&self, key: &KeyFingerprint) -> bool {
        self.lock().is_gone(key)
    }

    /// Forgets every handle of `generation`. Handles of a newer one are not touched: somebody else has renewed them.
    pub(super) fn invalidate(&self, generation: u64) {
        let mut state = self.lock();
        if state.generation == generation {
            state.next_generation();
        }
    }

    /// Forgets every handle unless they are of this generation of the library's state.
    pub(super) fn belongs_to(&self, module: u64) {
        let mut state = self.lock();
        if state.module != module {
            state.module = module;
            // Nothing was there to be forgotten the first time.
            if !state.keys.is_empty() || !state.signers.is_empty() {
                state.next_generation();
            }
        }
    }

    /// True if one of these keys was seen on the token before, or none ever was.
    pub(super) fn has_one_of(&self, seen: &[KeyFingerprint]) -> bool {
        let state = self.lock();
        let mut before = state.known.keys().chain(&state.signing).peekable();
        before.peek().is_none() || before.any(|known| seen.contains(known))
    }

    /// What every probed key can do.
    pub(super) fn capabilities(&self) -> Capabilities {
        let state = self.lock();
        let probes: Vec<_> = state.known.values().flatten().collect();
        let all = |test: &dyn Fn(&Probe, Padding) -> bool| -> Vec<Padding> {
            Padding::OAEP
                .into_iter()
                .filter(|padding| {
                    !probes.is_empty() && probes.iter().all(|probe| test(probe, *padding))
                })
                .collect()
        };
        let pkcs1 = |test: &dyn Fn(&Probe, Padding) -> bool| -> Vec<KeyFingerprint> {
            let does = |probe: &Option<Arc<Probe>>| {
                probe
                    .as_ref()
                    .is_some_and(|probe| test(probe, Padding::Pkcs1))
            };
            let mut keys: Vec<_> = state
                .known
                .iter()
                .filter(|(_, probe)| does(probe))
                .map(|(key, _)| *key)
                .collect();
            keys.sort_unstable();
            keys
        };
        Capabilities {
            native: all(&Probe::is_native),
            software_unpadding: all(&Probe::is_software),
            encrypt_native: all(&Probe::encrypts),
            pkcs1_native: pkcs1(&Probe::is_native),
            pkcs1_software: pkcs1(&Probe::is_software),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;

    fn key(number: u8) -> KeyFingerprint {
        KeyFingerprint::from_bytes([number; 32])
    }

    #[test]
    fn a_key_that_is_missing_among_others_is_gone_once_the_module_was_initialised_again() {
        let cache = Cache::default();
        cache.belongs_to(1);
        assert_eq!(cache.compare(&[key(1), key(2)], true), []);
        assert_eq!(cache.compare(&[key(1)], true), [key(2)]);
        assert!(!cache.is_gone(&key(2)), "it may be found again");
        cache.belongs_to(2);
        assert_eq!(cache.compare(&[key(1)], true), []);
        assert!(cache.is_gone(&key(2)));
        // A token that shows nothing says nothing.
        assert_eq!(cache.compare(&[], false).len(), 2);
        assert!(!cache.is_gone(&key(2)));
        assert_eq!(cache.compare(&[key(1), key(2)], true), []);
        assert!(!cache.is_gone(&key(2)));
        assert!(!cache.is_gone(&key(9)), "it never was there");
    }

    #[test]
    fn the_only_key_of_its_kind_is_gone_if_the_token_shows_some_of_other_kinds() {
        let cache = Cache::default();
        cache.belongs_to(1);
        assert_eq!(cache.compare(&[key(1)], true), []);
        assert_eq!(cache.compare(&[], true), [key(1)]);
        cache.belongs_to(2);
        assert_eq!(cache.compare(&[], false), [key(1)]);
        assert_eq!(cache.compare(&[], true), []);
        assert!(cache.is_gone(&key(1)));
        assert_eq!(cache.compare_signing(&[], true), None);
        assert!(cache.is_gone(&key(1)), "a look for another kind of keys");
    }

    #[test]
    fn a_key_that_was_destroyed_here_is_not_missed() {
        let cache = Cache::default();
        cache.belongs_to(1);
        assert_eq!(cache.compare(&[key(1)], true), []);
        cache.forget(&key(1));
        // The last one: a token that shows none is empty then, and not in trouble.
        assert_eq!(cache.compare(&[], false), []);
        assert!(cache.has_one_of(&[key(2)]));
        assert!(!cache.is_gone(&key(1)));
    }
}
