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
    /// Labels of the tokens with the same keys, the first one's aside.
    copies: Vec<String>,
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
        let folder = dir.path();
        run(
            Command::new("softhsm2-util")
                .args(["--init-token", "--free", "--label", TOKEN_LABEL])
                .args(["--so-pin", "12345678", "--pin", PIN])
                .env("SOFTHSM2_CONF", folder.join("softhsm2.conf")),
            "softhsm2-util",
        );
        write_pin(folder, PIN);
        let key = generate(folder, KEY_LABEL);
        Self {
            dir,
            key,
            copies: Vec::new(),
        }
    }

    /// Adds a token with the same keys and the same PIN under a label of the same length, and gives its folder. As a copy of the
    /// folder: only label and serial number in it are others, which SoftHSM keeps as they are.
    pub fn copy_token(&mut self, label: &str) -> PathBuf {
        let from = self.token_folder();
        let to = self.tokens().join(format!("copy-{label}"));
        std::fs::create_dir(&to).unwrap();
        for file in std::fs::read_dir(&from).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
        let object = to.join("token.object");
        let mut bytes = std::fs::read(&object).unwrap();
        let old = format!("{TOKEN_LABEL:32}");
        let at = bytes
            .windows(32)
            .position(|window| window == old.as_bytes())
            .expect("SoftHSM keeps the token's label in token.object");
        bytes[at..at + 32].copy_from_slice(format!("{label:32}").as_bytes());
        // The serial number: the end of the folder's name, 16 digits.
        let name = from.file_name().unwrap().to_str().unwrap();
        let serial: Vec<u8> = name.bytes().filter(u8::is_ascii_hexdigit).collect();
        let serial = &serial[serial.len() - 16..];
        let at = bytes
            .windows(16)
            .position(|window| window == serial)
            .expect("SoftHSM keeps the token's serial number in token.object");
        // The slot's number is made of its last digits.
        let last = &mut bytes[at + 15];
        *last = if *last == b'0' { b'1' } else { b'0' };
        std::fs::write(&object, bytes).unwrap();
        self.copies.push(label.to_owned());
        to
    }

    /// Where the first token's objects are.
    pub fn token_folder(&self) -> PathBuf {
        let mut folders = std::fs::read_dir(self.tokens()).unwrap();
        folders
            .find_map(|entry| {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_str().unwrap();
                (!name.starts_with("copy-")).then_some(path)
            })
            .unwrap()
    }

    /// Adds another RSA-2048 custody key.
    pub fn add_key(&self, label: &str) -> PublicKey {
        generate(self.path(), label)
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
        write_pin(self.path(), pin);
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

    /// The lines of `[engine.token]`; of `[[engine.tokens]]`, each called by its label, where there are copies.
    pub fn token_section(&self) -> String {
        if self.copies.is_empty() {
            return self.section(
                "[engine.token]",
                "[engine.token.environment]",
                TOKEN_LABEL,
                "",
            );
        }
        std::iter::once(TOKEN_LABEL)
            .chain(self.copies.iter().map(String::as_str))
            .map(|label| {
                let name = format!("name = {label:?}\n");
                let environment = "[engine.tokens.environment]";
                self.section("[[engine.tokens]]", environment, label, &name)
            })
            .collect()
    }

    fn section(&self, header: &str, environment: &str, label: &str, more: &str) -> String {
        format!(
            "{header}\nmodule = {:?}\nlabel = {label:?}\npin_file = {:?}\nthreads = 2\n{more}\
             {environment}\nSOFTHSM2_CONF = {:?}\n",
            module(),
            self.pin_file(),
            self.configuration()
        )
    }
}

/// Encrypts a password to a key.
pub fn encrypt(key: &PublicKey, padding: Padding, password: &[u8]) -> Vec<u8> {
    // As an importer without a token would, who needs the mode off or the exception.
    fips::start(fips::policy::Policy::OFF).unwrap();
    key.encrypt_oaep(padding.hash().unwrap(), password).unwrap()
}

/// The same as importers of the past did (PKCS#1 v1.5).
pub fn encrypt_pkcs1(key: &PublicKey, password: &[u8]) -> Vec<u8> {
    fips::start(fips::policy::Policy::OFF).unwrap();
    key.encrypt_pkcs1v15(password).unwrap()
}

fn write_pin(folder: &Path, pin: &str) {
    let fresh = folder.join("pin.new");
    std::fs::write(&fresh, pin).unwrap();
    std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::rename(fresh, folder.join("pin")).unwrap();
}

/// Makes a custody key as an operator does, and returns its public half.
fn generate(folder: &Path, label: &str) -> PublicKey {
    let public = folder.join(format!("{label}.public.pem"));
    for arguments in [
        vec!["generate", "--bits", "2048"],
        vec!["export-public", "--out", public.to_str().unwrap()],
    ] {
        run(
            Command::new(env!("CARGO_BIN_EXE_pfx-connector"))
                .arg("key")
                .args(arguments)
                .args(["--token-label", TOKEN_LABEL, "--key-label", label])
                .arg("--module")
                .arg(module())
                .arg("--pin-file")
                .arg(folder.join("pin"))
                .env("SOFTHSM2_CONF", folder.join("softhsm2.conf")),
            "pfx-connector",
        );
    }
    let pem = std::fs::read_to_string(&public).unwrap();
    let key = hsm::public_key::PublicKey::from_spki_pem(&pem).unwrap();
    PublicKey::from_spki(&key.to_spki_der().unwrap()).unwrap()
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

/// The module that fails as a script says, and writes down what it is asked. Cargo builds the examples of crate `hsm` when it tests the workspace.
pub fn chaos_module() -> PathBuf {
    let programs = std::env::current_exe().unwrap();
    let path = programs
        .ancestors()
        .nth(2)
        .unwrap()
        .join("examples/libchaos_pkcs11.so");
    assert!(
        path.exists(),
        "{} is missing: run `cargo build -p hsm --examples`",
        path.display()
    );
    path.canonicalize().unwrap()
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
