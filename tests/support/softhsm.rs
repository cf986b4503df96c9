//! A SoftHSM token in a temporary folder, with one custody key on it.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use fips::digest::Hash;
use fips::rsa::PublicKey;
use hsm::Padding;
use pfx_connector::encoding::hex;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

pub const TOKEN_LABEL: &str = "custody";
pub const KEY_LABEL: &str = "custody-key";
pub const PIN: &str = "648219";

/// The token; its folder is gone when it is dropped.
pub struct SoftHsm {
    dir: TempDir,
    key: PublicKey,
}

impl SoftHsm {
    /// A token with an RSA-2048 key that is sensitive and not extractable.
    pub fn new() -> Self {
        let dir = TempDir::new().unwrap();
        std::fs::create_dir(dir.path().join("tokens")).unwrap();
        std::fs::write(
            dir.path().join("softhsm2.conf"),
            format!(
                "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
                dir.path().join("tokens").display()
            ),
        )
        .unwrap();
        let (pem, key) = generate(&dir.path().join("key"));
        let token = Self { dir, key };
        token.util(&[
            "--init-token",
            "--free",
            "--label",
            TOKEN_LABEL,
            "--so-pin",
            "12345678",
            "--pin",
            PIN,
        ]);
        token.import(&pem, KEY_LABEL, "01");
        token.write_pin(PIN);
        token
    }

    /// Adds another RSA-2048 key that is sensitive and not extractable; `id` is hexadecimal.
    pub fn add_key(&self, label: &str, id: &str) -> PublicKey {
        let (pem, key) = generate(&self.dir.path().join("another-key"));
        self.import(&pem, label, id);
        key
    }

    fn import(&self, pem: &Path, label: &str, id: &str) {
        self.util(&[
            "--import",
            pem.to_str().unwrap(),
            "--token",
            TOKEN_LABEL,
            "--label",
            label,
            "--id",
            id,
            "--pin",
            PIN,
        ]);
        std::fs::remove_file(pem).unwrap();
    }

    fn util(&self, arguments: &[&str]) {
        run(
            Command::new("softhsm2-util")
                .args(arguments)
                .env("SOFTHSM2_CONF", self.configuration()),
            "softhsm2-util",
        );
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// What `SOFTHSM2_CONF` must be.
    pub fn configuration(&self) -> PathBuf {
        self.dir.path().join("softhsm2.conf")
    }

    /// Where the token's objects are.
    pub fn tokens(&self) -> PathBuf {
        self.dir.path().join("tokens")
    }

    pub fn pin_file(&self) -> PathBuf {
        self.dir.path().join("pin")
    }

    pub fn write_pin(&self, pin: &str) {
        let fresh = self.dir.path().join("pin.new");
        std::fs::write(&fresh, pin).unwrap();
        std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::rename(fresh, self.pin_file()).unwrap();
    }

    pub fn public_key(&self) -> &PublicKey {
        &self.key
    }

    /// The fingerprint as records and status show it.
    pub fn fingerprint(&self) -> String {
        hex(&self.key.fingerprint())
    }

    /// Encrypts a password to the custody key.
    pub fn encrypt(&self, padding: Padding, password: &[u8]) -> Vec<u8> {
        encrypt(&self.key, padding, password)
    }

    /// The lines of `[engine.token]`.
    pub fn token_section(&self) -> String {
        format!(
            "[engine.token]\nmodule = {:?}\nlabel = {TOKEN_LABEL:?}\npin_file = {:?}\nthreads = 2\n\
             [engine.token.environment]\nSOFTHSM2_CONF = {:?}\n",
            module(),
            self.pin_file(),
            self.configuration()
        )
    }
}

/// Encrypts a password to a key.
pub fn encrypt(key: &PublicKey, padding: Padding, password: &[u8]) -> Vec<u8> {
    let hash = match padding {
        Padding::OaepSha1 => Hash::Sha1,
        Padding::OaepSha256 => Hash::Sha256,
        Padding::OaepSha384 => Hash::Sha384,
        Padding::OaepSha512 => Hash::Sha512,
    };
    key.encrypt_oaep(hash, password).unwrap()
}

/// A private key in a PEM file, and its public half.
fn generate(path: &Path) -> (PathBuf, PublicKey) {
    let (pem, spki) = (path.with_extension("pem"), path.with_extension("spki"));
    let (pem_text, spki_text) = (pem.to_str().unwrap(), spki.to_str().unwrap());
    run(
        Command::new("openssl").args([
            "genpkey",
            "-quiet",
            "-algorithm",
            "RSA",
            "-pkeyopt",
            "rsa_keygen_bits:2048",
            "-out",
            pem_text,
        ]),
        "openssl",
    );
    run(
        Command::new("openssl").args([
            "pkey", "-in", pem_text, "-pubout", "-outform", "DER", "-out", spki_text,
        ]),
        "openssl",
    );
    let key = PublicKey::from_spki(&std::fs::read(&spki).unwrap()).unwrap();
    (pem, key)
}

/// The library of Debian's package softhsm2.
pub fn module() -> PathBuf {
    [
        "/usr/lib/softhsm/libsofthsm2.so",
        "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    ]
    .into_iter()
    .map(PathBuf::from)
    .find_map(|path| path.canonicalize().ok())
    .expect("this test needs the PKCS#11 library of the package softhsm2")
}

fn run(command: &mut Command, name: &str) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("this test needs the program `{name}`: {error}"));
    assert!(
        output.status.success(),
        "{name}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
