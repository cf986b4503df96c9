//! The key derivations of PBES2 and PBMAC1: PBKDF2 (RFC 8018 appendix A.2) and scrypt (RFC 7914 section 7.1).

use super::unknown;
use crate::pfx::PfxError;
use crate::pfx::hashes::{self, Known};
use crate::pfx::limits::{Budget, Iterations, Salt, limit};
use crate::pfx::standing::{self, positive};
use crate::words;
use der::asn1::{AnyRef, IntRef, OctetStringRef};
use der::{Sequence, Tagged};
use fips::digest::FileHash;
use fips::kdf::ScryptCost;
use fips::policy::Service;
use fips::secret::SecretBytes;
use spki::AlgorithmIdentifierRef;

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
    key_length: Option<IntRef<'a>>,
    prf: Option<AlgorithmIdentifierRef<'a>>,
}

/// ```text
/// scrypt-params ::= SEQUENCE {
///     salt OCTET STRING,
///     costParameter INTEGER (1..MAX), blockSize INTEGER (1..MAX), parallelizationParameter INTEGER (1..MAX),
///     keyLength INTEGER (1..MAX) OPTIONAL }
/// ```
#[derive(Sequence)]
struct ScryptParams<'a> {
    salt: &'a OctetStringRef,
    n: IntRef<'a>,
    r: IntRef<'a>,
    p: IntRef<'a>,
    key_length: Option<IntRef<'a>>,
}

/// A key derivation with its parameters, as they are in the file: numbers of any size.
pub(in crate::pfx) enum Kdf<'a> {
    Pbkdf2 {
        salt: &'a [u8],
        iterations: IntRef<'a>,
        key_length: Option<IntRef<'a>>,
        prf: Known,
    },
    Scrypt {
        salt: &'a [u8],
        cost: [IntRef<'a>; 3],
        key_length: Option<IntRef<'a>>,
    },
}

pub(super) const PBKDF2: &str = "1.2.840.113549.1.5.12";
pub(super) const SCRYPT: &str = "1.3.6.1.4.1.11591.4.11";
const BROKEN: PfxError = PfxError::Malformed {
    what: "the parameters of a key derivation do not parse",
};

impl<'a> Kdf<'a> {
    /// # Errors
    /// [`PfxError::UnsupportedAlgorithm`] by name; [`PfxError::Malformed`] when the parameters of a known one do not parse.
    pub(in crate::pfx) fn parse(algorithm: &AlgorithmIdentifierRef<'a>) -> Result<Self, PfxError> {
        let parameters = || algorithm.parameters.ok_or(BROKEN);
        match algorithm.oid.to_string().as_str() {
            PBKDF2 => {
                let kdf: Pbkdf2Params<'a> = parameters()?.decode_as().map_err(|_| BROKEN)?;
                if kdf.salt.tag() != der::Tag::OctetString {
                    return match kdf.salt.tag() {
                        der::Tag::Sequence => Err(PfxError::unsupported(
                            "PBKDF2 with a salt from another source",
                        )),
                        _ => Err(BROKEN),
                    };
                }
                let prf = match &kdf.prf {
                    None => Ok(FileHash::Sha1),
                    Some(prf) => {
                        let known = hashes::hmac(&prf.oid);
                        if known.is_ok() {
                            hashes::check_no_parameters(
                                prf,
                                "the pseudo-random function of PBKDF2 has parameters",
                            )?;
                        }
                        known
                    }
                };
                Ok(Self::Pbkdf2 {
                    salt: kdf.salt.value(),
                    iterations: kdf.iterations,
                    key_length: kdf.key_length,
                    prf,
                })
            }
            SCRYPT => {
                let kdf: ScryptParams<'a> = parameters()?.decode_as().map_err(|_| BROKEN)?;
                Ok(Self::Scrypt {
                    salt: kdf.salt.as_bytes(),
                    cost: [kdf.n, kdf.r, kdf.p],
                    key_length: kdf.key_length,
                })
            }
            _ => Err(PfxError::unsupported(words::oid(&algorithm.oid))),
        }
    }

    /// The length of key that it names, if it names one.
    ///
    /// # Errors
    /// [`PfxError::Malformed`] when it is not positive or no number of 64 bits.
    pub(in crate::pfx) fn key_length(&self) -> Result<Option<u64>, PfxError> {
        let (Self::Pbkdf2 { key_length, .. } | Self::Scrypt { key_length, .. }) = self;
        match key_length {
            None => Ok(None),
            Some(length) => positive(length.as_bytes())
                .map(Some)
                .ok_or(PfxError::Malformed {
                    what: "the length of key that a key derivation names is no length",
                }),
        }
    }

    pub(in crate::pfx) fn salt_bytes(&self) -> usize {
        let (Self::Pbkdf2 { salt, .. } | Self::Scrypt { salt, .. }) = self;
        salt.len()
    }

    /// Iterations, or the cost N of scrypt.
    pub(in crate::pfx) fn iterations(&self) -> Option<u64> {
        match self {
            Self::Pbkdf2 { iterations, .. } => positive(iterations.as_bytes()),
            Self::Scrypt { cost: [n, ..], .. } => positive(n.as_bytes()),
        }
    }

    /// Name, pseudo-random function, and words for people.
    pub(in crate::pfx) fn names(&self) -> (&'static str, Option<String>, String) {
        match self {
            Self::Pbkdf2 { prf: Ok(hash), .. } => (
                "pbkdf2",
                Some(format!("hmac-{}", hashes::name(*hash))),
                format!("PBKDF2 and HMAC-{}", hash.name()),
            ),
            Self::Pbkdf2 { prf: Err(oid), .. } => (
                "pbkdf2",
                Some(unknown::name(oid)),
                format!("PBKDF2 and {}", words::oid(oid)),
            ),
            Self::Scrypt { .. } => ("scrypt", None, "scrypt".to_owned()),
        }
    }

    /// The service that it is; `None` for what is not supported.
    pub(in crate::pfx) fn service(&self) -> Option<Service> {
        match self {
            Self::Pbkdf2 { prf, .. } => {
                let hash = prf.ok()?;
                Some(standing::pbkdf2(hash, self.salt_bytes(), self.iterations()))
            }
            Self::Scrypt { .. } => Some(Service::Scrypt),
        }
    }

    /// Derives a key within the budget.
    ///
    /// # Errors
    /// [`PfxError::LimitExceeded`] before any work; [`PfxError::UnsupportedAlgorithm`]; `not_approved`.
    pub(in crate::pfx) fn derive(
        &self,
        password: &[u8],
        key_bytes: usize,
        budget: &mut Budget,
    ) -> Result<SecretBytes, PfxError> {
        let derived = match self {
            Self::Pbkdf2 {
                salt,
                iterations,
                prf,
                ..
            } => {
                let hash = prf.map_err(|oid| PfxError::unsupported(words::oid(&oid)))?;
                let salt = Salt::new(salt, budget)?;
                let iterations = Iterations::parse(iterations.as_bytes(), budget)?;
                let blocks = key_bytes.div_ceil(hash.output_len());
                budget.spend(iterations, u64::try_from(blocks).unwrap_or(u64::MAX))?;
                fips::kdf::pbkdf2(hash, password, salt.bytes(), iterations.get(), key_bytes)
            }
            Self::Scrypt { salt, cost, .. } => {
                let salt = Salt::new(salt, budget)?;
                let cost = scrypt_cost(cost, budget)?;
                budget.spend_work(cost.as_iterations())?;
                let memory = budget.limits().max_scrypt_bytes;
                fips::kdf::scrypt(password, salt.bytes(), cost, memory, key_bytes)
            }
        };
        derived.map_err(|error| PfxError::from_module(error, BROKEN))
    }
}

/// Possible and affordable: what is too large for a number is over the limit, too.
fn scrypt_cost(cost: &[IntRef<'_>; 3], budget: &Budget) -> Result<ScryptCost, PfxError> {
    const IMPOSSIBLE: PfxError = PfxError::Malformed {
        what: "the costs of scrypt are none that RFC 7914 allows",
    };
    let mut numbers = [0_u64; 3];
    for (number, integer) in numbers.iter_mut().zip(cost) {
        let content = integer.as_bytes();
        if content.first().is_none_or(|first| first & 0x80 != 0) {
            return Err(IMPOSSIBLE);
        }
        *number = match positive(content) {
            Some(number) => number,
            None if content.iter().all(|byte| *byte == 0) => return Err(IMPOSSIBLE),
            None => return Err(budget.too_much_work()),
        };
    }
    let [n, r, p] = numbers;
    if n.is_power_of_two() && (n > 1 << 32 || r > 1 << 24 || p > 1 << 24) {
        return Err(budget.too_much_work());
    }
    let cost = ScryptCost::new(n, r, p).ok_or(IMPOSSIBLE)?;
    let most = budget.limits().max_scrypt_bytes;
    match usize::try_from(cost.memory_bytes()) {
        Ok(bytes) if bytes <= most => Ok(cost),
        _ => Err(limit("memory of scrypt in bytes", most)),
    }
}
