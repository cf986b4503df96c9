//! Bytes as text: base64 (RFC 4648 section 4) in every protocol and file of ours, lower-case hexadecimal for fingerprints, PEM
//! (RFC 7468) for public keys.

use base64ct::{Base64, Encoding};
use der::pem::LineEnding;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use formats::text::{hex, is_printable, printable};

/// Label of a SubjectPublicKeyInfo (RFC 7468 section 13).
const PUBLIC_KEY: &str = "PUBLIC KEY";

/// Bytes that travel as one line of padded base64 (RFC 4648 section 4). Not for secrets: it is printable and cloneable.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Base64Bytes(pub Vec<u8>);

impl Base64Bytes {
    /// The bytes themselves.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// Whether there are none: for fields that are left out then.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Decodes one line of base64.
    ///
    /// # Errors
    /// [`NotBase64`] when the text holds anything but the standard alphabet with correct padding.
    pub fn decode(text: &str) -> Result<Self, NotBase64> {
        Base64::decode_vec(text).map(Self).map_err(|_| NotBase64)
    }

    /// One line of padded base64.
    #[must_use]
    pub fn encode(&self) -> String {
        Base64::encode_string(&self.0)
    }
}

impl From<Vec<u8>> for Base64Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl std::fmt::Debug for Base64Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Content stays out of logs: what is encrypted today may be of use to somebody tomorrow.
        write!(f, "Base64Bytes({} bytes)", self.0.len())
    }
}

impl Serialize for Base64Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.encode())
    }
}

impl<'de> Deserialize<'de> for Base64Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::decode(&text).map_err(serde::de::Error::custom)
    }
}

/// The text is not base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not base64 (one line, standard alphabet, with its padding)")]
pub struct NotBase64;

/// A public key (DER SubjectPublicKeyInfo) as PEM.
///
/// # Errors
/// [`der::pem::Error`] for more bytes than PEM can hold.
pub fn public_key_pem(spki_der: &[u8]) -> Result<String, der::pem::Error> {
    der::pem::encode_string(PUBLIC_KEY, LineEnding::LF, spki_der)
}

/// The DER SubjectPublicKeyInfo of a PEM text with nothing else in it, not checked further; `None` when it is none.
#[must_use]
pub fn public_key_from_pem(pem: &[u8]) -> Option<Vec<u8>> {
    match der::pem::decode_vec(pem) {
        Ok((PUBLIC_KEY, spki)) => Some(spki),
        _ => None,
    }
}

/// Bytes of a hexadecimal text of either case; `None` when it is not one.
#[must_use]
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    base16ct::mixed::decode_vec(text).ok()
}
