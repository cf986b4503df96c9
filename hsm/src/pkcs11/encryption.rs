//! Encryption to public keys by the token: C_Encrypt with the public key as a session object.

use cryptoki::error::Error as CryptokiError;

use super::classify::Class;
use super::counters::count;
use super::policy;
use super::probe::Probe;
use super::public_objects::Open;
use super::raw::{RsaMechanism, Stage};
use super::worker::Worker;
use crate::Error;
use crate::error::Refusal;
use crate::padding::Padding;
use crate::public_key::PublicKey;

impl Worker {
    /// Encrypts `message` with the object of `public` in this worker's session, which is made if there is none. The outer error
    /// is about the session; the inner one is the token's answer, in which [`Stage::Init`] also stands for a key that the
    /// token does not take.
    pub(super) fn encrypt_with(
        &mut self,
        public: &PublicKey,
        mechanism: RsaMechanism<'_>,
        message: &[u8],
    ) -> Result<Result<Vec<u8>, Stage>, Error> {
        let fingerprint = public.fingerprint()?;
        if self.parts()?.1.objects.is_littered() {
            self.replace_session();
        }
        let (
            shared,
            Open {
                session, objects, ..
            },
        ) = self.parts()?;
        let functions = shared.module.functions();
        let modulus_len = public.modulus().len();

        if let Some(object) = objects.get(&fingerprint) {
            let reused = policy::perform(mechanism.encryption(), || {
                functions.encrypt(session, object, mechanism, message, modulus_len)
            })?;
            match reused {
                Ok(ciphertext) => {
                    count(&shared.counters.public_keys_reused);
                    return Ok(Ok(ciphertext));
                }
                // It worked before: the object may be what has gone bad. A fresh one decides.
                Err(stage) => objects.discard(session, &fingerprint, stage.refusal()),
            }
        }
        let object = match objects.create(session, public, fingerprint) {
            Ok(object) => object,
            Err(CryptokiError::Pkcs11(rv, function)) => {
                return Ok(Err(Stage::Init(Refusal::new(function, rv))));
            }
            Err(other) => return Err(shared.module.error(other)),
        };
        count(&shared.counters.public_keys_created);
        let result = policy::perform(mechanism.encryption(), || {
            functions.encrypt(session, object, mechanism, message, modulus_len)
        })?;
        if let Err(stage) = &result {
            objects.discard(session, &fingerprint, stage.refusal());
        }
        Ok(result)
    }

    /// Encrypts on the token, and tells a bad public key from a bad token.
    pub(super) fn encrypt(
        &mut self,
        public: &PublicKey,
        padding: Padding,
        label: &[u8],
        message: &[u8],
    ) -> Result<Vec<u8>, Error> {
        if !label.is_empty() {
            self.require_labels(padding)?;
        }
        let mechanism = RsaMechanism::Oaep(padding, label);
        let mut refusal = match self.encrypt_with(public, mechanism, message)? {
            Ok(ciphertext) => return Ok(ciphertext),
            Err(stage) => stage.refusal(),
        };
        if refusal.class() == Class::Stuck {
            // Another request has left the session so.
            self.replace_session();
            refusal = match self.encrypt_with(public, mechanism, message)? {
                Ok(ciphertext) => return Ok(ciphertext),
                Err(stage) => stage.refusal(),
            };
        }
        if matches!(
            refusal.class(),
            Class::Session | Class::Login | Class::Device | Class::Library
        ) {
            return Err(Error::Token(refusal));
        }
        // Encryption to a key with which it is known to work is the canary here.
        let Some(known) = self.shared().cache.any_that_encrypts(padding) else {
            return Err(if refusal.means_unsupported() {
                Error::PaddingNotSupported(padding)
            } else {
                Error::Token(refusal)
            });
        };
        self.require_canary(&known, padding, refusal)?;
        // As for a decryption: one more try, because the token may have been in trouble for just that call.
        let again = match self.encrypt_with(public, mechanism, message)? {
            Ok(ciphertext) => return Ok(ciphertext),
            Err(stage) => stage.refusal(),
        };
        self.require_canary(&known, padding, again)?;
        if again.is_same(refusal) {
            Err(Error::InvalidPublicKey("the token cannot encrypt to it"))
        } else {
            // A token says the same of the same bad key.
            Err(Error::Token(again))
        }
    }

    /// Fails unless the token was seen to encrypt with a label: one that ignores it says nothing about that. It takes one of the token's
    /// own keys to see it.
    fn require_labels(&mut self, padding: Padding) -> Result<(), Error> {
        for fingerprint in self.shared().cache.that_encrypt(padding) {
            let key = match self.load(&fingerprint) {
                Ok(key) => key,
                // Not the key that this is about.
                Err(Error::KeyVanished(_) | Error::KeyRefused { .. } | Error::UnknownKey(_)) => {
                    continue;
                }
                Err(other) => return Err(other),
            };
            return match self.labelled(&key, padding)? {
                Some(tried) if tried.encrypts => Ok(()),
                _ => Err(Error::LabelNotSupported(padding)),
            };
        }
        Err(Error::LabelNotSupported(padding))
    }

    /// Fails with `refusal` unless the token encrypts to a public key to which it did before, on a new session if not on this one:
    /// some modules leave it in an operation that nothing ends.
    fn require_canary(
        &mut self,
        known: &Probe,
        padding: Padding,
        refusal: Refusal,
    ) -> Result<(), Error> {
        if !self.canary_encrypts(known, padding) {
            self.replace_session();
            if !self.canary_encrypts(known, padding) {
                return Err(Error::Token(refusal));
            }
        }
        Ok(())
    }

    /// True if the token encrypts to a public key to which it did before.
    fn canary_encrypts(&mut self, known: &Probe, padding: Padding) -> bool {
        matches!(
            self.encrypt_with(
                known.public(),
                RsaMechanism::Oaep(padding, b""),
                known.message()
            ),
            Ok(Ok(_))
        )
    }
}
