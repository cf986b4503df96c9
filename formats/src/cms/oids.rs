//! The object identifiers of the messages, with what they mean here.

use crate::words;
use der::asn1::ObjectIdentifier;
use fips::digest::FileHash;

const fn oid(text: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(text)
}

/// id-envelopedData (RFC 5652 section 6.1).
pub(super) const ENVELOPED_DATA: ObjectIdentifier = oid("1.2.840.113549.1.7.3");
/// id-ct-authEnvelopedData (RFC 5083 section 2).
pub(super) const AUTH_ENVELOPED_DATA: ObjectIdentifier = oid("1.2.840.113549.1.9.16.1.23");
/// id-data (RFC 5652 section 4).
pub(super) const DATA: ObjectIdentifier = oid("1.2.840.113549.1.7.1");
/// id-contentType (RFC 5652 section 11.1).
pub(super) const CONTENT_TYPE_ATTRIBUTE: ObjectIdentifier = oid("1.2.840.113549.1.9.3");

/// rsaEncryption, which is RSAES-PKCS1-v1_5 here (RFC 3370 section 4.2.1).
pub(super) const RSA_ENCRYPTION: ObjectIdentifier = oid("1.2.840.113549.1.1.1");
/// id-RSAES-OAEP (RFC 4055 section 4.1).
pub(super) const RSAES_OAEP: ObjectIdentifier = oid("1.2.840.113549.1.1.7");
/// id-mgf1 (RFC 4055 section 2.2).
pub(super) const MGF1: ObjectIdentifier = oid("1.2.840.113549.1.1.8");
/// id-pSpecified (RFC 4055 section 4.1).
pub(super) const P_SPECIFIED: ObjectIdentifier = oid("1.2.840.113549.1.1.9");
/// id-ecPublicKey (RFC 5480 section 2.1.1).
pub(super) const EC_PUBLIC_KEY: ObjectIdentifier = oid("1.2.840.10045.2.1");

/// Hash functions (RFC 4055 section 2.1, and RFC 5754 section 2 with FIPS 180-4 for the truncated ones). What is written has one of those of
/// [`fips::digest::Hash`].
pub(super) const HASHES: [(ObjectIdentifier, FileHash); 7] = [
    (oid("1.3.14.3.2.26"), FileHash::Sha1),
    (oid("2.16.840.1.101.3.4.2.4"), FileHash::Sha224),
    (oid("2.16.840.1.101.3.4.2.1"), FileHash::Sha256),
    (oid("2.16.840.1.101.3.4.2.2"), FileHash::Sha384),
    (oid("2.16.840.1.101.3.4.2.3"), FileHash::Sha512),
    (oid("2.16.840.1.101.3.4.2.5"), FileHash::Sha512_224),
    (oid("2.16.840.1.101.3.4.2.6"), FileHash::Sha512_256),
];

/// dhSinglePass-stdDH and dhSinglePass-cofactorDH with the hash of their X9.63 KDF (RFC 5753 section 7.1.4). The cofactor of the NIST
/// curves is 1, so that both are the same.
pub(super) const AGREEMENTS: [(ObjectIdentifier, FileHash); 10] = [
    (oid("1.3.133.16.840.63.0.2"), FileHash::Sha1),
    (oid("1.3.132.1.11.0"), FileHash::Sha224),
    (oid("1.3.132.1.11.1"), FileHash::Sha256),
    (oid("1.3.132.1.11.2"), FileHash::Sha384),
    (oid("1.3.132.1.11.3"), FileHash::Sha512),
    (oid("1.3.133.16.840.63.0.3"), FileHash::Sha1),
    (oid("1.3.132.1.14.0"), FileHash::Sha224),
    (oid("1.3.132.1.14.1"), FileHash::Sha256),
    (oid("1.3.132.1.14.2"), FileHash::Sha384),
    (oid("1.3.132.1.14.3"), FileHash::Sha512),
];

/// What wraps a content key under an agreed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrap {
    /// AES, with the length of its key in bytes (RFC 3565 section 2.3.2).
    Aes(usize),
    /// Triple DES (RFC 3370 section 4.3.1, RFC 3217): read only.
    DesEde3,
}

pub(super) const WRAPS: [(ObjectIdentifier, Wrap); 4] = [
    (oid("2.16.840.1.101.3.4.1.5"), Wrap::Aes(16)),
    (oid("2.16.840.1.101.3.4.1.25"), Wrap::Aes(24)),
    (oid("2.16.840.1.101.3.4.1.45"), Wrap::Aes(32)),
    (oid("1.2.840.113549.1.9.16.3.6"), Wrap::DesEde3),
];

/// What encrypts the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cipher {
    /// AES-CBC, with the length of its key in bytes (RFC 3565).
    AesCbc(usize),
    /// AES-GCM (RFC 5084).
    AesGcm(usize),
    /// Triple DES in CBC mode (RFC 3370 section 5.1).
    DesEde3Cbc,
    /// RC2 in CBC mode (RFC 3370 section 5.2).
    Rc2Cbc,
}

const CIPHERS: [(ObjectIdentifier, Cipher); 7] = [
    (oid("2.16.840.1.101.3.4.1.2"), Cipher::AesCbc(16)),
    (oid("2.16.840.1.101.3.4.1.22"), Cipher::AesCbc(24)),
    (oid("2.16.840.1.101.3.4.1.42"), Cipher::AesCbc(32)),
    (oid("2.16.840.1.101.3.4.1.6"), Cipher::AesGcm(16)),
    (oid("2.16.840.1.101.3.4.1.46"), Cipher::AesGcm(32)),
    (oid("1.2.840.113549.3.7"), Cipher::DesEde3Cbc),
    (oid("1.2.840.113549.3.2"), Cipher::Rc2Cbc),
];

/// Names of what is refused or shown, where the common list has none or an abbreviation.
const NAMES: [(&str, &str); 28] = [
    ("1.2.840.113549.1.7.1", "data"),
    ("1.2.840.113549.1.7.2", "SignedData"),
    ("1.2.840.113549.1.7.5", "DigestedData"),
    ("1.2.840.113549.1.7.6", "EncryptedData"),
    ("1.2.840.113549.1.9.16.1.2", "AuthenticatedData"),
    ("1.2.840.113549.1.9.16.1.9", "CompressedData"),
    ("2.16.840.1.101.3.4.1.2", "AES-128-CBC"),
    ("2.16.840.1.101.3.4.1.22", "AES-192-CBC"),
    ("2.16.840.1.101.3.4.1.42", "AES-256-CBC"),
    ("2.16.840.1.101.3.4.1.6", "AES-128-GCM"),
    ("2.16.840.1.101.3.4.1.26", "AES-192-GCM"),
    ("2.16.840.1.101.3.4.1.46", "AES-256-GCM"),
    ("2.16.840.1.101.3.4.1.7", "AES-128-CCM"),
    ("2.16.840.1.101.3.4.1.27", "AES-192-CCM"),
    ("2.16.840.1.101.3.4.1.47", "AES-256-CCM"),
    ("1.3.14.3.2.7", "DES-CBC"),
    ("1.2.392.200011.61.1.1.1.2", "Camellia-128-CBC"),
    ("1.2.392.200011.61.1.1.1.3", "Camellia-192-CBC"),
    ("1.2.392.200011.61.1.1.1.4", "Camellia-256-CBC"),
    ("1.2.840.113549.1.9.16.3.18", "ChaCha20-Poly1305"),
    (
        "1.2.840.113549.1.9.16.3.31",
        "a content key derived with HKDF (RFC 9709)",
    ),
    (
        "1.2.840.113549.1.9.16.3.5",
        "ephemeral-static Diffie-Hellman",
    ),
    ("1.2.840.113549.1.9.16.3.7", "RC2 key wrap"),
    ("1.3.133.16.840.63.0.16", "ECMQV with SHA-1"),
    ("1.3.132.1.15.1", "ECMQV with SHA-256"),
    (
        "1.2.840.113549.1.9.16.13.3",
        "a key encapsulation (KEMRecipientInfo)",
    ),
    ("1.3.101.110", "X25519"),
    ("1.3.101.111", "X448"),
];

/// An object identifier in words: `AES-256-CCM (2.16.840.1.101.3.4.1.47)`.
pub(super) fn name(oid: &ObjectIdentifier) -> String {
    let numbers = oid.to_string();
    match NAMES.iter().find(|(known, _)| *known == numbers) {
        Some((_, name)) => format!("{name} ({numbers})"),
        None => words::oid(oid),
    }
}

pub(super) fn find<T: Copy>(list: &[(ObjectIdentifier, T)], oid: &ObjectIdentifier) -> Option<T> {
    list.iter()
        .find_map(|(known, value)| (known == oid).then_some(*value))
}

pub(super) fn cipher(oid: &ObjectIdentifier) -> Option<Cipher> {
    find(&CIPHERS, oid)
}
