//! TLS to the gateway: the module's cryptography, our certificate, and no trust but in the configured certificates.

use super::error::StartError;
use crate::config::{ConnectorConfig, secret_file};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;

/// Builds the client configuration and checks that it is a FIPS configuration.
///
/// # Errors
/// [`StartError`] naming the file that cannot be used, or the module.
pub(super) fn client_config(config: &ConnectorConfig) -> Result<ClientConfig, StartError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&config.gateway_ca)? {
        roots
            .add(certificate)
            .map_err(|error| unusable(&config.gateway_ca, error))?;
    }
    let chain = certificates(&config.certificate)?;
    let secret = secret_file::read(&config.private_key)
        .map_err(|error| unusable(&config.private_key, format!("{error} ({})", error.hint())))?;
    // What was read must not be quoted by an error.
    let key = PrivateKeyDer::from_pem_slice(secret.expose())
        .map_err(|_| unusable(&config.private_key, "no private key in PEM form"))?;
    let module = |error: rustls::Error| StartError::Module(error.to_string());
    let mut tls = ClientConfig::builder_with_provider(fips::tls::provider())
        .with_safe_default_protocol_versions()
        .map_err(module)?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(|error| unusable(&config.certificate, error))?;
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    fips::tls::assert_fips_client(&tls).map_err(|error| StartError::Module(error.to_string()))?;
    Ok(tls)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, StartError> {
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| unusable(path, error))?;
    if certificates.is_empty() {
        return Err(unusable(path, "no certificate in PEM form"));
    }
    Ok(certificates)
}

fn unusable(path: &Path, problem: impl ToString) -> StartError {
    StartError::File {
        path: path.to_owned(),
        problem: problem.to_string(),
    }
}
