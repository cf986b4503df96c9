//! Authorities, device certificates and CMS decryption by OpenSSL: software that we did not write.
//!
//! ```ignore
//! let workshop = Workshop::new();
//! let authority = workshop.authority("Test Root", KeyAlgorithm::P256);
//! let device = authority.device("phone", KeyAlgorithm::Rsa(2048));
//! let clear = device.decrypt_cms(&cms);
//! ```
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Runs `openssl` and gives back its standard output.
pub fn openssl(arguments: &[&str]) -> Vec<u8> {
    try_openssl(arguments).unwrap_or_else(|message| panic!("{message}"))
}

/// As [`openssl`], with what it says when it fails.
pub fn try_openssl(arguments: &[&str]) -> Result<Vec<u8>, String> {
    let output = Command::new("openssl")
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("this test needs the program `openssl`: {error}"));
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(format!(
            "openssl {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        ))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAlgorithm {
    Rsa(u32),
    P256,
    P384,
    P521,
    Ed25519,
}

/// A temporary folder with everything in it; gone when dropped.
pub struct Workshop {
    dir: TempDir,
    next: Cell<u32>,
}

impl Workshop {
    pub fn new() -> Self {
        Self {
            dir: TempDir::new().unwrap(),
            next: Cell::new(0),
        }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A path that nobody has used yet.
    pub fn fresh(&self, suffix: &str) -> PathBuf {
        let number = self.next.get();
        self.next.set(number + 1);
        self.dir.path().join(format!("{number}{suffix}"))
    }

    /// A file with these bytes.
    pub fn file(&self, bytes: &[u8]) -> PathBuf {
        let path = self.fresh(".bin");
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// How OpenSSL prints a CMS message.
    pub fn print_cms(&self, cms: &[u8]) -> String {
        let file = self.file(cms);
        let arguments = [
            "cms", "-cmsout", "-print", "-noout", "-inform", "DER", "-in",
        ];
        let printed = openssl(&[&arguments[..], &[text(&file)]].concat());
        String::from_utf8(printed).unwrap()
    }

    /// A private key (PKCS#8 PEM).
    pub fn key(&self, algorithm: KeyAlgorithm) -> PathBuf {
        let path = self.fresh(".key.pem");
        let out = text(&path);
        let mut arguments = vec!["genpkey", "-quiet", "-out", out, "-algorithm"];
        let option;
        match algorithm {
            KeyAlgorithm::Rsa(bits) => {
                option = format!("rsa_keygen_bits:{bits}");
                arguments.extend(["RSA", "-pkeyopt", &option]);
            }
            KeyAlgorithm::P256 => arguments.extend(["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]),
            KeyAlgorithm::P384 => arguments.extend(["EC", "-pkeyopt", "ec_paramgen_curve:P-384"]),
            KeyAlgorithm::P521 => arguments.extend(["EC", "-pkeyopt", "ec_paramgen_curve:P-521"]),
            KeyAlgorithm::Ed25519 => arguments.push("ED25519"),
        }
        openssl(&arguments);
        path
    }

    /// A self-signed authority, valid from 2020 to 2049.
    pub fn authority(&self, name: &str, algorithm: KeyAlgorithm) -> Authority<'_> {
        self.authority_with_key(name, &self.key(algorithm))
    }

    /// As [`Self::authority`], with a key (PKCS#8 PEM) that is there.
    pub fn authority_with_key(&self, name: &str, key: &Path) -> Authority<'_> {
        let issuance = Issuance {
            extensions: AUTHORITY.to_owned(),
            ..Issuance::default()
        };
        self.root_with(name, key, &issuance)
    }

    /// A self-signed certificate with these extensions.
    pub fn root_with(&self, name: &str, key: &Path, issuance: &Issuance) -> Authority<'_> {
        let certificate = self.issue(name, key, None, issuance);
        Authority {
            workshop: self,
            certificate,
            key: key.to_owned(),
        }
    }

    /// An authority whose certificate and key (PEM) somebody else made.
    pub fn authority_of(&self, certificate: PathBuf, key: PathBuf) -> Authority<'_> {
        Authority {
            workshop: self,
            certificate,
            key,
        }
    }

    /// A device that issued its certificate itself.
    pub fn self_signed_device(&self, name: &str, algorithm: KeyAlgorithm) -> Device<'_> {
        let key = self.key(algorithm);
        Device {
            workshop: self,
            certificate: self.issue(name, &key, None, &Issuance::default()),
            key,
        }
    }

    /// Issues a certificate; without an issuer it is self-signed.
    fn issue(
        &self,
        name: &str,
        key: &Path,
        issuer: Option<(&Path, &Path)>,
        issuance: &Issuance,
    ) -> PathBuf {
        let home = self.fresh(".ca");
        std::fs::create_dir(&home).unwrap();
        std::fs::write(home.join("index"), "").unwrap();
        std::fs::write(home.join("index.attr"), "unique_subject = no\n").unwrap();
        let config = home.join("config");
        std::fs::write(
            &config,
            format!(
                "[ca]\ndefault_ca = a\n[a]\ndatabase = {home}/index\nnew_certs_dir = {home}\nrand_serial = yes\npolicy = p\n\
                 email_in_dn = no\npreserve = yes\n[p]\ncommonName = supplied\n[req]\ndistinguished_name = d\n[d]\n[e]\n{extensions}\n",
                home = home.display(),
                extensions = issuance.extensions,
            ),
        )
        .unwrap();
        let request = home.join("request");
        let subject = format!("/CN={name}");
        openssl(&[
            "req",
            "-new",
            "-utf8",
            "-config",
            text(&config),
            "-key",
            text(key),
            "-subj",
            &subject,
            "-out",
            text(&request),
        ]);
        let out = self.fresh(".crt.pem");
        let mut arguments = vec![
            "ca",
            "-batch",
            "-notext",
            "-utf8",
            "-config",
            text(&config),
            "-in",
            text(&request),
            "-out",
            text(&out),
            "-startdate",
            &issuance.not_before,
            "-enddate",
            &issuance.not_after,
            "-md",
            &issuance.digest,
        ];
        if !issuance.extensions.is_empty() {
            arguments.extend(["-extensions", "e"]);
        }
        let salt;
        if let Some(length) = issuance.pss_salt {
            salt = format!("rsa_pss_saltlen:{length}");
            arguments.extend(["-sigopt", "rsa_padding_mode:pss", "-sigopt", &salt]);
        }
        match issuer {
            Some((certificate, issuer_key)) => {
                arguments.extend(["-cert", text(certificate), "-keyfile", text(issuer_key)]);
            }
            None => arguments.extend(["-selfsign", "-keyfile", text(key)]),
        }
        openssl(&arguments);
        out
    }
}

/// Extensions of an authority.
pub const AUTHORITY: &str = "basicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign, cRLSign\nsubjectKeyIdentifier = hash";
/// Extensions of a device whose certificate is for encryption and signing, as device management issues them.
pub const DEVICE: &str = "basicConstraints = critical, CA:FALSE\nkeyUsage = critical, digitalSignature, keyEncipherment, keyAgreement\nextendedKeyUsage = clientAuth";

/// How a certificate is issued.
pub struct Issuance {
    /// Lines of an OpenSSL extension section.
    pub extensions: String,
    /// `YYYYMMDDHHMMSSZ`.
    pub not_before: String,
    /// `YYYYMMDDHHMMSSZ`.
    pub not_after: String,
    /// Hash of the signature.
    pub digest: String,
    /// RSASSA-PSS instead of PKCS#1 v1.5, with a salt of this length (a number, or `digest`).
    pub pss_salt: Option<&'static str>,
}

impl Default for Issuance {
    fn default() -> Self {
        Self {
            extensions: DEVICE.to_owned(),
            not_before: "20200101000000Z".to_owned(),
            not_after: "20491231235959Z".to_owned(),
            digest: "sha256".to_owned(),
            pss_salt: None,
        }
    }
}

/// A certification authority.
pub struct Authority<'a> {
    workshop: &'a Workshop,
    /// PEM file.
    pub certificate: PathBuf,
    /// PEM file.
    pub key: PathBuf,
}

impl<'a> Authority<'a> {
    pub fn der(&self) -> Vec<u8> {
        der(&self.certificate)
    }

    pub fn intermediate(&self, name: &str, algorithm: KeyAlgorithm) -> Authority<'a> {
        self.intermediate_with(
            name,
            algorithm,
            &Issuance {
                extensions: AUTHORITY.to_owned(),
                ..Issuance::default()
            },
        )
    }

    pub fn intermediate_with(
        &self,
        name: &str,
        algorithm: KeyAlgorithm,
        issuance: &Issuance,
    ) -> Authority<'a> {
        let device = self.device_with(name, algorithm, issuance);
        Authority {
            workshop: self.workshop,
            certificate: device.certificate,
            key: device.key,
        }
    }

    /// A device that can be encrypted to.
    pub fn device(&self, name: &str, algorithm: KeyAlgorithm) -> Device<'a> {
        self.device_with(name, algorithm, &Issuance::default())
    }

    pub fn expired_device(&self, name: &str) -> Device<'a> {
        self.device_with(
            name,
            KeyAlgorithm::P256,
            &Issuance {
                not_after: "20210101000000Z".to_owned(),
                ..Issuance::default()
            },
        )
    }

    pub fn signature_only_device(&self, name: &str, algorithm: KeyAlgorithm) -> Device<'a> {
        self.device_with(
            name,
            algorithm,
            &Issuance {
                extensions: "keyUsage = critical, digitalSignature".to_owned(),
                ..Issuance::default()
            },
        )
    }

    pub fn device_with(
        &self,
        name: &str,
        algorithm: KeyAlgorithm,
        issuance: &Issuance,
    ) -> Device<'a> {
        self.device_with_key(name, self.workshop.key(algorithm), issuance)
    }

    /// A revocation list (PEM) that names the certificates of these devices; of these two times (`YYYYMMDDHHMMSSZ`), with these lines of an
    /// extension section.
    pub fn revocation_list(
        &self,
        revoked: &[&Device<'_>],
        (last, next): (&str, &str),
        extensions: &str,
    ) -> PathBuf {
        let home = self.workshop.fresh(".crl.d");
        std::fs::create_dir(&home).unwrap();
        let index: String = revoked
            .iter()
            .map(|device| {
                let certificate = text(&device.certificate);
                let serial = openssl(&["x509", "-noout", "-serial", "-in", certificate]);
                let serial = String::from_utf8(serial).unwrap();
                let serial = serial.trim().trim_start_matches("serial=");
                format!("R\t491231235959Z\t260201000000Z\t{serial}\tunknown\t/CN=x\n")
            })
            .collect();
        std::fs::write(home.join("index"), index).unwrap();
        let config = home.join("config");
        let database = home.join("index");
        std::fs::write(
            &config,
            format!(
                "[ca]\ndefault_ca = a\n[a]\ndatabase = {}\ndefault_md = sha256\n[e]\n{extensions}\n",
                database.display()
            ),
        )
        .unwrap();
        let out = self.workshop.fresh(".crl.pem");
        let mut arguments = vec![
            "ca",
            "-gencrl",
            "-config",
            text(&config),
            "-out",
            text(&out),
        ];
        arguments.extend(["-cert", text(&self.certificate)]);
        arguments.extend(["-keyfile", text(&self.key)]);
        arguments.extend(["-crl_lastupdate", last, "-crl_nextupdate", next]);
        if !extensions.is_empty() {
            arguments.extend(["-crlexts", "e"]);
        }
        openssl(&arguments);
        out
    }

    /// A device whose key (PKCS#8 PEM) is there.
    pub fn device_with_key(&self, name: &str, key: PathBuf, issuance: &Issuance) -> Device<'a> {
        let issuer = Some((self.certificate.as_path(), self.key.as_path()));
        Device {
            certificate: self.workshop.issue(name, &key, issuer, issuance),
            workshop: self.workshop,
            key,
        }
    }
}

/// A device with its key.
pub struct Device<'a> {
    workshop: &'a Workshop,
    /// PEM file.
    pub certificate: PathBuf,
    /// PEM file.
    pub key: PathBuf,
}

impl<'a> Device<'a> {
    /// A device whose certificate and key (PEM) are there.
    pub fn of(workshop: &'a Workshop, certificate: PathBuf, key: PathBuf) -> Self {
        Self {
            workshop,
            certificate,
            key,
        }
    }
}

impl Device<'_> {
    pub fn der(&self) -> Vec<u8> {
        der(&self.certificate)
    }

    /// What is in a CMS EnvelopedData (DER) to this device.
    pub fn decrypt_cms(&self, cms: &[u8]) -> Vec<u8> {
        let message = self.workshop.file(cms);
        openssl(&[
            "cms",
            "-decrypt",
            "-binary",
            "-inform",
            "DER",
            "-in",
            text(&message),
            "-recip",
            text(&self.certificate),
            "-inkey",
            text(&self.key),
        ])
    }

    /// A PFX of this certificate and key, with further options of `openssl pkcs12 -export`.
    pub fn pfx(&self, password: &str, options: &[&str]) -> Vec<u8> {
        let out = self.workshop.fresh(".p12");
        let password = format!("pass:{password}");
        let mut arguments = vec![
            "pkcs12",
            "-export",
            "-inkey",
            text(&self.key),
            "-in",
            text(&self.certificate),
            "-passout",
            &password,
            "-out",
            text(&out),
        ];
        arguments.extend(options);
        openssl(&arguments);
        std::fs::read(out).unwrap()
    }
}

/// The DER of a PEM certificate.
pub fn der(certificate: &Path) -> Vec<u8> {
    openssl(&["x509", "-in", text(certificate), "-outform", "DER"])
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
