//! The object identifiers of hash functions and of HMAC with them, and the parameters that these have not.

use super::PfxError;
use const_oid::ObjectIdentifier;
use fips::digest::FileHash;
use spki::AlgorithmIdentifierRef;

/// digestAlgorithm of RFC 7292's DigestInfo (RFC 8017 appendix B.1), with its name in facts.
const DIGESTS: [(&str, FileHash); 8] = [
    ("1.2.840.113549.2.5", FileHash::Md5),
    ("1.3.14.3.2.26", FileHash::Sha1),
    ("2.16.840.1.101.3.4.2.4", FileHash::Sha224),
    ("2.16.840.1.101.3.4.2.1", FileHash::Sha256),
    ("2.16.840.1.101.3.4.2.2", FileHash::Sha384),
    ("2.16.840.1.101.3.4.2.3", FileHash::Sha512),
    ("2.16.840.1.101.3.4.2.5", FileHash::Sha512_224),
    ("2.16.840.1.101.3.4.2.6", FileHash::Sha512_256),
];

/// HMAC (RFC 8018 appendix B.1; the two older names are of the IPsec arc, RFC 4231 and RFC 3370).
const HMACS: [(&str, FileHash); 10] = [
    ("1.2.840.113549.2.6", FileHash::Md5),
    ("1.3.6.1.5.5.8.1.1", FileHash::Md5),
    ("1.2.840.113549.2.7", FileHash::Sha1),
    ("1.3.6.1.5.5.8.1.2", FileHash::Sha1),
    ("1.2.840.113549.2.8", FileHash::Sha224),
    ("1.2.840.113549.2.9", FileHash::Sha256),
    ("1.2.840.113549.2.10", FileHash::Sha384),
    ("1.2.840.113549.2.11", FileHash::Sha512),
    ("1.2.840.113549.2.12", FileHash::Sha512_224),
    ("1.2.840.113549.2.13", FileHash::Sha512_256),
];

/// What is known of a named algorithm: the hash, or the name of one that is not supported.
pub(super) type Known = Result<FileHash, ObjectIdentifier>;

/// The hash function of this name.
pub(super) fn digest(oid: &ObjectIdentifier) -> Known {
    find(&DIGESTS, oid)
}

/// The hash function of the HMAC of this name.
pub(super) fn hmac(oid: &ObjectIdentifier) -> Known {
    find(&HMACS, oid)
}

fn find(table: &[(&str, FileHash)], oid: &ObjectIdentifier) -> Known {
    let numbers = oid.to_string();
    table
        .iter()
        .find_map(|(known, hash)| (*known == numbers).then_some(*hash))
        .ok_or(*oid)
}

/// Its name in facts: `sha256`, `sha512-256`.
pub(super) const fn name(hash: FileHash) -> &'static str {
    match hash {
        FileHash::Md5 => "md5",
        FileHash::Sha1 => "sha1",
        FileHash::Sha224 => "sha224",
        FileHash::Sha256 => "sha256",
        FileHash::Sha384 => "sha384",
        FileHash::Sha512 => "sha512",
        FileHash::Sha512_224 => "sha512-224",
        FileHash::Sha512_256 => "sha512-256",
    }
}

/// Hashes and HMACs have no parameters: NULL, or nothing (GnuTLS and NSS leave the NULL out).
pub(super) fn check_no_parameters(
    algorithm: &AlgorithmIdentifierRef<'_>,
    what: &'static str,
) -> Result<(), PfxError> {
    match algorithm.parameters {
        Some(parameters) if !parameters.is_null() => Err(PfxError::Malformed { what }),
        _ => Ok(()),
    }
}
