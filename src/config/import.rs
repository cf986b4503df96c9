//! `[import]`: for the person who imports PFX files.

use super::TokenSection;
use hsm::Padding;
use serde::Deserialize;
use std::path::PathBuf;

/// `[import]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportConfig {
    /// The gateway's base URL (`https://...`).
    pub gateway: String,
    /// PEM file with the certificates that the gateway's certificate must chain to.
    pub gateway_ca: PathBuf,
    /// File with the bearer token; only its owner may read it.
    pub token_file: PathBuf,
    /// The custody key's public half, as `key export-public` wrote it (PEM or RSAPUBLICBLOB). Never taken from the service.
    pub custody_public_key: PathBuf,
    /// SHA-256 of its SubjectPublicKeyInfo, hexadecimal, from another source than the file.
    pub custody_fingerprint: String,
    /// Name of the custody key (its label), stored with the record.
    pub key_name: String,
    /// Provider, stored with the record.
    #[serde(default = "default_provider")]
    pub provider_name: String,
    /// How passwords are encrypted; left out, the best that the token of `[import.token]` does natively, if the custody key is on it.
    pub padding: Option<Padding>,
    /// PEM file with the importer's private key (PKCS#8), which signs the records; only its owner may read it.
    pub signing_key: Option<PathBuf>,
    /// A token that does the RSA encryption (C_Encrypt with the public key); without it the cryptographic module does it.
    pub token: Option<TokenSection>,
}

fn default_provider() -> String {
    "pkcs11".to_owned()
}
