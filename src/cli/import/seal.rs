//! Encrypting a password to the custody key, whose public half comes from the operator's file with a pinned fingerprint.

use crate::cli::output::Failure;
use crate::cli::token::TokenSettings;
use crate::cli::{files, token};
use crate::config::ImportConfig;
use fips::policy::{Service, decide};
use fips::secret::SecretBytes;
use hsm::pkcs11::Pkcs11Custody;
use hsm::public_key::PublicKey;
use hsm::{Custody, KeyFingerprint, Padding};

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

/// What encrypts a password, and with which padding.
pub(super) struct Seal {
    custody: Option<Pkcs11Custody>,
    padding: Padding,
}

impl Seal {
    /// Opens the configured token, if there is one. The padding is the configured one, or else the best that the token does natively
    /// with the custody key, which has to be on it.
    pub(super) fn open(config: &ImportConfig, key: &CustodyKey) -> Result<Self, Failure> {
        if config.token.is_none() {
            // Said before anybody is asked for a password.
            decide(Service::RsaOaepEncrypt).map(drop)?;
        }
        let custody = match &config.token {
            Some(section) => {
                let settings = TokenSettings::of_user(token::from_section(section, false));
                Some(token::open(settings)?)
            }
            None => None,
        };
        let padding = match (config.padding, &custody) {
            (Some(padding), _) => Some(padding),
            (None, Some(custody)) => native(custody, key)?,
            (None, None) => None,
        };
        let padding = padding.ok_or_else(|| {
            Failure::usage(
                "padding",
                "`import.padding` is not set, and no token with the custody key says which padding is the best",
            )
            .hint("set it to what `key show` on the connector host names as the best padding for import")
        })?;
        Ok(Self { custody, padding })
    }

    pub(super) fn padding(&self) -> Padding {
        self.padding
    }

    pub(super) fn sealer(&self) -> Sealer {
        match self.custody {
            Some(_) => Sealer::Token,
            None => Sealer::Module,
        }
    }

    /// Encrypts the password on the token, or in the module where there is none.
    pub(super) fn seal(
        &self,
        key: &CustodyKey,
        password: &SecretBytes,
    ) -> Result<Vec<u8>, Failure> {
        let spki = key.key.to_spki_der()?;
        match &self.custody {
            Some(custody) => Ok(custody.encrypt(&spki, self.padding, password)?),
            None => {
                let key = fips::rsa::PublicKey::from_spki(&spki)?;
                let hash = self
                    .padding
                    .hash()
                    .ok_or(hsm::Error::PaddingNotSupported(self.padding))?;
                Ok(key.encrypt_oaep(hash, password.expose())?)
            }
        }
    }
}

/// The best padding that the token does natively, if it is the custody key's.
fn native(custody: &Pkcs11Custody, key: &CustodyKey) -> Result<Option<Padding>, Failure> {
    let is_here = custody
        .keys()?
        .iter()
        .any(|found| found.fingerprint == key.fingerprint && found.is_usable());
    if !is_here {
        return Ok(None);
    }
    Ok(token::best_padding(&custody.capabilities().native))
}
