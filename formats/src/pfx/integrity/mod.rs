//! The integrity checks under a password: HMAC under a key from the PKCS#12 KDF (the classic one: RFC 7292 section 5.1 and appendix B) or
//! from PBKDF2 (PBMAC1: RFC 8018 section 7.1, RFC 9579).

use super::encoding::Password;
use super::hashes::{self, Known};
use super::limits::{Budget, Iterations, Salt};
use super::model::{MacFacts, MacScheme};
use super::pbe::kdf::Kdf;
use super::safe::{MacData, Outer};
use super::{PfxError, standing};
use crate::words;
use der::Sequence;
use der::referenced::OwnedToRef;
use fips::digest::FileHash;
use fips::kdf::{Pkcs12Purpose, Pkcs12Use};
use fips::policy::Service;
use fips::secret::SecretBytes;
use spki::AlgorithmIdentifierRef;

const PBMAC1: &str = "1.2.840.113549.1.5.14";

/// ```text
/// PBMAC1-params ::= SEQUENCE { keyDerivationFunc AlgorithmIdentifier, messageAuthScheme AlgorithmIdentifier }
/// ```
#[derive(Sequence)]
struct Pbmac1Params<'a> {
    kdf: AlgorithmIdentifierRef<'a>,
    mac: AlgorithmIdentifierRef<'a>,
}

/// Lengths of a PBMAC1 key, in bytes, that are keys: from the 112 bits of an approved HMAC to the block of SHA-512. With a key of one
/// octet every 256th password would verify.
const PBMAC1_KEY_BYTES: std::ops::RangeInclusive<u64> = 14..=128;

/// An integrity check with its parameters.
enum Check<'a> {
    Classic {
        hash: Known,
    },
    Pbmac1 {
        kdf: Kdf<'a>,
        key_bytes: usize,
        hash: Known,
    },
    /// PBMAC1 with a key derivation that is not supported.
    Unsupported(String),
}

impl<'a> Check<'a> {
    fn parse(algorithm: &AlgorithmIdentifierRef<'a>) -> Result<Self, PfxError> {
        if algorithm.oid.to_string() != PBMAC1 {
            let hash = hashes::digest(&algorithm.oid);
            if hash.is_ok() {
                hashes::check_no_parameters(algorithm, "the hash of its MAC has parameters")?;
            }
            return Ok(Self::Classic { hash });
        }
        let parameters: Pbmac1Params<'a> = algorithm
            .parameters
            .and_then(|any| any.decode_as().ok())
            .ok_or(PfxError::Malformed {
                what: "the parameters of PBMAC1 do not parse",
            })?;
        let hash = hashes::hmac(&parameters.mac.oid);
        if hash.is_ok() {
            hashes::check_no_parameters(&parameters.mac, "the HMAC of PBMAC1 has parameters")?;
        }
        let kdf = match Kdf::parse(&parameters.kdf) {
            Ok(kdf) => kdf,
            Err(PfxError::UnsupportedAlgorithm { what, .. }) => return Ok(Self::Unsupported(what)),
            Err(other) => return Err(other),
        };
        // RFC 9579 section 4: the length is there.
        let length = kdf.key_length()?.ok_or(PfxError::Malformed {
            what: "PBMAC1 does not say how long its key is (RFC 9579)",
        })?;
        let key_bytes = match usize::try_from(length) {
            Ok(bytes) if PBMAC1_KEY_BYTES.contains(&length) => bytes,
            _ => {
                return Err(PfxError::Malformed {
                    what: "the key of PBMAC1 is of less than 14 or more than 128 bytes, so its MAC protects nothing or is none",
                });
            }
        };
        Ok(Self::Pbmac1 {
            kdf,
            key_bytes,
            hash,
        })
    }
}

/// The iterations of MacData, 1 when there are none.
fn classic_iterations(mac: &MacData<'_>) -> Option<u64> {
    match mac.iterations {
        None => Some(1),
        Some(count) => standing::positive(count.as_bytes()),
    }
}

/// The name of a hash in facts, in words, and itself; what is not supported has its numbers.
fn named(hash: &Known) -> (String, String, Option<FileHash>) {
    match hash {
        Ok(hash) => (
            hashes::name(*hash).to_owned(),
            hash.name().to_owned(),
            Some(*hash),
        ),
        Err(oid) => (oid.to_string(), words::oid(oid), None),
    }
}

/// What is known of a MAC without the password. What is not supported is described as such.
///
/// # Errors
/// [`PfxError::Malformed`] when the parameters of a known algorithm do not parse, or its key is none.
pub(super) fn describe(mac: &MacData<'_>) -> Result<MacFacts, PfxError> {
    let algorithm = mac.mac.algorithm.owned_to_ref();
    let numbers = algorithm.oid.to_string();
    Ok(match Check::parse(&algorithm)? {
        Check::Classic { hash } => {
            let (name, text, known) = named(&hash);
            let text = format!("HMAC-{text} (PKCS#12)");
            MacFacts {
                algorithm: match known {
                    Some(hash) => standing::supported(
                        format!("pkcs12-kdf-hmac-{name}"),
                        text,
                        &[
                            Service::Pkcs12KdfRead,
                            standing::hmac(hash, hash.output_len()),
                        ],
                    ),
                    None => standing::unsupported(numbers, text),
                },
                scheme: MacScheme::Classic,
                hash: name,
                prf: None,
                key_bytes: known.and_then(|hash| u64::try_from(hash.output_len()).ok()),
                iterations: classic_iterations(mac),
                salt_bytes: Some(mac.salt.as_bytes().len()),
            }
        }
        Check::Pbmac1 {
            kdf,
            key_bytes,
            hash,
        } => {
            let (name, text, known) = named(&hash);
            let (kdf_name, prf, kdf_text) = kdf.names();
            let text = format!("HMAC-{text} (PBMAC1 with {kdf_text})");
            MacFacts {
                algorithm: match (known, kdf.service()) {
                    (Some(hash), Some(service)) => {
                        let prf = prf.as_ref().map(|prf| format!("-{prf}"));
                        standing::supported(
                            format!("pbmac1-{kdf_name}{}-hmac-{name}", prf.unwrap_or_default()),
                            text,
                            &[service, standing::hmac(hash, key_bytes)],
                        )
                    }
                    _ => standing::unsupported(numbers, text),
                },
                scheme: MacScheme::Pbmac1,
                hash: name,
                prf: prf.map(|prf| prf.trim_start_matches("hmac-").to_owned()),
                key_bytes: u64::try_from(key_bytes).ok(),
                iterations: kdf.iterations(),
                salt_bytes: Some(kdf.salt_bytes()),
            }
        }
        Check::Unsupported(what) => MacFacts {
            algorithm: standing::unsupported(numbers.clone(), format!("PBMAC1 with {what}")),
            scheme: MacScheme::Pbmac1,
            hash: numbers,
            prf: None,
            key_bytes: None,
            iterations: None,
            salt_bytes: None,
        },
    })
}

/// Whether there is a MAC that this reader has and the FIPS policy permits.
///
/// # Errors
/// [`PfxError::UnsupportedAlgorithm`], [`PfxError::Malformed`], [`PfxError::Module`].
pub(super) fn check_permitted(outer: &Outer<'_>) -> Result<(), PfxError> {
    let Some(mac) = &outer.mac_data else {
        return Err(PfxError::unsupported(
            "no integrity check (a PFX without MacData)",
        ));
    };
    let check = Check::parse(&mac.mac.algorithm.owned_to_ref())?;
    let unsupported =
        |what: String| PfxError::unsupported(format!("{what} for its integrity check"));
    let (derivation, hash, key_bytes) = match check {
        Check::Classic { hash } => {
            let hash = hash.map_err(|oid| unsupported(words::oid(&oid)))?;
            (Service::Pkcs12KdfRead, hash, hash.output_len())
        }
        Check::Pbmac1 {
            kdf,
            key_bytes,
            hash,
        } => {
            let hash = hash.map_err(|oid| unsupported(words::oid(&oid)))?;
            let service = kdf
                .service()
                .ok_or_else(|| unsupported("a key derivation".to_owned()))?;
            (service, hash, key_bytes)
        }
        Check::Unsupported(what) => return Err(unsupported(what)),
    };
    for service in [derivation, standing::hmac(hash, key_bytes)] {
        fips::policy::decide(service)
            .map(drop)
            .map_err(PfxError::Module)?;
    }
    Ok(())
}

/// Verifies the MAC and gives back the password in the encoding that it fits: an empty one has two, and some writers had others.
///
/// # Errors
/// [`PfxError::WrongPassword`] when it fits in none; [`PfxError::UnsupportedAlgorithm`], [`PfxError::Malformed`] and
/// [`PfxError::LimitExceeded`] before anything is derived; `not_approved`.
pub(super) fn verify(
    outer: &Outer<'_>,
    password: &Password,
    budget: &mut Budget,
) -> Result<Password, PfxError> {
    let Some(mac) = &outer.mac_data else {
        return Err(PfxError::unsupported(
            "no integrity check (a PFX without MacData)",
        ));
    };
    let check = Check::parse(&mac.mac.algorithm.owned_to_ref())?;
    // Under no password would it fit.
    if check
        .digest_bytes()
        .is_some_and(|bytes| bytes != mac.mac.digest.as_bytes().len())
    {
        return Err(PfxError::Malformed {
            what: "the digest of its MAC is not as long as its hash makes it",
        });
    }
    if check.fits(outer.auth_safe, mac, password, budget)? {
        return Ok(password.copy());
    }
    // PBMAC1 takes the octets, which have no other forms.
    if matches!(check, Check::Classic { .. }) {
        for form in password.other_forms_for_mac() {
            if check.fits(outer.auth_safe, mac, &form, budget)? {
                return Ok(form);
            }
        }
    }
    Err(PfxError::WrongPassword)
}

impl Check<'_> {
    /// How long its code is; `None` for a hash that is not supported.
    fn digest_bytes(&self) -> Option<usize> {
        match self {
            Self::Classic { hash } | Self::Pbmac1 { hash, .. } => Some(hash.ok()?.output_len()),
            Self::Unsupported(_) => None,
        }
    }

    /// Whether the MAC is the one under this password. Compared in constant time.
    fn fits(
        &self,
        auth_safe: &[u8],
        mac: &MacData<'_>,
        password: &Password,
        budget: &mut Budget,
    ) -> Result<bool, PfxError> {
        let unsupported =
            |what: &str| PfxError::unsupported(format!("{what} for its integrity check"));
        let (hash, key) = match self {
            Self::Classic { hash } => {
                let hash = hash.map_err(|oid| unsupported(&words::oid(&oid)))?;
                (hash, classic_key(hash, mac, password, budget)?)
            }
            Self::Pbmac1 {
                kdf,
                key_bytes,
                hash,
            } => {
                let hash = hash.map_err(|oid| unsupported(&words::oid(&oid)))?;
                (hash, kdf.derive(password.octets(), *key_bytes, budget)?)
            }
            Self::Unsupported(what) => return Err(unsupported(what)),
        };
        match fips::hmac::verify(hash, key.expose(), auth_safe, mac.mac.digest.as_bytes()) {
            Ok(()) => Ok(true),
            Err(error) => match PfxError::from_module(error, PfxError::WrongPassword) {
                PfxError::WrongPassword => Ok(false),
                refused => Err(refused),
            },
        }
    }
}

fn classic_key(
    hash: FileHash,
    mac: &MacData<'_>,
    password: &Password,
    budget: &mut Budget,
) -> Result<SecretBytes, PfxError> {
    let salt = Salt::new(mac.salt.as_bytes(), budget)?;
    let iterations = match mac.iterations {
        None => Iterations::ONE,
        Some(count) => Iterations::parse(count.as_bytes(), budget)?,
    };
    budget.spend(iterations, 1)?;
    fips::kdf::pkcs12(
        Pkcs12Use::Read,
        hash,
        password.bmp(),
        salt.bytes(),
        Pkcs12Purpose::Mac,
        iterations.get(),
        hash.output_len(),
    )
    .map_err(|error| {
        PfxError::from_module(
            error,
            PfxError::Malformed {
                what: "the salt of its MAC cannot be used",
            },
        )
    })
}
