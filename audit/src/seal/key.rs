//! An audit key in a file.

use super::{Signed, Signer, SignerError};
use crate::text::Hash;
use fips::secret::SecretBytes;
use fips::sign::{KeyKind, SignatureAlgorithm, SigningKey};

/// An EC key on P-256 that signs seals.
pub struct AuditKey(SigningKey);

/// Why it is no audit key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// It cannot be read or made.
    #[error("the audit key: {0}")]
    Key(#[from] fips::Error),
    /// Another kind of key.
    #[error("the audit key has to be an EC key on P-256; this one signs by {0}")]
    OtherKind(&'static str),
}

impl AuditKey {
    /// Generates one.
    ///
    /// # Errors
    /// [`KeyError::Key`].
    pub fn generate() -> Result<Self, KeyError> {
        Ok(Self(SigningKey::generate(KeyKind::EcP256)?))
    }

    /// Reads DER `PrivateKeyInfo` (RFC 5958).
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        let key = SigningKey::from_pkcs8(der)?;
        match key.algorithm() {
            SignatureAlgorithm::EcdsaP256Sha256 => Ok(Self(key)),
            other => Err(KeyError::OtherKind(other.name())),
        }
    }

    /// The key as DER `PrivateKeyInfo`, for its file.
    ///
    /// # Errors
    /// [`KeyError::Key`].
    pub fn pkcs8_der(&self) -> Result<SecretBytes, KeyError> {
        Ok(self.0.pkcs8_der()?)
    }

    /// The public half: DER SubjectPublicKeyInfo.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        self.0.spki_der()
    }

    /// SHA-256 of the public half: what seals name it by.
    #[must_use]
    pub fn fingerprint(&self) -> Hash {
        Hash::of(self.spki_der())
    }
}

impl Signer for AuditKey {
    fn sign(&self, message: &[u8]) -> Result<Signed, SignerError> {
        let signature = self
            .0
            .sign(message)
            .map_err(|error| SignerError(error.to_string()))?;
        Ok(Signed {
            spki_der: self.0.spki_der().to_vec(),
            signature,
        })
    }
}
