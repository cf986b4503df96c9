//! What can be said of a message without a key.

use serde::Serialize;

/// A message from the outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// Which of the two.
    pub kind: MessageKind,
    /// How it is encoded.
    pub encoding: Encoding,
    /// The type of what is encrypted, in words and as object identifier.
    pub content_type: String,
    /// What encrypts the content, in words.
    pub content_encryption: String,
    /// Whether that is a cipher of the past, which nobody should use any more.
    pub legacy: bool,
    /// Why the content cannot be decrypted here, whoever has a key.
    pub problem: Option<String>,
    /// Length of the encrypted content, in bytes.
    pub content_bytes: usize,
    /// To whom it is encrypted.
    pub recipients: Vec<RecipientFacts>,
}

/// One recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecipientFacts {
    /// How the recipient is named.
    pub named_by: Naming,
    /// How the content key is encrypted to it, in words.
    pub algorithm: String,
    /// Why it cannot be decrypted here.
    pub problem: Option<String>,
}

/// The kinds of message that are encrypted to keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum MessageKind {
    /// EnvelopedData (RFC 5652): no integrity.
    Enveloped,
    /// AuthEnvelopedData (RFC 5083).
    AuthEnveloped,
}

/// Encoding rules (X.690).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Distinguished: there is one way to write it.
    Der,
    /// Basic: indefinite lengths, or strings in pieces.
    Ber,
}

/// How a recipient is named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Naming {
    /// By issuer and serial number of its certificate.
    IssuerAndSerialNumber {
        /// The issuer's distinguished name (RFC 4514).
        issuer: String,
        /// The serial number in hexadecimal.
        serial: String,
    },
    /// By the identifier of its key.
    SubjectKeyIdentifier {
        /// In hexadecimal.
        identifier: String,
    },
    /// In a way that is not for certificates.
    Other,
}
