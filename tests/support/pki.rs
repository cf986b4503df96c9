//! Certificates for tests, made by the `openssl` program.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::path::{Path, PathBuf};
use std::process::Command;

/// A certification authority in a folder.
pub struct Authority {
    folder: PathBuf,
    name: String,
}

/// A certificate with its private key (PKCS#8, mode 0600), both PEM.
pub struct Identity {
    pub certificate: PathBuf,
    pub private_key: PathBuf,
}

/// Runs openssl; fails with its own words, or by saying that it is missing.
pub fn openssl(folder: &Path, arguments: &[&str]) {
    let output = Command::new("openssl")
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("this test needs the program `openssl`: {error}"));
    assert!(
        output.status.success(),
        "openssl {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

impl Authority {
    /// A new authority (P-256) called `name`.
    pub fn new(folder: &Path, name: &str) -> Self {
        // The distribution's own configuration would add extensions of its own.
        std::fs::write(
            folder.join("openssl.cnf"),
            "[req]\ndistinguished_name=dn\n[dn]\n",
        )
        .unwrap();
        let this = Self {
            folder: folder.to_owned(),
            name: name.to_owned(),
        };
        this.make(
            name,
            &[
                "-addext",
                "basicConstraints=critical,CA:TRUE",
                "-addext",
                "keyUsage=critical,keyCertSign,cRLSign",
            ],
        );
        this
    }

    fn make(&self, name: &str, more: &[&str]) -> Identity {
        let certificate = format!("{name}.pem");
        let key = format!("{name}-key.pem");
        let subject = format!("/CN={name}");
        let mut arguments = vec![
            "req",
            "-x509",
            "-config",
            "openssl.cnf",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            &key,
            "-out",
            &certificate,
            "-days",
            "400",
            "-subj",
            &subject,
        ];
        arguments.extend_from_slice(more);
        openssl(&self.folder, &arguments);
        Identity {
            certificate: self.folder.join(certificate),
            private_key: self.folder.join(key),
        }
    }

    fn issue(&self, name: &str, extensions: &[&str]) -> Identity {
        let certificate = format!("{}.pem", self.name);
        let key = format!("{}-key.pem", self.name);
        let mut more = vec!["-CA", &certificate, "-CAkey", &key];
        for extension in extensions {
            more.extend_from_slice(&["-addext", extension]);
        }
        self.make(name, &more)
    }

    /// The authority's certificate.
    pub fn certificate(&self) -> PathBuf {
        self.folder.join(format!("{}.pem", self.name))
    }

    /// A server on this machine.
    pub fn server(&self, name: &str) -> Identity {
        self.issue(
            name,
            &[
                "basicConstraints=critical,CA:FALSE",
                "keyUsage=critical,digitalSignature",
                "extendedKeyUsage=serverAuth",
                "subjectAltName=IP:127.0.0.1,DNS:localhost",
            ],
        )
    }

    /// A client.
    pub fn client(&self, name: &str) -> Identity {
        self.issue(
            name,
            &[
                "basicConstraints=critical,CA:FALSE",
                "keyUsage=critical,digitalSignature",
                "extendedKeyUsage=clientAuth",
            ],
        )
    }
}
