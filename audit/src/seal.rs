//! Seals: signatures of the audit key over the chain.

use std::fmt;

/// A signature with the key that made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The public key: DER SubjectPublicKeyInfo, EC on P-256.
    pub spki_der: Vec<u8>,
    /// ECDSA-Sig-Value (DER) with SHA-256.
    pub signature: Vec<u8>,
}

/// Why there is no signature, in words for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignerError(pub String);

impl fmt::Display for SignerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SignerError {}

/// The audit key: in a file, or on a token. Called by a thread that nobody waits for.
pub trait Signer: Send + Sync {
    /// ECDSA on P-256 with SHA-256 over `message`.
    ///
    /// # Errors
    /// [`SignerError`]: it is tried again later, and the log says in its status that it is not sealed.
    fn sign(&self, message: &[u8]) -> Result<Signed, SignerError>;
}
