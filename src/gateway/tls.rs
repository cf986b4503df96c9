//! TLS of the gateway: the validated module's provider, client certificates wanted but not demanded (the routes demand them).

use super::error::GatewayError;
use super::store::Contact;
use crate::config::GatewayConfig;
use crate::encoding::hex;
use der::Decode;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use std::sync::Arc;

/// The longest subject that is kept of a client certificate, in bytes.
const MAX_SUBJECT_BYTES: usize = 512;

/// The configuration for every connection; refused unless all of it is in FIPS mode.
pub(super) fn server_config(config: &GatewayConfig) -> Result<Arc<ServerConfig>, GatewayError> {
    let tls = |error: &dyn std::fmt::Display| GatewayError::Tls(error.to_string());
    fips::start(fips::policy::in_force()).map_err(|error| tls(&error))?;
    let provider = fips::tls::provider();
    let roots = crate::tls::roots(&config.connector_ca)?;
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
            crate::tls::private_key(&config.private_key)?,
        )
        .map_err(|error| tls(&error))?;
    server.alpn_protocols = crate::tls::alpn_protocols();
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
