//! TLS 1.2 and 1.3 by rustls, with the module's cryptography. Approved as one composite service.
//!
//! Evidence is `fips()` on each finished configuration: it takes the cipher suites, the groups, and for TLS 1.2 the
//! extended master secret (RFC 7627, "require EMS") into account, which rustls requires by itself with this provider.
//! The hybrid X25519MLKEM768 contains X25519, which is not approved alone; the approved part is ML-KEM-768.

use crate::{Error, Result};
use rustls::crypto::CryptoProvider;
use rustls::{
    ClientConfig, ConfigBuilder, ServerConfig, WantsVerifier, crypto::default_fips_provider,
};
use std::sync::{Arc, OnceLock};

/// The provider with this module's cryptography; the same one each time.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(default_fips_provider())))
}

/// Makes [`provider`] the default of the process, for libraries that take the default. May be called again.
///
/// # Errors
/// [`Error::TlsProviderTaken`] if a provider that is not a FIPS provider was installed before.
pub fn install_default() -> Result<()> {
    // What is installed stays forever, so the loser of a race only has to look at it.
    if CryptoProvider::get_default().is_none() && default_fips_provider().install_default().is_ok()
    {
        return Ok(());
    }
    match CryptoProvider::get_default() {
        Some(installed) if installed.fips() => Ok(()),
        _ => Err(Error::TlsProviderTaken),
    }
}

/// Begins a client configuration: TLS 1.2 and 1.3 with [`provider`]. End with [`assert_fips_client`].
///
/// # Errors
/// [`Error::TlsVersions`] if rustls was built without them.
pub fn client_config_builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>> {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|_| Error::TlsVersions)
}

/// Begins a server configuration: TLS 1.2 and 1.3 with [`provider`]. End with [`assert_fips_server`].
///
/// # Errors
/// [`Error::TlsVersions`] if rustls was built without them.
pub fn server_config_builder() -> Result<ConfigBuilder<ServerConfig, WantsVerifier>> {
    ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|_| Error::TlsVersions)
}

/// Checks that a finished client configuration is a FIPS configuration, with the extended master secret required.
///
/// # Errors
/// [`Error::TlsNotFips`] if it is not.
pub fn assert_fips_client(config: &ClientConfig) -> Result<()> {
    if config.fips() && config.require_ems {
        return Ok(());
    }
    Err(Error::TlsNotFips { side: "client" })
}

/// Checks that a finished server configuration is a FIPS configuration, with the extended master secret required.
///
/// # Errors
/// [`Error::TlsNotFips`] if it is not.
pub fn assert_fips_server(config: &ServerConfig) -> Result<()> {
    if config.fips() && config.require_ems {
        return Ok(());
    }
    Err(Error::TlsNotFips { side: "server" })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use rustls::RootCertStore;
    use rustls::server::ResolvesServerCertUsingSni;

    #[test]
    fn configurations_from_the_builders_pass_and_without_ems_they_do_not() {
        let mut client = client_config_builder()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        assert_fips_client(&client).unwrap();
        client.require_ems = false;
        assert_eq!(
            assert_fips_client(&client),
            Err(Error::TlsNotFips { side: "client" })
        );

        let mut server = server_config_builder()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(ResolvesServerCertUsingSni::new()));
        assert_fips_server(&server).unwrap();
        server.require_ems = false;
        assert_eq!(
            assert_fips_server(&server),
            Err(Error::TlsNotFips { side: "server" })
        );
    }

    #[test]
    fn the_default_can_be_installed_twice() {
        install_default().unwrap();
        install_default().unwrap();
        assert!(provider().fips());
    }
}
