//! Password-based encryption: PBES2 with PBKDF2 and AES-CBC (RFC 8018 section 6.2, RFC 3565, RFC 9579 for the hashes in use).

use super::PfxError;
use super::encoding::Password;
use super::limits::{Budget, Iterations};
use super::model::{Algorithm, EncryptionFacts, EncryptionScheme};
use crate::words;
use const_oid::ObjectIdentifier;
use der::asn1::{AnyRef, IntRef, OctetStringRef};
use der::{Any, Decode, Encode, Sequence};
use fips::digest::Hash;
use fips::secret::SecretBytes;
use pkcs12::pbe_params::Pbes2Params;
use spki::{AlgorithmIdentifierOwned, AlgorithmIdentifierRef};

const PBES2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.13");
const PBKDF2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.12");
const HMAC_SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.7");
const PRFS: [(ObjectIdentifier, Hash); 4] = [
    (HMAC_SHA1, Hash::Sha1),
    (
        ObjectIdentifier::new_unwrap("1.2.840.113549.2.9"),
        Hash::Sha256,
    ),
    (
        ObjectIdentifier::new_unwrap("1.2.840.113549.2.10"),
        Hash::Sha384,
    ),
    (
        ObjectIdentifier::new_unwrap("1.2.840.113549.2.11"),
        Hash::Sha512,
    ),
];
/// AES-CBC with the length of its key in bytes.
const CIPHERS: [(ObjectIdentifier, usize); 3] = [
    (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.2"), 16),
    (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.22"), 24),
    (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.42"), 32),
];

/// ```text
/// PBKDF2-params ::= SEQUENCE {
///     salt CHOICE { specified OCTET STRING, otherSource AlgorithmIdentifier },
///     iterationCount INTEGER (1..MAX),
///     keyLength INTEGER (1..MAX) OPTIONAL,
///     prf AlgorithmIdentifier DEFAULT algid-hmacWithSHA1 }
/// ```
#[derive(Sequence)]
struct Pbkdf2Params<'a> {
    salt: AnyRef<'a>,
    iterations: IntRef<'a>,
    key_length: Option<u16>,
    prf: Option<AlgorithmIdentifierRef<'a>>,
}

/// What is known of an encryption from its AlgorithmIdentifier.
pub(super) fn describe(
    algorithm: &AlgorithmIdentifierRef<'_>,
) -> Result<EncryptionFacts, PfxError> {
    let supported = algorithm.oid == PBES2;
    Ok(EncryptionFacts {
        algorithm: Algorithm {
            name: algorithm.oid.to_string(),
            text: words::oid(&algorithm.oid),
            supported,
            approved: false,
            not_approved_because: None,
        },
        scheme: match supported {
            true => EncryptionScheme::Pbes2,
            false => EncryptionScheme::Unknown,
        },
        kdf: None,
        prf: None,
        cipher: None,
        key_bits: None,
        iterations: None,
        salt_bytes: None,
    })
}

/// Decrypts with the algorithm that is named.
pub(super) fn decrypt(
    algorithm: &AlgorithmIdentifierRef<'_>,
    ciphertext: &[u8],
    password: &Password,
    budget: &mut Budget,
) -> Result<SecretBytes, PfxError> {
    const BROKEN: PfxError = PfxError::Malformed {
        what: "the parameters of its encryption do not parse",
    };
    if algorithm.oid != PBES2 {
        return Err(PfxError::unsupported(words::oid(&algorithm.oid)));
    }
    let parameters = algorithm.parameters.as_ref().ok_or(BROKEN)?;
    let parameters: Pbes2Params = parameters.decode_as().map_err(|_| BROKEN)?;
    let (key_bytes, iv) = cipher(&parameters.encryption)?;
    if parameters.kdf.oid != PBKDF2 {
        return Err(PfxError::unsupported(words::oid(&parameters.kdf.oid)));
    }
    let kdf_der = parameters
        .kdf
        .parameters
        .as_ref()
        .and_then(|any: &Any| any.to_der().ok())
        .ok_or(BROKEN)?;
    let kdf = Pbkdf2Params::from_der(&kdf_der).map_err(|_| BROKEN)?;
    let salt = kdf
        .salt
        .decode_as::<&OctetStringRef>()
        .map_err(|_| PfxError::unsupported("PBKDF2 with a salt from another source"))?;
    let prf = prf(kdf.prf.as_ref())?;
    if kdf
        .key_length
        .is_some_and(|length| usize::from(length) != key_bytes)
    {
        return Err(PfxError::Malformed {
            what: "PBKDF2 names another key length than the cipher has",
        });
    }
    let iterations = Iterations::parse(kdf.iterations.as_bytes(), budget)?;
    let blocks = u64::try_from(key_bytes.div_ceil(prf.output_len())).unwrap_or(u64::MAX);
    budget.spend(iterations, blocks)?;
    let key = fips::kdf::pbkdf2(
        prf,
        password.octets(),
        salt.as_bytes(),
        iterations.get(),
        key_bytes,
    )
    .map_err(|error| PfxError::from_module(error, BROKEN))?;
    // Whether that is another password, or another encoding of it, is for the caller to find out.
    fips::aes::cbc_decrypt(&key, &iv, ciphertext)
        .map_err(|error| PfxError::from_module(error, PfxError::WrongPassword))
}

/// Key length and initialisation vector of the cipher.
fn cipher(algorithm: &AlgorithmIdentifierOwned) -> Result<(usize, [u8; 16]), PfxError> {
    let key_bytes = CIPHERS
        .iter()
        .find_map(|(oid, bytes)| (*oid == algorithm.oid).then_some(*bytes))
        .ok_or_else(|| PfxError::unsupported(words::oid(&algorithm.oid)))?;
    let iv = algorithm
        .parameters
        .as_ref()
        .and_then(|any| any.decode_as::<&OctetStringRef>().ok())
        .and_then(|iv| iv.as_bytes().try_into().ok())
        .ok_or(PfxError::Malformed {
            what: "the initialisation vector of AES is missing or not of 16 bytes",
        })?;
    Ok((key_bytes, iv))
}

/// The hash of the pseudo-random function; its parameters are NULL or missing (RFC 8018 appendix B.1.2; GnuTLS and NSS leave them out).
fn prf(algorithm: Option<&AlgorithmIdentifierRef<'_>>) -> Result<Hash, PfxError> {
    let Some(algorithm) = algorithm else {
        return Ok(Hash::Sha1);
    };
    if algorithm
        .parameters
        .is_some_and(|parameters| !parameters.is_null())
    {
        return Err(PfxError::Malformed {
            what: "the pseudo-random function of PBKDF2 has parameters",
        });
    }
    PRFS.iter()
        .find_map(|(oid, hash)| (*oid == algorithm.oid).then_some(*hash))
        .ok_or_else(|| PfxError::unsupported(words::oid(&algorithm.oid)))
}
