//! An identity with its chain, made by OpenSSL, and the passwords that it is written under.

use super::openssl::{Device, KeyAlgorithm, Workshop, openssl, text};
use fips::secret::SecretBytes;
use formats::pfx::write::{Entries, Form, WriteOptions, write};

/// A password of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Password {
    /// Printable ASCII.
    Ascii,
    /// With characters outside of ASCII, all of one UTF-16 unit.
    Bmp,
    /// With characters of two UTF-16 units.
    Astral,
}

impl Password {
    pub const ALL: [Self; 3] = [Self::Ascii, Self::Bmp, Self::Astral];

    pub fn text(self) -> &'static str {
        match self {
            Self::Ascii => "Passw0rd of-24 characters!",
            Self::Bmp => "Pa\u{df}w\u{f6}rt \u{3a9}\u{20ac} \u{5bc6}\u{7801}",
            Self::Astral => "key \u{1f511}\u{1d518} of two units",
        }
    }

    pub fn secret(self) -> SecretBytes {
        SecretBytes::from_slice(self.text().as_bytes())
    }
}

/// A key with its certificate and the two above it.
pub struct Fixture {
    pub workshop: Workshop,
    /// PEM file.
    pub key_file: std::path::PathBuf,
    /// PEM file.
    pub certificate_file: std::path::PathBuf,
    /// PEM file: the intermediate, then the root.
    pub chain_file: std::path::PathBuf,
    /// PEM file: the certificate, the intermediate and the root.
    pub bundle_file: std::path::PathBuf,
    pub pkcs8: SecretBytes,
    /// SubjectPublicKeyInfo of the key.
    pub public: Vec<u8>,
    pub certificate: Vec<u8>,
    pub chain: Vec<Vec<u8>>,
}

/// A name with a character outside of ASCII, and one of two UTF-16 units.
pub const NAME: &str = "Ada's key \u{2014} \u{1f511} 2026";

impl Fixture {
    pub fn new(algorithm: KeyAlgorithm) -> Self {
        fips::start(fips::policy::Policy::OFF).unwrap();
        let workshop = Workshop::new();
        let root = workshop.authority("Root", KeyAlgorithm::P256);
        let intermediate = root.intermediate("Intermediate", KeyAlgorithm::P256);
        let device = intermediate.device("Ada Lovelace", algorithm);
        let Device {
            certificate, key, ..
        } = &device;
        let (key_file, certificate_file) = (key.clone(), certificate.clone());
        let pkcs8 = openssl(&[
            "pkcs8",
            "-topk8",
            "-nocrypt",
            "-outform",
            "DER",
            "-in",
            text(&key_file),
        ]);
        let chain_pem = [&intermediate.certificate, &root.certificate]
            .map(|path| std::fs::read_to_string(path).unwrap())
            .concat();
        let der = device.der();
        let chain = vec![intermediate.der(), root.der()];
        let bundle = std::fs::read_to_string(&certificate_file).unwrap() + &chain_pem;
        let bundle_file = workshop.file(bundle.as_bytes());
        let chain_file = workshop.file(chain_pem.as_bytes());
        Self {
            key_file,
            certificate_file,
            chain_file,
            bundle_file,
            public: fips::pkcs8_public(&pkcs8).unwrap(),
            pkcs8: SecretBytes::from_vec(pkcs8),
            certificate: der,
            chain,
            workshop,
        }
    }

    pub fn entries(&self) -> Entries<'_> {
        let chain: Vec<&[u8]> = self.chain.iter().map(Vec::as_slice).collect();
        Entries::identity(&self.pkcs8, &self.certificate, &chain, Some(NAME))
    }

    /// All certificates, sorted.
    pub fn certificates(&self) -> Vec<Vec<u8>> {
        let mut all = self.chain.clone();
        all.push(self.certificate.clone());
        all.sort();
        all
    }

    pub fn written(&self, form: Form, password: Password) -> Vec<u8> {
        // The number is the readers' business only where they have a limit, which the defaults keep; fewer save time.
        let options = WriteOptions::new(form).with_iterations(2000).unwrap();
        write(&self.entries(), &password.secret(), &options).unwrap()
    }
}
