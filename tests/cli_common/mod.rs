//! What the tests of the command line share: the real program, a SoftHSM token in a temporary folder, OpenSSL.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub
)]

pub mod life;

use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub struct Ran {
    pub code: i32,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Ran {
    /// The report on standard output.
    pub fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{}", self.stderr);
        serde_json::from_slice(&self.stdout).expect("one JSON value on standard output")
    }

    /// `error` of the last line on standard error.
    pub fn error(&self) -> Value {
        assert_ne!(self.code, 0);
        assert!(self.stdout.is_empty());
        let line = self
            .stderr
            .lines()
            .last()
            .expect("a line on standard error");
        let value: Value = serde_json::from_str(line).expect("JSON on standard error");
        value["error"].clone()
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.stdout.clone()).unwrap()
    }
}

/// Runs the program with an environment of these variables only, and no terminal to ask at.
pub fn program(args: &[&str], environment: &[(&str, &str)]) -> Ran {
    let output = Command::new("setsid")
        .arg("--wait")
        .arg(env!("CARGO_BIN_EXE_pfx-connector"))
        .args(args)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("setsid (util-linux) must be installed");
    Ran {
        code: output.status.code().expect("ended by itself"),
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs OpenSSL and returns what it printed.
pub fn openssl(args: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl")
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("openssl must be installed");
    assert!(
        output.status.success(),
        "openssl {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

pub fn write(path: &Path, content: impl AsRef<[u8]>, mode: u32) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A temporary folder with a SoftHSM token in it.
pub struct Token {
    pub folder: tempfile::TempDir,
    pub module: PathBuf,
}

pub const TOKEN: &str = "cli-test";
pub const PIN: &str = "12345678";

impl Token {
    pub fn new() -> Self {
        let module = std::env::var_os("SOFTHSM_MODULE")
            .map(PathBuf::from)
            .into_iter()
            .chain(
                [
                    "/usr/lib/softhsm/libsofthsm2.so",
                    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
                    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
                ]
                .map(PathBuf::from),
            )
            .find(|path| path.is_file())
            .expect("SoftHSM 2 (libsofthsm2.so) must be installed, or SOFTHSM_MODULE name it");
        let token = Self {
            folder: tempfile::tempdir().unwrap(),
            module,
        };
        fs::create_dir(token.path("tokens")).unwrap();
        let conf = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
            token.path("tokens").display()
        );
        write(&token.path("softhsm2.conf"), conf, 0o600);
        write(&token.path("pin"), format!("{PIN}\n"), 0o600);
        write(&token.path("so-pin"), "87654321\n", 0o600);
        let so_pin = token.path("so-pin");
        token
            .run(&[
                "key",
                "init-token",
                "--so-pin-file",
                text(&so_pin),
                "--json",
            ])
            .json();
        token
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a command with this token's options behind its own.
    pub fn run(&self, args: &[&str]) -> Ran {
        self.run_with_pin(args, &self.path("pin"))
    }

    pub fn run_with_pin(&self, args: &[&str], pin: &Path) -> Ran {
        let options = [
            "--module",
            text(&self.module),
            "--token-label",
            TOKEN,
            "--pin-file",
            text(pin),
        ];
        let conf = self.path("softhsm2.conf");
        program(
            &[args, &options].concat(),
            &[("SOFTHSM2_CONF", text(&conf))],
        )
    }

    /// Makes a key and returns what was said about it.
    pub fn generate(&self, label: &str, bits: &str) -> Value {
        self.run(&[
            "key",
            "generate",
            "--key-label",
            label,
            "--bits",
            bits,
            "--json",
        ])
        .json()
    }

    /// Body of a token table of a configuration.
    pub fn section(&self) -> String {
        format!(
            "module = \"{}\"\nlabel = \"{TOKEN}\"\npin_file = \"pin\"\nenvironment = {{ SOFTHSM2_CONF = \"{}\" }}\n",
            self.module.display(),
            self.path("softhsm2.conf").display()
        )
    }
}
