//! A client's key on the engine's token, as rustls asks for signatures: TLS 1.3 alone, each signature a call of the engine.

use super::{PROTOCOLS, TlsError, unusable};
use crate::encoding::{Base64Bytes, hex};
use crate::engine::api::SignTlsRequest;
use crate::engine::client::sign_tls;
use fips::digest::{Hash, digest};
use pki::algorithm::KeyKind;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{ClientConfig, RootCertStore, SignatureAlgorithm, SignatureScheme};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Handle, RuntimeFlavor};

/// Which key it is, and who has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineKey {
    /// The engine's socket.
    pub socket: PathBuf,
    /// The key's name in `[[engine.client_keys]]`.
    pub name: String,
    /// How long one signature may take; the handshake has failed then.
    pub deadline: Duration,
}

/// A configuration as [`client_config`](super::client_config), for a certificate whose key the engine has. Nothing is signed yet.
///
/// # Errors
/// [`TlsError`] naming `file`, which `chain` was read from, when its key is of a kind that TLS 1.3 does not sign with here; or the module.
pub fn client_config_with_engine_key(
    roots: RootCertStore,
    key: &EngineKey,
    chain: Vec<CertificateDer<'static>>,
    file: &Path,
) -> Result<ClientConfig, TlsError> {
    let own = chain
        .first()
        .ok_or_else(|| unusable(file, "no certificate in PEM form"))?;
    let spki = pki::path::Certificate::read(own)
        .map_err(|error| unusable(file, error))?
        .spki_der()
        .to_vec();
    let scheme = match KeyKind::of(&spki) {
        Some(KeyKind::P256) => SignatureScheme::ECDSA_NISTP256_SHA256,
        Some(KeyKind::P384) => SignatureScheme::ECDSA_NISTP384_SHA384,
        Some(KeyKind::Rsa) => SignatureScheme::RSA_PSS_SHA256,
        _ => {
            return Err(unusable(
                file,
                "its key is neither EC on P-256 or P-384 nor RSA (rsaEncryption)",
            ));
        }
    };
    let certificate = digest(Hash::Sha256, own).as_ref().try_into().ok();
    let signing = OnEngine {
        key: Arc::new(key.clone()),
        spki: SubjectPublicKeyInfoDer::from(spki),
        scheme,
        certificate,
    };
    let certified = CertifiedKey::new(chain, Arc::new(signing));
    fips::tls::client_config_with_key(roots, certified, PROTOCOLS).map_err(|error| match error {
        fips::Error::TlsIdentity { problem } => unusable(file, problem),
        error => TlsError::Module(error),
    })
}

#[derive(Debug, Clone)]
struct OnEngine {
    key: Arc<EngineKey>,
    spki: SubjectPublicKeyInfoDer<'static>,
    scheme: SignatureScheme,
    /// SHA-256 of the certificate, for the engine's receipts.
    certificate: Option<[u8; 32]>,
}

impl SigningKey for OnEngine {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered
            .contains(&self.scheme)
            .then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(self.spki.clone())
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        match self.scheme {
            SignatureScheme::RSA_PSS_SHA256 => SignatureAlgorithm::RSA,
            _ => SignatureAlgorithm::ECDSA,
        }
    }
}

impl Signer for OnEngine {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let refused = |problem: String| {
            tracing::warn!(key = %self.key.name, problem, "the engine did not sign a TLS handshake");
            rustls::Error::General(format!("the engine did not sign: {problem}"))
        };
        let id = fips::random::array::<8>().map_err(|error| refused(error.to_string()))?;
        let request = SignTlsRequest {
            request_id: format!("tls-{}", hex(&id)),
            key: self.key.name.clone(),
            content: Base64Bytes(message.to_vec()),
        };
        let ask = || {
            sign_tls(
                &self.key.socket,
                request,
                self.certificate,
                self.key.deadline,
            )
        };
        // The other tasks of this thread go on elsewhere meanwhile, where the runtime has an elsewhere.
        let many = Handle::try_current()
            .is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread);
        let answer = if many {
            tokio::task::block_in_place(ask)
        } else {
            ask()
        };
        let signed = answer.map_err(|error| refused(error.to_string()))?;
        if signed.public_key.as_slice() != self.spki.as_ref() {
            return Err(refused(
                "the key on its token is not the certificate's: enrol again, or name the right `client_key`"
                    .to_owned(),
            ));
        }
        Ok(signed.signature.0)
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}
