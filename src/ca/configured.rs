//! The configured authorities: from `[[connector.ca]]` and the files that it names to clients behind the trait of the crate `ca`.

use super::key::OwnedKey;
use crate::config::{AuthorityConfig, AuthorityKind, AuthorityMac, secret_file};
use crate::tls::{self, TlsError};
use ca::CertificationAuthority;
use ca::cmp::{Cmp, Confirmation, Credential, ProfileIn, Settings};
use pki::cmp::{MacScheme, Trust};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// An authority that cannot be used as it is configured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// A file does not hold what it should.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// What is configured does not go together, or the policy in force does not permit it.
    #[error("{0}")]
    Unusable(String),
    /// The cryptographic module, or TLS would not be its work alone.
    #[error("{0}")]
    Module(String),
}

pub(super) fn unusable(path: &Path, problem: impl ToString) -> AuthorityError {
    AuthorityError::File {
        path: path.to_owned(),
        problem: problem.to_string(),
    }
}

fn of_tls(error: TlsError) -> AuthorityError {
    match error {
        TlsError::File { path, problem } => AuthorityError::File { path, problem },
        other => AuthorityError::Module(other.to_string()),
    }
}

/// The certificates (DER) of a PEM file.
///
/// # Errors
/// [`AuthorityError`] naming the file.
pub fn certificates(path: &Path) -> Result<Vec<Vec<u8>>, AuthorityError> {
    let all = tls::certificates(path).map_err(of_tls)?;
    Ok(all.into_iter().map(|one| one.to_vec()).collect())
}

/// The client of a configured authority. Nothing is sent yet.
///
/// # Errors
/// [`AuthorityError`] saying what cannot be used.
pub fn build(config: &AuthorityConfig) -> Result<Arc<dyn CertificationAuthority>, AuthorityError> {
    match config.kind {
        AuthorityKind::Cmp => cmp(config),
    }
}

/// An HTTP client that trusts what is configured for this authority, and nothing else; without it, for plain http only.
fn http(config: &AuthorityConfig) -> Result<reqwest::Client, AuthorityError> {
    let roots = config.server_ca.as_deref().unwrap_or(&config.roots);
    let tls = tls::client_config(roots, None).map_err(of_tls)?;
    let timeout = Duration::from_millis(config.timeout_ms.max(1));
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(timeout.min(Duration::from_secs(10)))
        .pool_idle_timeout(Duration::from_secs(60))
        .user_agent(concat!("pfx-connector/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| AuthorityError::Module(error.to_string()))
}

fn cmp(config: &AuthorityConfig) -> Result<Arc<dyn CertificationAuthority>, AuthorityError> {
    let missing = |key: &str| {
        AuthorityError::Unusable(format!("authority {:?}: `{key}` is missing", config.name))
    };
    let credential = match (&config.certificate, &config.private_key) {
        (Some(certificate), Some(private_key)) => {
            let mut chain = certificates(certificate)?;
            if chain.is_empty() {
                return Err(unusable(certificate, "no certificate in PEM form"));
            }
            let certificate_der = chain.remove(0);
            let signers = certificates(config.signers.as_deref().unwrap_or(&config.roots))?;
            Credential::Signature {
                certificate_der,
                chain,
                signer: Arc::new(OwnedKey::read(private_key)?),
                trust: Trust::new(&signers, &[], &[])
                    .map_err(|error| AuthorityError::Unusable(error.to_string()))?,
            }
        }
        _ => {
            let path = config
                .secret_file
                .as_deref()
                .ok_or_else(|| missing("secret_file"))?;
            let secret = secret_file::read(path).map_err(|error| unusable(path, error))?;
            let reference = config
                .reference
                .as_ref()
                .ok_or_else(|| missing("reference"))?;
            Credential::Secret {
                reference: reference.as_bytes().to_vec(),
                secret: Arc::new(secret),
                scheme: match config.mac {
                    AuthorityMac::Hmac => MacScheme::Hmac,
                    AuthorityMac::Pbmac1 => MacScheme::Pbmac1,
                    AuthorityMac::PasswordBasedMac => MacScheme::PasswordBasedMac,
                },
            }
        }
    };
    let settings = Settings {
        name: config.name.clone(),
        url: config.url.clone().ok_or_else(|| missing("url"))?,
        deadline: Duration::from_millis(config.timeout_ms.max(1)),
        recipient_der: None,
        credential,
        confirmation: Confirmation::Explicit,
        profile: ProfileIn::Header,
    };
    let client = Cmp::new(settings, http(config)?).map_err(|error| {
        AuthorityError::Unusable(format!("authority {:?}: {error}", config.name))
    })?;
    Ok(Arc::new(client))
}
