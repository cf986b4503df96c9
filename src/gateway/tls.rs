//! TLS of the gateway: the validated module's provider, client certificates wanted but not demanded (the routes demand them).

use super::error::GatewayError;
use super::store::Contact;
use crate::config::{GatewayConfig, secret_file};
use crate::encoding::hex;
use der::Decode;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::path::Path;
use std::sync::Arc;

/// The longest subject that is kept of a client certificate, in bytes.
const MAX_SUBJECT_BYTES: usize = 512;

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, GatewayError> {
    let pem = secret_file::read(path)?;
    PrivateKeyDer::from_pem_slice(pem.expose()).map_err(|_| GatewayError::Content {
        path: path.to_owned(),
        what: "no PKCS#8 private key in PEM".to_owned(),
    })
}

/// The configuration for every connection; refused unless all of it is in FIPS mode.
pub(super) fn server_config(config: &GatewayConfig) -> Result<Arc<ServerConfig>, GatewayError> {
    let tls = |error: &dyn std::fmt::Display| GatewayError::Tls(error.to_string());
    fips::start().map_err(|error| tls(&error))?;
    let provider = fips::tls::provider();
    let mut roots = RootCertStore::empty();
    for certificate in crate::tls::certificates(&config.connector_ca)? {
        roots
            .add(certificate)
            .map_err(|error| GatewayError::Content {
                path: config.connector_ca.clone(),
                what: error.to_string(),
            })?;
    }
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()
            .map_err(|error| tls(&error))?;
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| tls(&error))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            crate::tls::certificates(&config.certificate)?,
            private_key(&config.private_key)?,
        )
        .map_err(|error| tls(&error))?;
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    fips::tls::assert_fips_server(&server).map_err(|error| tls(&error))?;
    Ok(Arc::new(server))
}

/// Who a verified client certificate speaks for.
pub(super) fn contact(certificate: &CertificateDer<'_>) -> Contact {
    let digest = fips::digest::digest(fips::digest::Hash::Sha256, certificate);
    let mut subject = x509_cert::Certificate::from_der(certificate)
        .map(|parsed| parsed.tbs_certificate().subject().to_string())
        .unwrap_or_default()
        .replace(char::is_control, " ");
    subject.truncate(subject.floor_char_boundary(MAX_SUBJECT_BYTES));
    Contact {
        certificate: hex(digest.as_ref()),
        subject,
    }
}
