//! The importer's own key, whose signature makes a record acceptable to the engine.

use super::SignerArgs;
use crate::cli::output::{Failure, Report};
use crate::cli::signing_key::PRIVATE_KEY;
use crate::cli::{files, process};
use crate::encoding::{hex, public_key_pem};
use der::pem::LineEnding;
use fips::digest::{Hash, digest};
use fips::sign::{KeyKind, SigningKey};
use pkcs8::SecretDocument;
use serde_json::json;

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
    let public = public_key_pem(key.spki_der()).map_err(|error| not_encoded(error.into()))?;
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
