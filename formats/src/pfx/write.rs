//! Writes PFX files (RFC 7292), in a form that the one who reads them knows.
//!
//! ```text
//! Entries -> keys,         each a shrouded bag   -> SafeContents, plain ------.
//!            certificates                        -> SafeContents, encrypted --+-> AuthenticatedSafe -> MAC -> PFX
//! ```
//!
//! The encoding is DER, with sets in order. A private key is never in clear in anything that is built here: it goes from the caller's
//! [`SecretBytes`] straight into its encryption. What was made of the password is overwritten at the end, whatever the end is.
//!
//! ```
//! use fips::secret::SecretBytes;
//! use formats::pfx::write::{Entries, Form, WriteOptions, write};
//!
//! # fn demo(entries: &Entries<'_>) -> Result<Vec<u8>, formats::pfx::write::WriteError> {
//! let password = fips::random::alphanumeric(32)?;
//! write(entries, &password, &WriteOptions::new(Form::Approved))
//! # }
//! ```

mod bags;
mod changes;
mod entries;
mod error;
mod form;
mod integrity;
mod protect;

pub use changes::changes;
pub use entries::{CertificateEntry, Entries, KeyEntry};
pub use error::WriteError;
pub use form::{Form, UnknownForm, WriteOptions};

use super::encoding::Password;
use super::limits::PfxLimits;
use cms::content_info::{CmsVersion, ContentInfo};
use cms::encrypted_data::EncryptedData;
use cms::enveloped_data::EncryptedContentInfo;
use const_oid::db::rfc5911::{ID_DATA, ID_ENCRYPTED_DATA};
use der::asn1::{Any, OctetString};
use der::{Encode, Tag};
use fips::policy;
use fips::secret::SecretBytes;
use pkcs12::pfx::{Pfx, Version};
use protect::Protector;

/// The longest password, in bytes: far above every one that a person or a program chooses.
const MAX_PASSWORD_BYTES: usize = 1024;

/// Writes a PFX with everything of `entries`, protected by `password` (UTF-8, without any terminator).
///
/// Each private key is encrypted under a salt of its own, so is the part with the certificates. Nothing in the result is secret to who
/// does not have the password, except what everybody sees in each PFX: how many keys it has, their names and identifiers, the
/// algorithms.
///
/// # Errors
/// [`WriteError::NothingToWrite`]; [`WriteError::UnusablePassword`] for one that is empty, longer than 1024 bytes, no UTF-8, or has a
/// NUL in it; [`WriteError::UnusableKey`] for a key that is none, or does not belong to the certificate that is named as its own; [`WriteError::TooMuchWork`] when a reader with ordinary limits would refuse the iterations of
/// all its parts; [`WriteError::Module`] in strict mode for a form (or a short password) that is not approved, before any work is done.
pub fn write(
    entries: &Entries<'_>,
    password: &SecretBytes,
    options: &WriteOptions,
) -> Result<Vec<u8>, WriteError> {
    let password_text = usable(password)?;
    let keys = entries.check()?;
    let entries = &entries.with_keys(&keys);
    options.check_work(entries)?;
    for service in options.services(password.len()) {
        // Asked beforehand, so that a refusal costs no work; each use is decided again.
        policy::decide(service)
            .map(drop)
            .map_err(|error| WriteError::refused(error, service))?;
    }
    let protector = Protector::new(options, password_text);

    let mut parts = Vec::with_capacity(2);
    if !entries.certificates.is_empty() {
        let safe = bags::certificates(entries)?;
        parts.push(encrypted(&protector, &safe)?);
    }
    if !entries.keys.is_empty() {
        parts.push(data(bags::keys(entries, &protector)?)?);
    }
    let auth_safe = parts.to_der().map_err(WriteError::encoding)?;
    let mac_data = integrity::mac(options, protector.password(), &auth_safe)?;
    Pfx {
        version: Version::V3,
        auth_safe: data(auth_safe)?,
        mac_data: Some(mac_data),
    }
    .to_der()
    .map_err(WriteError::encoding)
}

/// One private key (DER PrivateKeyInfo) as EncryptedPrivateKeyInfo (RFC 5958 section 3): PBES2 with AES-256-CBC, PBKDF2 with HMAC-SHA-256.
///
/// # Errors
/// [`WriteError::UnusablePassword`]; [`WriteError::Module`] in strict mode for a password of fewer than 14 bytes.
pub fn encrypted_private_key(
    pkcs8: &SecretBytes,
    password: &SecretBytes,
) -> Result<Vec<u8>, WriteError> {
    let protector = Protector::new(&WriteOptions::new(Form::Approved), usable(password)?);
    bags::encrypted(&protector, pkcs8)?
        .to_der()
        .map_err(WriteError::encoding)
}

/// The password in the forms of PKCS#12, if there is a reader that takes it.
fn usable(password: &SecretBytes) -> Result<Password, WriteError> {
    let refuse = |what| Err(WriteError::UnusablePassword { what });
    if password.is_empty() {
        return refuse("it is empty, which protects nothing");
    }
    if password.len() > MAX_PASSWORD_BYTES {
        return refuse("it is longer than 1024 bytes");
    }
    if password.expose().contains(&0) {
        return refuse("it has a NUL in it, where many programs take it to end");
    }
    if std::str::from_utf8(password.expose()).is_err() {
        return refuse("it is not UTF-8");
    }
    Password::new(password, &PfxLimits::default()).map_err(|_| WriteError::UnusablePassword {
        what: "readers take it as too long",
    })
}

/// A part that anyone can read.
fn data(content: Vec<u8>) -> Result<ContentInfo, WriteError> {
    Ok(ContentInfo {
        content_type: ID_DATA,
        content: Any::new(Tag::OctetString, content).map_err(WriteError::encoding)?,
    })
}

/// A part under the password (RFC 5652 section 8).
fn encrypted(protector: &Protector, safe: &[u8]) -> Result<ContentInfo, WriteError> {
    let (algorithm, ciphertext) = protector.encrypt(safe)?;
    let content = EncryptedData {
        version: CmsVersion::V0,
        enc_content_info: EncryptedContentInfo {
            content_type: ID_DATA,
            content_enc_alg: algorithm,
            encrypted_content: Some(OctetString::new(ciphertext).map_err(WriteError::encoding)?),
        },
        unprotected_attrs: None,
    };
    Ok(ContentInfo {
        content_type: ID_ENCRYPTED_DATA,
        content: Any::encode_from(&content).map_err(WriteError::encoding)?,
    })
}
