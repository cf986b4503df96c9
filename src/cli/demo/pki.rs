//! Certificates of the demo, made by OpenSSL: a small TLS authority, and one for devices.

use super::error::DemoError;
use super::process::run;
use super::stack::{private_folder, write_private};
use std::path::{Path, PathBuf};

/// The program that makes and reads what the demo does not want to have made itself.
pub(super) const OPENSSL: &str = "openssl";

/// Keys that a demo device may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// RSA with this modulus size in bits.
    Rsa(u32),
    /// EC on this curve, by OpenSSL's name.
    Ec(&'static str),
}

/// A device: certificate and key as files.
#[derive(Debug, Clone)]
pub struct Device {
    /// Its name.
    pub id: String,
    /// Certificate (PEM).
    pub certificate: PathBuf,
    /// Certificate (DER).
    pub certificate_der: Vec<u8>,
    /// Private key (PEM).
    pub key: PathBuf,
}

/// The demo's certificates.
#[derive(Debug, Clone)]
pub struct Pki {
    folder: PathBuf,
}

impl Pki {
    /// Makes both authorities, the gateway's certificate (for 127.0.0.1) and one for each connector.
    ///
    /// # Errors
    /// What OpenSSL said.
    pub fn create(folder: &Path, connectors: usize) -> Result<Self, DemoError> {
        private_folder(folder)?;
        let pki = Self {
            folder: folder.to_owned(),
        };
        for authority in ["tls-ca", "device-ca", "mail-ca"] {
            pki.authority(authority)?;
        }
        pki.issue(
            "tls-ca",
            "gateway",
            &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
            "/CN=gateway",
            "subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth\nkeyUsage=critical,digitalSignature\n",
        )?;
        for index in 0..connectors {
            let name = format!("connector-{index}");
            pki.issue(
                "tls-ca",
                &name,
                &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
                &format!("/CN={name}"),
                "extendedKeyUsage=clientAuth\nkeyUsage=critical,digitalSignature\n",
            )?;
        }
        Ok(pki)
    }

    fn file(&self, name: &str, extension: &str) -> PathBuf {
        self.folder.join(format!("{name}.{extension}"))
    }

    /// Root of the gateway's and the connectors' certificates (PEM).
    #[must_use]
    pub fn tls_ca(&self) -> PathBuf {
        self.file("tls-ca", "pem")
    }

    /// Root of the devices' certificates (PEM).
    #[must_use]
    pub fn device_ca(&self) -> PathBuf {
        self.file("device-ca", "pem")
    }

    /// The gateway's certificate (PEM).
    #[must_use]
    pub fn gateway_certificate(&self) -> PathBuf {
        self.file("gateway", "pem")
    }

    /// The gateway's private key (PEM).
    #[must_use]
    pub fn gateway_key(&self) -> PathBuf {
        self.file("gateway", "key")
    }

    /// The certificate of a connector (PEM).
    #[must_use]
    pub fn connector_certificate(&self, index: usize) -> PathBuf {
        self.file(&format!("connector-{index}"), "pem")
    }

    /// The private key of a connector (PEM).
    #[must_use]
    pub fn connector_key(&self, index: usize) -> PathBuf {
        self.file(&format!("connector-{index}"), "key")
    }

    fn authority(&self, name: &str) -> Result<(), DemoError> {
        run(
            Path::new(OPENSSL),
            &[
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "2",
                "-subj",
                &format!("/O=pfx-connector demo/CN={name}"),
                "-addext",
                "keyUsage=critical,keyCertSign,cRLSign",
                "-keyout",
                &self.file(name, "key").display().to_string(),
                "-out",
                &self.file(name, "pem").display().to_string(),
            ],
            &[],
        )?;
        Ok(())
    }

    fn issue(
        &self,
        authority: &str,
        name: &str,
        key: &[&str],
        subject: &str,
        extensions: &str,
    ) -> Result<(), DemoError> {
        let request = self.file(name, "csr").display().to_string();
        let key_file = self.file(name, "key").display().to_string();
        let extension_file = self.file(name, "ext");
        write_private(
            &extension_file,
            format!("basicConstraints=critical,CA:FALSE\n{extensions}").as_bytes(),
        )?;
        let mut arguments = vec![
            "req", "-new", "-nodes", "-subj", subject, "-keyout", &key_file, "-out", &request,
        ];
        arguments.extend(key);
        run(Path::new(OPENSSL), &arguments, &[])?;
        run(
            Path::new(OPENSSL),
            &[
                "x509",
                "-req",
                "-days",
                "2",
                "-sha256",
                "-in",
                &request,
                "-CA",
                &self.file(authority, "pem").display().to_string(),
                "-CAkey",
                &self.file(authority, "key").display().to_string(),
                "-extfile",
                &extension_file.display().to_string(),
                "-out",
                &self.file(name, "pem").display().to_string(),
            ],
            &[],
        )?;
        Ok(())
    }

    /// Makes a device's key and certificate.
    ///
    /// # Errors
    /// What OpenSSL said.
    pub fn device(&self, index: usize, kind: DeviceKind) -> Result<Device, DemoError> {
        let name = format!("device-{index}");
        let (parameter, usage) = match kind {
            DeviceKind::Rsa(bits) => (format!("rsa_keygen_bits:{bits}"), "keyEncipherment"),
            DeviceKind::Ec(curve) => (format!("ec_paramgen_curve:{curve}"), "keyAgreement"),
        };
        let algorithm = if matches!(kind, DeviceKind::Rsa(_)) {
            "rsa"
        } else {
            "ec"
        };
        self.issue(
            "device-ca",
            &name,
            &["-newkey", algorithm, "-pkeyopt", &parameter],
            &format!("/O=pfx-connector demo/CN={name}"),
            &format!("keyUsage=critical,digitalSignature,{usage}\nextendedKeyUsage=clientAuth\n"),
        )?;
        let certificate = self.file(&name, "pem");
        let der = run(
            Path::new(OPENSSL),
            &[
                "x509",
                "-in",
                &certificate.display().to_string(),
                "-outform",
                "DER",
            ],
            &[],
        )?;
        Ok(Device {
            id: name.clone(),
            certificate,
            certificate_der: der.stdout,
            key: self.file(&name, "key"),
        })
    }

    /// Makes a person's S/MIME key and certificate; returns the files of both (PEM).
    ///
    /// # Errors
    /// What OpenSSL said.
    pub fn person(&self, index: usize, mail: &str) -> Result<(PathBuf, PathBuf), DemoError> {
        let name = format!("person-{index}");
        let key: &[&str] = if index % 3 == 2 {
            &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        } else {
            &["-newkey", "rsa", "-pkeyopt", "rsa_keygen_bits:2048"]
        };
        let usage = if index % 3 == 2 {
            "keyAgreement"
        } else {
            "keyEncipherment"
        };
        self.issue(
            "mail-ca",
            &name,
            key,
            &format!("/O=pfx-connector demo/CN={mail}"),
            &format!("keyUsage=critical,digitalSignature,{usage}\nextendedKeyUsage=emailProtection\nsubjectAltName=email:{mail}\n"),
        )?;
        Ok((self.file(&name, "key"), self.file(&name, "pem")))
    }
}
