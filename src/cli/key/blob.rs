//! BCRYPT_RSAFULLPRIVATE_BLOB, as Microsoft's tools export a private key, to the PrivateKeyInfo that tokens unwrap.
//!
//! The clear key exists in this process only, in memory that is overwritten, from the file to the moment when it is wrapped.

use crate::cli::output::Failure;
use der::asn1::{Null, ObjectIdentifier, OctetStringRef, UintRef};
use der::{Encode, Sequence};
use fips::rsa::PrivateKey;
use fips::secret::SecretBytes;
use hsm::public_key::PublicKey;

/// BCRYPT_RSAFULLPRIVATE_MAGIC, "RSA3" in little-endian order.
const MAGIC: u32 = 0x3341_5352;
/// rsaEncryption (RFC 8017, appendix A.1).
const RSA_ENCRYPTION: ObjectIdentifier = const_oid::db::rfc5912::RSA_ENCRYPTION;

/// ```text
/// RSAPrivateKey ::= SEQUENCE {
///     version Version, modulus INTEGER, publicExponent INTEGER, privateExponent INTEGER, prime1 INTEGER, prime2 INTEGER,
///     exponent1 INTEGER, exponent2 INTEGER, coefficient INTEGER }
/// ```
/// RFC 8017, appendix A.1.2; version 0 (two primes).
#[derive(Sequence)]
struct RsaPrivateKey<'a> {
    version: u8,
    modulus: UintRef<'a>,
    public_exponent: UintRef<'a>,
    private_exponent: UintRef<'a>,
    prime1: UintRef<'a>,
    prime2: UintRef<'a>,
    exponent1: UintRef<'a>,
    exponent2: UintRef<'a>,
    coefficient: UintRef<'a>,
}

/// ```text
/// PrivateKeyInfo ::= SEQUENCE { version Version, privateKeyAlgorithm AlgorithmIdentifier, privateKey OCTET STRING }
/// ```
/// RFC 5208, section 5.
#[derive(Sequence)]
struct PrivateKeyInfo<'a> {
    version: u8,
    algorithm: Algorithm,
    private_key: &'a OctetStringRef,
}

#[derive(Sequence)]
struct Algorithm {
    oid: ObjectIdentifier,
    parameters: Null,
}

/// A private key out of a blob, looked at by the module.
pub(super) struct Exported {
    /// PrivateKeyInfo (DER).
    pub(super) pkcs8: SecretBytes,
    /// The public half.
    pub(super) public: PublicKey,
}

/// The numbers of a blob, in its order.
struct Numbers<'a> {
    exponent: &'a [u8],
    modulus: &'a [u8],
    /// p, q, dP, dQ, qInv.
    crt: [&'a [u8]; 5],
    private_exponent: &'a [u8],
}

/// Reads a blob: lengths that fit each other exactly, a modulus of 2048, 3072 or 4096 bits, and numbers that are one key.
pub(super) fn read(blob: &[u8]) -> Result<Exported, Failure> {
    let numbers = split(blob).ok_or_else(|| {
        malformed("its lengths or its magic are not those of an RSAFULLPRIVATEBLOB")
    })?;
    let public = PublicKey::from_components(numbers.modulus, numbers.exponent)
        .map_err(|error| malformed(&error.to_string()))?;
    if ![2048, 3072, 4096].contains(&public.modulus_bits()) {
        return Err(malformed("the modulus has not 2048, 3072 or 4096 bits"));
    }
    let pkcs8 = encode(&numbers).map_err(|_| malformed("one of its numbers is empty"))?;
    // The module checks that n = p q, and that the exponents belong to it.
    let read_back = PrivateKey::from_pkcs8(pkcs8.expose())
        .and_then(|key| key.public())
        .map_err(|_| malformed("its numbers are not one RSA key"))?;
    if read_back.spki_der() != public.to_spki_der()? {
        return Err(malformed("its public and its private half are of two keys"));
    }
    Ok(Exported { pkcs8, public })
}

fn malformed(reason: &str) -> Failure {
    Failure::failed("private_blob", format!("the blob cannot be used: {reason}"))
        .hint("it is what Export-IntunePrivateKey writes: BCRYPT_RSAFULLPRIVATE_BLOB")
}

fn split(blob: &[u8]) -> Option<Numbers<'_>> {
    let mut words = [0_u32; 6];
    let mut rest = blob;
    for word in &mut words {
        let (bytes, tail) = rest.split_first_chunk()?;
        *word = u32::from_le_bytes(*bytes);
        rest = tail;
    }
    let [
        magic,
        bits,
        exponent_len,
        modulus_len,
        prime1_len,
        prime2_len,
    ] = words;
    if magic != MAGIC || prime1_len != prime2_len || modulus_len.checked_mul(8)? != bits {
        return None;
    }
    let [exponent_len, modulus_len, prime_len] = [exponent_len, modulus_len, prime1_len]
        .map(|len| usize::try_from(len).unwrap_or(usize::MAX));
    let mut take = |len: usize| {
        let (number, tail) = rest.split_at_checked(len)?;
        rest = tail;
        Some(number)
    };
    let (exponent, modulus) = (take(exponent_len)?, take(modulus_len)?);
    let crt = [
        take(prime_len)?,
        take(prime_len)?,
        take(prime_len)?,
        take(prime_len)?,
        take(prime_len)?,
    ];
    let private_exponent = take(modulus_len)?;
    rest.is_empty().then_some(Numbers {
        exponent,
        modulus,
        crt,
        private_exponent,
    })
}

/// The encoder writes into a vector of the right size at once, so that no piece of the key stays behind.
fn encode(numbers: &Numbers<'_>) -> der::Result<SecretBytes> {
    let [p, q, dp, dq, qinv] = numbers.crt;
    let key = RsaPrivateKey {
        version: 0,
        modulus: UintRef::new(numbers.modulus)?,
        public_exponent: UintRef::new(numbers.exponent)?,
        private_exponent: UintRef::new(numbers.private_exponent)?,
        prime1: UintRef::new(p)?,
        prime2: UintRef::new(q)?,
        exponent1: UintRef::new(dp)?,
        exponent2: UintRef::new(dq)?,
        coefficient: UintRef::new(qinv)?,
    };
    let key = secret(&key)?;
    secret(&PrivateKeyInfo {
        version: 0,
        algorithm: Algorithm {
            oid: RSA_ENCRYPTION,
            parameters: Null,
        },
        private_key: OctetStringRef::new(key.expose())?,
    })
}

fn secret(value: &impl Encode) -> der::Result<SecretBytes> {
    let len = usize::try_from(u32::from(value.encoded_len()?)).unwrap_or(usize::MAX);
    let mut bytes = SecretBytes::zeroed(len);
    value.encode_to_slice(bytes.expose_mut())?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]
    use super::*;
    use der::{Decode, asn1::OctetString};

    /// The numbers of a key as the module made it, in the order of a blob.
    fn blob_of(key: &PrivateKey) -> Vec<u8> {
        let der = key.pkcs8_der().unwrap();
        // PrivateKeyInfo, with the OCTET STRING as its last part.
        #[derive(Sequence)]
        struct Info {
            version: u8,
            algorithm: Algorithm,
            key: OctetString,
        }
        let info = Info::from_der(der.expose()).unwrap();
        let rsa = RsaPrivateKey::from_der(info.key.as_bytes()).unwrap();
        let modulus = rsa.modulus.as_bytes();
        let half = modulus.len() / 2;
        let fill = |number: UintRef<'_>, len: usize| {
            let bytes = number.as_bytes();
            [vec![0; len - bytes.len()], bytes.to_vec()].concat()
        };
        let bits = u32::try_from(modulus.len() * 8).unwrap();
        let exponent = rsa.public_exponent.as_bytes();
        let word = |value: usize| u32::try_from(value).unwrap().to_le_bytes().to_vec();
        [
            MAGIC.to_le_bytes().to_vec(),
            bits.to_le_bytes().to_vec(),
            word(exponent.len()),
            word(modulus.len()),
            word(half),
            word(half),
            exponent.to_vec(),
            modulus.to_vec(),
            fill(rsa.prime1, half),
            fill(rsa.prime2, half),
            fill(rsa.exponent1, half),
            fill(rsa.exponent2, half),
            fill(rsa.coefficient, half),
            fill(rsa.private_exponent, modulus.len()),
        ]
        .concat()
    }

    #[test]
    fn a_blob_becomes_the_same_key_that_the_module_has() {
        let key = PrivateKey::generate(2048).unwrap();
        let exported = read(&blob_of(&key)).unwrap();
        assert!(exported.pkcs8.ct_eq(key.pkcs8_der().unwrap().expose()));
        let spki = key.public().unwrap().spki_der().to_vec();
        assert_eq!(exported.public.to_spki_der().unwrap(), spki);
    }

    #[test]
    fn cut_longer_changed_and_foreign_blobs_are_refused() {
        let blob = blob_of(&PrivateKey::generate(2048).unwrap());
        for len in (0..blob.len()).step_by(7).chain([blob.len() - 1]) {
            assert!(read(&blob[..len]).is_err(), "{len}");
        }
        assert!(read(&[&blob[..], &[0]].concat()).is_err());
        // A bit of the magic, of every length, of the exponent, and of every number.
        for at in [
            0, 4, 8, 12, 16, 20, 24, 60, 300, 430, 560, 690, 810, 940, 1100,
        ] {
            let mut changed = blob.clone();
            changed[at] ^= 4;
            assert!(read(&changed).is_err(), "{at}");
        }
        // Lengths that no file has.
        let mut huge = blob.clone();
        huge[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(read(&huge).is_err());
    }

    #[test]
    fn numbers_of_two_keys_are_no_key() {
        let (one, two) = (
            blob_of(&PrivateKey::generate(2048).unwrap()),
            blob_of(&PrivateKey::generate(2048).unwrap()),
        );
        // The public half of one (up to the end of the modulus), the private numbers of the other.
        let mixed = [&one[..24 + 3 + 256], &two[24 + 3 + 256..]].concat();
        assert!(read(&mixed).is_err());
    }
}
