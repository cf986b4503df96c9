//! Decryption, and how a bad ciphertext is told from a bad token.

use fips::policy::{Service, decide};
use fips::secret::SecretBytes;

use super::cache::LoadedKey;
use super::probe::{self, FoundKeyRef, Outcome};
use super::worker::Worker;
use crate::Error;
use crate::key::KeyFingerprint;
use crate::padding::Padding;

impl Worker {
    /// Decrypts, and tells a bad ciphertext from a bad token.
    pub(super) fn decrypt(
        &mut self,
        fingerprint: &KeyFingerprint,
        padding: Padding,
        ciphertext: &[u8],
    ) -> Result<SecretBytes, Error> {
        let key = self.load(fingerprint)?;
        let modulus_len = key.public.modulus().len();
        if ciphertext.len() != modulus_len {
            return Err(Error::CiphertextLength {
                expected: modulus_len,
                actual: ciphertext.len(),
            });
        }
        // RFC 8017, section 5.1.2, step 1. Tokens answer this in many ways; both numbers are public.
        if key.public.is_out_of_range(ciphertext) {
            return Err(Error::Decryption);
        }
        let Some((way, _)) = key.probe.way(padding) else {
            if key.probe.raw_was_not_allowed() {
                // Named as what it is: the token could, the policy says no.
                decide(Service::TokenRawRsaOaep).map(drop)?;
            }
            return Err(Error::PaddingNotSupported(padding));
        };
        let reference = FoundKeyRef {
            handle: key.handle,
            modulus_len,
            public: &key.public,
        };
        let refusal = match probe::decrypt(self, &reference, padding, way, ciphertext)? {
            Outcome::Plain(message) => return Ok(message),
            Outcome::BadPadding => return Err(Error::Decryption),
            Outcome::NotStarted(refusal) => return Err(Error::Token(refusal)),
            Outcome::Failed(refusal) => refusal,
        };
        if self.canary_decrypts(&key, padding) {
            return Err(Error::Decryption);
        }
        // The session itself may be what is broken: some modules leave it in an operation that nothing ends. If a new one
        // works, the request gets a second chance there, and one more canary judges it.
        self.drop_session();
        if !self.canary_decrypts(&key, padding) {
            return Err(Error::Token(refusal));
        }
        let refusal = match probe::decrypt(self, &reference, padding, way, ciphertext)? {
            Outcome::Plain(message) => return Ok(message),
            Outcome::BadPadding => return Err(Error::Decryption),
            Outcome::NotStarted(refusal) => return Err(Error::Token(refusal)),
            Outcome::Failed(refusal) => refusal,
        };
        self.drop_session();
        if self.canary_decrypts(&key, padding) {
            Err(Error::Decryption)
        } else {
            Err(Error::Token(refusal))
        }
    }

    /// True if the token decrypts a ciphertext to which the answer is known, the same way, now.
    fn canary_decrypts(&mut self, key: &LoadedKey, padding: Padding) -> bool {
        let Some((way, canary)) = key.probe.way(padding) else {
            return false;
        };
        let reference = FoundKeyRef {
            handle: key.handle,
            modulus_len: key.public.modulus().len(),
            public: &key.public,
        };
        matches!(
            probe::decrypt(self, &reference, padding, way, canary),
            Ok(Outcome::Plain(message)) if key.probe.is_message(&message)
        )
    }
}
