//! What signs a bundle: a private key from a file, or one on a token.

use super::{BundleError, SignedBy};
use fips::sign::{SignatureAlgorithm, SigningKey};
use hsm::KeyFingerprint;

/// A key that signs a bundle.
#[non_exhaustive]
pub enum Signer {
    /// A private key that was read from a file: the module signs.
    File(SigningKey),
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({}, {:?})", self.place(), self.signed_by())
    }
}

impl Signer {
    /// Where the private key is, in words.
    #[must_use]
    pub fn place(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
        }
    }

    /// The public key: DER SubjectPublicKeyInfo.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        match self {
            Self::File(key) => key.spki_der(),
        }
    }

    /// What the manifest will say of it.
    #[must_use]
    pub fn signed_by(&self) -> SignedBy {
        let algorithm = match self {
            Self::File(key) => in_file(key),
        };
        SignedBy {
            fingerprint: KeyFingerprint::of_spki(self.spki_der()),
            algorithm,
        }
    }

    /// Signs a manifest.
    pub(super) fn sign(&self, manifest: &[u8]) -> Result<Vec<u8>, BundleError> {
        match self {
            Self::File(key) => Ok(key.sign_with(in_file(key), manifest)?),
        }
    }
}

/// RSA signs with PSS here, as tokens do.
fn in_file(key: &SigningKey) -> SignatureAlgorithm {
    match key.algorithm() {
        SignatureAlgorithm::RsaPkcs1Sha256 => SignatureAlgorithm::RsaPssSha256,
        of_curve => of_curve,
    }
}
