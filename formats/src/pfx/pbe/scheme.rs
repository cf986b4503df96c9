//! The schemes of encryption under a password, from their AlgorithmIdentifier to the plaintext.

use super::cipher::Cipher;
use super::kdf::Kdf;
use super::{unknown, unsupported};
use crate::pfx::encoding::Password;
use crate::pfx::limits::{Budget, Iterations, Salt};
use crate::pfx::model::{EncryptionFacts, EncryptionScheme};
use crate::pfx::{PfxError, hashes, standing};
use const_oid::ObjectIdentifier;
use der::Sequence;
use der::asn1::{IntRef, OctetStringRef};
use fips::digest::FileHash;
use fips::kdf::{Pkcs12Purpose, Pkcs12Use};
use fips::policy::Service;
use fips::secret::SecretBytes;
use spki::AlgorithmIdentifierRef;

/// ```text
/// PBES2-params ::= SEQUENCE { keyDerivationFunc AlgorithmIdentifier, encryptionScheme AlgorithmIdentifier }
/// ```
#[derive(Sequence)]
pub(super) struct Pbes2Params<'a> {
    pub(super) kdf: AlgorithmIdentifierRef<'a>,
    pub(super) encryption: AlgorithmIdentifierRef<'a>,
}

/// PBEParameter of RFC 8018 appendix A.3, and pkcs-12PbeParams of RFC 7292 appendix C.
///
/// ```text
/// PBEParameter ::= SEQUENCE { salt OCTET STRING, iterationCount INTEGER }
/// ```
#[derive(Sequence)]
pub(super) struct PbeParameter<'a> {
    salt: &'a OctetStringRef,
    iterations: IntRef<'a>,
}

/// A cipher of the older schemes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum OldCipher {
    Rc4 { key_bytes: usize },
    TripleDes { key_bytes: usize },
    Rc2 { key_bytes: usize },
    Des,
}

/// A scheme with its parameters.
pub(super) enum Scheme<'a> {
    Pbes2 {
        kdf: Kdf<'a>,
        cipher: Cipher,
        key_bytes: usize,
    },
    Pkcs12 {
        cipher: OldCipher,
        parameters: PbeParameter<'a>,
    },
    Pbes1 {
        hash: FileHash,
        cipher: OldCipher,
        parameters: PbeParameter<'a>,
    },
}

const PBES2: &str = "1.2.840.113549.1.5.13";

/// RFC 7292 appendix C: pkcs-12PbeIds, all with SHA-1.
const PKCS12: [(&str, OldCipher); 6] = [
    ("1.2.840.113549.1.12.1.1", OldCipher::Rc4 { key_bytes: 16 }),
    ("1.2.840.113549.1.12.1.2", OldCipher::Rc4 { key_bytes: 5 }),
    (
        "1.2.840.113549.1.12.1.3",
        OldCipher::TripleDes { key_bytes: 24 },
    ),
    (
        "1.2.840.113549.1.12.1.4",
        OldCipher::TripleDes { key_bytes: 16 },
    ),
    ("1.2.840.113549.1.12.1.5", OldCipher::Rc2 { key_bytes: 16 }),
    ("1.2.840.113549.1.12.1.6", OldCipher::Rc2 { key_bytes: 5 }),
];

/// RFC 8018 appendix A.3. Those with MD2 (1 and 4) are missing: the module has no MD2.
const PBES1: [(&str, FileHash, OldCipher); 4] = [
    ("1.2.840.113549.1.5.3", FileHash::Md5, OldCipher::Des),
    (
        "1.2.840.113549.1.5.6",
        FileHash::Md5,
        OldCipher::Rc2 { key_bytes: 8 },
    ),
    ("1.2.840.113549.1.5.10", FileHash::Sha1, OldCipher::Des),
    (
        "1.2.840.113549.1.5.11",
        FileHash::Sha1,
        OldCipher::Rc2 { key_bytes: 8 },
    ),
];

const BROKEN: PfxError = PfxError::Malformed {
    what: "the parameters of its encryption do not parse",
};

impl<'a> Scheme<'a> {
    /// Which standard's scheme has this name.
    pub(super) fn kind_of(oid: &ObjectIdentifier) -> EncryptionScheme {
        let numbers = oid.to_string();
        if numbers == PBES2 {
            EncryptionScheme::Pbes2
        } else if PKCS12.iter().any(|(known, _)| *known == numbers) {
            EncryptionScheme::Pkcs12
        } else if PBES1.iter().any(|(known, ..)| *known == numbers)
            || ["1.2.840.113549.1.5.1", "1.2.840.113549.1.5.4"].contains(&numbers.as_str())
        {
            EncryptionScheme::Pbes1
        } else {
            EncryptionScheme::Unknown
        }
    }

    /// # Errors
    /// [`PfxError::UnsupportedAlgorithm`] by name; [`PfxError::Malformed`] when the parameters of a known one do not parse or do not fit
    /// together.
    pub(super) fn parse(algorithm: &AlgorithmIdentifierRef<'a>) -> Result<Self, PfxError> {
        let numbers = algorithm.oid.to_string();
        if numbers == PBES2 {
            let parameters: Pbes2Params<'a> = decode(algorithm)?;
            let kdf = Kdf::parse(&parameters.kdf)?;
            let cipher = Cipher::parse(&parameters.encryption)?;
            let key_bytes = match kdf.key_length()? {
                None => cipher.key_bytes(),
                Some(named) => cipher.key_bytes_of(named).ok_or(PfxError::Malformed {
                    what: "the key derivation names a length of key that the cipher does not have",
                })?,
            };
            return Ok(Self::Pbes2 {
                kdf,
                cipher,
                key_bytes,
            });
        }
        if let Some((_, cipher)) = PKCS12.iter().find(|(oid, _)| *oid == numbers) {
            return Ok(Self::Pkcs12 {
                cipher: *cipher,
                parameters: decode(algorithm)?,
            });
        }
        if let Some((_, hash, cipher)) = PBES1.iter().find(|(oid, ..)| *oid == numbers) {
            return Ok(Self::Pbes1 {
                hash: *hash,
                cipher: *cipher,
                parameters: decode(algorithm)?,
            });
        }
        Err(unsupported(algorithm))
    }

    /// What is known of it without a password.
    pub(super) fn facts(&self) -> EncryptionFacts {
        match self {
            Self::Pbes2 { kdf, cipher, .. } => {
                let (kdf_name, prf, kdf_text) = kdf.names();
                let name = unknown::pbes2_name(kdf_name, prf.as_deref(), &cipher.name());
                let text = format!("{} (PBES2 with {kdf_text})", cipher.text());
                EncryptionFacts {
                    algorithm: match kdf.service() {
                        Some(service) => {
                            standing::supported(name, text, &[service, cipher.service()])
                        }
                        None => standing::unsupported(name, text),
                    },
                    scheme: EncryptionScheme::Pbes2,
                    kdf: Some(kdf_name.to_owned()),
                    prf,
                    cipher: Some(cipher.name()),
                    key_bits: Some(cipher.key_bits()),
                    iterations: kdf.iterations(),
                    salt_bytes: Some(kdf.salt_bytes()),
                }
            }
            Self::Pkcs12 { cipher, parameters } => parameters.facts(
                (EncryptionScheme::Pkcs12, FileHash::Sha1, *cipher),
                format!("pbe-sha1-{}", cipher.short_name()),
                format!("{} (PKCS#12 with SHA-1)", cipher.text()),
                ("pkcs12-kdf", Service::Pkcs12KdfRead),
            ),
            Self::Pbes1 {
                hash,
                cipher,
                parameters,
            } => {
                // PBES1's RC2 and DES are named without the length of the key, which is one.
                let short = match cipher {
                    OldCipher::Rc2 { .. } => "rc2".to_owned(),
                    other => other.short_name(),
                };
                parameters.facts(
                    (EncryptionScheme::Pbes1, *hash, *cipher),
                    format!("pbes1-{}-{short}", hashes::name(*hash)),
                    format!("{} (PBES1 with {})", cipher.text(), hash.name()),
                    ("pbkdf1", Service::Pbkdf1),
                )
            }
        }
    }

    /// Derives the key and decrypts.
    ///
    /// # Errors
    /// As [`super::decrypt`].
    pub(super) fn decrypt(
        &self,
        ciphertext: &[u8],
        password: &Password,
        budget: &mut Budget,
    ) -> Result<SecretBytes, PfxError> {
        let plaintext = match self {
            Self::Pbes2 {
                kdf,
                cipher,
                key_bytes,
            } => {
                let key = kdf.derive(password.octets(), *key_bytes, budget)?;
                cipher.decrypt(&key, ciphertext)
            }
            Self::Pkcs12 { cipher, parameters } => {
                let (key, iv) = parameters.pkcs12(*cipher, password, budget)?;
                cipher.decrypt(&key, &iv, ciphertext)
            }
            Self::Pbes1 {
                hash,
                cipher,
                parameters,
            } => {
                let (key, iv) = parameters.pbkdf1(*hash, password, budget)?;
                cipher.decrypt(&key, &iv, ciphertext)
            }
        };
        plaintext.map_err(|error| PfxError::from_module(error, PfxError::WrongPassword))
    }
}

pub(super) fn decode<'a, T>(algorithm: &AlgorithmIdentifierRef<'a>) -> Result<T, PfxError>
where
    T: der::Choice<'a, Error = der::Error> + der::DecodeValue<'a, Error = der::Error>,
{
    algorithm
        .parameters
        .and_then(|any| any.decode_as().ok())
        .ok_or(BROKEN)
}

impl PbeParameter<'_> {
    fn facts(
        &self,
        (scheme, hash, cipher): (EncryptionScheme, FileHash, OldCipher),
        name: String,
        text: String,
        (kdf, service): (&str, Service),
    ) -> EncryptionFacts {
        EncryptionFacts {
            algorithm: standing::supported(name, text, &[service, cipher.service()]),
            scheme,
            kdf: Some(kdf.to_owned()),
            prf: Some(hashes::name(hash).to_owned()),
            cipher: Some(cipher.name().to_owned()),
            key_bits: Some(cipher.key_bits()),
            iterations: standing::positive(self.iterations.as_bytes()),
            salt_bytes: Some(self.salt.as_bytes().len()),
        }
    }

    /// Key and initialisation vector by the PKCS#12 KDF with SHA-1 (RFC 7292 appendix B), from the password as BMPString.
    fn pkcs12(
        &self,
        cipher: OldCipher,
        password: &Password,
        budget: &mut Budget,
    ) -> Result<(SecretBytes, [u8; 8]), PfxError> {
        let salt = Salt::new(self.salt.as_bytes(), budget)?;
        let iterations = Iterations::parse(self.iterations.as_bytes(), budget)?;
        let mut derive = |purpose, bytes: usize| {
            let blocks = bytes.div_ceil(FileHash::Sha1.output_len());
            budget.spend(iterations, u64::try_from(blocks).unwrap_or(u64::MAX))?;
            fips::kdf::pkcs12(
                Pkcs12Use::Read,
                FileHash::Sha1,
                password.bmp(),
                salt.bytes(),
                purpose,
                iterations.get(),
                bytes,
            )
            .map_err(|error| PfxError::from_module(error, BROKEN))
        };
        let key = derive(Pkcs12Purpose::Key, cipher.key_bytes())?;
        let mut iv = [0; 8];
        if !matches!(cipher, OldCipher::Rc4 { .. }) {
            let derived = derive(Pkcs12Purpose::Iv, 8)?;
            iv.copy_from_slice(derived.expose());
        }
        Ok((key, iv))
    }

    /// The two halves of 16 bytes by PBKDF1 (RFC 8018 section 6.1.1), from the password as octets.
    fn pbkdf1(
        &self,
        hash: FileHash,
        password: &Password,
        budget: &mut Budget,
    ) -> Result<(SecretBytes, [u8; 8]), PfxError> {
        let salt = Salt::new(self.salt.as_bytes(), budget)?;
        let iterations = Iterations::parse(self.iterations.as_bytes(), budget)?;
        budget.spend(iterations, 1)?;
        let mut both =
            fips::kdf::pbkdf1(hash, password.octets(), salt.bytes(), iterations.get(), 16)
                .map_err(|error| PfxError::from_module(error, BROKEN))?;
        let mut iv = [0; 8];
        for (to, from) in iv.iter_mut().zip(both.expose().iter().skip(8)) {
            *to = *from;
        }
        both.truncate(8);
        Ok((both, iv))
    }
}

impl OldCipher {
    const fn key_bytes(self) -> usize {
        match self {
            Self::Rc4 { key_bytes } | Self::TripleDes { key_bytes } | Self::Rc2 { key_bytes } => {
                key_bytes
            }
            Self::Des => 8,
        }
    }

    /// The effective length of its key in bits, as people count it.
    const fn key_bits(self) -> u32 {
        match self {
            Self::TripleDes { key_bytes: 16 } => 112,
            Self::TripleDes { .. } => 168,
            Self::Des => 56,
            Self::Rc4 { key_bytes: 16 } | Self::Rc2 { key_bytes: 16 } => 128,
            Self::Rc2 { key_bytes: 8 } => 64,
            Self::Rc4 { .. } | Self::Rc2 { .. } => 40,
        }
    }

    /// Its name in facts.
    const fn name(self) -> &'static str {
        match self {
            Self::Rc4 { .. } => "rc4",
            Self::TripleDes { .. } => "3des-cbc",
            Self::Rc2 { .. } => "rc2-cbc",
            Self::Des => "des-cbc",
        }
    }

    /// Its name within the name of a scheme.
    fn short_name(self) -> String {
        match self {
            Self::TripleDes { key_bytes: 16 } => "3des-2key".to_owned(),
            Self::TripleDes { .. } => "3des".to_owned(),
            Self::Rc4 { .. } => format!("rc4-{}", self.key_bits()),
            Self::Rc2 { .. } => format!("rc2-{}", self.key_bits()),
            Self::Des => "des".to_owned(),
        }
    }

    /// For people.
    fn text(self) -> String {
        match self {
            Self::TripleDes { key_bytes: 16 } => "two-key 3DES".to_owned(),
            Self::TripleDes { .. } => "3DES".to_owned(),
            Self::Rc4 { .. } => format!("{}-bit RC4", self.key_bits()),
            Self::Rc2 { .. } => format!("{}-bit RC2", self.key_bits()),
            Self::Des => "DES".to_owned(),
        }
    }

    const fn service(self) -> Service {
        match self {
            Self::Rc4 { .. } => Service::Rc4Decrypt,
            Self::TripleDes { .. } => Service::TripleDesDecrypt,
            Self::Rc2 { .. } => Service::Rc2Decrypt,
            Self::Des => Service::DesDecrypt,
        }
    }

    fn decrypt(
        self,
        key: &SecretBytes,
        iv: &[u8; 8],
        ciphertext: &[u8],
    ) -> fips::Result<SecretBytes> {
        match self {
            Self::Rc4 { .. } => fips::legacy::rc4_decrypt(key, ciphertext),
            Self::TripleDes { .. } => fips::legacy::des_ede3_cbc_decrypt(key, iv, ciphertext),
            Self::Rc2 { .. } => {
                let bits = u16::try_from(self.key_bits()).unwrap_or(u16::MAX);
                fips::legacy::rc2_cbc_decrypt(key, bits, iv, ciphertext)
            }
            Self::Des => fips::legacy::des_cbc_decrypt(key, iv, ciphertext),
        }
    }
}
