//! The configured authorities: from `[[connector.ca]]` and the files that it names to clients behind the trait of the crate `ca`.

use super::key::OwnedKey;
use super::local::{self, LocalCa};
use crate::config::{AuthorityConfig, AuthorityKind, AuthorityMac, LocalCaConfig, secret_file};
use crate::engine::client::EngineClient;
use crate::tls::{self, EngineKey, Identity, TlsError};
use ca::adcs::{Adcs, AdcsSettings, RevokeCommand};
use ca::cmp::{Cmp, Confirmation, Credential, ProfileIn, Settings};
use ca::est::{Est, EstSettings};
use ca::{CertificationAuthority, Login, SettingsError};
use fips::secret::Password;
use pki::cmp::{MacScheme, Trust};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

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

/// The client of a configured authority. Nothing is sent yet. `engine`: the socket of the engine whose token has `client_key`.
///
/// # Errors
/// [`AuthorityError`] saying what cannot be used.
pub fn build(
    config: &AuthorityConfig,
    local: &[LocalCaConfig],
    engine: Option<&Path>,
) -> Result<Arc<dyn CertificationAuthority>, AuthorityError> {
    match config.kind {
        AuthorityKind::Cmp => cmp(config),
        AuthorityKind::Est => est(config, engine),
        AuthorityKind::Adcs => adcs(config, engine),
        AuthorityKind::Local => {
            let own = local.iter().find(|own| own.name == config.name);
            local_ca(own.ok_or_else(|| {
                AuthorityError::Unusable(format!(
                    "authority {:?}: there is no `[[local_ca]]` of this name",
                    config.name
                ))
            })?)
        }
    }
}

fn of_settings(config: &AuthorityConfig) -> impl Fn(SettingsError) -> AuthorityError {
    let name = config.name.clone();
    move |error| AuthorityError::Unusable(format!("authority {name:?}: {error}"))
}

fn login(config: &AuthorityConfig) -> Result<Option<Login>, AuthorityError> {
    let (Some(user), Some(path)) = (&config.username, &config.password_file) else {
        return Ok(None);
    };
    let secret = secret_file::read(path).map_err(|error| unusable(path, error))?;
    Ok(Some(Login {
        user: user.clone(),
        password: Password::from_slice(secret.expose()),
    }))
}

/// The end of the validity of the certificate that is shown.
fn credential_expires(config: &AuthorityConfig) -> Result<Option<SystemTime>, AuthorityError> {
    let Some(path) = &config.certificate else {
        return Ok(None);
    };
    let own = certificates(path)?;
    Ok(own.first().and_then(|der| pki::cmp::valid_until(der).ok()))
}

fn deadline(config: &AuthorityConfig) -> Duration {
    Duration::from_millis(config.timeout_ms.max(1))
}

fn missing(config: &AuthorityConfig, key: &str) -> AuthorityError {
    AuthorityError::Unusable(format!("authority {:?}: `{key}` is missing", config.name))
}

fn est(
    config: &AuthorityConfig,
    engine: Option<&Path>,
) -> Result<Arc<dyn CertificationAuthority>, AuthorityError> {
    let settings = EstSettings {
        name: config.name.clone(),
        server: config.url.clone().ok_or_else(|| missing(config, "url"))?,
        label: config.profile.clone(),
        login: login(config)?,
        anchors: certificates(&config.roots)?,
        deadline: deadline(config),
        credential_expires: credential_expires(config)?,
    };
    let client = Est::new(settings, http(config, engine)?).map_err(of_settings(config))?;
    Ok(Arc::new(client))
}

fn adcs(
    config: &AuthorityConfig,
    engine: Option<&Path>,
) -> Result<Arc<dyn CertificationAuthority>, AuthorityError> {
    let settings = AdcsSettings {
        name: config.name.clone(),
        enrollment: config.url.clone().ok_or_else(|| missing(config, "url"))?,
        policy: config.policy_url.clone(),
        template: config.profile.clone(),
        login: login(config)?,
        anchors: certificates(&config.roots)?,
        deadline: deadline(config),
        ask_again_in: Duration::from_millis(config.longest_pause_ms),
        revoke: (!config.revoke_command.is_empty()).then(|| RevokeCommand {
            command: config.revoke_command.clone(),
            deadline: deadline(config),
        }),
        credential_expires: credential_expires(config)?,
    };
    let client = Adcs::new(settings, http(config, engine)?).map_err(of_settings(config))?;
    Ok(Arc::new(client))
}

fn local_ca(own: &LocalCaConfig) -> Result<Arc<dyn CertificationAuthority>, AuthorityError> {
    let settings = local::Settings {
        name: own.name.clone(),
        folder: own.folder.clone(),
        publish: own.publish.clone(),
        chain: certificates(&own.certificate)?,
        profile: own.profile.clone(),
    };
    // The engine need not be there yet: the loop waits for it.
    let engine = EngineClient::unconnected(&own.engine_socket);
    let authority = LocalCa::open(settings, engine)
        .map_err(|error| AuthorityError::Unusable(format!("authority {:?}: {error}", own.name)))?;
    Ok(Arc::new(authority))
}

/// An HTTP client that trusts what is configured for this authority, and nothing else; without it, for plain http only.
fn http(
    config: &AuthorityConfig,
    engine: Option<&Path>,
) -> Result<reqwest::Client, AuthorityError> {
    let roots = config.server_ca.as_deref().unwrap_or(&config.roots);
    // CMP signs its messages with this certificate, and shows none to a server.
    let identity = match (&config.certificate, &config.private_key, config.kind) {
        (_, _, AuthorityKind::Cmp) => None,
        (Some(certificate), Some(private_key), _) => Some(Identity {
            certificate,
            private_key,
        }),
        _ => None,
    };
    let tls = match (&config.client_key, &config.certificate) {
        (Some(name), Some(certificate)) => {
            let socket = engine.ok_or_else(|| {
                AuthorityError::Unusable(format!(
                    "authority {:?}: `client_key` needs an engine, and there is none here",
                    config.name
                ))
            })?;
            let key = EngineKey {
                socket: socket.to_owned(),
                name: name.clone(),
                // Within the time that connecting may take.
                deadline: Duration::from_millis(config.timeout_ms.clamp(1, 8_000)),
            };
            let roots = tls::roots(roots).map_err(of_tls)?;
            let chain = tls::certificates(certificate).map_err(of_tls)?;
            tls::client_config_with_engine_key(roots, &key, chain, certificate)
        }
        _ => tls::client_config(roots, identity),
    }
    .map_err(of_tls)?;
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
                .ok_or_else(|| missing(config, "secret_file"))?;
            let secret = secret_file::read(path).map_err(|error| unusable(path, error))?;
            let reference = config
                .reference
                .as_ref()
                .ok_or_else(|| missing(config, "reference"))?;
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
        url: config.url.clone().ok_or_else(|| missing(config, "url"))?,
        deadline: deadline(config),
        recipient_der: None,
        credential,
        confirmation: Confirmation::Explicit,
        profile: ProfileIn::Header,
    };
    let client = Cmp::new(settings, http(config, None)?).map_err(|error| {
        AuthorityError::Unusable(format!("authority {:?}: {error}", config.name))
    })?;
    Ok(Arc::new(client))
}
