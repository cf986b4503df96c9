//! The public area of a key.

use super::attributes::Attributes;
use super::reader::{Reader, algorithm, hash, unwrapped};
use super::{Name, TpmError};
use crate::algorithm::{KeyKind, ec_spki};
use fips::digest::Hash;

const STRUCTURE: &str = "TPMT_PUBLIC";

/// An asymmetric key's public area that was read: RSA of 2048 to 8192 bits, or EC on P-256, P-384 or P-521.
///
/// TPMT_PUBLIC (part 2, clause 12.2.4):
/// ```text
/// type              TPMI_ALG_PUBLIC       TPM_ALG_RSA or TPM_ALG_ECC here
/// nameAlg           TPMI_ALG_HASH         SHA-2 here
/// objectAttributes  TPMA_OBJECT
/// authPolicy        TPM2B_DIGEST          empty, or as long as nameAlg's digests
/// parameters        TPMU_PUBLIC_PARMS     TPMS_RSA_PARMS (12.2.3.5) or TPMS_ECC_PARMS (12.2.3.6)
/// unique            TPMU_PUBLIC_ID        TPM2B_PUBLIC_KEY_RSA (11.2.4.5) or TPMS_ECC_POINT (11.2.5.2)
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Public {
    name: Name,
    attributes: Attributes,
    has_policy: bool,
    spki: Vec<u8>,
    scheme: Option<Scheme>,
}

/// The scheme that a key is bound to: its TPM_ALG_ID and its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scheme {
    pub(super) algorithm: u16,
    pub(super) hash: Option<u16>,
}

impl Public {
    /// Reads a TPMT_PUBLIC, or the TPM2B_PUBLIC (clause 12.2.5) around it, with nothing behind it.
    ///
    /// # Errors
    /// [`TpmError`].
    pub fn read(bytes: &[u8]) -> Result<Self, TpmError> {
        let inner = unwrapped(STRUCTURE, bytes, |bytes| {
            // The types of TPMI_ALG_PUBLIC (clause 12.2.2): KEYEDHASH and SYMCIPHER are told by name below.
            matches!(bytes, [0, 0x01 | 0x08 | 0x23 | 0x25, ..])
        })?;
        let mut reader = Reader::new(STRUCTURE, inner);
        let kind = reader.u16("type")?;
        let name_hash = hash(STRUCTURE, reader.u16("nameAlg")?)?;
        let attributes = Attributes::new(reader.u32("objectAttributes")?);
        let policy = reader.sized("authPolicy", name_hash.output_len())?;
        if !policy.is_empty() && policy.len() != name_hash.output_len() {
            return Err(reader.malformed("authPolicy"));
        }
        let (spki, scheme) = match kind {
            algorithm::RSA => rsa(&mut reader)?,
            algorithm::ECC => ecc(&mut reader)?,
            algorithm => {
                return Err(TpmError::Algorithm {
                    structure: STRUCTURE,
                    what: "the type",
                    algorithm,
                    accepted: "TPM_ALG_RSA and TPM_ALG_ECC",
                });
            }
        };
        reader.finish()?;
        Ok(Self {
            name: Name::of(name_hash, inner),
            attributes,
            has_policy: !policy.is_empty(),
            spki,
            scheme,
        })
    }

    /// Its name: the digest of all of it.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// Its attributes.
    #[must_use]
    pub const fn attributes(&self) -> Attributes {
        self.attributes
    }

    /// Whether it has a policy.
    #[must_use]
    pub const fn has_policy(&self) -> bool {
        self.has_policy
    }

    /// The key (DER SubjectPublicKeyInfo).
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    pub(super) const fn scheme(&self) -> Option<Scheme> {
        self.scheme
    }
}

/// TPMT_SYM_DEF_OBJECT (clause 11.1.7): nothing, or an algorithm with its bits and mode.
fn symmetric(reader: &mut Reader<'_>) -> Result<(), TpmError> {
    /// TDES, AES, SM4, CAMELLIA: those of TPMI_ALG_SYM_OBJECT (clause 9.30).
    const CIPHERS: [u16; 4] = [0x0003, 0x0006, 0x0013, 0x0026];
    match reader.u16("symmetric")? {
        algorithm::NULL => Ok(()),
        cipher if CIPHERS.contains(&cipher) => {
            reader.u16("symmetric.keyBits")?;
            reader.u16("symmetric.mode")?;
            Ok(())
        }
        _ => Err(reader.malformed("symmetric")),
    }
}

/// TPMT_RSA_SCHEME and TPMT_ECC_SCHEME (clauses 11.2.4.2 and 11.2.5.6): nothing, or an algorithm with its hash.
fn scheme(reader: &mut Reader<'_>, known: &[u16]) -> Result<Option<Scheme>, TpmError> {
    let algorithm = reader.u16("scheme")?;
    let hash = match algorithm {
        algorithm::NULL => return Ok(None),
        algorithm if !known.contains(&algorithm) => return Err(reader.malformed("scheme")),
        algorithm::RSAES => None,
        _ => Some(reader.u16("scheme.hashAlg")?),
    };
    if algorithm == algorithm::ECDAA {
        reader.u16("scheme.count")?;
    }
    Ok(Some(Scheme { algorithm, hash }))
}

type KeyAndScheme = (Vec<u8>, Option<Scheme>);

fn rsa(reader: &mut Reader<'_>) -> Result<KeyAndScheme, TpmError> {
    /// 8192 bits.
    const MAX_MODULUS_BYTES: usize = 1024;
    /// What an exponent of 0 means (clause 12.2.3.5).
    const DEFAULT_EXPONENT: u32 = 65_537;
    symmetric(reader)?;
    let scheme = scheme(
        reader,
        &[
            algorithm::RSASSA,
            algorithm::RSAPSS,
            algorithm::RSAES,
            algorithm::OAEP,
        ],
    )?;
    let bits = reader.u16("keyBits")?;
    let exponent = match reader.u32("exponent")? {
        0 => DEFAULT_EXPONENT,
        exponent => exponent,
    };
    let modulus = reader.sized("unique", MAX_MODULUS_BYTES)?;
    let key = fips::rsa::PublicKey::from_components(modulus, &exponent.to_be_bytes()).map_err(
        |source| TpmError::Key {
            structure: reader.structure(),
            source,
        },
    )?;
    // One form of each key: as many bytes as the bits say, none of them a leading zero.
    if key.modulus_bits() != usize::from(bits) || key.modulus_be() != modulus {
        return Err(reader.malformed("keyBits"));
    }
    Ok((key.spki_der().to_vec(), scheme))
}

fn ecc(reader: &mut Reader<'_>) -> Result<KeyAndScheme, TpmError> {
    /// Coordinates of P-521.
    const MAX_COORDINATE_BYTES: usize = 66;
    symmetric(reader)?;
    let scheme = scheme(
        reader,
        &[
            algorithm::ECDSA,
            algorithm::ECDH,
            algorithm::ECDAA,
            algorithm::SM2,
            algorithm::ECSCHNORR,
            algorithm::ECMQV,
        ],
    )?;
    // TPM_ECC_CURVE (clause 6.4).
    let curve_number = reader.u16("curveID")?;
    let (kind, curve) = match curve_number {
        0x0003 => (KeyKind::P256, fips::ec::Curve::P256),
        0x0004 => (KeyKind::P384, fips::ec::Curve::P384),
        0x0005 => (KeyKind::P521, fips::ec::Curve::P521),
        algorithm => {
            return Err(TpmError::Algorithm {
                structure: reader.structure(),
                what: "the curve",
                algorithm,
                accepted: "P-256, P-384 and P-521",
            });
        }
    };
    // TPMT_KDF_SCHEME (clause 11.2.3.3).
    if reader.u16("kdf")? != algorithm::NULL {
        reader.u16("kdf.hashAlg")?;
    }
    let mut point = vec![0x04];
    for field in ["unique.x", "unique.y"] {
        let coordinate = reader.sized(field, MAX_COORDINATE_BYTES)?;
        if coordinate.len() != curve.field_len() {
            return Err(reader.malformed(field));
        }
        point.extend_from_slice(coordinate);
    }
    let spki = ec_spki(kind, &point).ok_or(reader.malformed("unique"))?;
    // That it is on the curve, the module says.
    fips::ec::point_from_spki(&spki).map_err(|source| TpmError::Key {
        structure: reader.structure(),
        source,
    })?;
    Ok((spki, scheme))
}

impl Scheme {
    /// Whether a signature with this algorithm and hash is one of a key that is bound to the scheme.
    pub(super) fn allows(self, algorithm: u16, hash: Hash) -> bool {
        self.algorithm == algorithm
            && self
                .hash
                .and_then(|own| super::reader::hash(STRUCTURE, own).ok())
                == Some(hash)
    }
}
