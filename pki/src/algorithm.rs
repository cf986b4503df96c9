//! Which signature algorithm an AlgorithmIdentifier and a key make, by comparison with the few encodings that are accepted; and the one
//! encoding of each that is written.
//!
//! A table of whole encodings instead of a parser: SHA-2 with ECDSA (RFC 5758), RSASSA-PKCS1-v1_5 (RFC 4055) and RSASSA-PSS with
//! the usual parameters (RFC 4055: MGF1 with the same hash, salt as long as the hash). SHA-1 and everything else is not in it.

use der::Decode;
use fips::digest::Hash;
use fips::sign::SignatureAlgorithm;
use spki::AlgorithmIdentifierOwned;

/// Why a signature is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The algorithm is none of those that are accepted, or not one of this kind of key.
    #[error(
        "its signature algorithm is not accepted with its signer's key (accepted: SHA-256, SHA-384 and SHA-512 with ECDSA on P-256, P-384 \
         and P-521, RSA PKCS#1 v1.5, or RSA-PSS with MGF1 of the same hash and a salt of its length)"
    )]
    Algorithm,
    /// The signature is wrong, or the key is none that verifies; the module says which.
    #[error("its signature does not verify: {0}")]
    Signature(fips::Error),
}

/// Checks `signature` over `message` with the key of `signer_spki` (DER) and the algorithm that `identifier` (DER) names.
///
/// # Errors
/// [`VerifyError`].
pub fn verify(
    identifier: &[u8],
    signer_spki: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), VerifyError> {
    let algorithm = algorithm(identifier, signer_spki).ok_or(VerifyError::Algorithm)?;
    fips::sign::verify(algorithm, signer_spki, message, signature).map_err(VerifyError::Signature)
}

/// The AlgorithmIdentifier (DER) that is written for an algorithm: RSA PKCS#1 v1.5 with NULL (RFC 4055 section 5), ECDSA without parameters
/// (RFC 5758 section 3.2), PSS with every parameter in full and NULL for both hashes (RFC 4055 section 2.1).
#[must_use]
pub fn identifier_der(algorithm: SignatureAlgorithm) -> Vec<u8> {
    use SignatureAlgorithm as A;
    let with = |head: &[u8], tail: &[u8]| [head, tail].concat();
    match algorithm {
        A::EcdsaP256Sha256 | A::EcdsaP384Sha256 | A::EcdsaP521Sha256 => with(ECDSA, &[0x02]),
        A::EcdsaP256Sha384 | A::EcdsaP384Sha384 | A::EcdsaP521Sha384 => with(ECDSA, &[0x03]),
        A::EcdsaP256Sha512 | A::EcdsaP384Sha512 | A::EcdsaP521Sha512 => with(ECDSA, &[0x04]),
        A::RsaPkcs1Sha256 => with(RSA_PKCS1, &[0x0b, 0x05, 0x00]),
        A::RsaPkcs1Sha384 => with(RSA_PKCS1, &[0x0c, 0x05, 0x00]),
        A::RsaPkcs1Sha512 => with(RSA_PKCS1, &[0x0d, 0x05, 0x00]),
        A::RsaPssSha256 => pss_identifier(0x01, 32, (true, true)),
        A::RsaPssSha384 => pss_identifier(0x02, 48, (true, true)),
        A::RsaPssSha512 => pss_identifier(0x03, 64, (true, true)),
    }
}

/// The same as a structure, for certificates, lists and requests that are built from structures.
///
/// # Errors
/// None that has been seen: what [`identifier_der`] writes is decoded.
pub fn identifier(algorithm: SignatureAlgorithm) -> Result<AlgorithmIdentifierOwned, der::Error> {
    AlgorithmIdentifierOwned::from_der(&identifier_der(algorithm))
}

/// What a signature algorithm is called in a report: `RSA-PSS with SHA-256`.
#[must_use]
pub fn words(algorithm: SignatureAlgorithm) -> String {
    use SignatureAlgorithm as A;
    let hash = match algorithm.hash() {
        Hash::Sha384 => "SHA-384",
        Hash::Sha512 => "SHA-512",
        _ => "SHA-256",
    };
    let scheme = match algorithm {
        A::RsaPkcs1Sha256 | A::RsaPkcs1Sha384 | A::RsaPkcs1Sha512 => "RSA PKCS#1 v1.5",
        A::RsaPssSha256 | A::RsaPssSha384 | A::RsaPssSha512 => "RSA-PSS",
        _ => "ECDSA",
    };
    format!("{scheme} with {hash}")
}

/// The kind of a public key, by the head of its SubjectPublicKeyInfo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// rsaEncryption (RFC 8017).
    Rsa,
    /// id-RSASSA-PSS (RFC 4055): an RSA key that may only sign.
    RsaPss,
    /// secp256r1.
    P256,
    /// secp384r1.
    P384,
    /// secp521r1.
    P521,
}

/// AlgorithmIdentifier of rsaEncryption.
const RSA_ENCRYPTION: &[u8] = &[
    0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];
/// id-RSASSA-PSS.
const RSASSA_PSS: &[u8] = &[
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a,
];
/// Everything before the point in the SubjectPublicKeyInfo of an uncompressed key on a named curve (RFC 5480).
const P256_HEAD: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
const P384_HEAD: &[u8] = &[
    0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b,
    0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00,
];
const P521_HEAD: &[u8] = &[
    0x30, 0x81, 0x9b, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05,
    0x2b, 0x81, 0x04, 0x00, 0x23, 0x03, 0x81, 0x86, 0x00,
];

impl KeyKind {
    /// The kind of a key by its SubjectPublicKeyInfo (DER); `None` for kinds that are not known here.
    #[must_use]
    pub fn of(spki_der: &[u8]) -> Option<Self> {
        if let Some((kind, _)) = ec_point(spki_der) {
            return Some(kind);
        }
        let algorithm = match spki_der {
            [0x30, 0x82, _, _, rest @ ..] | [0x30, 0x81, _, rest @ ..] | [0x30, _, rest @ ..] => {
                rest
            }
            _ => return None,
        };
        if algorithm.starts_with(RSA_ENCRYPTION) {
            return Some(Self::Rsa);
        }
        match algorithm {
            [0x30, _, rest @ ..] if rest.starts_with(RSASSA_PSS) => Some(Self::RsaPss),
            _ => None,
        }
    }
}

/// Curve and uncompressed point of an EC key's SubjectPublicKeyInfo (DER); `None` when it is anything else.
#[must_use]
pub fn ec_point(spki_der: &[u8]) -> Option<(KeyKind, &[u8])> {
    [
        (P256_HEAD, KeyKind::P256, 65),
        (P384_HEAD, KeyKind::P384, 97),
        (P521_HEAD, KeyKind::P521, 133),
    ]
    .into_iter()
    .find_map(|(head, kind, point_bytes)| {
        let point = spki_der.strip_prefix(head)?;
        (point.len() == point_bytes && point.first() == Some(&0x04)).then_some((kind, point))
    })
}

/// The SubjectPublicKeyInfo (DER) of an uncompressed point on a named curve (RFC 5480); `None` for a point of another length or form, or
/// for a kind that is not EC. Whether the point is on the curve is not looked at.
#[must_use]
pub fn ec_spki(kind: KeyKind, point: &[u8]) -> Option<Vec<u8>> {
    let head = match kind {
        KeyKind::P256 => P256_HEAD,
        KeyKind::P384 => P384_HEAD,
        KeyKind::P521 => P521_HEAD,
        KeyKind::Rsa | KeyKind::RsaPss => return None,
    };
    let spki = [head, point].concat();
    ec_point(&spki).is_some().then_some(spki)
}

/// ecdsa-with-SHA2 up to its last byte: 2 SHA-256, 3 SHA-384, 4 SHA-512.
const ECDSA: &[u8] = &[
    0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03,
];
/// shaNNNWithRSAEncryption up to its last byte (11 SHA-256, 12 SHA-384, 13 SHA-512), which NULL follows.
const RSA_PKCS1: &[u8] = &[
    0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01,
];

/// The algorithm that an AlgorithmIdentifier (DER, with its header) means with the signer's key; `None` when it is not accepted.
#[must_use]
pub fn algorithm(identifier: &[u8], signer_spki: &[u8]) -> Option<SignatureAlgorithm> {
    use SignatureAlgorithm as A;
    match KeyKind::of(signer_spki)? {
        KeyKind::P256 => match identifier.strip_prefix(ECDSA)? {
            [0x02] => Some(A::EcdsaP256Sha256),
            [0x03] => Some(A::EcdsaP256Sha384),
            [0x04] => Some(A::EcdsaP256Sha512),
            _ => None,
        },
        KeyKind::P384 => match identifier.strip_prefix(ECDSA)? {
            [0x02] => Some(A::EcdsaP384Sha256),
            [0x03] => Some(A::EcdsaP384Sha384),
            [0x04] => Some(A::EcdsaP384Sha512),
            _ => None,
        },
        KeyKind::P521 => match identifier.strip_prefix(ECDSA)? {
            [0x02] => Some(A::EcdsaP521Sha256),
            [0x03] => Some(A::EcdsaP521Sha384),
            [0x04] => Some(A::EcdsaP521Sha512),
            _ => None,
        },
        KeyKind::Rsa => match identifier.strip_prefix(RSA_PKCS1) {
            Some([0x0b, 0x05, 0x00]) => Some(A::RsaPkcs1Sha256),
            Some([0x0c, 0x05, 0x00]) => Some(A::RsaPkcs1Sha384),
            Some([0x0d, 0x05, 0x00]) => Some(A::RsaPkcs1Sha512),
            _ => pss(identifier),
        },
        // The key's own restrictions would have to be read; nobody has asked for such authorities yet.
        KeyKind::RsaPss => None,
    }
}

/// RSASSA-PSS whose parameters are the hash, MGF1 with it, a salt of its length and the default trailer.
fn pss(identifier: &[u8]) -> Option<SignatureAlgorithm> {
    [
        (0x01, 32, SignatureAlgorithm::RsaPssSha256),
        (0x02, 48, SignatureAlgorithm::RsaPssSha384),
        (0x03, 64, SignatureAlgorithm::RsaPssSha512),
    ]
    .into_iter()
    .find_map(|(hash, salt_bytes, algorithm)| {
        // NULL and no parameters mean the same for a hash (RFC 4055 section 2.1), and both are in use.
        [(false, false), (true, true), (true, false), (false, true)]
            .into_iter()
            .any(|nulls| pss_identifier(hash, salt_bytes, nulls) == identifier)
            .then_some(algorithm)
    })
}

fn pss_identifier(hash: u8, salt_bytes: u8, nulls: (bool, bool)) -> Vec<u8> {
    let sha2 = |null: bool| {
        let mut content = vec![
            0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, hash,
        ];
        if null {
            content.extend([0x05, 0x00]);
        }
        element(0x30, content)
    };
    let mut mgf1 = vec![
        0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08,
    ];
    mgf1.extend(sha2(nulls.1));
    let mut parameters = element(0xa0, sha2(nulls.0));
    parameters.extend(element(0xa1, element(0x30, mgf1)));
    parameters.extend(element(0xa2, vec![0x02, 0x01, salt_bytes]));
    let mut identifier = RSASSA_PSS.to_vec();
    identifier.extend(element(0x30, parameters));
    element(0x30, identifier)
}

/// A DER element of less than 128 bytes, which all of these are.
fn element(tag: u8, content: Vec<u8>) -> Vec<u8> {
    let mut bytes = vec![tag, u8::try_from(content.len()).unwrap_or(0)];
    bytes.extend(content);
    bytes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use der::Encode;
    use fips::policy::Policy;
    use fips::sign::{KeyKind as Generated, SigningKey};

    #[test]
    fn every_algorithm_is_written_in_der_and_found_again_with_its_kind_of_key_alone() {
        fips::start(Policy::STRICT).unwrap();
        let keys = [
            Generated::EcP256,
            Generated::EcP384,
            Generated::EcP521,
            Generated::Rsa(2048),
        ]
        .map(|kind| SigningKey::generate(kind).unwrap());
        for wanted in SignatureAlgorithm::ALL {
            let written = identifier_der(wanted);
            assert_eq!(identifier(wanted).unwrap().to_der().unwrap(), written);
            for key in &keys {
                // ECDSA names the hash alone: the curve is the key's.
                let curve = key.algorithm().curve();
                let found = algorithm(&written, key.spki_der());
                match (curve, wanted.curve()) {
                    (None, None) => assert_eq!(found, Some(wanted)),
                    (Some(_), Some(_)) => {
                        let found = found.unwrap();
                        assert_eq!((found.curve(), found.hash()), (curve, wanted.hash()));
                        assert!(curve != wanted.curve() || found == wanted);
                    }
                    _ => assert_eq!(found, None),
                }
            }
            let mut cut = written.clone();
            cut.pop();
            assert!(
                keys.iter()
                    .all(|key| algorithm(&cut, key.spki_der()).is_none())
            );
        }
    }
}
