//! Encrypting a password to the custody key, whose public half comes from the operator's file with a pinned fingerprint.

use crate::cli::output::Failure;
use crate::cli::{files, token};
use crate::config::ImportConfig;
use fips::secret::SecretBytes;
use hsm::public_key::PublicKey;
use hsm::{Custody, KeyFingerprint};

/// The largest public key file, in bytes.
const MAX_KEY_BYTES: usize = 64 * 1024;

/// The custody key's public half, which is the pinned one.
pub(super) struct CustodyKey {
    pub(super) key: PublicKey,
    pub(super) fingerprint: KeyFingerprint,
}

impl CustodyKey {
    /// Reads the exported file and holds it against the pinned fingerprint.
    pub(super) fn load(config: &ImportConfig) -> Result<Self, Failure> {
        let path = &config.custody_public_key;
        let bytes = files::read(path, MAX_KEY_BYTES, "the custody key's public half")?;
        let pem = std::str::from_utf8(&bytes)
            .ok()
            .filter(|text| text.contains("-----BEGIN"));
        let key = match pem {
            Some(pem) => PublicKey::from_spki_pem(pem),
            None => PublicKey::from_rsa_public_blob(&bytes),
        }
        .map_err(|error| Failure::from(error).doing(path.display()))?;
        let fingerprint = key.fingerprint()?;
        let pinned = config.custody_fingerprint.to_ascii_lowercase();
        if fingerprint.to_string() != pinned {
            return Err(Failure::usage(
                "custody_key_mismatch",
                format!(
                    "{} holds the key {fingerprint}, but `custody_fingerprint` names {pinned}",
                    path.display()
                ),
            )
            .hint(
                "ask the operator of the engine for the right one (`key show`): a key that somebody slipped in could read every password",
            ));
        }
        Ok(Self { key, fingerprint })
    }
}

/// Who did the RSA encryption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sealer {
    /// The configured token.
    Token,
    /// The cryptographic module: for RSA key transport not an approved service.
    Module,
}

/// Encrypts the password on the configured token, or in the module where there is none.
pub(super) fn seal(
    config: &ImportConfig,
    key: &CustodyKey,
    password: &SecretBytes,
) -> Result<(Vec<u8>, Sealer), Failure> {
    let spki = key.key.to_spki_der()?;
    match &config.token {
        Some(section) => {
            let custody = token::open(token::from_section(section, false))?;
            let ciphertext = custody.encrypt(&spki, config.padding, password)?;
            Ok((ciphertext, Sealer::Token))
        }
        None => {
            let key = fips::rsa::PublicKey::from_spki(&spki)?;
            let ciphertext = key.encrypt_oaep(config.padding.hash(), password.expose())?;
            Ok((ciphertext, Sealer::Module))
        }
    }
}
