//! Encryption under a password: PBES2 and PBES1 (RFC 8018 section 6), and the schemes of PKCS#12 (RFC 7292 appendix C).
//!
//! ```text
//! AlgorithmIdentifier -> Scheme -+-> facts, without a password      describe
//!                                `-> key (and IV) -> cipher          decrypt
//! ```
//!
//! What is not supported is known before anything is derived, so it is never taken for a wrong password. Everything that is derived is paid
//! for from the budget first.

mod cipher;
pub(super) mod kdf;
mod scheme;
mod unknown;

use super::PfxError;
use super::encoding::Password;
use super::limits::Budget;
use super::model::EncryptionFacts;
use crate::words;
use fips::secret::SecretBytes;
use scheme::Scheme;
use spki::AlgorithmIdentifierRef;

/// What is known of an encryption from its AlgorithmIdentifier. What is not supported is described as such.
///
/// # Errors
/// [`PfxError::Malformed`] when the parameters of a known algorithm do not parse.
pub(super) fn describe(
    algorithm: &AlgorithmIdentifierRef<'_>,
) -> Result<EncryptionFacts, PfxError> {
    match Scheme::parse(algorithm) {
        Ok(scheme) => Ok(scheme.facts()),
        Err(PfxError::UnsupportedAlgorithm { what, .. }) => Ok(unknown::facts(algorithm, what)),
        Err(other) => Err(other),
    }
}

/// Decrypts with the algorithm that is named.
///
/// # Errors
/// [`PfxError::WrongPassword`] when it does not decrypt: whether that is another password, or another encoding of it, is for the caller to
/// find out. [`PfxError::UnsupportedAlgorithm`] by name, [`PfxError::Malformed`], [`PfxError::LimitExceeded`] before any work,
/// `not_approved`.
pub(super) fn decrypt(
    algorithm: &AlgorithmIdentifierRef<'_>,
    ciphertext: &[u8],
    password: &Password,
    budget: &mut Budget,
) -> Result<SecretBytes, PfxError> {
    Scheme::parse(algorithm)?.decrypt(ciphertext, password, budget)
}

/// The words for an algorithm of which only the name is known.
fn unsupported(algorithm: &AlgorithmIdentifierRef<'_>) -> PfxError {
    PfxError::unsupported(words::oid(&algorithm.oid))
}

#[cfg(test)]
mod tests;
