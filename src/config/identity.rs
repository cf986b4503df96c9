//! `[connector.identity]`: a certificate that the connector enrols for and renews by itself, with its key on the engine's token.

use serde::Deserialize;
use std::path::PathBuf;

/// `[connector.identity]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityConfig {
    /// The key's name in the engine's `[[engine.client_keys]]`.
    pub client_key: String,
    /// The folder of the certificate.
    pub folder: PathBuf,
}

impl IdentityConfig {
    /// The file with the certificate that is in use, and those above it.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.folder.join("certificate.pem")
    }
}
