//! TLS of the program: the module's cryptography, no trust but in named files, and a certificate of our own where the peer wants one.

mod engine_key;

pub use ca::CallFailure;
pub use engine_key::{EngineKey, client_config_with_engine_key};

use crate::config::secret_file;
use fips::tls::ClientCertificates;
use pkcs8::SecretDocument;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The largest file of certificates, in bytes.
const MAX_PEM_BYTES: u64 = 1024 * 1024;

/// The protocols that clients offer and the gateway speaks: HTTP/2 and HTTP/1.1 (RFC 7301 names).
const PROTOCOLS: &[&[u8]] = &[b"h2", b"http/1.1"];

/// The certificate of one side: files with the chain and the private key (PEM).
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    /// The chain, its own certificate first.
    pub certificate: &'a Path,
    /// The private key (PKCS#8); only its owner may read the file.
    pub private_key: &'a Path,
}

impl Identity<'_> {
    fn load(self) -> Result<fips::tls::Identity, TlsError> {
        Ok(fips::tls::Identity {
            chain: certificates(self.certificate)?,
            private_key: private_key(self.private_key)?,
        })
    }
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
    /// The configuration would be none of FIPS, or the module does not start.
    #[error("TLS: {0}")]
    Module(#[from] fips::Error),
}

fn unusable(path: &Path, problem: impl ToString) -> TlsError {
    TlsError::File {
        path: path.to_owned(),
        problem: problem.to_string(),
    }
}

/// A configuration that trusts the certificates of `roots_file` alone, offers HTTP/2 and HTTP/1.1, and is checked to be a FIPS configuration.
///
/// # Errors
/// [`TlsError`] naming the file that cannot be used, or the module.
pub fn client_config(
    roots_file: &Path,
    identity: Option<Identity<'_>>,
) -> Result<ClientConfig, TlsError> {
    let roots = roots(roots_file)?;
    let loaded = identity.map(Identity::load).transpose()?;
    fips::tls::client_config(roots, loaded, PROTOCOLS).map_err(|error| match (identity, error) {
        (Some(identity), fips::Error::TlsIdentity { problem }) => {
            unusable(identity.certificate, problem)
        }
        (_, error) => TlsError::Module(error),
    })
}

/// A configuration of a server with that certificate. Clients may show one that chains to `clients_file`, and need not.
///
/// # Errors
/// As [`client_config`].
pub fn server_config(
    identity: Identity<'_>,
    clients_file: &Path,
) -> Result<ServerConfig, TlsError> {
    let clients = ClientCertificates::Wanted(roots(clients_file)?);
    fips::tls::server_config(identity.load()?, clients, PROTOCOLS).map_err(|error| match error {
        fips::Error::TlsIdentity { problem } => unusable(identity.certificate, problem),
        fips::Error::TlsRoots { problem } => unusable(clients_file, problem),
        error => TlsError::Module(error),
    })
}

/// Certificates to trust, from a PEM file.
///
/// # Errors
/// [`TlsError::File`] when it cannot be read or holds none that can be trusted.
pub fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(path)? {
        store
            .add(certificate)
            .map_err(|error| unusable(path, error))?;
    }
    Ok(store)
}

/// The certificates of a PEM file (1 MiB at most); at least one.
///
/// # Errors
/// [`TlsError::File`] when it cannot be read or holds none.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let mut pem = Vec::new();
    crate::config::open_file(path)
        .and_then(|file| file.take(MAX_PEM_BYTES + 1).read_to_end(&mut pem))
        .map_err(|error| unusable(path, error))?;
    if u64::try_from(pem.len()).is_ok_and(|length| length > MAX_PEM_BYTES) {
        return Err(unusable(path, "more than 1 MiB: no list of certificates"));
    }
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(path, error))?;
    if certificates.is_empty() {
        return Err(unusable(path, "no certificate in PEM form"));
    }
    Ok(certificates)
}

/// A private key from a protected PEM file.
///
/// # Errors
/// [`TlsError::Secret`] when the file is not there or not protected, [`TlsError::File`] when it holds no key.
pub fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let pem = secret_file::read(path)?;
    // What was read must not be quoted by an error.
    key_block(pem.expose())
        .and_then(|block| SecretDocument::from_pem(block).ok())
        .and_then(|(label, document)| {
            let der = document.as_bytes().to_vec();
            match label {
                "PRIVATE KEY" => Some(PrivateKeyDer::Pkcs8(der.into())),
                "EC PRIVATE KEY" => Some(PrivateKeyDer::Sec1(der.into())),
                "RSA PRIVATE KEY" => Some(PrivateKeyDer::Pkcs1(der.into())),
                _ => None,
            }
        })
        .ok_or_else(|| unusable(path, "no private key in PEM form (PKCS#8)"))
}

/// The first private key of a PEM file, beside which there may be other things (parameters of a curve, certificates). Its base64 is decoded by
/// what leaves no copy of it behind.
fn key_block(pem: &[u8]) -> Option<&str> {
    const LABEL_END: &str = "PRIVATE KEY-----";
    let text = std::str::from_utf8(pem).ok()?;
    let label_end = text.find(LABEL_END)?;
    let begin = text.get(..label_end)?.rfind("-----BEGIN ")?;
    let rest = text.get(begin..)?;
    let length = rest.match_indices(LABEL_END).nth(1)?.0;
    rest.get(..length.checked_add(LABEL_END.len())?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use pkcs8::LineEnding;
    use pkcs8::der::Document;
    use std::os::unix::fs::PermissionsExt;

    const PARAMETERS: &str =
        "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";

    fn read(text: &str) -> Result<PrivateKeyDer<'static>, TlsError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        private_key(&path)
    }

    fn pem(label: &'static str) -> String {
        // More than one line of base64.
        let der = [&[0x30, 0x62][..], &[5, 0].repeat(49)].concat();
        let document = Document::try_from(der).unwrap();
        document.to_pem(label, LineEnding::LF).unwrap()
    }

    #[test]
    fn a_key_is_found_among_other_things_in_each_of_its_forms() {
        let certificate = pem("CERTIFICATE");
        for label in ["PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"] {
            let key = pem(label);
            for text in [
                key.clone(),
                key.replace('\n', "\r\n"),
                format!("{PARAMETERS}{key}{certificate}"),
                format!("{certificate}Bag Attributes\n    friendlyName: anna\n{key}"),
            ] {
                let read = read(&text).unwrap();
                assert_eq!(read.secret_der().len(), 100, "{label}");
                assert_eq!(
                    label,
                    match read {
                        PrivateKeyDer::Pkcs8(_) => "PRIVATE KEY",
                        PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
                        PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
                        _ => "another",
                    }
                );
            }
        }
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_quoted() {
        let key = pem("PRIVATE KEY");
        for text in [
            "no PEM at all",
            "PRIVATE KEY-----",
            &key[..key.len() - 40],
            &key.replace("AUABQAF", "AUA*QAF"),
            &pem("CERTIFICATE"),
            &pem("ENCRYPTED PRIVATE KEY"),
        ] {
            let refused = read(text).unwrap_err().to_string();
            assert!(refused.contains("no private key in PEM form"), "{refused}");
            assert!(!refused.contains("AUABQAF"), "{refused}");
        }
    }
}
