//! The importer's own key, whose signature makes a record acceptable to the engine.

use super::SignerArgs;
use crate::cli::output::{Failure, Report};
use crate::cli::signing_key;
use serde_json::json;

/// Makes a signing key.
pub(super) fn run(args: &SignerArgs) -> Result<Report, Failure> {
    let fingerprint = signing_key::make(&args.out_key, &args.out_public)?;
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
