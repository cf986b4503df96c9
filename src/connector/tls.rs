//! TLS to the gateway: our certificate, and no trust but in the configured certificates.

use super::error::StartError;
use crate::config::{ConnectorConfig, IdentityConfig};
use crate::tls::{self, EngineKey, Identity, TlsError};
use fips::digest::{Hash, digest};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use std::path::PathBuf;
use std::time::Duration;

/// Builds the client configuration with the certificate in use and checks that it is a FIPS configuration.
///
/// # Errors
/// [`StartError`] naming the file that cannot be used, or the module; [`StartError::NotEnrolled`].
pub(super) fn client_config(config: &ConnectorConfig) -> Result<ClientConfig, StartError> {
    if let Some(identity) = &config.identity {
        return on_the_token(config, identity, enrolled(config, identity)?);
    }
    let (certificate, private_key) = files(config)?;
    let identity = Identity {
        certificate: &certificate,
        private_key: &private_key,
    };
    tls::client_config(&config.gateway_ca, Some(identity)).map_err(|error| refusal(error, config))
}

/// The same with another certificate of the key on the token.
///
/// # Errors
/// As [`client_config`].
pub(super) fn client_config_with(
    config: &ConnectorConfig,
    chain: &[Vec<u8>],
) -> Result<ClientConfig, StartError> {
    let identity = config.identity.as_ref().ok_or_else(missing)?;
    let chain = chain.iter().cloned().map(CertificateDer::from).collect();
    on_the_token(config, identity, chain)
}

/// SHA-256 of our own certificate (DER). The engine is told, for its receipts.
///
/// # Errors
/// [`StartError`] naming the file that cannot be used.
pub(super) fn certificate_digest(config: &ConnectorConfig) -> Result<Option<[u8; 32]>, StartError> {
    let chain = match &config.identity {
        Some(identity) => enrolled(config, identity)?,
        None => {
            let (certificate, _) = files(config)?;
            tls::certificates(&certificate).map_err(|error| refusal(error, config))?
        }
    };
    Ok(chain.first().and_then(|own| digest_of(own)))
}

/// SHA-256 of a certificate.
pub(super) fn digest_of(der: &[u8]) -> Option<[u8; 32]> {
    digest(Hash::Sha256, der).as_ref().try_into().ok()
}

fn on_the_token(
    config: &ConnectorConfig,
    identity: &IdentityConfig,
    chain: Vec<CertificateDer<'static>>,
) -> Result<ClientConfig, StartError> {
    let key = EngineKey {
        socket: config.engine_socket.clone(),
        name: identity.client_key.clone(),
        // Within the time that connecting may take.
        deadline: Duration::from_millis(config.http_timeout_ms.clamp(1, 8_000)),
    };
    let of_tls = |error| refusal(error, config);
    let roots = tls::roots(&config.gateway_ca).map_err(of_tls)?;
    tls::client_config_with_engine_key(roots, &key, chain, &identity.certificate()).map_err(of_tls)
}

/// The certificate that was enrolled for, and those above it.
fn enrolled(
    config: &ConnectorConfig,
    identity: &IdentityConfig,
) -> Result<Vec<CertificateDer<'static>>, StartError> {
    let path = identity.certificate();
    if !path.exists() {
        return Err(StartError::NotEnrolled { path });
    }
    tls::certificates(&path).map_err(|error| refusal(error, config))
}

/// The files of a certificate that is not enrolled for.
fn files(config: &ConnectorConfig) -> Result<(PathBuf, PathBuf), StartError> {
    config
        .certificate
        .clone()
        .zip(config.private_key.clone())
        .ok_or_else(missing)
}

fn missing() -> StartError {
    StartError::Setting {
        key: "certificate",
        problem: "is missing: give `certificate` with `private_key`, or `[connector.identity]`"
            .to_owned(),
    }
}

fn refusal(error: TlsError, config: &ConnectorConfig) -> StartError {
    match error {
        TlsError::File { path, problem } => StartError::File { path, problem },
        TlsError::Secret(error) => StartError::File {
            path: config.private_key.clone().unwrap_or_default(),
            problem: format!("{error} ({})", error.hint()),
        },
        TlsError::Module(error) => StartError::Module(error.to_string()),
    }
}
