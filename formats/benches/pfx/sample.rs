//! A file with known parameters, and the derivations that opening it cannot do without.

use super::Fallible;
use fips::digest::Hash;
use fips::kdf::{self, Pkcs12Purpose, Pkcs12Use};
use fips::secret::SecretBytes;
use formats::pfx::write::{Entries, Form, WriteOptions, write};
use formats::pfx::{OpenedPfx, Password, PfxLimits, read};
use std::num::NonZeroU32;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

pub(super) const PASSWORD: &str = "Xy7-a password of 28 letters";

/// A PFX with one RSA-2048 key, its certificate and two more.
pub(super) struct Sample {
    pub(super) pfx: Vec<u8>,
    form: Form,
    iterations: NonZeroU32,
    password: SecretBytes,
    folder: tempfile::TempDir,
}

fn openssl(arguments: &[&str]) -> Fallible<Vec<u8>> {
    let output = Command::new("openssl").args(arguments).output()?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(String::from_utf8_lossy(&output.stderr).into())
}

/// A self-signed certificate (DER) with its key (PKCS#8 DER).
fn certificate(folder: &Path, name: &str) -> Fallible<(Vec<u8>, Vec<u8>)> {
    let key = folder.join(name).display().to_string();
    let subject = format!("/CN={name}");
    let certificate = openssl(&[
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", &subject, "-keyout", &key,
        "-outform", "DER",
    ])?;
    let pkcs8 = openssl(&[
        "pkcs8", "-topk8", "-nocrypt", "-in", &key, "-outform", "DER",
    ])?;
    Ok((certificate, pkcs8))
}

/// How long something took, in milliseconds.
pub(super) fn ms<T>(work: impl FnOnce() -> Fallible<T>) -> Fallible<f64> {
    let start = Instant::now();
    std::hint::black_box(work()?);
    Ok(start.elapsed().as_secs_f64() * 1000.0)
}

/// How much processor time of this thread something took, in milliseconds: what others do on the machine does not count.
pub(super) fn processor_ms<T>(work: impl FnOnce() -> Fallible<T>) -> Fallible<f64> {
    let now = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        std::time::Duration::try_from(time)
    };
    let start = now()?;
    std::hint::black_box(work()?);
    Ok(now()?.saturating_sub(start).as_secs_f64() * 1000.0)
}

impl Sample {
    pub(super) fn new(form: Form, iterations: u32) -> Fallible<Self> {
        let folder = tempfile::tempdir()?;
        let (person, pkcs8) = certificate(folder.path(), "person")?;
        let (above, _) = certificate(folder.path(), "intermediate")?;
        let (top, _) = certificate(folder.path(), "root")?;
        let pkcs8 = SecretBytes::from_vec(pkcs8);
        let password = SecretBytes::from_slice(PASSWORD.as_bytes());
        let entries = Entries::identity(&pkcs8, &person, &[&above, &top], Some("person"));
        let options = WriteOptions::new(form).with_iterations(iterations)?;
        Ok(Self {
            pfx: write(&entries, &password, &options)?,
            form,
            iterations: options.iterations(),
            password,
            folder,
        })
    }

    /// The file and its password, as files.
    pub(super) fn files(&self) -> Fallible<(String, String)> {
        let (pfx, password) = (
            self.folder.path().join("pfx"),
            self.folder.path().join("pw"),
        );
        std::fs::write(&pfx, &self.pfx)?;
        std::fs::write(&password, PASSWORD)?;
        Ok((pfx.display().to_string(), password.display().to_string()))
    }

    /// The three derivations of the file: the MAC, the certificates, the key.
    pub(super) fn derive(&self) -> Fallible<f64> {
        let password = Password::new(&self.password, &PfxLimits::default())?;
        let salt = [7; 16];
        let pbkdf2 = || kdf::pbkdf2(Hash::Sha256, password.octets(), &salt, self.iterations, 32);
        processor_ms(|| {
            let mac = match self.form {
                Form::Approved => pbkdf2()?,
                _ => kdf::pkcs12(
                    Pkcs12Use::Read,
                    Hash::Sha256,
                    password.bmp(),
                    &salt,
                    Pkcs12Purpose::Mac,
                    self.iterations,
                    32,
                )?,
            };
            Ok([mac, pbkdf2()?, pbkdf2()?])
        })
    }

    pub(super) fn open(&self) -> Fallible<f64> {
        processor_ms(|| self.read())
    }

    /// As people wait for it.
    pub(super) fn open_by_the_clock(&self) -> Fallible<f64> {
        ms(|| self.read())
    }

    fn read(&self) -> Fallible<OpenedPfx> {
        Ok(read(&self.pfx, &self.password, &PfxLimits::default())?)
    }

    /// Opened, and written in the same form under a fresh password.
    pub(super) fn rewrap(&self) -> Fallible<f64> {
        let options = WriteOptions::new(self.form).with_iterations(self.iterations.get())?;
        processor_ms(|| {
            let opened = self.read()?;
            let identity = opened.identity()?;
            let entries = Entries::identity(
                identity.pkcs8(),
                identity.certificate(),
                &identity.chain(),
                identity.friendly_name(),
            );
            let password = fips::random::alphanumeric(32)?;
            Ok(write(&entries, &password, &options)?)
        })
    }
}
