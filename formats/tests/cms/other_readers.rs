//! What is written here, read by another reader than OpenSSL, NSS' cmsutil; and what it writes, read here. Of what is written NSS 3.87 reads
//! RSAES-PKCS1-v1_5 with AES-CBC and 3DES: it refuses RSAES-OAEP (SEC_ERROR_UNSUPPORTED_KEYALG), key agreement (SEC_ERROR_BAD_DER, also of
//! messages that OpenSSL wrote) and AuthEnvelopedData.

use super::openssl::{Device, Issuance, KeyAlgorithm, Workshop, text};
use super::written::{form, written};
use super::{CONTENT, open};
use fips::digest::Hash;
use formats::cms::write::{ContentEncryption, RsaPadding};
use std::path::{Path, PathBuf};
use std::process::Command;

const PASSWORD: &str = "a password of these tests";

/// Runs a program and gives back its standard output.
fn run(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| {
            panic!("this test needs the program `{program}` (scripts/bootstrap.sh): {error}")
        });
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// A database of NSS' with the device's key in it.
struct Nss {
    database: String,
    password: PathBuf,
}

impl Nss {
    fn with(workshop: &Workshop, device: &Device<'_>) -> Self {
        let folder = workshop.fresh(".nss");
        std::fs::create_dir(&folder).unwrap();
        let password = workshop.file(PASSWORD.as_bytes());
        let database = format!("sql:{}", folder.display());
        let nss = Self { database, password };
        let password = text(&nss.password);
        run("certutil", &["-N", "-d", &nss.database, "-f", password]);
        let pfx = workshop.file(&device.pfx(PASSWORD, &["-name", "device"]));
        let import = ["-i", text(&pfx), "-d", &nss.database];
        run(
            "pk12util",
            &[&import[..], &["-k", password, "-w", password]].concat(),
        );
        nss
    }

    fn decrypt(&self, message: &Path) -> Vec<u8> {
        let arguments = ["-D", "-d", &self.database, "-f", text(&self.password)];
        run(
            "cmsutil",
            &[&arguments[..], &["-i", text(message)]].concat(),
        )
    }

    fn encrypt(&self, content: &Path) -> Vec<u8> {
        let arguments = ["-E", "-r", "device", "-d", &self.database];
        let files = ["-f", text(&self.password), "-i", text(content)];
        run("cmsutil", &[&arguments[..], &files].concat())
    }
}

/// A certificate for e-mail, which is what both readers look for.
fn issuance() -> Issuance {
    Issuance {
        extensions: "basicConstraints = critical, CA:FALSE\nkeyUsage = critical, keyEncipherment, keyAgreement\n\
                     extendedKeyUsage = emailProtection\nsubjectAltName = email:device@example.org"
            .to_owned(),
        ..Issuance::default()
    }
}

#[test]
fn nss_reads_rsa_messages_and_we_read_what_it_writes() {
    let workshop = Workshop::new();
    let root = workshop.authority("Test Root", KeyAlgorithm::Rsa(2048));
    let device = root.device_with("device", KeyAlgorithm::Rsa(2048), &issuance());
    let nss = Nss::with(&workshop, &device);
    for (content, rsa) in [
        (ContentEncryption::Aes256Cbc, RsaPadding::Pkcs1v15),
        (ContentEncryption::DesEde3Cbc, RsaPadding::Pkcs1v15),
    ] {
        let message = written(form(content, rsa), Hash::Sha256, &[&device]);
        let message = workshop.file(&message);
        assert_eq!(nss.decrypt(&message), CONTENT, "{content:?} {rsa:?}");
    }
    let message = nss.encrypt(&workshop.file(CONTENT));
    assert_eq!(open(&message, &device).unwrap().bytes.expose(), CONTENT);
}
