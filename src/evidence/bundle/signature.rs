//! `MANIFEST.sig`: a signature over the bytes of `MANIFEST`, with the key's name, in one form for one content.
//!
//! ```text
//! pfx-connector evidence signature, version 1
//! algorithm ecdsa-p256-sha256
//! key <SHA-256 of the public key>
//! signature <base64>
//! ```
//!
//! And `SIGNER.pem`: the public key, as RFC 7468 section 13 has it.

use super::{BundleError, FORMAT, SIGNATURE, SIGNER, SignedBy};
use crate::encoding::{Base64Bytes, public_key_from_pem, public_key_pem};
use fips::sign::SignatureAlgorithm;
use hsm::KeyFingerprint;

/// How a manifest can be signed: what keys in files and on tokens do here.
const ALGORITHMS: [SignatureAlgorithm; 4] = [
    SignatureAlgorithm::EcdsaP256Sha256,
    SignatureAlgorithm::EcdsaP384Sha384,
    SignatureAlgorithm::EcdsaP521Sha512,
    SignatureAlgorithm::RsaPssSha256,
];

/// An algorithm by its name, if a manifest can be signed with it.
pub(super) fn algorithm(name: &str) -> Option<SignatureAlgorithm> {
    ALGORITHMS
        .into_iter()
        .find(|algorithm| algorithm.name() == name)
}

/// A signature with the name of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signature {
    pub(super) by: SignedBy,
    pub(super) value: Vec<u8>,
}

impl Signature {
    /// Its one form.
    pub(super) fn render(&self) -> String {
        format!(
            "pfx-connector evidence signature, version {FORMAT}\nalgorithm {}\nkey {}\nsignature {}\n",
            self.by.algorithm.name(),
            self.by.fingerprint,
            Base64Bytes(self.value.clone()).encode()
        )
    }

    /// Reads a signature in its one form.
    ///
    /// # Errors
    /// [`BundleError::Malformed`] for everything else.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, BundleError> {
        let malformed = BundleError::Malformed {
            name: SIGNATURE,
            reason: "not a signature of this version in its one form",
        };
        match read(bytes) {
            Some(signature) if signature.render().as_bytes() == bytes => Ok(signature),
            _ => Err(malformed),
        }
    }
}

fn read(bytes: &[u8]) -> Option<Signature> {
    let mut lines = std::str::from_utf8(bytes).ok()?.lines().skip(1);
    let mut value = |key: &str| lines.next()?.strip_prefix(key)?.strip_prefix(' ');
    let algorithm = algorithm(value("algorithm")?)?;
    let fingerprint = value("key")?.parse().ok()?;
    let signature = Base64Bytes::decode(value("signature")?).ok()?;
    Some(Signature {
        by: SignedBy {
            fingerprint,
            algorithm,
        },
        value: signature.0,
    })
}

/// A public key as PEM.
///
/// # Errors
/// [`BundleError::Malformed`] for a key that is larger than PEM can hold.
pub(super) fn signer_pem(spki_der: &[u8]) -> Result<String, BundleError> {
    public_key_pem(spki_der).map_err(|_| malformed_signer())
}

/// The public key in `SIGNER.pem`, which has to be in its one form and the key that is named.
///
/// # Errors
/// [`BundleError::Malformed`] for everything else.
pub(super) fn signer_spki(pem: &[u8], named: KeyFingerprint) -> Result<Vec<u8>, BundleError> {
    let spki = public_key_from_pem(pem).ok_or_else(malformed_signer)?;
    if signer_pem(&spki)?.as_bytes() != pem || KeyFingerprint::of_spki(&spki) != named {
        return Err(malformed_signer());
    }
    Ok(spki)
}

fn malformed_signer() -> BundleError {
    BundleError::Malformed {
        name: SIGNER,
        reason: "not the public key that MANIFEST names",
    }
}
