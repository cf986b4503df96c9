//! What kind of key a PrivateKeyInfo holds (RFC 5958), and its public half.

use super::PfxError;
use super::limits::{Budget, MAX_ELEMENT_DEPTH};
use super::model::KeyFacts;
use super::outline::whole_bits;
use crate::ber::{self, Element, tag};
use crate::words;
use const_oid::ObjectIdentifier;
use fips::secret::SecretBytes;

const BROKEN: PfxError = PfxError::Malformed {
    what: "a private key does not parse",
};

const RSA: &str = "1.2.840.113549.1.1.1";
const RSA_OAEP: &str = "1.2.840.113549.1.1.7";
const RSA_PSS: &str = "1.2.840.113549.1.1.10";
const EC: &str = "1.2.840.10045.2.1";

/// The curves that are supported: object identifier, stable name, words, bits.
const CURVES: [(&str, &str, &str, u32); 3] = [
    ("1.2.840.10045.3.1.7", "ec-p256", "EC P-256", 256),
    ("1.3.132.0.34", "ec-p384", "EC P-384", 384),
    ("1.3.132.0.35", "ec-p521", "EC P-521", 521),
];

/// Keys that are known by name only.
const OTHERS: [(&str, &str, &str); 20] = [
    (RSA_PSS, "rsa-pss", "RSA for PSS signatures only"),
    (RSA_OAEP, "rsa-oaep", "RSA for OAEP only"),
    ("1.2.840.10040.4.1", "dsa", "DSA"),
    ("1.2.840.10046.2.1", "dh", "Diffie-Hellman (X9.42)"),
    ("1.2.840.113549.1.3.1", "dh", "Diffie-Hellman (PKCS#3)"),
    ("1.3.101.110", "x25519", "X25519"),
    ("1.3.101.111", "x448", "X448"),
    ("1.3.101.112", "ed25519", "Ed25519"),
    ("1.3.101.113", "ed448", "Ed448"),
    ("1.2.643.2.2.20", "gost94", "GOST R 34.10-94"),
    ("1.2.643.2.2.19", "gost2001", "GOST R 34.10-2001"),
    (
        "1.2.643.7.1.1.1.1",
        "gost2012-256",
        "GOST R 34.10-2012, 256 bits",
    ),
    (
        "1.2.643.7.1.1.1.2",
        "gost2012-512",
        "GOST R 34.10-2012, 512 bits",
    ),
    ("2.16.840.1.101.3.4.4.1", "ml-kem-512", "ML-KEM-512"),
    ("2.16.840.1.101.3.4.4.2", "ml-kem-768", "ML-KEM-768"),
    ("2.16.840.1.101.3.4.4.3", "ml-kem-1024", "ML-KEM-1024"),
    ("2.16.840.1.101.3.4.3.17", "ml-dsa-44", "ML-DSA-44"),
    ("2.16.840.1.101.3.4.3.18", "ml-dsa-65", "ML-DSA-65"),
    ("2.16.840.1.101.3.4.3.19", "ml-dsa-87", "ML-DSA-87"),
    ("1.2.156.10197.1.301", "sm2", "SM2"),
];

/// The tag of the public key within ECPrivateKey.
const EC_PUBLIC_KEY: u8 = 0xa1;
/// The longest private key of a kind that the module knows, in bytes: RSA of 16,384 bits has 9,300.
const LONGEST_KNOWN: usize = 16 * 1024;
/// Up to this length (RSA of 4096 bits has 2,350 bytes) the module has checked a key within three milliseconds.
const LONGEST_FOR_NOTHING: usize = 2400;

/// A private key, looked at.
pub(super) struct Examined {
    /// The PrivateKeyInfo in DER, as [`plain`] makes it; one of EC has its public half within.
    pub(super) pkcs8: SecretBytes,
    pub(super) facts: KeyFacts,
    /// subjectPublicKey as a certificate has it; `None` where it is not known how to come by it.
    pub(super) public_key: Option<Vec<u8>>,
}

/// ```text
/// OneAsymmetricKey ::= SEQUENCE { version INTEGER, privateKeyAlgorithm AlgorithmIdentifier, privateKey OCTET STRING,
///     attributes [0] IMPLICIT SET OF Attribute OPTIONAL, publicKey [1] IMPLICIT BIT STRING OPTIONAL }
/// ```
///
/// # Errors
/// [`PfxError::Malformed`] when it is none; a key of a kind that is not supported is no error. [`PfxError::LimitExceeded`] when the work of
/// checking a large key is not in the budget any more.
pub(super) fn examine(pkcs8: &SecretBytes, budget: &mut Budget) -> Result<Examined, PfxError> {
    let pkcs8 = plain(pkcs8)?;
    let outline = outline(pkcs8.expose()).ok_or(BROKEN)?;
    let facts = facts(&outline);
    let public_key = public_key(&outline, &pkcs8, &facts, budget)?;
    let completed = public_key
        .as_deref()
        .filter(|_| facts.supported)
        .and_then(|point| outline.with_public_half(point));
    Ok(Examined {
        facts,
        public_key,
        pkcs8: completed.unwrap_or(pkcs8),
    })
}

/// The key in DER without what was after it, and RSA and EC in the form that every program reads, version v1 (RFC 5208): for RSA with the
/// NULL that RFC 8017 appendix A.1 wants and some writers leave out, and without the public key that v2 may have beside the private one,
/// from which it can be computed. Attributes stay.
///
/// # Errors
/// [`PfxError::Malformed`] when it is none.
fn plain(pkcs8: &SecretBytes) -> Result<SecretBytes, PfxError> {
    const NULL: &[u8] = &[5, 0];
    let key = ber::normalise(pkcs8.expose(), MAX_ELEMENT_DEPTH).map_err(|_| BROKEN)?;
    let outline = outline(key.bytes()).ok_or(BROKEN)?;
    let parameters = match outline.algorithm.to_string().as_str() {
        RSA => Some(outline.parameters.map_or(NULL, |found| found.raw)),
        EC => outline.parameters.map(|found| found.raw),
        _ => None,
    };
    match (parameters, outline.version) {
        (Some(parameters), [0 | 1]) => outline.v1(parameters, outline.key_string.raw).ok_or(BROKEN),
        _ => Ok(SecretBytes::from_slice(key.bytes())),
    }
}

struct PrivateKeyInfo<'a> {
    version: &'a [u8],
    algorithm: ObjectIdentifier,
    algorithm_id: Element<'a>,
    parameters: Option<Element<'a>>,
    key: &'a [u8],
    key_string: Element<'a>,
    attributes: Option<Element<'a>>,
    public_key: Option<&'a [u8]>,
}

fn outline(der: &[u8]) -> Option<PrivateKeyInfo<'_>> {
    const PUBLIC_KEY: u8 = 0x81;
    let mut info = Element::whole(der).ok()?.within(tag::SEQUENCE).ok()?;
    let version = info.take_tag(tag::INTEGER).ok()?;
    let mut algorithm = info.take_tag(tag::SEQUENCE).ok()?.elements();
    let oid = algorithm.take_tag(tag::OBJECT_IDENTIFIER).ok()?;
    let parameters = algorithm.next_element().ok()?;
    let key = info.take_tag(tag::OCTET_STRING).ok()?;
    let attributes = info.take_if(tag::CONTEXT_0).ok()?;
    let public_key = info.take_if(PUBLIC_KEY).ok()?;
    Some(PrivateKeyInfo {
        version: version.content,
        algorithm: ObjectIdentifier::from_bytes(oid.content).ok()?,
        algorithm_id: oid,
        parameters,
        key: key.content,
        key_string: key,
        attributes,
        public_key: public_key.and_then(|bits| whole_bits(bits.content)),
    })
}

impl PrivateKeyInfo<'_> {
    /// Version v1 with these parameters and this OCTET STRING.
    fn v1(&self, parameters: &[u8], key_string: &[u8]) -> Option<SecretBytes> {
        let algorithm = ber::sequence(&[self.algorithm_id.raw, parameters]);
        let attributes = self.attributes.map_or(&[][..], |found| found.raw);
        let version = [tag::INTEGER, 1, 0];
        ber::secret_element(
            tag::SEQUENCE,
            &[&version, &algorithm, key_string, attributes],
        )
    }

    /// A key of EC that leaves out its public half (RFC 5915 section 3), with it: GnuTLS reads none without. `None` for others.
    fn with_public_half(&self, point: &[u8]) -> Option<SecretBytes> {
        if self.algorithm.to_string() != EC {
            return None;
        }
        let mut parts = Element::whole(self.key).ok()?.within(tag::SEQUENCE).ok()?;
        let version = parts.take_tag(tag::INTEGER).ok()?;
        let number = parts.take_tag(tag::OCTET_STRING).ok()?;
        let curve = parts.take_if(tag::CONTEXT_0).ok()?;
        parts.finish().ok()?;
        let bits = ber::secret_element(tag::BIT_STRING, &[&[0], point])?;
        let public = ber::secret_element(EC_PUBLIC_KEY, &[bits.expose()])?;
        let curve = curve.map_or(&[][..], |found| found.raw);
        let key = ber::secret_element(
            tag::SEQUENCE,
            &[version.raw, number.raw, curve, public.expose()],
        )?;
        let key_string = ber::secret_element(tag::OCTET_STRING, &[key.expose()])?;
        self.v1(self.parameters?.raw, key_string.expose())
    }

    /// Of what the module computes with: the key and the parameters of its kind.
    fn length(&self) -> usize {
        let parameters = self.parameters.map_or(0, |found| found.raw.len());
        self.key.len().saturating_add(parameters)
    }
}

fn facts(key: &PrivateKeyInfo<'_>) -> KeyFacts {
    let oid = key.algorithm.to_string();
    match oid.as_str() {
        RSA => match rsa(key.key) {
            None => named("rsa", "RSA", None, true),
            Some(numbers) => rsa_facts(&numbers),
        },
        EC => ec_facts(key),
        _ => {
            let bits = match oid.as_str() {
                RSA_PSS | RSA_OAEP => rsa(key.key).map(|numbers| numbers.bits()),
                _ => None,
            };
            match OTHERS.iter().find(|(number, _, _)| *number == oid) {
                Some((_, name, text)) => named(name, *text, bits, false),
                None => named(&oid, words::oid(&key.algorithm), None, false),
            }
        }
    }
}

fn rsa_facts(numbers: &RsaNumbers<'_>) -> KeyFacts {
    let bits = numbers.bits();
    let (algorithm, text, supported) = match numbers.version {
        [0] if numbers.is_of_usual_size() => ("rsa", format!("RSA {bits}"), true),
        [0] => ("rsa", format!("RSA {bits} of an unusual size"), false),
        [1] => {
            let text = format!("RSA {bits} of more than two primes");
            ("rsa-multi-prime", text, false)
        }
        _ => {
            let text = format!("RSA {bits} in a form of an unknown version");
            ("rsa-unknown-version", text, false)
        }
    };
    named(algorithm, text, Some(bits), supported)
}

fn ec_facts(key: &PrivateKeyInfo<'_>) -> KeyFacts {
    let curve = key
        .parameters
        .filter(|parameters| parameters.tag == tag::OBJECT_IDENTIFIER)
        .and_then(|parameters| ObjectIdentifier::from_bytes(parameters.content).ok());
    let Some(curve) = curve else {
        let text = "EC with a curve written out instead of named";
        return named("ec-explicit", text, None, false);
    };
    let number = curve.to_string();
    match CURVES.iter().find(|(oid, ..)| *oid == number) {
        Some((_, name, text, bits)) => named(name, *text, Some(*bits), true),
        None => named("ec", format!("EC on {}", words::oid(&curve)), None, false),
    }
}

fn named(algorithm: &str, text: impl Into<String>, bits: Option<u32>, supported: bool) -> KeyFacts {
    KeyFacts {
        algorithm: algorithm.to_owned(),
        text: text.into(),
        bits,
        supported,
    }
}

/// The public half. Where the module knows the kind of key it computes it from the private half, so that a match is a proof; elsewhere it is
/// what the key says of itself.
fn public_key(
    key: &PrivateKeyInfo<'_>,
    pkcs8: &SecretBytes,
    facts: &KeyFacts,
    budget: &mut Budget,
) -> Result<Option<Vec<u8>>, PfxError> {
    let length = key.length();
    if facts.supported {
        if length > LONGEST_KNOWN {
            return Err(BROKEN);
        }
        budget.spend_work(cost_of_check(length))?;
        return match fips::pkcs8_public(pkcs8.expose()) {
            Ok(spki) => public_bits(&spki).map(Some).ok_or(BROKEN),
            Err(fips::Error::UnsupportedKey { .. }) => Ok(None),
            Err(_) => Err(BROKEN),
        };
    }
    let of_usual_size = rsa(key.key).is_none_or(|numbers| numbers.is_of_usual_size());
    if of_usual_size && length <= LONGEST_KNOWN {
        budget.spend_work(cost_of_check(length))?;
        if let Ok(spki) = fips::pkcs8_public_of_any_kind(pkcs8.expose()) {
            return Ok(public_bits(&spki));
        }
    }
    Ok(match facts.algorithm.as_str() {
        "rsa" | "rsa-pss" | "rsa-oaep" | "rsa-multi-prime" | "rsa-unknown-version" => {
            rsa(key.key).map(|numbers| numbers.public_key())
        }
        "ec" | "ec-explicit" => ec_public_key(key.key)
            .or(key.public_key)
            .map(<[u8]>::to_vec),
        _ => key.public_key.map(<[u8]>::to_vec),
    })
}

/// What it costs the module to check a key of this length, in iterations that would take as long: it divides by numbers of the size of the
/// key (measured: RSA of 16,384 bits, 9,300 bytes, takes as long as 80,000 iterations).
fn cost_of_check(length: usize) -> u64 {
    if length <= LONGEST_FOR_NOTHING {
        return 0;
    }
    let length = u64::try_from(length).unwrap_or(u64::MAX);
    length.saturating_mul(length).div_ceil(1000)
}

/// subjectPublicKey of a SubjectPublicKeyInfo.
fn public_bits(spki: &[u8]) -> Option<Vec<u8>> {
    let mut parts = Element::whole(spki).ok()?.within(tag::SEQUENCE).ok()?;
    parts.take_tag(tag::SEQUENCE).ok()?;
    let bits = parts.take_tag(tag::BIT_STRING).ok()?;
    whole_bits(bits.content).map(<[u8]>::to_vec)
}

struct RsaNumbers<'a> {
    version: &'a [u8],
    modulus: Element<'a>,
    exponent: Element<'a>,
}

impl RsaNumbers<'_> {
    /// RSAPublicKey (RFC 8017 appendix A.1.1): a SEQUENCE of the same two INTEGERs.
    fn public_key(&self) -> Vec<u8> {
        ber::sequence(&[self.modulus.raw, self.exponent.raw])
    }

    fn bits(&self) -> u32 {
        bits(self.modulus.content)
    }

    /// Whether the module takes numbers of this size; beyond it checking them would take too long.
    fn is_of_usual_size(&self) -> bool {
        self.bits() <= 16_384 && bits(self.exponent.content) <= 33
    }
}

/// `RSAPrivateKey ::= SEQUENCE { version INTEGER, modulus INTEGER, publicExponent INTEGER, ... }` (RFC 8017 appendix A.1.2)
fn rsa(key: &[u8]) -> Option<RsaNumbers<'_>> {
    let mut parts = Element::whole(key).ok()?.within(tag::SEQUENCE).ok()?;
    let version = parts.take_tag(tag::INTEGER).ok()?;
    Some(RsaNumbers {
        version: version.content,
        modulus: parts.take_tag(tag::INTEGER).ok()?,
        exponent: parts.take_tag(tag::INTEGER).ok()?,
    })
}

/// Length of a number in bits.
fn bits(number: &[u8]) -> u32 {
    let significant: &[u8] = match number.iter().position(|octet| *octet != 0) {
        Some(first) => number.get(first..).unwrap_or_default(),
        None => return 0,
    };
    let octets = u32::try_from(significant.len()).unwrap_or(u32::MAX);
    let leading = significant.first().map_or(0, |octet| octet.leading_zeros());
    octets.saturating_mul(8).saturating_sub(leading)
}

/// `ECPrivateKey ::= SEQUENCE { version INTEGER, privateKey OCTET STRING, parameters [0] OPTIONAL, publicKey [1] BIT STRING OPTIONAL }`
/// (RFC 5915 section 3)
fn ec_public_key(key: &[u8]) -> Option<&[u8]> {
    let mut parts = Element::whole(key).ok()?.within(tag::SEQUENCE).ok()?;
    parts.take_tag(tag::INTEGER).ok()?;
    parts.take_tag(tag::OCTET_STRING).ok()?;
    parts.take_if(tag::CONTEXT_0).ok()?;
    let bits = parts
        .take_tag(EC_PUBLIC_KEY)
        .ok()?
        .elements()
        .take_tag(tag::BIT_STRING)
        .ok()?;
    whole_bits(bits.content)
}
