//! The ciphers of PBES2 (RFC 8018 appendix B.2, RFC 3565, RFC 5084).

use crate::pfx::{PfxError, standing};
use crate::words;
use der::asn1::{AnyRef, IntRef, OctetStringRef};
use der::{Sequence, Tagged};
use fips::policy::Service;
use fips::secret::SecretBytes;
use spki::AlgorithmIdentifierRef;

/// A cipher with its initialisation vector.
#[derive(Clone, Copy)]
pub(super) enum Cipher {
    Aes { key_bytes: usize, iv: [u8; 16] },
    Gcm { key_bytes: usize, nonce: [u8; 12] },
    TripleDes { iv: [u8; 8] },
    Des { iv: [u8; 8] },
    Rc2 { effective_bits: u16, iv: [u8; 8] },
}

const AES_CBC: [(&str, usize); 3] = [
    ("2.16.840.1.101.3.4.1.2", 16),
    ("2.16.840.1.101.3.4.1.22", 24),
    ("2.16.840.1.101.3.4.1.42", 32),
];
/// With 192 bits GCM is no service of the module's.
const AES_GCM: [(&str, usize); 2] = [
    ("2.16.840.1.101.3.4.1.6", 16),
    ("2.16.840.1.101.3.4.1.46", 32),
];

/// ```text
/// RC2-CBC-Parameter ::= SEQUENCE { rc2ParameterVersion INTEGER OPTIONAL, iv OCTET STRING (SIZE(8)) }
/// ```
#[derive(Sequence)]
struct Rc2Parameters<'a> {
    version: Option<IntRef<'a>>,
    iv: &'a OctetStringRef,
}

/// ```text
/// GCMParameters ::= SEQUENCE { aes-nonce OCTET STRING, aes-ICVlen INTEGER (12 | 13 | 14 | 15 | 16) DEFAULT 12 }
/// ```
#[derive(Sequence)]
struct GcmParameters<'a> {
    nonce: &'a OctetStringRef,
    icv_len: Option<u8>,
}

impl Cipher {
    /// # Errors
    /// [`PfxError::UnsupportedAlgorithm`] by name; [`PfxError::Malformed`] when the parameters of a known one do not parse.
    pub(super) fn parse(algorithm: &AlgorithmIdentifierRef<'_>) -> Result<Self, PfxError> {
        let numbers = algorithm.oid.to_string();
        let find = |table: &[(&str, usize)]| {
            table
                .iter()
                .find_map(|(oid, bytes)| (*oid == numbers).then_some(*bytes))
        };
        if let Some(key_bytes) = find(&AES_CBC) {
            let iv = iv(algorithm)?;
            return Ok(Self::Aes { key_bytes, iv });
        }
        if let Some(key_bytes) = find(&AES_GCM) {
            return Self::gcm(algorithm, key_bytes);
        }
        match numbers.as_str() {
            "1.2.840.113549.3.7" => Ok(Self::TripleDes { iv: iv(algorithm)? }),
            "1.3.14.3.2.7" => Ok(Self::Des { iv: iv(algorithm)? }),
            "1.2.840.113549.3.2" => Self::rc2(algorithm),
            _ => Err(PfxError::unsupported(words::oid(&algorithm.oid))),
        }
    }

    fn gcm(algorithm: &AlgorithmIdentifierRef<'_>, key_bytes: usize) -> Result<Self, PfxError> {
        let parameters: GcmParameters<'_> = algorithm
            .parameters
            .and_then(|any| any.decode_as().ok())
            .ok_or(PfxError::Malformed {
                what: "the parameters of AES-GCM do not parse",
            })?;
        match parameters.nonce.as_bytes().try_into() {
            Ok(nonce) if parameters.icv_len == Some(16) => Ok(Self::Gcm { key_bytes, nonce }),
            _ => Err(PfxError::unsupported(
                "AES-GCM with a nonce of other than 12 bytes or a tag of other than 16",
            )),
        }
    }

    fn rc2(algorithm: &AlgorithmIdentifierRef<'_>) -> Result<Self, PfxError> {
        const BROKEN: PfxError = PfxError::Malformed {
            what: "the parameters of RC2 do not parse",
        };
        let any = algorithm.parameters.ok_or(BROKEN)?;
        // RFC 2268 section 6 allows the vector alone; both forms without a version mean 32 effective bits.
        if any.tag() == der::Tag::OctetString {
            let iv = iv(algorithm)?;
            return Ok(Self::Rc2 {
                effective_bits: 32,
                iv,
            });
        }
        let parameters: Rc2Parameters<'_> = any.decode_as().map_err(|_| BROKEN)?;
        let iv = parameters.iv.as_bytes().try_into().map_err(|_| BROKEN)?;
        let version = match parameters.version {
            None => None,
            Some(number) => Some(standing::positive(number.as_bytes()).ok_or(BROKEN)?),
        };
        let effective_bits = match version {
            None => 32,
            // RFC 8018 appendix B.2.3.
            Some(160) => 40,
            Some(120) => 64,
            Some(58) => 128,
            Some(bits @ 256..=1024) => u16::try_from(bits).map_err(|_| BROKEN)?,
            Some(other) => {
                return Err(PfxError::unsupported(format!(
                    "RC2-CBC with parameter version {other}"
                )));
            }
        };
        Ok(Self::Rc2 { effective_bits, iv })
    }

    /// The length of its key in bytes; for RC2 the one that a key derivation without a length of its own has to give.
    pub(super) fn key_bytes(self) -> usize {
        match self {
            Self::Aes { key_bytes, .. } | Self::Gcm { key_bytes, .. } => key_bytes,
            Self::TripleDes { .. } => 24,
            Self::Des { .. } => 8,
            Self::Rc2 { effective_bits, .. } => usize::from(effective_bits).div_ceil(8),
        }
    }

    /// The length of its key when the key derivation names this one, in bytes; none when the cipher has no such key.
    ///
    /// RC2 has keys of 1 to 128 bytes. Another length of AES than the cipher's name says is used as it is named: old NSS called AES-128 what
    /// it did with a key of 32 bytes.
    pub(super) fn key_bytes_of(self, named: u64) -> Option<usize> {
        let named = usize::try_from(named).ok()?;
        let has = match self {
            Self::Rc2 { .. } => (1..=128).contains(&named),
            Self::Aes { .. } => [16, 24, 32].contains(&named),
            _ => named == self.key_bytes(),
        };
        has.then_some(named)
    }

    /// The effective length of its key in bits, as people count it.
    pub(super) fn key_bits(self) -> u32 {
        match self {
            Self::Aes { key_bytes, .. } | Self::Gcm { key_bytes, .. } => {
                u32::try_from(key_bytes.saturating_mul(8)).unwrap_or(u32::MAX)
            }
            Self::TripleDes { .. } => 168,
            Self::Des { .. } => 56,
            Self::Rc2 { effective_bits, .. } => effective_bits.into(),
        }
    }

    /// Its name in facts.
    pub(super) fn name(self) -> String {
        match self {
            Self::Aes { .. } => format!("aes-{}-cbc", self.key_bits()),
            Self::Gcm { .. } => format!("aes-{}-gcm", self.key_bits()),
            Self::TripleDes { .. } => "3des-cbc".to_owned(),
            Self::Des { .. } => "des-cbc".to_owned(),
            Self::Rc2 { .. } => "rc2-cbc".to_owned(),
        }
    }

    /// For people.
    pub(super) fn text(self) -> String {
        match self {
            Self::Aes { .. } => format!("AES-{}", self.key_bits()),
            Self::Gcm { .. } => format!("AES-{}-GCM", self.key_bits()),
            Self::TripleDes { .. } => "3DES".to_owned(),
            Self::Des { .. } => "DES".to_owned(),
            Self::Rc2 { effective_bits, .. } => format!("{effective_bits}-bit RC2"),
        }
    }

    pub(super) fn service(self) -> Service {
        match self {
            Self::Aes { .. } => Service::AesCbc,
            Self::Gcm { .. } => Service::AesGcm,
            Self::TripleDes { .. } => Service::TripleDesDecrypt,
            Self::Des { .. } => Service::DesDecrypt,
            Self::Rc2 { .. } => Service::Rc2Decrypt,
        }
    }

    pub(super) fn decrypt(self, key: &SecretBytes, ciphertext: &[u8]) -> fips::Result<SecretBytes> {
        match self {
            Self::Aes { iv, .. } => fips::aes::cbc_decrypt(key, &iv, ciphertext),
            Self::Gcm { nonce, .. } => {
                fips::aes::gcm_open(key, &[], &[nonce.as_slice(), ciphertext].concat())
            }
            Self::TripleDes { iv } => fips::legacy::des_ede3_cbc_decrypt(key, &iv, ciphertext),
            Self::Des { iv } => fips::legacy::des_cbc_decrypt(key, &iv, ciphertext),
            Self::Rc2 { effective_bits, iv } => {
                fips::legacy::rc2_cbc_decrypt(key, effective_bits, &iv, ciphertext)
            }
        }
    }
}

fn iv<const N: usize>(algorithm: &AlgorithmIdentifierRef<'_>) -> Result<[u8; N], PfxError> {
    algorithm
        .parameters
        .and_then(|any: AnyRef<'_>| any.decode_as::<&OctetStringRef>().ok())
        .and_then(|iv| iv.as_bytes().try_into().ok())
        .ok_or(PfxError::Malformed {
            what: "the initialisation vector of a cipher is missing or not of one block",
        })
}
