//! The audit key: in a file of the engine's user, or on a token.

use crate::config::{AuditConfig, secret_file};
use crate::engine::custody::CustodyError;
use crate::engine::custody::token::describe;
use crate::engine::custody::tokens::Tokens;
use audit::{AuditKey, Signed, Signer, SignerError};
use fips::sign::SignatureAlgorithm;
use hsm::{SigningKeyName, Terms};
use pkcs8::SecretDocument;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A token that takes longer is asked again later.
const PATIENCE: Duration = Duration::from_secs(10);

/// The key that the configuration names.
pub(super) fn of(
    config: &AuditConfig,
    tokens: &Arc<Tokens>,
) -> Result<Arc<dyn Signer>, CustodyError> {
    match (&config.signing_key_file, &config.signing_key) {
        (Some(path), _) => Ok(Arc::new(load(path)?)),
        (None, Some(label)) => Ok(Arc::new(OnTokens {
            tokens: Arc::clone(tokens),
            key: SigningKeyName::Label(label.clone()),
        })),
        (None, None) => Err(CustodyError::Audit(
            "neither `signing_key_file` nor `signing_key`".to_owned(),
        )),
    }
}

fn load(path: &Path) -> Result<AuditKey, CustodyError> {
    let unusable = |why: String| CustodyError::Audit(format!("{}: {why}", path.display()));
    let pem = secret_file::read(path).map_err(|error| CustodyError::Audit(error.to_string()))?;
    let text = std::str::from_utf8(pem.expose()).map_err(|_| unusable("not PEM".to_owned()))?;
    let (label, document) =
        SecretDocument::from_pem(text).map_err(|_| unusable("not PEM".to_owned()))?;
    if label != "PRIVATE KEY" {
        return Err(unusable(
            "not a PKCS#8 key (`BEGIN PRIVATE KEY`): `audit key generate` makes one".to_owned(),
        ));
    }
    AuditKey::from_pkcs8(document.as_bytes()).map_err(|error| unusable(error.to_string()))
}

/// The first token that has the key and signs.
struct OnTokens {
    tokens: Arc<Tokens>,
    key: SigningKeyName,
}

impl Signer for OnTokens {
    fn sign(&self, message: &[u8]) -> Result<Signed, SignerError> {
        let mut failed = SignerError("no token is open".to_owned());
        for custody in self
            .tokens
            .keepers
            .iter()
            .filter_map(|keeper| keeper.custody())
        {
            match custody.sign_on(&self.key, message, Terms::within(PATIENCE)) {
                Ok(signed) if signed.algorithm == SignatureAlgorithm::EcdsaP256Sha256 => {
                    return Ok(Signed {
                        spki_der: signed.spki_der,
                        signature: signed.signature,
                    });
                }
                Ok(_) => {
                    failed =
                        SignerError("the audit key on the token is no EC key on P-256".to_owned());
                }
                Err(error) => failed = SignerError(describe(&error)),
            }
        }
        Err(failed)
    }
}
