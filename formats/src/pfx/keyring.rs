//! The password of a file's contents, in the encoding that its writer had for it.

use super::encoding::Password;
use super::limits::{Budget, MAX_ELEMENT_DEPTH};
use super::{PasswordForm, PfxError, pbe};
use crate::ber::{self, tag};
use fips::secret::SecretBytes;
use spki::AlgorithmIdentifierRef;

/// What decrypts the parts and the keys.
pub(super) struct Keyring {
    /// The encoding that worked last.
    current: Password,
    /// The password as the integrity check took it, or as it was given.
    base: Password,
    /// Whether the integrity check, or a part, has shown that it is a password of this file.
    proven: bool,
    /// Whether it is the password of the integrity check too.
    shared: bool,
}

impl Keyring {
    /// A password that was shown to be the file's if `proven`, and is for both of its places if `shared`.
    pub(super) fn new(password: &Password, proven: bool, shared: bool) -> Self {
        Self {
            current: password.copy(),
            base: password.copy(),
            proven,
            shared,
        }
    }

    /// The encoding that opened what was opened.
    pub(super) fn form(&self) -> PasswordForm {
        self.current.form()
    }

    /// Decrypts a SafeContents or a PrivateKeyInfo.
    ///
    /// # Errors
    /// [`PfxError::WrongPassword`] when no encoding of the password decrypts it: before anything else has shown that the password is right;
    /// [`PfxError::AnotherPassword`] after that.
    pub(super) fn decrypt(
        &mut self,
        algorithm: &AlgorithmIdentifierRef<'_>,
        ciphertext: &[u8],
        budget: &mut Budget,
    ) -> Result<SecretBytes, PfxError> {
        let mut candidates = vec![self.current.copy(), self.base.copy()];
        if self.proven {
            candidates.extend(self.base.other_forms_for_encryption());
        } else if self.base.is_empty() {
            candidates.push(Password::null());
        }
        // PKCS#12's own schemes take the one encoding, all others the other one.
        let with_bmp = algorithm
            .oid
            .to_string()
            .starts_with("1.2.840.113549.1.12.1.");
        let relevant = |password: &Password| match with_bmp {
            true => SecretBytes::from_slice(password.bmp()),
            false => SecretBytes::from_slice(password.octets()),
        };
        let mut tried: Vec<SecretBytes> = Vec::new();
        for candidate in candidates {
            let octets = relevant(&candidate);
            if tried.iter().any(|other| other.ct_eq(octets.expose())) {
                continue;
            }
            tried.push(octets);
            match pbe::decrypt(algorithm, ciphertext, &candidate, budget) {
                Ok(plaintext) if begins_like_a_sequence(plaintext.expose()) => {
                    self.current = candidate;
                    self.proven = true;
                    return Ok(plaintext);
                }
                Ok(_) | Err(PfxError::WrongPassword) => {}
                Err(other) => return Err(other),
            }
        }
        Err(match self.proven && self.shared {
            true => PfxError::AnotherPassword,
            false => PfxError::WrongPassword,
        })
    }
}

/// Whether this is a SEQUENCE that is not cut off, as both things are that get encrypted. A wrong password passes the check of the padding
/// once in 256 times, and this one hardly ever.
fn begins_like_a_sequence(bytes: &[u8]) -> bool {
    bytes.first() == Some(&tag::SEQUENCE) && ber::normalise(bytes, MAX_ELEMENT_DEPTH).is_ok()
}
