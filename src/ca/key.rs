//! A key of the module's, from a protected file, that signs messages to an authority.

use super::configured::{AuthorityError, unusable};
use crate::tls;
use fips::sign::{SignatureAlgorithm, SigningKey};
use pki::algorithm::KeyKind;
use pki::{SignError, Signer};
use rustls::pki_types::PrivateKeyDer;
use std::path::Path;

/// The key with the algorithm that it signs with.
pub(super) struct OwnedKey {
    key: SigningKey,
    algorithm: SignatureAlgorithm,
}

impl OwnedKey {
    /// Reads a key: EC keys sign with the hash that fits their curve, RSA keys with SHA-256.
    ///
    /// # Errors
    /// [`AuthorityError`] naming the file.
    pub(super) fn read(path: &Path) -> Result<Self, AuthorityError> {
        let read = tls::private_key(path).map_err(|error| unusable(path, error))?;
        let PrivateKeyDer::Pkcs8(pkcs8) = &read else {
            return Err(unusable(
                path,
                "not PKCS#8: convert it with `openssl pkcs8 -topk8 -nocrypt`",
            ));
        };
        let key = SigningKey::from_pkcs8(pkcs8.secret_pkcs8_der())
            .map_err(|error| unusable(path, error))?;
        let algorithm = match KeyKind::of(key.spki_der()) {
            Some(KeyKind::P256) => SignatureAlgorithm::EcdsaP256Sha256,
            Some(KeyKind::P384) => SignatureAlgorithm::EcdsaP384Sha384,
            Some(KeyKind::P521) => SignatureAlgorithm::EcdsaP521Sha512,
            Some(KeyKind::RsaPss) => SignatureAlgorithm::RsaPssSha256,
            Some(KeyKind::Rsa) => SignatureAlgorithm::RsaPkcs1Sha256,
            None => return Err(unusable(path, "a key of a kind that does not sign here")),
        };
        Ok(Self { key, algorithm })
    }
}

impl Signer for OwnedKey {
    fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    fn spki_der(&self) -> &[u8] {
        self.key.spki_der()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        Ok(self.key.sign_with(self.algorithm, message)?)
    }
}
