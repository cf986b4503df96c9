//! TLS to the gateway: our certificate, and no trust but in the configured certificates.

use super::error::StartError;
use crate::config::ConnectorConfig;
use crate::tls::{self, Identity, TlsError};
use fips::digest::{Hash, digest};
use rustls::ClientConfig;

/// Builds the client configuration and checks that it is a FIPS configuration.
///
/// # Errors
/// [`StartError`] naming the file that cannot be used, or the module.
pub(super) fn client_config(config: &ConnectorConfig) -> Result<ClientConfig, StartError> {
    let identity = Identity {
        certificate: &config.certificate,
        private_key: &config.private_key,
    };
    tls::client_config(&config.gateway_ca, Some(identity)).map_err(|error| refusal(error, config))
}

/// SHA-256 of our own certificate (DER): the first of its file. The engine is told, for its receipts.
///
/// # Errors
/// [`StartError`] naming the file that cannot be used.
pub(super) fn certificate_digest(config: &ConnectorConfig) -> Result<Option<[u8; 32]>, StartError> {
    let chain = tls::certificates(&config.certificate).map_err(|error| refusal(error, config))?;
    Ok(chain
        .first()
        .and_then(|own| digest(Hash::Sha256, own).as_ref().try_into().ok()))
}

fn refusal(error: TlsError, config: &ConnectorConfig) -> StartError {
    match error {
        TlsError::File { path, problem } => StartError::File { path, problem },
        TlsError::Secret(error) => StartError::File {
            path: config.private_key.clone(),
            problem: format!("{error} ({})", error.hint()),
        },
        TlsError::Module(error) => StartError::Module(error.to_string()),
    }
}
