//! Signatures: ECDSA (FIPS 186-5, ASN.1 form of RFC 3279 section 2.2.3) and RSA (RFC 8017).
//! Approved services, signing and verifying, with the keys and hashes that exist here; there is no SHA-1.

mod algorithm;
mod key;

pub use algorithm::SignatureAlgorithm;
pub use key::{KeyKind, SigningKey};

use crate::pkey::{Kind, Pkey};
use crate::policy::{Service, perform};
use crate::{Error, Result, rsa};

/// Checks `signature` over `message` with the public key in a DER `SubjectPublicKeyInfo`. Approved service.
///
/// RSA keys have 2048 to 8192 bits, an even number of them. For PSS the salt is as long as the digest and MGF1 has the same hash.
///
/// # Errors
/// [`Error::Verification`] if the signature is wrong; [`Error::MalformedKey`], [`Error::UnsupportedKey`],
/// [`Error::KeySize`] for the key; [`Error::KeyMismatch`] if the algorithm wants another kind of key.
pub fn verify(
    algorithm: SignatureAlgorithm,
    spki_der: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<()> {
    let key = Pkey::from_spki(spki_der)?;
    match (key.kind(), algorithm.curve()) {
        (Kind::Rsa { bits }, None) => rsa::check_signing_size(bits)?,
        (Kind::Ec(curve), Some(expected)) if curve == expected => {}
        (Kind::Other, _) => {
            return Err(Error::UnsupportedKey {
                expected: "RSA, or EC on P-256, P-384 or P-521",
            });
        }
        _ => {
            return Err(Error::KeyMismatch {
                algorithm: algorithm.name(),
            });
        }
    }
    perform(Service::SignatureVerification, |_| {
        algorithm
            .verification()
            .verify_sig(spki_der, message, signature)
            .map_err(|_| Error::Verification)
    })
}

#[cfg(test)]
mod tests;
