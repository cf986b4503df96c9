//! The programs of others, as people run them: how each opens a PFX, and how each writes one.

use super::fixture::{Fixture, NAME};
use super::openssl::{Workshop, text};
use super::python;
use formats::pfx::write::{Form, WriteOptions, write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What a program found in a file.
#[derive(Debug)]
pub struct Found {
    /// The public halves of the private keys that it decrypted (DER SubjectPublicKeyInfo).
    pub publics: Vec<Vec<u8>>,
    /// Certificates (DER), sorted.
    pub certificates: Vec<Vec<u8>>,
    /// The name of the identity, as far as the program tells it.
    pub name: Option<String>,
}

/// A reader and writer of PFX files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    OpenSsl,
    GnuTls,
    Nss,
    Java,
    Python,
}

impl Program {
    pub const ALL: [Self; 5] = [
        Self::OpenSsl,
        Self::GnuTls,
        Self::Nss,
        Self::Java,
        Self::Python,
    ];

    /// How it tells a name of ours.
    pub fn tells(self, name: &str) -> String {
        match self {
            // It knows aliases in lower case alone.
            Self::Java => name.to_lowercase(),
            _ => name.to_owned(),
        }
    }

    /// How a name comes out of what it writes.
    pub fn spells(self, name: &str) -> String {
        match self {
            // Its command line takes names as Latin-1, and refuses others.
            Self::OpenSsl => name.chars().filter(char::is_ascii).collect(),
            // It takes each byte of UTF-8 for a character, a control character among them.
            Self::GnuTls => {
                let characters: String = name.bytes().map(char::from).collect();
                formats::text::printable(&characters)
            }
            _ => self.tells(name),
        }
    }

    /// Opens a file, or says what the program says.
    pub fn read(self, workshop: &Workshop, pfx: &[u8], password: &str) -> Result<Found, String> {
        let job = Job {
            workshop,
            file: workshop.file(pfx),
            password,
            password_file: workshop.file(password.as_bytes()),
        };
        match self {
            Self::OpenSsl => job.openssl(),
            Self::GnuTls => job.gnutls(),
            Self::Nss => job.nss(),
            Self::Java => job.java(),
            Self::Python => job.python(),
        }
    }

    /// A file with key, certificate and chain of the fixture, as the program writes it today.
    pub fn write(self, fixture: &Fixture, password: &str) -> Result<Vec<u8>, String> {
        let workshop = &fixture.workshop;
        let out = workshop.fresh(".theirs.p12");
        let secret = workshop.file(password.as_bytes());
        let [key, certificate, chain] = [
            &fixture.key_file,
            &fixture.certificate_file,
            &fixture.chain_file,
        ]
        .map(|path| text(path));
        match self {
            Self::OpenSsl => run(Command::new("openssl")
                .args(["pkcs12", "-export", "-inkey", key, "-in", certificate])
                .args(["-certfile", chain, "-out", text(&out)])
                .args(["-name", self.spells(NAME).as_str()])
                .arg("-passout")
                .arg(format!("file:{}", text(&secret))))?,
            Self::GnuTls => run(Command::new("certtool")
                .args(["--to-p12", "--outder", "--p12-name", NAME])
                .args(["--password", password, "--load-privkey", key])
                // Of a file for --load-ca-certificate it takes the first alone.
                .args(["--load-certificate", text(&fixture.bundle_file)])
                .args(["--outfile", text(&out)]))?,
            Self::Nss => {
                let database = nss_database(workshop, &given(fixture, password), &secret)?;
                nss_export(workshop, &database, NAME, &secret, &out)?
            }
            Self::Java => java_import(&given(fixture, password), &secret, &out, &secret)?,
            Self::Python => run(python::interpreter()
                .args(["-c", PYTHON_WRITES, key, certificate, chain])
                .args([text(&secret), text(&out), NAME]))?,
        };
        Ok(std::fs::read(out).unwrap())
    }
}

/// NSS and Java have no way to take a key but from a PFX: one of ours.
fn given(fixture: &Fixture, password: &str) -> PathBuf {
    let secret = fips::secret::SecretBytes::from_slice(password.as_bytes());
    let options = WriteOptions::new(Form::Compatible);
    let pfx = write(&fixture.entries(), &secret, &options).unwrap();
    fixture.workshop.file(&pfx)
}

const PYTHON_READS: &str = "
import sys
from cryptography.hazmat.primitives.serialization import pkcs12, Encoding, PrivateFormat, NoEncryption
found = pkcs12.load_pkcs12(open(sys.argv[1], 'rb').read(), open(sys.argv[2], 'rb').read())
print(found.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())
for one in [found.cert] + found.additional_certs:
    print(one.certificate.public_bytes(Encoding.PEM).decode())
sys.stdout.buffer.write(b'name: ' + (found.cert.friendly_name or b'') + b'\\n')
";

const PYTHON_WRITES: &str = "
import sys
from cryptography.hazmat.primitives.serialization import pkcs12, load_pem_private_key, BestAvailableEncryption
from cryptography.x509 import load_pem_x509_certificates
key, certificate, chain, password, out, name = sys.argv[1:]
read = lambda path: open(path, 'rb').read()
made = pkcs12.serialize_key_and_certificates(
    name.encode(), load_pem_private_key(read(key), None), load_pem_x509_certificates(read(certificate))[0],
    load_pem_x509_certificates(read(chain)), BestAvailableEncryption(read(password)))
open(out, 'wb').write(made)
";

fn run(command: &mut Command) -> Result<Output, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        // Java and NSS take the encoding of passwords and names from it.
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| {
            panic!("this test needs the program `{program}` (make bootstrap): {error}")
        });
    if output.status.success() {
        return Ok(output);
    }
    Err(format!(
        "{program}: {} {}",
        String::from_utf8_lossy(&output.stdout).trim(),
        String::from_utf8_lossy(&output.stderr).trim()
    ))
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What comes after `label` in the first line that has it.
fn after(said: &str, label: &str) -> Option<String> {
    said.lines()
        .find_map(|line| line.split_once(label))
        .map(|(_, rest)| rest.trim().to_owned())
        .filter(|rest| !rest.is_empty())
}

/// Every PEM block whose label ends so, with its lines.
fn blocks(pem: &str, label: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut block: Option<String> = None;
    for line in pem.lines() {
        if line.starts_with("-----BEGIN ") && line.ends_with(&format!("{label}-----")) {
            block = Some(String::new());
        }
        if let Some(lines) = &mut block {
            lines.push_str(line);
            lines.push('\n');
            if line.starts_with("-----END ") {
                found.extend(block.take());
            }
        }
    }
    found
}

fn der_of(block: &str) -> Vec<u8> {
    der::pem::decode_vec(block.as_bytes()).unwrap().1
}

/// The DER of every certificate, sorted.
fn certificates(pem: &str) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = blocks(pem, "CERTIFICATE")
        .iter()
        .map(|block| der_of(block))
        .collect();
    all.sort();
    all
}

struct Job<'a> {
    workshop: &'a Workshop,
    file: PathBuf,
    password: &'a str,
    password_file: PathBuf,
}

impl Job<'_> {
    fn file(&self) -> &str {
        text(&self.file)
    }

    /// The public halves of every private key in clear.
    fn publics(&self, pem: &str) -> Result<Vec<Vec<u8>>, String> {
        let public = |block: &String| {
            let key = self.workshop.file(block.as_bytes());
            let output = run(Command::new("openssl").args([
                "pkey",
                "-pubout",
                "-outform",
                "DER",
                "-in",
                text(&key),
            ]))?;
            Ok(output.stdout)
        };
        blocks(pem, "PRIVATE KEY").iter().map(public).collect()
    }

    fn openssl(&self) -> Result<Found, String> {
        let output = run(Command::new("openssl")
            .args(["pkcs12", "-nodes", "-in", self.file()])
            .arg("-passin")
            .arg(format!("file:{}", text(&self.password_file))))?;
        let said = said(&output);
        Ok(Found {
            publics: self.publics(&said)?,
            certificates: certificates(&said),
            // It prints names as its terminal may have them, without what is not Latin.
            name: None,
        })
    }

    fn gnutls(&self) -> Result<Found, String> {
        let output = run(Command::new("certtool")
            .args(["--p12-info", "--inder", "--infile", self.file()])
            .args(["--password", self.password]))?;
        let info = said(&output);
        // It hands out the keys still encrypted: another call decrypts each, for its public half.
        let mut publics = Vec::new();
        for block in blocks(&info, "PRIVATE KEY") {
            let key = self.workshop.file(block.as_bytes());
            let output = run(Command::new("certtool")
                .args(["--pubkey-info", "--load-privkey", text(&key)])
                .args(["--password", self.password]))?;
            let public = blocks(&said(&output), "PUBLIC KEY").concat();
            publics.push(der_of(&public));
        }
        Ok(Found {
            publics,
            certificates: certificates(&info),
            name: after(&info, "Friendly name:"),
        })
    }

    fn nss(&self) -> Result<Found, String> {
        let database = nss_database(self.workshop, &self.file, &self.password_file)?;
        let keys = said(&run(Command::new("certutil").args(["-K", "-d", &database]))?);
        let line = keys
            .lines()
            .find(|line| line.starts_with("< 0>"))
            .ok_or("no key in the database")?;
        // `< 0> rsa      73dd6a33...   name`
        let name = line
            .split_once("   ")
            .map(|(_, rest)| rest)
            .and_then(|rest| rest.trim().split_once("   "))
            .map(|(_, name)| name.trim().to_owned())
            .ok_or("a key without a name")?;
        let again = self.workshop.fresh(".nss.p12");
        nss_export(self.workshop, &database, &name, &self.password_file, &again)?;
        let exported = Job {
            file: again,
            password_file: self.password_file.clone(),
            ..*self
        };
        Ok(Found {
            name: Some(name),
            ..exported.openssl()?
        })
    }

    fn java(&self) -> Result<Found, String> {
        let list = run(Command::new("keytool")
            .args(["-list", "-rfc", "-storetype", "PKCS12", "-keystore"])
            .args([self.file(), "-storepass:file", text(&self.password_file)]))?;
        let list = said(&list);
        // It gives no key out in clear, but into another store.
        let again = self.workshop.fresh(".java.p12");
        let (password, secret) = ("changeit", self.workshop.file(b"changeit"));
        java_import(&self.file, &self.password_file, &again, &secret)?;
        let exported = Job {
            file: again,
            password,
            password_file: secret,
            ..*self
        };
        Ok(Found {
            certificates: certificates(&list),
            name: after(&list, "Alias name:"),
            ..exported.openssl()?
        })
    }

    fn python(&self) -> Result<Found, String> {
        let output = run(python::interpreter()
            .args(["-c", PYTHON_READS, self.file()])
            .arg(&self.password_file))?;
        let said = said(&output);
        Ok(Found {
            publics: self.publics(&said)?,
            certificates: certificates(&said),
            name: after(&said, "name: "),
        })
    }
}

/// A database of NSS with what is in the file.
fn nss_database(workshop: &Workshop, file: &Path, secret: &Path) -> Result<String, String> {
    let folder = workshop.fresh(".nss");
    std::fs::create_dir(&folder).unwrap();
    let database = format!("sql:{}", text(&folder));
    run(Command::new("certutil").args(["-N", "-d", &database, "--empty-password"]))?;
    let empty = workshop.file(b"\n");
    run(Command::new("pk12util")
        .args(["-i", text(file), "-d", &database, "-w", text(secret)])
        .args(["-k", text(&empty)]))?;
    Ok(database)
}

fn nss_export(
    workshop: &Workshop,
    database: &str,
    name: &str,
    secret: &Path,
    out: &Path,
) -> Result<Output, String> {
    let empty = workshop.file(b"\n");
    run(Command::new("pk12util")
        .args(["-o", text(out), "-n", name, "-d", database])
        .args(["-w", text(secret), "-k", text(&empty)]))
}

fn java_import(
    file: &Path,
    secret: &Path,
    out: &Path,
    out_secret: &Path,
) -> Result<Output, String> {
    run(Command::new("keytool")
        .args(["-importkeystore", "-noprompt", "-srcstoretype", "PKCS12"])
        .args(["-srckeystore", text(file), "-srcstorepass:file"])
        .args([text(secret), "-destkeystore", text(out)])
        .args(["-deststoretype", "PKCS12", "-deststorepass:file"])
        .arg(text(out_secret)))
}
