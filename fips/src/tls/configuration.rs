//! Configurations: made here alone, and checked before anybody gets them.

use super::state::{self, Side};
use crate::{Error, Result};
use rustls::crypto::{CryptoProvider, default_fips_provider};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use std::sync::{Arc, OnceLock};

/// What every configuration offers; one with a key that is somewhere else, the first alone.
pub(super) static VERSIONS: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];

/// TLS 1.2 without extended master secret (RFC 7627) is no approved service. rustls requires it by itself with a FIPS
/// provider; said here so that nobody has to know, and asserted.
pub(super) const REQUIRE_EMS: bool = true;

/// The provider with this module's cryptography; the same one each time.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(default_fips_provider())))
}

/// The certificate of this side. Its key is used by the module, in this process.
#[derive(Debug)]
pub struct Identity {
    /// The chain, its own certificate first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The private key that belongs to the first certificate. rustls shows nothing of it in `Debug`.
    pub private_key: PrivateKeyDer<'static>,
}

/// What a server asks of its clients, with the certificates that theirs have to chain to.
#[derive(Debug)]
pub enum ClientCertificates {
    /// Whoever has none is let in, and has to show otherwise who they are. A certificate that is shown has to be right.
    Wanted(RootCertStore),
    /// Without one there is no connection.
    Demanded(RootCertStore),
}

/// A client configuration that trusts `roots` alone and offers `protocols` (RFC 7301 names): TLS 1.2 with extended
/// master secret and TLS 1.3, by [`provider`], checked by [`assert_fips_client`].
///
/// # Errors
/// [`Error::TlsIdentity`] if certificate and private key cannot be used, [`Error::TlsNotFips`] if rustls does not say
/// that the configuration is a FIPS configuration, [`Error::TlsVersions`] if rustls was built without them.
pub fn client_config(
    roots: RootCertStore,
    identity: Option<Identity>,
    protocols: &[&[u8]],
) -> Result<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)
        .map_err(|_| Error::TlsVersions)?
        .with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => builder
            .with_client_auth_cert(identity.chain, identity.private_key)
            .map_err(unusable_identity)?,
    };
    config.require_ems = REQUIRE_EMS;
    config.alpn_protocols = names(protocols);
    state::count_configuration(Side::Client, assert_fips_client(&config))?;
    Ok(config)
}

/// A client configuration whose key is somewhere else: `key` has it sign, and this process never sees it. TLS 1.3 alone, since what such a
/// key signs in TLS 1.2 has no form of its own. Otherwise as [`client_config`], checked by [`assert_fips_client`]; whoever has the key
/// answers for its signatures.
///
/// # Errors
/// As [`client_config`]; [`Error::TlsIdentity`] if the certificate is not the key's.
pub fn client_config_with_key(
    roots: RootCertStore,
    key: CertifiedKey,
    protocols: &[&[u8]],
) -> Result<ClientConfig> {
    key.keys_match().map_err(unusable_identity)?;
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(|_| Error::TlsVersions)?
        .with_root_certificates(roots)
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    config.require_ems = REQUIRE_EMS;
    config.alpn_protocols = names(protocols);
    state::count_configuration(Side::Client, assert_fips_client(&config))?;
    Ok(config)
}

/// A server configuration with one certificate: as [`client_config`], checked by [`assert_fips_server`].
///
/// # Errors
/// As [`client_config`]; [`Error::TlsRoots`] if `clients` holds no certificate to trust.
pub fn server_config(
    identity: Identity,
    clients: ClientCertificates,
    protocols: &[&[u8]],
) -> Result<ServerConfig> {
    let verifier = |roots| WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    let verifier = match clients {
        ClientCertificates::Wanted(roots) => verifier(roots).allow_unauthenticated(),
        ClientCertificates::Demanded(roots) => verifier(roots),
    };
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)
        .map_err(|_| Error::TlsVersions)?
        .with_client_cert_verifier(verifier.build().map_err(|error| Error::TlsRoots {
            problem: error.to_string(),
        })?)
        .with_single_cert(identity.chain, identity.private_key)
        .map_err(unusable_identity)?;
    config.require_ems = REQUIRE_EMS;
    config.alpn_protocols = names(protocols);
    state::count_configuration(Side::Server, assert_fips_server(&config))?;
    Ok(config)
}

/// rustls says of a key what is wrong with its form, never what is in it.
fn unusable_identity(error: rustls::Error) -> Error {
    Error::TlsIdentity {
        problem: error.to_string(),
    }
}

fn names(protocols: &[&[u8]]) -> Vec<Vec<u8>> {
    protocols.iter().map(|name| name.to_vec()).collect()
}

/// Checks that a finished client configuration is a FIPS configuration: [`provider`] and no other, `fips()`, extended
/// master secret required, nothing sent before the handshake is over, no traffic keys for others.
///
/// # Errors
/// [`Error::TlsNotFips`] if it is not.
pub fn assert_fips_client(config: &ClientConfig) -> Result<()> {
    let is_fips = Arc::ptr_eq(config.crypto_provider(), &provider())
        && config.fips()
        && config.require_ems
        && !config.enable_early_data
        && !config.enable_secret_extraction;
    if is_fips {
        return Ok(());
    }
    Err(Error::TlsNotFips { side: "client" })
}

/// Checks that a finished server configuration is a FIPS configuration, as [`assert_fips_client`] does.
///
/// # Errors
/// [`Error::TlsNotFips`] if it is not.
pub fn assert_fips_server(config: &ServerConfig) -> Result<()> {
    let is_fips = Arc::ptr_eq(config.crypto_provider(), &provider())
        && config.fips()
        && config.require_ems
        && config.max_early_data_size == 0
        && !config.enable_secret_extraction;
    if is_fips {
        return Ok(());
    }
    Err(Error::TlsNotFips { side: "server" })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
    use rustls::server::ResolvesServerCertUsingSni;

    fn server(provider: Arc<CryptoProvider>) -> ServerConfig {
        ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(VERSIONS)
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(ResolvesServerCertUsingSni::new()))
    }

    fn client(provider: Arc<CryptoProvider>) -> ClientConfig {
        ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(VERSIONS)
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth()
    }

    #[test]
    fn a_configuration_passes_and_any_weaker_one_does_not() {
        let good = client_config(RootCertStore::empty(), None, &[b"h2"]).unwrap();
        assert!(good.require_ems && good.alpn_protocols == [b"h2"]);
        assert_fips_client(&good).unwrap();
        let weaker: [fn(&mut ClientConfig); 3] = [
            |config| config.require_ems = false,
            |config| config.enable_early_data = true,
            |config| config.enable_secret_extraction = true,
        ];
        for weaken in weaker {
            let mut config = good.clone();
            weaken(&mut config);
            assert_eq!(
                assert_fips_client(&config),
                Err(Error::TlsNotFips { side: "client" })
            );
        }

        let good = server(provider());
        assert_fips_server(&good).unwrap();
        let weaker: [fn(&mut ServerConfig); 3] = [
            |config| config.require_ems = false,
            |config| config.max_early_data_size = 1,
            |config| config.enable_secret_extraction = true,
        ];
        for weaken in weaker {
            let mut config = good.clone();
            weaken(&mut config);
            assert_eq!(
                assert_fips_server(&config),
                Err(Error::TlsNotFips { side: "server" })
            );
        }
    }

    #[test]
    fn a_provider_with_x25519_alone_or_any_other_than_ours_does_not_pass() {
        let with_x25519 = CryptoProvider {
            kx_groups: vec![kx_group::X25519],
            ..default_provider()
        };
        let another = default_fips_provider();
        for provider in [with_x25519, another] {
            let provider = Arc::new(provider);
            assert!(assert_fips_client(&client(Arc::clone(&provider))).is_err());
            assert!(assert_fips_server(&server(provider)).is_err());
        }
    }

    #[test]
    fn no_library_finds_a_provider_in_the_process() {
        client_config(RootCertStore::empty(), None, &[]).unwrap();
        assert!(CryptoProvider::get_default().is_none());
    }
}
