//! TLS clients of the program: the module's cryptography, no trust but in named files, and a certificate of our own where the peer wants one.

use crate::config::secret_file;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::path::{Path, PathBuf};

/// A client's own certificate: files with the chain and the private key (PEM).
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    /// The chain, its own certificate first.
    pub certificate: &'a Path,
    /// The private key (PKCS#8); only its owner may read the file.
    pub private_key: &'a Path,
}

/// A TLS configuration that cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file does not hold what it should.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A secret file is not there or not protected.
    #[error(transparent)]
    Secret(#[from] secret_file::SecretFileError),
    /// The cryptographic module.
    #[error("TLS: {0}")]
    Module(String),
}

fn unusable(path: &Path, problem: impl ToString) -> TlsError {
    TlsError::File {
        path: path.to_owned(),
        problem: problem.to_string(),
    }
}

/// A configuration that trusts the certificates of `roots` alone, offers HTTP/2 and HTTP/1.1, and is checked to be a FIPS configuration.
///
/// # Errors
/// [`TlsError`] naming the file that cannot be used, or the module.
pub fn client_config(
    roots: &Path,
    identity: Option<Identity<'_>>,
) -> Result<ClientConfig, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(roots)? {
        store
            .add(certificate)
            .map_err(|error| unusable(roots, error))?;
    }
    let builder = fips::tls::client_config_builder()
        .map_err(|error| TlsError::Module(error.to_string()))?
        .with_root_certificates(store);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let chain = certificates(identity.certificate)?;
            let secret = secret_file::read(identity.private_key)?;
            // What was read must not be quoted by an error.
            let key = PrivateKeyDer::from_pem_slice(secret.expose())
                .map_err(|_| unusable(identity.private_key, "no private key in PEM form"))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| unusable(identity.certificate, error))?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    fips::tls::assert_fips_client(&config).map_err(|error| TlsError::Module(error.to_string()))?;
    Ok(config)
}

/// The certificates of a PEM file; at least one.
///
/// # Errors
/// [`TlsError::File`] when it cannot be read or holds none.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| unusable(path, error))?;
    if certificates.is_empty() {
        return Err(unusable(path, "no certificate in PEM form"));
    }
    Ok(certificates)
}
