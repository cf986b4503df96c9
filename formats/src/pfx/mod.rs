//! A first reader of PFX files (PKCS#12, RFC 7292): DER, password integrity, PBES2 with PBKDF2 and AES-CBC.
//!
//! ```text
//! PFX -> MacData (PKCS#12 KDF, HMAC) over -> AuthenticatedSafe -> SafeContents, plain or PBES2 -> bags: keys, certificates
//! ```
//!
//! Everything else is refused by the name of what it is, never as a wrong password or a broken file. The limits come first: no
//! length, count or number of iterations of a stranger's decides how much memory or time is spent.

mod bags;
mod encoding;
mod error;
mod facts;
mod identity;
mod integrity;
mod limits;
mod model;
mod pbes2;
mod safe;
mod target;
pub mod write;

pub use encoding::{Password, printable_ascii};
pub use error::PfxError;
pub use facts::CertificateFacts;
pub use identity::{Identity, OpenedKey, OpenedPfx};
pub use limits::{BoundedPfx, Budget, Iterations, PfxLimits, Salt};
pub use model::{
    Algorithm, Bag, BagKind, BerForm, Encoding, EncryptionFacts, EncryptionScheme, Integrity,
    KeyFacts, MacFacts, MacScheme, Part, PasswordForm, Protection, Survey,
};
pub use target::{Target, UnknownTarget};

use fips::secret::SecretBytes;

/// Whether the bytes are a PFX from the outside: what can be said of it without its password and without any cryptography.
///
/// # Errors
/// [`PfxError::Malformed`] when it is none, [`PfxError::LimitExceeded`], and [`PfxError::UnsupportedAlgorithm`] for a form that [`read`]
/// would not open.
pub fn look_at(pfx: &[u8], limits: &PfxLimits) -> Result<(), PfxError> {
    safe::open_outer(BoundedPfx::new(pfx, limits)?.bytes()).map(drop)
}

/// Opens a PFX with its password (UTF-8, without any terminator).
///
/// An empty password is tried as both that PKCS#12 knows: the empty string and none at all.
///
/// # Errors
/// [`PfxError`], whose codes are stable: `wrong_password` only when the integrity check fails, `unsupported_algorithm` with the
/// name of what is not supported, `malformed`, `limit_exceeded`.
pub fn read(pfx: &[u8], password: &SecretBytes, limits: &PfxLimits) -> Result<OpenedPfx, PfxError> {
    let pfx = BoundedPfx::new(pfx, limits)?.bytes();
    let mut budget = Budget::new(limits);
    let outer = safe::open_outer(pfx)?;
    let password = Password::new(password, limits)?;
    let password = integrity::verify(&outer, &password, &mut budget)?;
    let contents = safe::read_all(outer.auth_safe, &password, &mut budget)?;
    identity::assemble(contents)
}
