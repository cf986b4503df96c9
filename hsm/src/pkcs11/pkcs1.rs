//! Decryption of RSAES-PKCS1-v1_5 with the keys that are named for it: nobody is told whether a padding was right.
//!
//! ```text
//!  the message that takes the place of a bad one is made --> raw RSA by the token, unpadding here (crate::pkcs1)
//!                                                              |  or CKM_RSA_PKCS, where the token has no raw RSA
//!                                                              v
//!                                   a known ciphertext, always: was the token well?  -- no --> healing, as for every failure
//!                                                              | yes
//!                                                              v
//!                                          the message, or the one in its place: a success either way
//! ```
//!
//! A message shows nothing of the token here, since a token in trouble gives one as well: so none counts as evidence, and a canary follows
//! each use whatever came of it. What is done is the same for good and for bad paddings; where the token removes the padding, all but what
//! the token itself does.

use cryptoki::context::Function;
use cryptoki::error::RvError;
use fips::secret::SecretBytes;

use super::decryption::{Ended, Shown, Use};
use super::worker::Worker;
use crate::Error;
use crate::error::Refusal;
use crate::key::KeyFingerprint;
use crate::pkcs1::{Rejection, RejectionSecret};

/// How often it is asked again because the session or the token was found broken after the answer.
const MOST_TRIES: u32 = 3;

/// A token that gives messages and does not decrypt what it has to: what it said was nothing but CKR_OK.
const NO_ANSWER: Refusal = Refusal::new(Function::Decrypt, RvError::FunctionFailed);

/// The keys that are named for this padding, and what messages that nobody sent are made from.
pub(super) struct Named {
    keys: Vec<KeyFingerprint>,
    secret: RejectionSecret,
}

impl Named {
    /// # Errors
    /// [`Error::Internal`] if there are no random bytes.
    pub(super) fn new(keys: Vec<KeyFingerprint>) -> Result<Self, Error> {
        Ok(Self {
            keys,
            secret: RejectionSecret::new()?,
        })
    }

    pub(super) fn contains(&self, key: &KeyFingerprint) -> bool {
        self.keys.contains(key)
    }

    /// What `ciphertext` decrypts to where its padding is wrong.
    pub(super) fn rejection(
        &self,
        key: &KeyFingerprint,
        ciphertext: &[u8],
    ) -> Result<Rejection, Error> {
        self.secret
            .rejection(key.as_bytes(), ciphertext, ciphertext.len())
    }
}

impl Worker {
    /// Decrypts to a message, whatever the padding.
    ///
    /// # Errors
    /// Those of a token in trouble.
    pub(super) fn decrypt_without_verdict(
        &mut self,
        meant: &Use<'_>,
        ciphertext: &[u8],
    ) -> Result<SecretBytes, Error> {
        let mut tries = 0;
        loop {
            let shared = self.shared();
            let rejection = shared
                .pkcs1
                .rejection(&meant.loaded.info.fingerprint, ciphertext)?;
            let (message, refusal) = match self.try_once(meant, ciphertext)? {
                Ended::Plain(message) => (message, None),
                // As good as a wrong padding. What it costs the token, nobody here can help.
                Ended::Failed(refusal) => (rejection.into_message(), Some(refusal)),
            };
            tries += 1;
            let shown = if tries == 1 {
                self.look(meant)
            } else {
                self.canary(meant)
            };
            if shown == Shown::Well {
                return Ok(message);
            }
            self.replace_session();
            if self.canary(meant) != Shown::Well || tries == MOST_TRIES {
                return Err(Error::Token(refusal.unwrap_or(NO_ANSWER)));
            }
        }
    }
}
