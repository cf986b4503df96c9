//! TLS of the gateway: the validated module's provider, client certificates wanted but not demanded (the routes demand them).

use super::error::GatewayError;
use super::store::Contact;
use crate::config::GatewayConfig;
use crate::encoding::hex;
use crate::tls::{self, Identity, TlsError};
use der::Decode;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use std::sync::Arc;

/// The longest subject that is kept of a client certificate, in bytes.
const MAX_SUBJECT_BYTES: usize = 512;

/// The configuration for every connection; refused unless all of it is in FIPS mode.
pub(super) fn server_config(config: &GatewayConfig) -> Result<Arc<ServerConfig>, GatewayError> {
    fips::start(fips::policy::in_force()).map_err(TlsError::from)?;
    let identity = Identity {
        certificate: &config.certificate,
        private_key: &config.private_key,
    };
    Ok(Arc::new(tls::server_config(
        identity,
        &config.connector_ca,
    )?))
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
