//! The way to the service that the configuration names.

use crate::cli::files;
use crate::cli::output::Failure;
use crate::clock::SystemClock;
use crate::config::{ImportConfig, secret_file};
use crate::intune::{GraphError, RetryBudget, UserPfxClient};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::sync::Arc;

/// The largest file with authorities' certificates, in bytes.
const MAX_CA_BYTES: usize = 1024 * 1024;

/// A client of the configured service, which trusts nobody but the configured authority.
pub(super) fn client(config: &ImportConfig) -> Result<UserPfxClient, Failure> {
    fips::start()?;
    let bearer = secret_file::read(&config.token_file)?;
    let mut tls = fips::tls::client_config_builder()?
        .with_root_certificates(roots(config)?)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    fips::tls::assert_fips_client(&tls)?;
    UserPfxClient::new(
        &config.gateway,
        tls,
        &bearer,
        RetryBudget::default(),
        Arc::new(SystemClock),
    )
    .map_err(Failure::from)
}

fn roots(config: &ImportConfig) -> Result<rustls::RootCertStore, Failure> {
    let path = &config.gateway_ca;
    let pem = files::read(path, MAX_CA_BYTES, "`import.gateway_ca`")?;
    let unusable = |reason: String| {
        Failure::usage(
            "gateway_ca",
            format!("`import.gateway_ca`: {}: {reason}", path.display()),
        )
    };
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| unusable(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(unusable("no certificate in PEM".to_owned()));
    }
    Ok(roots)
}

/// Runs one conversation with the service to its end.
pub(super) fn block_on<T>(
    conversation: impl Future<Output = Result<T, GraphError>>,
) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed("runtime", error.to_string()))?
        .block_on(conversation)
        .map_err(Failure::from)
}

impl From<GraphError> for Failure {
    fn from(error: GraphError) -> Self {
        let code = error.code();
        let mut message = error.to_string();
        if let GraphError::Refused {
            request_id: Some(id),
            ..
        } = &error
        {
            message = format!("{message}, request-id {id}");
        }
        let failure = match error {
            GraphError::Settings(_) => Self::usage(code, message),
            _ => Self::failed(code, message),
        };
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}
