//! What signs a bundle: a private key from a file, or one on a token.

use super::{BundleError, SignedBy};
use fips::sign::{SignatureAlgorithm, SigningKey};
use hsm::pkcs11::Pkcs11Custody;
use hsm::{KeyFingerprint, SigningKeyInfo, SigningKeyName};
use serde::Serialize;
use serde_json::Value;

/// A key that signs a bundle.
#[non_exhaustive]
pub enum Signer {
    /// A private key that was read from a file: the module signs.
    File(SigningKey),
    /// A key on a token that signs and does nothing else: the token signs.
    Token {
        /// The token.
        custody: Box<Pkcs11Custody>,
        /// The key, which [`Pkcs11Custody::signing_key`] has found usable.
        key: Box<SigningKeyInfo>,
    },
}

/// The key that signs a bundle, as the bundle names it. Holds nothing secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportKey {
    /// Where the private key is: `file` or `token`.
    pub place: &'static str,
    /// SHA-256 of the public key (DER SubjectPublicKeyInfo).
    pub fingerprint: String,
    /// What it signs with.
    pub algorithm: &'static str,
    /// The token's label of it.
    pub label: Option<String>,
    /// The attributes that the token reports of it.
    pub attributes: Option<Value>,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({:?})", self.signed_by())
    }
}

impl Signer {
    /// The key of that label on a token.
    ///
    /// # Errors
    /// [`BundleError::Token`] when there is none, several, or one that may not sign.
    pub fn on_token(custody: Pkcs11Custody, label: &str) -> Result<Self, BundleError> {
        let key = custody.signing_key(&SigningKeyName::Label(label.to_owned()))?;
        Ok(Self::Token {
            custody: Box::new(custody),
            key: Box::new(key),
        })
    }

    /// The public key: DER SubjectPublicKeyInfo.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        match self {
            Self::File(key) => key.spki_der(),
            Self::Token { key, .. } => &key.spki_der,
        }
    }

    /// What the manifest will say of it.
    #[must_use]
    pub fn signed_by(&self) -> SignedBy {
        SignedBy {
            fingerprint: KeyFingerprint::of_spki(self.spki_der()),
            algorithm: match self {
                Self::File(key) => in_file(key),
                Self::Token { key, .. } => key.algorithm,
            },
        }
    }

    /// What the documents of a bundle say of it.
    #[must_use]
    pub fn describe(&self) -> ReportKey {
        let by = self.signed_by();
        let (place, label, attributes) = match self {
            Self::File(_) => ("file", None, None),
            Self::Token { key, .. } => (
                "token",
                Some(key.label.clone()),
                serde_json::to_value(&key.attributes).ok(),
            ),
        };
        ReportKey {
            place,
            fingerprint: by.fingerprint.to_string(),
            algorithm: by.algorithm.name(),
            label,
            attributes,
        }
    }

    /// Signs a manifest.
    pub(super) fn sign(&self, manifest: &[u8]) -> Result<Vec<u8>, BundleError> {
        match self {
            Self::File(key) => Ok(key.sign_with(in_file(key), manifest)?),
            Self::Token { custody, key } => {
                let name = SigningKeyName::Fingerprint(key.fingerprint);
                Ok(custody.sign(&name, manifest)?.signature)
            }
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
