//! The importer's own key, whose signature makes a record acceptable to the engine.

use super::SignerArgs;
use crate::cli::output::{Failure, Report};
use crate::cli::{files, process};
use crate::config::secret_file;
use crate::encoding::hex;
use der::pem::LineEnding;
use fips::digest::{Hash, digest};
use fips::sign::{KeyKind, SigningKey};
use pkcs8::SecretDocument;
use serde_json::json;
use std::path::Path;

/// Label of a PKCS#8 key (RFC 7468 section 10).
const PRIVATE_KEY: &str = "PRIVATE KEY";
/// Label of a SubjectPublicKeyInfo (RFC 7468 section 13).
const PUBLIC_KEY: &str = "PUBLIC KEY";

/// Makes a signing key.
pub(super) fn run(args: &SignerArgs) -> Result<Report, Failure> {
    files::must_be_new(&args.out_key)?;
    files::must_be_new(&args.out_public)?;
    process::protect_memory()?;
    fips::start(fips::policy::Policy::STRICT)?;
    let key = SigningKey::generate(KeyKind::EcP256)?;
    let pkcs8 = key.pkcs8_der()?;
    let private = SecretDocument::try_from(pkcs8.expose())
        .and_then(|document| document.to_pem(PRIVATE_KEY, LineEnding::LF))
        .map_err(not_encoded)?;
    let public = der::pem::encode_string(PUBLIC_KEY, LineEnding::LF, key.spki_der())
        .map_err(|error| not_encoded(error.into()))?;
    files::write_new(&args.out_key, private.as_bytes(), 0o600)?;
    files::write_new(&args.out_public, public.as_bytes(), 0o644)?;
    let fingerprint = hex(digest(Hash::Sha256, key.spki_der()).as_ref());
    Ok(Report::done(
        json!({
            "privateKey": args.out_key,
            "publicKey": args.out_public,
            "algorithm": "ecdsaP256Sha256",
            "fingerprint": fingerprint,
        }),
        format!(
            "Made a signing key (EC P-256).\n  private  {} (yours alone: `import.signing_key`)\n  public   {} (for the engine: `public_key` of an \
             [[engine.importers]])\n  fingerprint {fingerprint}",
            args.out_key.display(),
            args.out_public.display()
        ),
    ))
}

fn not_encoded(error: der::Error) -> Failure {
    Failure::failed("encoding", format!("the key cannot be encoded: {error}"))
}

/// Reads a signing key from its file.
pub(super) fn load(path: &Path) -> Result<SigningKey, Failure> {
    let unusable = |reason: &str| {
        Failure::usage(
            "signing_key",
            format!("`import.signing_key`: {}: {reason}", path.display()),
        )
        .hint("`import signer` makes one; an encrypted key is not read")
    };
    let pem = secret_file::read(path)?;
    let text = std::str::from_utf8(pem.expose()).map_err(|_| unusable("not PEM"))?;
    let (label, document) = SecretDocument::from_pem(text).map_err(|_| unusable("not PEM"))?;
    if label != PRIVATE_KEY {
        return Err(unusable("not a PKCS#8 key (`BEGIN PRIVATE KEY`)"));
    }
    SigningKey::from_pkcs8(document.as_bytes()).map_err(|error| unusable(&error.to_string()))
}
