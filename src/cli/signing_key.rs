//! Private keys that sign, in files: what a configuration names as such.

use super::output::Failure;
use crate::config::secret_file;
use fips::sign::SigningKey;
use pkcs8::SecretDocument;
use std::path::Path;

/// Label of a PKCS#8 key (RFC 7468 section 10).
pub(super) const PRIVATE_KEY: &str = "PRIVATE KEY";

/// Reads the signing key that the configuration's `key` names: a PEM file (PKCS#8) that only its owner may read.
///
/// # Errors
/// [`Failure`] (usage) when others may read the file, or it holds something else.
pub(super) fn load(path: &Path, key: &str) -> Result<SigningKey, Failure> {
    let unusable = |reason: &str| {
        Failure::usage(
            "signing_key",
            format!("`{key}`: {}: {reason}", path.display()),
        )
        .hint("`import signer` makes a key; an encrypted one is not read")
    };
    let pem = secret_file::read(path)?;
    let text = std::str::from_utf8(pem.expose()).map_err(|_| unusable("not PEM"))?;
    let (label, document) = SecretDocument::from_pem(text).map_err(|_| unusable("not PEM"))?;
    if label != PRIVATE_KEY {
        return Err(unusable("not a PKCS#8 key (`BEGIN PRIVATE KEY`)"));
    }
    SigningKey::from_pkcs8(document.as_bytes()).map_err(|error| unusable(&error.to_string()))
}
