//! Private keys that sign, in files: what a configuration names as such.

use super::output::Failure;
use super::{files, process};
use crate::config::secret_file;
use crate::encoding::{hex, public_key_pem};
use der::pem::LineEnding;
use fips::digest::{Hash, digest};
use fips::sign::{KeyKind, SigningKey};
use pkcs8::SecretDocument;
use std::path::Path;

/// Label of a PKCS#8 key (RFC 7468 section 10).
const PRIVATE_KEY: &str = "PRIVATE KEY";

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

/// Makes an EC key on P-256 in two new files, and returns the fingerprint of its public half.
///
/// # Errors
/// [`Failure`] when one of the files is there already or cannot be written.
pub(super) fn make(out_key: &Path, out_public: &Path) -> Result<String, Failure> {
    files::must_be_new(out_key)?;
    files::must_be_new(out_public)?;
    process::protect_memory()?;
    fips::start(fips::policy::Policy::STRICT)?;
    let key = SigningKey::generate(KeyKind::EcP256)?;
    let pkcs8 = key.pkcs8_der()?;
    let private = SecretDocument::try_from(pkcs8.expose())
        .and_then(|document| document.to_pem(PRIVATE_KEY, LineEnding::LF))
        .map_err(not_encoded)?;
    let public = public_key_pem(key.spki_der()).map_err(|error| not_encoded(error.into()))?;
    files::write_new(out_key, private.as_bytes(), 0o600)?;
    files::write_new(out_public, public.as_bytes(), 0o644)?;
    Ok(hex(digest(Hash::Sha256, key.spki_der()).as_ref()))
}

fn not_encoded(error: der::Error) -> Failure {
    Failure::failed("encoding", format!("the key cannot be encoded: {error}"))
}
