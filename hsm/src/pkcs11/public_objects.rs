//! Other people's public keys as session objects of one session.
//!
//! C_Encrypt wants an object. Devices come again, so the object of a device's key is kept; making and destroying one for every
//! delivery would cost two calls, on a network token two round trips. A session object is destroyed with its session (PKCS#11,
//! C_CloseSession), so the handles live in the same structure as the session ([`Open`]): none of them can outlive it. One library leaves the
//! objects behind: there they are destroyed before (see the quirks).

use cryptoki::context::Function;
use cryptoki::error::{Error as CryptokiError, RvError};
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

use super::classify::{Class, classify};
use super::session::OwnSession;
use crate::KeyFingerprint;
use crate::error::Refusal;
use crate::public_key::PublicKey;

/// Most objects that are kept for one session.
pub(super) const MAX_OBJECTS: usize = 64;

/// A session and what goes away with it.
pub(super) struct Open {
    pub(super) session: OwnSession,
    pub(super) objects: PublicObjects,
    /// The token does not destroy the objects with the session.
    objects_outlive: bool,
}

impl Open {
    /// `objects_outlive`: see the quirks.
    pub(super) fn new(session: OwnSession, objects_outlive: bool) -> Self {
        Self {
            session,
            objects: PublicObjects::default(),
            objects_outlive,
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.objects_outlive {
            let objects = &mut self.objects;
            self.session
                .before_the_end(|session| objects.destroy_all(session));
        }
    }
}

/// The objects of one session. What is used least recently goes first.
pub(super) struct PublicObjects {
    kept: Recent<ObjectHandle>,
    /// Objects that were not destroyed when they were forgotten, and may be there still.
    abandoned: usize,
}

impl Default for PublicObjects {
    fn default() -> Self {
        Self {
            kept: Recent::new(MAX_OBJECTS),
            abandoned: 0,
        }
    }
}

/// True if the token has no room for one more object, or the computer no memory.
fn means_full(function: Function, rv: RvError) -> bool {
    classify(function, rv).class == Class::Room
}

impl PublicObjects {
    pub(super) fn get(&mut self, key: &KeyFingerprint) -> Option<ObjectHandle> {
        self.kept.get(key)
    }

    /// True if so many objects were left behind that the session should be closed, which destroys them.
    pub(super) const fn is_littered(&self) -> bool {
        self.abandoned >= MAX_OBJECTS
    }

    /// Makes an object of `public`, whose fingerprint is `key`, and keeps it. A token with less room than [`MAX_OBJECTS`] has
    /// its oldest ones destroyed until there is room, and is not filled further from then on.
    pub(super) fn create(
        &mut self,
        session: &Session,
        public: &PublicKey,
        key: KeyFingerprint,
    ) -> cryptoki::error::Result<ObjectHandle> {
        let template = [
            Attribute::Class(ObjectClass::PUBLIC_KEY),
            Attribute::KeyType(KeyType::RSA),
            Attribute::Token(false),
            Attribute::Private(false),
            Attribute::Encrypt(true),
            Attribute::Modulus(public.modulus().to_vec()),
            Attribute::PublicExponent(public.exponent().to_vec()),
        ];
        while let Some(oldest) = self.kept.take_if_full() {
            self.destroy(session, oldest);
        }
        loop {
            match session.create_object(&template) {
                Ok(object) => {
                    self.kept.insert(key, object);
                    return Ok(object);
                }
                Err(CryptokiError::Pkcs11(rv, function)) if means_full(function, rv) => {
                    let Some(oldest) = self.kept.take_oldest_and_shrink() else {
                        return Err(CryptokiError::Pkcs11(rv, function));
                    };
                    self.destroy(session, oldest);
                }
                Err(other) => return Err(other),
            }
        }
    }

    /// Forgets the object of `key`, with which the token answered so.
    pub(super) fn discard(&mut self, session: &Session, key: &KeyFingerprint, refusal: Refusal) {
        let Some(object) = self.kept.remove(key) else {
            return;
        };
        match refusal.class() {
            // The token says that this is no key of ours. Whatever it is by now must not be destroyed.
            Class::Handles => self.abandoned += 1,
            _ => self.destroy(session, object),
        }
    }

    fn destroy_all(&mut self, session: &Session) {
        while let Some(object) = self.kept.take_oldest() {
            self.destroy(session, object);
        }
    }

    fn destroy(&mut self, session: &Session, object: ObjectHandle) {
        match session.destroy_object(object) {
            Ok(()) => {}
            Err(CryptokiError::Pkcs11(rv, function))
                if classify(function, rv).class == Class::Done => {}
            Err(error) => {
                tracing::debug!(%error, "a session object was not destroyed; it goes away with the session");
                self.abandoned += 1;
            }
        }
    }
}

/// A bounded map in the order of use. So few entries that a list is as good as anything.
struct Recent<H> {
    limit: usize,
    /// The most recently used one is the last.
    entries: Vec<(KeyFingerprint, H)>,
}

impl<H: Copy> Recent<H> {
    const fn new(limit: usize) -> Self {
        Self {
            limit,
            entries: Vec::new(),
        }
    }

    fn get(&mut self, key: &KeyFingerprint) -> Option<H> {
        let value = self.remove(key)?;
        self.entries.push((*key, value));
        Some(value)
    }

    fn remove(&mut self, key: &KeyFingerprint) -> Option<H> {
        let at = self.entries.iter().position(|(known, _)| known == key)?;
        Some(self.entries.remove(at).1)
    }

    fn take_oldest(&mut self) -> Option<H> {
        (!self.entries.is_empty()).then(|| self.entries.remove(0).1)
    }

    /// The oldest one, if there is no place for another.
    fn take_if_full(&mut self) -> Option<H> {
        if self.entries.len() < self.limit {
            return None;
        }
        self.take_oldest()
    }

    /// The oldest one. Its place is not given out again, but one place always remains.
    fn take_oldest_and_shrink(&mut self) -> Option<H> {
        self.limit = self.entries.len().max(1);
        self.take_oldest()
    }

    /// The caller has made place.
    fn insert(&mut self, key: KeyFingerprint, value: H) {
        self.entries.push((key, value));
    }
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;

    fn key(number: u8) -> KeyFingerprint {
        KeyFingerprint::from_bytes([number; 32])
    }

    fn filled(limit: usize, numbers: std::ops::Range<u8>) -> Recent<u8> {
        let mut recent = Recent::new(limit);
        for number in numbers {
            recent.insert(key(number), number);
        }
        recent
    }

    #[test]
    fn what_was_used_least_recently_goes_first() {
        let mut recent = filled(3, 0..3);
        assert_eq!(recent.get(&key(0)), Some(0));
        assert_eq!(recent.take_if_full(), Some(1));
        assert_eq!(recent.take_if_full(), None);
        recent.insert(key(3), 3);
        assert_eq!(recent.take_if_full(), Some(2));
        assert_eq!(recent.get(&key(1)), None);
        assert_eq!(recent.get(&key(0)), Some(0));
    }

    #[test]
    fn a_place_that_the_token_has_not_is_not_used_again() {
        let mut recent = filled(64, 0..3);
        assert_eq!(recent.take_oldest_and_shrink(), Some(0));
        assert_eq!(recent.take_if_full(), None);
        recent.insert(key(3), 3);
        assert_eq!(recent.take_if_full(), Some(1), "three are the limit now");
    }

    #[test]
    fn one_place_remains_however_small_the_token_is() {
        let mut recent = filled(64, 0..1);
        assert_eq!(recent.take_oldest_and_shrink(), Some(0));
        assert_eq!(recent.take_oldest_and_shrink(), None);
        recent.insert(key(1), 1);
        assert_eq!(recent.get(&key(1)), Some(1));
    }
}
