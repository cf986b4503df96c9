//! PFX files (PKCS#12, RFC 7292) as they are found: in DER and BER, of every writer, within bounds.
//!
//! ```text
//! PFX -> MacData over -> AuthenticatedSafe -> SafeContents, plain or encrypted -> bags: keys, certificates, others
//!        (integrity)     (safe)               (keyring, pbe)                       (bags, attributes, key) -> joined (identity)
//! ```
//!
//! The order of the checks decides what is said: the form of the file, then the MAC (a wrong password is a wrong password whatever else
//! there is), then each part. What is not known is refused by the name of what it is, never as a wrong password or a broken file; a key of
//! an unknown kind is listed, and refused where it is to be used. The limits come first: no length, count or number of iterations of a
//! stranger's decides how much memory or time is spent, and apart from the key derivation, for which there is a budget, the work is linear.
//!
//! Choices where the standards leave one, or writers left the standards:
//! - Octets may follow the end of the file: zeros in exports of Windows, line ends after a download, anything else. They are not looked
//!   at; [`Survey::trailing_octets`] counts them.
//! - An empty password is tried as the empty string and as none, for the MAC and for each part.
//! - A password beyond ASCII that does not fit the MAC is tried as OpenSSL before 1.1.0 had it: each octet a character.
//! - A password that fits the MAC but does not decrypt is tried for PBES2 as ISO-8859-1 (Bouncy Castle's old default) and as BMPString
//!   (old NSS). That is sound: the MAC has shown the password, and what comes out has to be a whole ASN.1 structure.
//! - A file without MAC opens; [`Survey::integrity`] says so, and the first part decides whether the password is wrong.
//! - A part or a key whose protection is not supported stays closed, and the rest is read: each is protected by itself, and the MAC is over
//!   all of them as they are. [`Survey::not_supported`] names it. Where no private key was found, what stays closed may hold it, and the
//!   file is refused by that name.
//! - An attribute with a value of another type than its own is no attribute; [`Bag::broken_attributes`] names it.
//! - A certificate of more than 64 KiB is kept and joined to its key, and not looked into; [`Bag::certificate_is_too_large`] says so.

mod attributes;
mod bags;
mod chain;
mod encoding;
mod error;
mod facts;
mod hashes;
mod identity;
mod integrity;
mod key;
mod keyring;
mod limits;
mod model;
mod opened;
mod other_formats;
mod outline;
mod pbe;
mod safe;
mod standing;
mod target;
pub mod verdict;
pub mod write;

pub use chain::ChainFacts;
pub use encoding::{Password, printable_ascii};
pub use error::PfxError;
pub use facts::CertificateFacts;
pub(crate) use facts::LARGEST as LARGEST_CERTIFICATE;
pub use limits::{BoundedPfx, Budget, Iterations, PfxLimits, Salt};
pub use model::{
    Algorithm, Bag, BagKind, BerForm, Encoding, EncryptionFacts, EncryptionScheme, Integrity,
    KeyFacts, MacFacts, MacScheme, Part, PasswordForm, Protection, Survey,
};
pub use opened::{Identity, MatchedBy, OpenedCertificate, OpenedKey, OpenedOther, OpenedPfx};
pub use other_formats::OtherFormat;
pub use target::{Target, UnknownTarget};

use bags::{Contents, Reading};
use fips::secret::SecretBytes;
use keyring::Keyring;
use safe::{File, Outer};

/// The passwords of a file that has two (RFC 7292 section 4: integrity and privacy are independent).
#[derive(Clone, Copy)]
pub struct Passwords<'a> {
    /// Of the MAC (UTF-8, without any terminator).
    pub integrity: &'a SecretBytes,
    /// Of the encrypted parts and keys; `None` when it is the same.
    pub privacy: Option<&'a SecretBytes>,
}

/// Whether the bytes are a PFX from the outside: what can be said of it without its password and without any cryptography.
///
/// # Errors
/// [`PfxError::Malformed`] when it is none, [`PfxError::LimitExceeded`], and [`PfxError::UnsupportedAlgorithm`] for a form that [`read`]
/// would not open.
pub fn look_at(pfx: &[u8], limits: &PfxLimits) -> Result<(), PfxError> {
    File::open(BoundedPfx::new(pfx, limits)?)?
        .outer()?
        .check_supported()
}

/// Everything that can be seen without a password. Nothing is decrypted and nothing is verified.
///
/// # Errors
/// [`PfxError::Malformed`] and [`PfxError::LimitExceeded`]. What is not supported is described, not refused.
pub fn survey(pfx: &[u8], limits: &PfxLimits) -> Result<Survey, PfxError> {
    let mut budget = Budget::new(limits);
    let file = File::open(BoundedPfx::new(pfx, limits)?)?;
    let outer = file.outer()?;
    outer.check_version()?;
    let (_, survey) = contents(pfx, &file, &outer, None, &mut budget)?;
    Ok(survey)
}

/// Opens a PFX with its password (UTF-8, without any terminator).
///
/// An empty password is tried as both that PKCS#12 knows: the empty string and none at all.
///
/// # Errors
/// [`PfxError`], whose codes are stable. `wrong_password` when the integrity check fails; without one, when the first encrypted part does
/// not decrypt; and when a part has another password than the integrity check. `unsupported_algorithm` with the name of what is not
/// supported, where that is the integrity check or may be the key: what else is not supported stays closed ([`OpenedPfx::closed`]).
/// `malformed`, `limit_exceeded`, `not_approved`.
pub fn read(pfx: &[u8], password: &SecretBytes, limits: &PfxLimits) -> Result<OpenedPfx, PfxError> {
    let passwords = Passwords {
        integrity: password,
        privacy: None,
    };
    read_with(pfx, passwords, limits)
}

/// As [`read`], for a file whose parts are encrypted under another password than that of its MAC.
///
/// # Errors
/// As [`read`].
pub fn read_with(
    pfx: &[u8],
    passwords: Passwords<'_>,
    limits: &PfxLimits,
) -> Result<OpenedPfx, PfxError> {
    read_within(pfx, passwords, &mut Budget::new(limits))
}

/// As [`read_with`], within a budget that says afterwards how much work it was.
///
/// # Errors
/// As [`read`].
pub fn read_within(
    pfx: &[u8],
    passwords: Passwords<'_>,
    budget: &mut Budget,
) -> Result<OpenedPfx, PfxError> {
    let file = File::open(BoundedPfx::new(pfx, budget.limits())?)?;
    let outer = file.outer()?;
    outer.check_supported()?;
    let password = Password::new(passwords.integrity, budget.limits())?;
    let verified = match outer.mac_data {
        Some(_) => Some(integrity::verify(&outer, &password, budget)?),
        None => None,
    };
    let keyring = match passwords.privacy {
        Some(privacy) => Keyring::new(&Password::new(privacy, budget.limits())?, false, false),
        None => Keyring::new(
            verified.as_ref().unwrap_or(&password),
            verified.is_some(),
            true,
        ),
    };
    let (contents, survey) = contents(pfx, &file, &outer, Some(keyring), budget)?;
    if contents.keys.is_empty()
        && let Some(refusal) = contents.closed.refusal()
    {
        return Err(refusal);
    }
    Ok(identity::assemble(contents, survey))
}

/// One private key (DER PrivateKeyInfo) of an EncryptedPrivateKeyInfo (RFC 5958 section 3) that stands in a file by itself.
///
/// # Errors
/// `wrong_password`, `unsupported_algorithm`, `malformed`, `limit_exceeded`, `not_approved`.
pub fn read_encrypted_private_key(
    bytes: &[u8],
    password: &SecretBytes,
    limits: &PfxLimits,
) -> Result<SecretBytes, PfxError> {
    let bounded = BoundedPfx::new(bytes, limits)?;
    let password = Password::new(password, limits)?;
    bags::encrypted_key(bounded.bytes(), &password, &mut Budget::new(limits))
}

/// Whether the integrity of a PFX can be checked here: it has a MAC, and the FIPS policy lets it be computed.
///
/// # Errors
/// As [`check_integrity`], but for the password.
pub fn can_check_integrity(pfx: &[u8], limits: &PfxLimits) -> Result<(), PfxError> {
    let file = File::open(BoundedPfx::new(pfx, limits)?)?;
    let outer = file.outer()?;
    outer.check_supported()?;
    integrity::check_permitted(&outer)
}

/// Whether the password (UTF-8, without any terminator) fits the MAC of a PFX: less work than [`read`], and nothing is decrypted.
///
/// # Errors
/// [`PfxError::WrongPassword`]; [`PfxError::UnsupportedAlgorithm`] for a file without MAC; as [`read`].
pub fn check_integrity(
    pfx: &[u8],
    password: &SecretBytes,
    limits: &PfxLimits,
) -> Result<(), PfxError> {
    let mut budget = Budget::new(limits);
    let file = File::open(BoundedPfx::new(pfx, limits)?)?;
    let outer = file.outer()?;
    outer.check_supported()?;
    let password = Password::new(password, limits)?;
    integrity::verify(&outer, &password, &mut budget).map(drop)
}

/// What is in the parts, as far as the keyring goes.
fn contents(
    pfx: &[u8],
    file: &File<'_>,
    outer: &Outer<'_>,
    keyring: Option<Keyring>,
    budget: &mut Budget,
) -> Result<(Contents, Survey), PfxError> {
    budget.count_steps(file.steps());
    let integrity = match &outer.mac_data {
        _ if outer.is_signed() => Integrity::Signature,
        None => Integrity::None,
        Some(mac) => Integrity::Mac(integrity::describe(mac)?),
    };
    let mut reading = Reading {
        keyring,
        budget,
        forms: file.forms(),
        contents: Contents::default(),
    };
    let parts = match outer.is_signed() {
        true => Vec::new(),
        false => reading.authenticated_safe(outer.auth_safe)?,
    };
    let survey = Survey {
        size_bytes: pfx.len(),
        encoding: reading.forms.into(),
        version: outer.version,
        trailing_octets: file.trailing,
        integrity,
        parts,
        opened: reading.keyring.is_some(),
        password_form: reading.keyring.as_ref().map(Keyring::form),
    };
    Ok((reading.contents, survey))
}
