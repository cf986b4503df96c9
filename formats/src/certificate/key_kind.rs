//! What a key can do by its algorithm, whatever its certificate permits.

use const_oid::ObjectIdentifier;
use x509_cert::ext::pkix::KeyUsage;

/// Kinds of keys, by what mail can do with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyKind {
    /// Signs, and enciphers a content-encryption key (RFC 3370 section 4.2.1).
    SignsAndEnciphers,
    /// Signs, and agrees on a key (RFC 5753).
    SignsAndAgrees,
    /// Signs only.
    Signs,
    /// Enciphers or encapsulates a key only (RFC 4055 section 4).
    Enciphers,
    /// Agrees on a key only (RFC 8418, RFC 5753).
    Agrees,
    /// Nothing is known of it, so that its key usage alone decides.
    Unknown,
}

impl KeyKind {
    /// Of the algorithm of a subjectPublicKeyInfo.
    pub(super) fn of(algorithm: &ObjectIdentifier) -> Self {
        match algorithm.to_string().as_str() {
            // rsaEncryption.
            "1.2.840.113549.1.1.1" => Self::SignsAndEnciphers,
            // id-ecPublicKey.
            "1.2.840.10045.2.1" => Self::SignsAndAgrees,
            // RSASSA-PSS, DSA, Ed25519, Ed448, ML-DSA.
            "1.2.840.113549.1.1.10"
            | "1.2.840.10040.4.1"
            | "1.3.101.112"
            | "1.3.101.113"
            | "2.16.840.1.101.3.4.3.17"
            | "2.16.840.1.101.3.4.3.18"
            | "2.16.840.1.101.3.4.3.19" => Self::Signs,
            // RSAES-OAEP, ML-KEM.
            "1.2.840.113549.1.1.7"
            | "2.16.840.1.101.3.4.4.1"
            | "2.16.840.1.101.3.4.4.2"
            | "2.16.840.1.101.3.4.4.3" => Self::Enciphers,
            // X25519, X448, id-ecDH, id-ecMQV, X9.42 and PKCS#3 Diffie-Hellman.
            "1.3.101.110"
            | "1.3.101.111"
            | "1.3.132.1.12"
            | "1.3.132.1.13"
            | "1.2.840.10046.2.1"
            | "1.2.840.113549.1.3.1" => Self::Agrees,
            _ => Self::Unknown,
        }
    }

    /// Whether it can sign at all.
    pub(super) fn signs(self) -> bool {
        !matches!(self, Self::Enciphers | Self::Agrees)
    }

    /// Whether mail may be encrypted to it under this key usage; without one everything that it can do is permitted.
    pub(super) fn encrypts(self, usage: Option<&KeyUsage>) -> bool {
        let enciphers = usage.is_none_or(KeyUsage::key_encipherment);
        let agrees = usage.is_none_or(KeyUsage::key_agreement);
        match self {
            Self::SignsAndEnciphers | Self::Enciphers => enciphers,
            Self::SignsAndAgrees | Self::Agrees => agrees,
            Self::Signs => false,
            Self::Unknown => enciphers || agrees,
        }
    }
}
