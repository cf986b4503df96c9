//! Keys, certificates and clients for tests of CMP: made by OpenSSL, but for the client itself.

use super::openssl::{Authority, Device, Issuance, KeyAlgorithm, Workshop, openssl, text};
use ca::cmp::{Cmp, Confirmation, Credential, ProfileIn, Settings};
use ca::{Order, Revocation, RevocationReason};
use fips::sign::{SignatureAlgorithm, SigningKey};
use pki::cmp::Trust;
use pki::{SignError, Signer};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Extensions of an authority that signs messages with its own key.
pub(crate) const SPEAKING_AUTHORITY: &str = "basicConstraints = critical, CA:TRUE\n\
    keyUsage = critical, keyCertSign, cRLSign, digitalSignature\nsubjectKeyIdentifier = hash";
/// Extensions of whoever may speak for an authority (id-kp-cmcRA).
pub(crate) const SPEAKER: &str = "keyUsage = critical, digitalSignature\n\
    extendedKeyUsage = 1.3.6.1.5.5.7.3.28\nsubjectKeyIdentifier = hash";
/// Extensions of the connector's own certificate.
pub(crate) const CONNECTOR: &str =
    "keyUsage = critical, digitalSignature\nsubjectKeyIdentifier = hash";

/// A key with an algorithm.
pub(crate) struct OwnKey(pub(crate) SigningKey, pub(crate) SignatureAlgorithm);

impl Signer for OwnKey {
    fn algorithm(&self) -> SignatureAlgorithm {
        self.1
    }

    fn spki_der(&self) -> &[u8] {
        self.0.spki_der()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        Ok(self.0.sign_with(self.1, message)?)
    }
}

/// The key of a PEM file.
pub(crate) fn signing_key(pem: &Path, algorithm: Option<SignatureAlgorithm>) -> Arc<OwnKey> {
    let pkcs8 = openssl(&[
        "pkcs8",
        "-topk8",
        "-nocrypt",
        "-outform",
        "DER",
        "-in",
        text(pem),
    ]);
    let key = SigningKey::from_pkcs8(&pkcs8).unwrap();
    let algorithm = algorithm.unwrap_or(key.algorithm());
    Arc::new(OwnKey(key, algorithm))
}

pub(crate) fn extensions(lines: &str) -> Issuance {
    Issuance {
        extensions: lines.to_owned(),
        ..Issuance::default()
    }
}

/// The people of a test: an authority, who speaks for it, the connector, and a device that wants a certificate.
pub(crate) struct World<'a> {
    pub(crate) workshop: &'a Workshop,
    pub(crate) root: Authority<'a>,
    pub(crate) speaker: Device<'a>,
    pub(crate) connector: Device<'a>,
    /// Its certificate is what the authority issues.
    pub(crate) device: Device<'a>,
    /// The request (PKCS#10, DER) for the device's key.
    pub(crate) csr: Vec<u8>,
}

impl<'a> World<'a> {
    pub(crate) fn new(workshop: &'a Workshop, algorithm: KeyAlgorithm) -> Self {
        let root = workshop.authority("Company Root", algorithm);
        let speaker = root.device_with("Registration", algorithm, &extensions(SPEAKER));
        let connector = root.device_with("connector-1", algorithm, &extensions(CONNECTOR));
        let device = root.device("somebody", KeyAlgorithm::P256);
        let csr = openssl(&[
            "req",
            "-new",
            "-outform",
            "DER",
            "-subj",
            "/CN=somebody",
            "-key",
            text(&device.key),
        ]);
        Self {
            workshop,
            root,
            speaker,
            connector,
            device,
            csr,
        }
    }

    /// Trust in the root, as far as it goes.
    pub(crate) fn trust(&self) -> Trust {
        Trust::new(&[self.root.der()], &[], &[]).unwrap()
    }

    pub(crate) fn signature(&self, trust: Trust) -> Credential {
        Credential::Signature {
            certificate_der: self.connector.der(),
            chain: Vec::new(),
            signer: signing_key(&self.connector.key, None),
            trust,
        }
    }

    pub(crate) fn settings(&self, url: &str) -> Settings {
        Settings {
            name: "company".to_owned(),
            url: url.to_owned(),
            deadline: Duration::from_secs(60),
            recipient_der: None,
            credential: self.signature(self.trust()),
            confirmation: Confirmation::Explicit,
            profile: ProfileIn::Header,
        }
    }

    pub(crate) fn client(&self, url: &str) -> Cmp {
        client(self.settings(url))
    }

    pub(crate) fn order(&self) -> Order {
        order(&self.csr)
    }

    /// Of the device's certificate.
    pub(crate) fn revocation(&self) -> Revocation {
        let field = |option: &str| {
            let certificate = text(&self.device.certificate);
            String::from_utf8(openssl(&["x509", "-noout", option, "-in", certificate])).unwrap()
        };
        let serial = field("-serial");
        let serial = serial.trim().trim_start_matches("serial=");
        let mut serial: Vec<u8> = (0..serial.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&serial[at..at + 2], 16).unwrap())
            .collect();
        if serial[0] >= 0x80 {
            serial.insert(0, 0);
        }
        Revocation {
            id: None,
            issuer_der: super::authority::subject_of(&self.root.der()),
            serial,
            certificate_der: None,
            reason: RevocationReason::Superseded,
        }
    }
}

pub(crate) fn order(csr: &[u8]) -> Order {
    Order {
        id: "3f1c7e52-0b1d-4a55-9a4e-8d2f5f7f0001".to_owned(),
        csr_der: csr.to_vec(),
        profile: None,
    }
}

pub(crate) fn client(settings: Settings) -> Cmp {
    Cmp::new(settings, http()).unwrap()
}

/// A connection for each message: the mock server serves one at a time, and forgets a transaction when one that it wanted to keep ends.
pub(crate) fn http() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .pool_max_idle_per_host(0)
        .default_headers(
            [(reqwest::header::CONNECTION, "close".parse().unwrap())]
                .into_iter()
                .collect(),
        )
        .tls_backend_preconfigured(
            fips::tls::client_config(rustls::RootCertStore::empty(), None, &[b"http/1.1"]).unwrap(),
        )
        .build()
        .unwrap()
}
