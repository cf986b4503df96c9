//! Message authentication codes from a shared secret.

use super::asn1::{NULL, OCTET_STRING, element, encoded, sequence};
use super::{CmpError, oid};
use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use der::{Decode, Sequence};
use fips::digest::Hash;
use fips::secret::SecretBytes;
use fips::{hmac, kdf, random};
use std::num::NonZeroU32;

/// How codes are made from a shared secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MacScheme {
    /// HMAC with SHA-256, the secret being its key (RFC 9481, section 6.2.2). Approved: the secret has 112 bits or more.
    Hmac,
    /// PBMAC1 (RFC 8018; RFC 9481, section 6.1.2): PBKDF2 and HMAC with SHA-256. In strict mode it needs the exception `cmp-shared-secret`.
    Pbmac1,
    /// PasswordBasedMac (RFC 9810, section 5.1.3.1) with SHA-256: what older authorities know. In strict mode it needs the exception
    /// `cmp-shared-secret`.
    PasswordBasedMac,
}

impl MacScheme {
    /// Every scheme.
    pub const ALL: [Self; 3] = [Self::Hmac, Self::Pbmac1, Self::PasswordBasedMac];

    /// Its name in configurations.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hmac => "hmac",
            Self::Pbmac1 => "pbmac1",
            Self::PasswordBasedMac => "password-based-mac",
        }
    }
}

/// Iterations of what is written: the upper end of what the module's PBKDF2 is tested with.
const ITERATIONS: NonZeroU32 = NonZeroU32::MIN.saturating_add(9_999);
/// Most iterations of what is read: whoever asks for more is not verified yet.
const MAX_ITERATIONS: u32 = 1_000_000;
/// Longest salt that is read, in octets.
const MAX_SALT_BYTES: usize = 256;
const SALT_BYTES: usize = 16;
/// HMAC keys of 112 bits (SP 800-131A).
const MIN_HMAC_KEY_BYTES: usize = 14;

#[derive(Sequence)]
struct AlgorithmIdentifier<'a> {
    id: ObjectIdentifier,
    parameters: Option<AnyRef<'a>>,
}

/// ```text
/// PBMParameter ::= SEQUENCE {
///     salt            OCTET STRING,
///     owf             AlgorithmIdentifier{DIGEST-ALGORITHM, {...}},
///     iterationCount  INTEGER,
///     mac             AlgorithmIdentifier{MAC-ALGORITHM, {...}}
/// }                                                                  (RFC 9810, section 5.1.3.1)
/// ```
#[derive(Sequence)]
struct PbmParameter<'a> {
    salt: &'a OctetStringRef,
    owf: AlgorithmIdentifier<'a>,
    iteration_count: u32,
    mac: AlgorithmIdentifier<'a>,
}

/// ```text
/// PBMAC1-params ::= SEQUENCE { keyDerivationFunc AlgorithmIdentifier, messageAuthScheme AlgorithmIdentifier }   (RFC 8018, A.5)
/// ```
#[derive(Sequence)]
struct Pbmac1Params<'a> {
    key_derivation: AlgorithmIdentifier<'a>,
    scheme: AlgorithmIdentifier<'a>,
}

/// ```text
/// PBKDF2-params ::= SEQUENCE {
///     salt            CHOICE { specified OCTET STRING, otherSource AlgorithmIdentifier },
///     iterationCount  INTEGER (1..MAX),
///     keyLength       INTEGER (1..MAX) OPTIONAL,
///     prf             AlgorithmIdentifier DEFAULT algid-hmacWithSHA1
/// }                                                                  (RFC 8018, A.2)
/// ```
#[derive(Sequence)]
struct Pbkdf2Params<'a> {
    salt: &'a OctetStringRef,
    iteration_count: u32,
    key_length: Option<u32>,
    prf: Option<AlgorithmIdentifier<'a>>,
}

/// A scheme with its parameters: makes the code of a message.
pub(super) struct Mac {
    derivation: Derivation,
    hash: Hash,
}

enum Derivation {
    None,
    Pbkdf2 {
        hash: Hash,
        salt: Vec<u8>,
        iterations: NonZeroU32,
        length: usize,
    },
    PasswordBased {
        hash: Hash,
        salt: Vec<u8>,
        iterations: NonZeroU32,
    },
}

impl Mac {
    /// New parameters.
    pub(super) fn new(scheme: MacScheme) -> Result<Self, CmpError> {
        let hash = Hash::Sha256;
        let salt = || random::array::<SALT_BYTES>().map(|salt| salt.to_vec());
        let derivation = match scheme {
            MacScheme::Hmac => Derivation::None,
            MacScheme::Pbmac1 => Derivation::Pbkdf2 {
                hash,
                salt: salt()?,
                iterations: ITERATIONS,
                length: hash.output_len(),
            },
            MacScheme::PasswordBasedMac => Derivation::PasswordBased {
                hash,
                salt: salt()?,
                iterations: ITERATIONS,
            },
        };
        Ok(Self { derivation, hash })
    }

    /// The parameters of an AlgorithmIdentifier (DER).
    pub(super) fn read(identifier: &[u8]) -> Result<Self, CmpError> {
        const WHAT: &str = "the protection's algorithm";
        let malformed = CmpError::at(WHAT);
        let identifier = AlgorithmIdentifier::from_der(identifier).map_err(&malformed)?;
        let parameters = || identifier.parameters.ok_or(CmpError::malformed(WHAT));
        match identifier.id {
            oid::PBMAC1 => {
                let params: Pbmac1Params<'_> = parameters()?.decode_as().map_err(&malformed)?;
                if params.key_derivation.id != oid::PBKDF2 {
                    return Err(CmpError::ProtectionKind {
                        problem: "PBMAC1 with another key derivation than PBKDF2",
                    });
                }
                let pbkdf2 = params.key_derivation.parameters;
                let pbkdf2 = pbkdf2.ok_or(CmpError::malformed(WHAT))?;
                let pbkdf2: Pbkdf2Params<'_> = pbkdf2.decode_as().map_err(&malformed)?;
                let hash = hmac_hash(params.scheme.id)?;
                let length = match pbkdf2.key_length {
                    Some(length) => usize::try_from(length).unwrap_or(usize::MAX),
                    None => hash.output_len(),
                };
                if !(MIN_HMAC_KEY_BYTES..=hash.block_len()).contains(&length) {
                    return Err(CmpError::malformed(WHAT));
                }
                let prf = pbkdf2.prf.map_or(oid::HMAC_SHA1, |prf| prf.id);
                Ok(Self {
                    derivation: Derivation::Pbkdf2 {
                        hash: hmac_hash(prf)?,
                        salt: salt(pbkdf2.salt)?,
                        iterations: iterations(pbkdf2.iteration_count)?,
                        length,
                    },
                    hash,
                })
            }
            oid::PASSWORD_BASED_MAC => {
                let pbm: PbmParameter<'_> = parameters()?.decode_as().map_err(&malformed)?;
                Ok(Self {
                    derivation: Derivation::PasswordBased {
                        hash: digest_hash(pbm.owf.id)?,
                        salt: salt(pbm.salt)?,
                        iterations: iterations(pbm.iteration_count)?,
                    },
                    hash: hmac_hash(pbm.mac.id)?,
                })
            }
            other => Ok(Self {
                derivation: Derivation::None,
                hash: hmac_hash(other)?,
            }),
        }
    }

    /// Its AlgorithmIdentifier (DER).
    pub(super) fn identifier(&self) -> Result<Vec<u8>, CmpError> {
        let mac = sequence(&[&encoded(&hmac_id(self.hash))?, NULL]);
        Ok(match &self.derivation {
            Derivation::None => mac,
            Derivation::Pbkdf2 {
                hash,
                salt,
                iterations,
                length,
            } => {
                let length = u32::try_from(*length).unwrap_or(u32::MAX);
                let params = sequence(&[
                    &element(OCTET_STRING, &[salt]),
                    &encoded(&iterations.get())?,
                    &encoded(&length)?,
                    &sequence(&[&encoded(&hmac_id(*hash))?, NULL]),
                ]);
                let pbkdf2 = sequence(&[&encoded(&oid::PBKDF2)?, &params]);
                sequence(&[&encoded(&oid::PBMAC1)?, &sequence(&[&pbkdf2, &mac])])
            }
            Derivation::PasswordBased {
                hash,
                salt,
                iterations,
            } => {
                let parameter = sequence(&[
                    &element(OCTET_STRING, &[salt]),
                    &sequence(&[&encoded(&digest_id(*hash))?, NULL]),
                    &encoded(&iterations.get())?,
                    &mac,
                ]);
                sequence(&[&encoded(&oid::PASSWORD_BASED_MAC)?, &parameter])
            }
        })
    }

    /// The key for this secret. `None`: the secret is the key.
    fn derived(&self, secret: &SecretBytes) -> Result<Option<SecretBytes>, CmpError> {
        let key = match &self.derivation {
            Derivation::None if secret.len() < MIN_HMAC_KEY_BYTES => {
                return Err(CmpError::ProtectionKind {
                    problem: "the shared secret is the HMAC key, and has fewer than 14 octets: agree on a longer one",
                });
            }
            Derivation::None => return Ok(None),
            Derivation::Pbkdf2 {
                hash,
                salt,
                iterations,
                length,
            } => kdf::pbmac1_message_key(*hash, secret.expose(), salt, *iterations, *length)?,
            Derivation::PasswordBased {
                hash,
                salt,
                iterations,
            } => kdf::password_based_mac_key(*hash, secret.expose(), salt, *iterations)?,
        };
        Ok(Some(key))
    }

    /// The code of a message.
    pub(super) fn code(&self, secret: &SecretBytes, message: &[u8]) -> Result<Vec<u8>, CmpError> {
        let key = self.derived(secret)?;
        let key = key.as_ref().unwrap_or(secret);
        let code = hmac::sign(self.hash, key.expose(), message)?;
        Ok(code.as_ref().to_vec())
    }

    /// Checks the code of a message, in constant time.
    pub(super) fn verify(
        &self,
        secret: &SecretBytes,
        message: &[u8],
        code: &[u8],
    ) -> Result<(), CmpError> {
        let key = self.derived(secret)?;
        let key = key.as_ref().unwrap_or(secret);
        match hmac::verify(self.hash, key.expose(), message, code) {
            Err(fips::Error::Verification) => Err(CmpError::Protection {
                problem: "the code is not of the shared secret",
            }),
            other => Ok(other?),
        }
    }
}

fn salt(salt: &OctetStringRef) -> Result<Vec<u8>, CmpError> {
    let salt = salt.as_bytes();
    if salt.len() > MAX_SALT_BYTES {
        return Err(CmpError::malformed("the salt of the protection"));
    }
    Ok(salt.to_vec())
}

fn iterations(count: u32) -> Result<NonZeroU32, CmpError> {
    NonZeroU32::new(count)
        .filter(|count| count.get() <= MAX_ITERATIONS)
        .ok_or(CmpError::ProtectionKind {
            problem: "it asks for no or more than 1,000,000 iterations",
        })
}

fn hmac_hash(id: ObjectIdentifier) -> Result<Hash, CmpError> {
    match id {
        oid::HMAC_SHA1 | oid::HMAC_SHA1_OF_CMP => Ok(Hash::Sha1),
        oid::HMAC_SHA256 => Ok(Hash::Sha256),
        oid::HMAC_SHA384 => Ok(Hash::Sha384),
        oid::HMAC_SHA512 => Ok(Hash::Sha512),
        _ => Err(CmpError::ProtectionKind {
            problem: "no HMAC with SHA-1 or SHA-2 (is it a signature? then a credential with a certificate is needed)",
        }),
    }
}

const fn hmac_id(hash: Hash) -> ObjectIdentifier {
    match hash {
        Hash::Sha1 => oid::HMAC_SHA1,
        Hash::Sha256 => oid::HMAC_SHA256,
        Hash::Sha384 => oid::HMAC_SHA384,
        Hash::Sha512 => oid::HMAC_SHA512,
    }
}

fn digest_hash(id: ObjectIdentifier) -> Result<Hash, CmpError> {
    Hash::ALL
        .into_iter()
        .find(|hash| digest_id(*hash) == id)
        .ok_or(CmpError::ProtectionKind {
            problem: "PasswordBasedMac with another hash than SHA-1 or SHA-2",
        })
}

const fn digest_id(hash: Hash) -> ObjectIdentifier {
    match hash {
        Hash::Sha1 => oid::SHA1,
        Hash::Sha256 => oid::SHA256,
        Hash::Sha384 => oid::SHA384,
        Hash::Sha512 => oid::SHA512,
    }
}
