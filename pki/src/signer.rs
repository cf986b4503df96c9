//! Who signs: a key in the validated module, or one on a token.

use fips::sign::{SignatureAlgorithm, SigningKey};

/// A key that signs documents, with the one algorithm that it signs them with.
pub trait Signer: Send + Sync {
    /// How it signs.
    fn algorithm(&self) -> SignatureAlgorithm;

    /// Its public key: DER SubjectPublicKeyInfo.
    fn spki_der(&self) -> &[u8];

    /// Signs a message; the hash is the algorithm's.
    ///
    /// The signature is in the form that X.509 carries: ECDSA-Sig-Value (RFC 3279, section 2.2.3), or the octets of RFC 8017.
    ///
    /// # Errors
    /// [`SignError`], with what the key's holder says.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError>;
}

/// A key did not sign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The module refused or failed.
    #[error(transparent)]
    Module(#[from] fips::Error),
    /// The token, or the process that holds it, did not sign; later it may.
    #[error("the signing key does not sign: {problem}")]
    Holder {
        /// What its holder says, without secrets.
        problem: String,
    },
}

/// A key of the module's and the algorithm that it signs with.
pub struct KeyAndAlgorithm<'a> {
    key: &'a SigningKey,
    algorithm: SignatureAlgorithm,
}

impl<'a> KeyAndAlgorithm<'a> {
    /// A key that signs with this algorithm.
    #[must_use]
    pub const fn new(key: &'a SigningKey, algorithm: SignatureAlgorithm) -> Self {
        Self { key, algorithm }
    }
}

impl Signer for KeyAndAlgorithm<'_> {
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
