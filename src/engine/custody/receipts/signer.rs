//! The audit key: in a file of the engine's user, or on a token.

use crate::config::{AuditConfig, secret_file};
use crate::engine::custody::CustodyError;
use crate::engine::custody::labels::Found;
use crate::engine::custody::token::describe;
use crate::engine::custody::tokens::Tokens;
use audit::{AuditKey, Signed, Signer, SignerError};
use fips::sign::SignatureAlgorithm;
use hsm::pkcs11::Pkcs11Custody;
use hsm::{KeyFingerprint, SigningKeyName, Terms};
use pkcs8::SecretDocument;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

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
            label: label.clone(),
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

/// A key on the first token that has it and signs: found by its label, and by its fingerprint from then on.
struct OnTokens {
    tokens: Arc<Tokens>,
    label: String,
}

impl OnTokens {
    /// Signs with the key on one of the tokens, the one called `first` before the others.
    fn sign_by(
        &self,
        first: Option<&str>,
        key: KeyFingerprint,
        message: &[u8],
    ) -> Result<Signed, SignerError> {
        let name = SigningKeyName::Fingerprint(key);
        self.first_that_does(first, |_, custody| {
            let signed = custody.sign_on(&name, message, Terms::within(PATIENCE))?;
            Ok(Signed {
                spki_der: signed.spki_der,
                signature: signed.signature,
            })
        })
    }

    /// The key that bears the label now, and signs what seals a log.
    fn look(&self) -> Result<Found, SignerError> {
        let name = SigningKeyName::Label(self.label.clone());
        let found = self.first_that_does(None, |token, custody| {
            let info = custody.signing_key_on(&name, Terms::within(PATIENCE))?;
            Ok(Found::now(token, info))
        })?;
        if found.info.algorithm != SignatureAlgorithm::EcdsaP256Sha256 {
            return Err(SignerError(
                "the audit key on the token is no EC key on P-256".to_owned(),
            ));
        }
        self.tokens.labels.keep(&self.label, found.clone());
        Ok(found)
    }

    fn first_that_does<T>(
        &self,
        first: Option<&str>,
        ask: impl Fn(&str, &Pkcs11Custody) -> Result<T, hsm::Error>,
    ) -> Result<T, SignerError> {
        let mut failed = SignerError("no token is open".to_owned());
        for (token, custody) in self.tokens.open_in_order(first) {
            match ask(token, custody) {
                Ok(done) => return Ok(done),
                Err(error) => failed = SignerError(describe(&error)),
            }
        }
        Err(failed)
    }
}

impl Signer for OnTokens {
    fn sign(&self, message: &[u8]) -> Result<Signed, SignerError> {
        if let Some(known) = self.tokens.labels.get(&self.label, Instant::now()) {
            let key = known.info.fingerprint;
            match self.sign_by(Some(&known.token), key, message) {
                Ok(signed) => return Ok(signed),
                Err(error) => {
                    tracing::debug!(%error, "the audit key did not sign and is looked for anew");
                    self.tokens.labels.forget(&self.label, &key);
                }
            }
        }
        let found = self.look()?;
        self.sign_by(Some(&found.token), found.info.fingerprint, message)
    }
}
