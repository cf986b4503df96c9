//! A PFX that is to be rewrapped: opened in the formats process, for custody, which knows the password and believes nothing of the answer
//! before it has verified it ([`crate::engine::recrypt::identity`]).
//!
//! ```text
//! custody  --- LongCall: terms (JSON), PFX, password ------------------------->  formats
//!          <-- Return:   what came of it (JSON), key, certificate, others ----
//! ```
//!
//! Both carry secrets and are no JSON: parts of a [`Payload`], in memory for secrets and overwritten wherever it was.

use crate::engine::ipc::Payload;
use fips::secret::{Password, PrivateKey};
use formats::pfx::{self, OpenedPfx, PfxError, PfxLimits};
use serde::{Deserialize, Serialize};

/// First byte of both messages; no JSON begins with it.
const MARK: u8 = 1;
/// Further certificates that are passed on at most.
const MAX_OTHERS: usize = 16;

/// What is wanted of a PFX.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OpenTerms {
    /// SHA-1 of the certificate (DER) whose key is wanted, 40 lower-case hexadecimal digits.
    pub thumbprint: String,
    /// Iterations of key derivation in the whole file at most.
    pub max_iterations: u64,
    /// Only whether the password fits the integrity check is wanted: nothing is decrypted, and nothing of the file is given back.
    #[serde(default)]
    pub integrity_alone: bool,
}

impl OpenTerms {
    fn limits(&self) -> PfxLimits {
        PfxLimits {
            max_iterations: self.max_iterations,
            ..PfxLimits::default()
        }
    }
}

/// What the formats process found; all of it is a claim.
pub struct ClaimedIdentity {
    /// The private key (DER PrivateKeyInfo).
    pub pkcs8: PrivateKey,
    /// Its certificate (DER).
    pub certificate: Vec<u8>,
    /// Other certificates (DER).
    pub others: Vec<Vec<u8>>,
}

/// Why a PFX is not opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PfxRefusal {
    /// Stable code: those of [`PfxError::code`], and `certificate_not_in_pfx`.
    pub code: String,
    /// In words, without secrets.
    pub message: String,
    /// Whether anybody who has the PFX and not its password can find it out.
    pub is_of_the_file: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "camelCase", deny_unknown_fields)]
enum Outcome {
    Opened,
    Fits,
    Refused { refusal: PfxRefusal },
}

/// Asks for the key of a PFX.
#[must_use]
pub fn call(terms: &OpenTerms, pfx: &[u8], password: &Password) -> Payload {
    // Its fields are a text and a number: they have a JSON form.
    let terms = serde_json::to_vec(terms).unwrap_or_default();
    Payload::of_parts(MARK, &[&terms, pfx, password.expose()])
}

/// What the formats process answers to a call of this kind.
#[must_use]
pub fn answer(payload: &[u8]) -> Payload {
    let opened = match Payload::parts(MARK, payload).as_deref() {
        Some([terms, pfx, password]) => match serde_json::from_slice::<OpenTerms>(terms) {
            Ok(terms) if terms.integrity_alone => return check(&terms, pfx, password),
            Ok(terms) => open(&terms, pfx, password),
            Err(_) => return Payload::default(),
        },
        _ => return Payload::default(),
    };
    let outcome = match &opened {
        Ok(_) => Outcome::Opened,
        Err(refusal) => Outcome::Refused {
            refusal: refusal.clone(),
        },
    };
    let outcome = serde_json::to_vec(&outcome).unwrap_or_default();
    let mut parts: Vec<&[u8]> = vec![&outcome];
    if let Ok(identity) = &opened {
        parts.push(identity.pkcs8.expose());
        parts.push(&identity.certificate);
        parts.extend(identity.others.iter().map(Vec::as_slice));
    }
    Payload::of_parts(MARK, &parts)
}

fn check(terms: &OpenTerms, pfx: &[u8], password: &[u8]) -> Payload {
    let password = Password::from_slice(password);
    let outcome = match pfx::check_integrity(pfx, password.bytes(), &terms.limits()) {
        Ok(()) => Outcome::Fits,
        Err(error) => Outcome::Refused {
            refusal: refusal(&error),
        },
    };
    let outcome = serde_json::to_vec(&outcome).unwrap_or_default();
    Payload::of_parts(MARK, &[&outcome])
}

/// Reads the answer to a call for the integrity check alone; `None` when it is none.
#[must_use]
pub fn checked(payload: &[u8]) -> Option<Result<(), PfxRefusal>> {
    let parts = Payload::parts(MARK, payload)?;
    let [outcome] = parts.as_slice() else {
        return None;
    };
    match serde_json::from_slice(outcome).ok()? {
        Outcome::Fits => Some(Ok(())),
        Outcome::Refused { refusal } => Some(Err(refusal)),
        Outcome::Opened => None,
    }
}

/// Reads an answer; `None` when it is none.
#[must_use]
pub fn claim(payload: &[u8]) -> Option<Result<ClaimedIdentity, PfxRefusal>> {
    let parts = Payload::parts(MARK, payload)?;
    let (outcome, rest) = parts.split_first()?;
    match (serde_json::from_slice(outcome).ok()?, rest) {
        (Outcome::Opened, [pkcs8, certificate, others @ ..]) => Some(Ok(ClaimedIdentity {
            pkcs8: PrivateKey::from_slice(pkcs8),
            certificate: certificate.to_vec(),
            others: others.iter().map(|other| other.to_vec()).collect(),
        })),
        (Outcome::Refused { refusal }, []) => Some(Err(refusal)),
        _ => None,
    }
}

/// What can be said against a PFX without its password.
///
/// # Errors
/// [`PfxRefusal`].
pub fn look_at(pfx: &[u8], max_iterations: u64) -> Result<(), PfxRefusal> {
    let terms = OpenTerms {
        thumbprint: String::new(),
        max_iterations,
        integrity_alone: false,
    };
    let limits = terms.limits();
    let survey = pfx::look_at(pfx, &limits)
        .and_then(|()| pfx::survey(pfx, &limits))
        .map_err(|error| refusal(&error))?;
    if survey
        .most_iterations()
        .is_some_and(|iterations| iterations > max_iterations)
    {
        return Err(refusal(&PfxError::LimitExceeded {
            what: "iterations of key derivation (`engine.pfx.max_iterations`)",
            limit: max_iterations,
        }));
    }
    Ok(())
}

/// Whether the integrity of a PFX that [`look_at`] lets pass can be checked: `None`, or why not.
#[must_use]
pub fn unchecked_because(pfx: &[u8]) -> Option<Unchecked> {
    match pfx::can_check_integrity(pfx, &PfxLimits::default()) {
        Ok(()) => None,
        Err(PfxError::Module(_)) => Some(Unchecked::NotApproved),
        Err(_) => Some(Unchecked::NoMac),
    }
}

/// Why the integrity of a PFX is not checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Unchecked {
    /// The FIPS policy does not permit it.
    NotApproved,
    /// It has none that is known here.
    NoMac,
}

fn open(terms: &OpenTerms, pfx: &[u8], password: &[u8]) -> Result<ClaimedIdentity, PfxRefusal> {
    let password = Password::from_slice(password);
    let opened =
        pfx::read(pfx, password.bytes(), &terms.limits()).map_err(|error| refusal(&error))?;
    identity(&opened, &terms.thumbprint)
}

/// The key of the certificate with this thumbprint.
fn identity(opened: &OpenedPfx, thumbprint: &str) -> Result<ClaimedIdentity, PfxRefusal> {
    let thumbprint_of = |der: &[u8]| {
        crate::encoding::hex(fips::digest::digest(fips::digest::Hash::Sha1, der).as_ref())
    };
    let identities = opened.identities();
    let wanted = identities
        .iter()
        .find(|identity| thumbprint_of(identity.certificate()) == thumbprint);
    let Some(wanted) = wanted else {
        return Err(match (opened.keys(), opened.closed()) {
            // It may be in there.
            (_, Some(closed)) => refusal(closed),
            ([], None) => refusal(&PfxError::NoPrivateKey),
            _ => PfxRefusal {
                code: "certificate_not_in_pfx".to_owned(),
                message: "the PFX holds no private key of the certificate that the record names"
                    .to_owned(),
                is_of_the_file: true,
            },
        });
    };
    Ok(ClaimedIdentity {
        pkcs8: PrivateKey::from_slice(wanted.pkcs8().expose()),
        certificate: wanted.certificate().to_vec(),
        // Its chain first: of a file with many certificates the rest is left out.
        others: wanted
            .others(MAX_OTHERS)
            .into_iter()
            .map(<[u8]>::to_vec)
            .collect(),
    })
}

fn refusal(error: &PfxError) -> PfxRefusal {
    PfxRefusal {
        code: error.code().to_owned(),
        message: error.to_string(),
        // What may as well come of a wrong password is not told apart from it: a file without integrity protection that is decrypted
        // with the wrong key is malformed, too.
        is_of_the_file: !matches!(error, PfxError::WrongPassword | PfxError::Malformed { .. }),
    }
}
