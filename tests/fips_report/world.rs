//! A running engine that has delivered something, and reports about it.

use super::cli_common::{Ran, program, text, write};
use super::engine::{Engine, Options};
use super::openssl::{KeyAlgorithm, Workshop, openssl};
use super::softhsm::{PIN, SoftHsm, TOKEN_LABEL, module};
use hsm::Padding;
use pfx_connector::encoding::Base64Bytes;
use pfx_connector::engine::api::Recrypted;
use pfx_connector::engine::client::RecryptError;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

pub(crate) const PASSWORD: &[u8] = super::engine::PASSWORD;
pub(crate) const PIN_OF_TOKEN: &str = PIN;

pub(crate) struct World {
    pub(crate) token: SoftHsm,
    pub(crate) engine: Engine,
    pub(crate) folder: tempfile::TempDir,
}

impl World {
    /// An engine in strict mode without exceptions, one delivery later.
    pub(crate) async fn new() -> Self {
        let (world, delivered) = Self::delivering("").await;
        delivered.unwrap();
        world
    }

    /// The same, with these lines in the token's environment, and how the delivery ended.
    pub(crate) async fn delivering(environment: &str) -> (Self, Result<Recrypted, RecryptError>) {
        let workshop = Workshop::new();
        let authority = workshop.authority("Devices", KeyAlgorithm::P256);
        let token = SoftHsm::new();
        let strict = Options {
            fips: Some(String::new()),
            environment: environment.to_owned(),
            ..Options::default()
        };
        let engine = Engine::start(&token, &authority, &strict);
        let client = engine.ready_client().await;
        let device = authority.device("phone", KeyAlgorithm::Rsa(2048));
        let mut request = engine.request("r-1", &token, device.der());
        request.record.padding = Padding::OaepSha1;
        request.record.encrypted_password = Base64Bytes(token.encrypt(Padding::OaepSha1, PASSWORD));
        engine.sign(&mut request);
        let delivered = client.recrypt(request, Duration::from_secs(30)).await;
        let world = Self {
            token,
            engine,
            folder: tempfile::tempdir().unwrap(),
        };
        (world, delivered)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The engine's configuration with these lines in [fips].
    pub(crate) fn configuration(&self, name: &str, fips: &str) -> PathBuf {
        let text = fs::read_to_string(self.engine.path().join("config.toml")).unwrap();
        let path = self.engine.path().join(name);
        write(
            &path,
            text.replacen("[fips]", &format!("[fips]\n{fips}"), 1),
            0o600,
        );
        path
    }

    /// The configuration that names a fresh private key in a file, made by OpenSSL, and that key's files.
    pub(crate) fn signed_by_file(
        &self,
        name: &str,
        generate: &[&str],
    ) -> (PathBuf, PathBuf, PathBuf) {
        let key = self.path(&format!("{name}.key"));
        let public = self.path(&format!("{name}.public.pem"));
        openssl(&[&["genpkey", "-out", text(&key)], generate].concat());
        openssl(&["pkey", "-in", text(&key), "-pubout", "-out", text(&public)]);
        write(&key, fs::read(&key).unwrap(), 0o600);
        let config = self.configuration(&format!("{name}.toml"), &format!("report_key = {key:?}"));
        (config, key, public)
    }

    /// The same with a fresh key on the token.
    pub(crate) fn signed_by_token(&self, label: &str, kind: &str) -> (PathBuf, Value, PathBuf) {
        let public = self.path(&format!("{label}.public.pem"));
        let conf = self.token.configuration();
        let made = program(
            &[
                "key",
                "generate-signing",
                "--module",
                text(&module()),
                "--token-label",
                TOKEN_LABEL,
                "--pin-file",
                text(&self.token.pin_file()),
                "--key-label",
                label,
                "--kind",
                kind,
                "--out-public",
                text(&public),
                "--json",
            ],
            &[("SOFTHSM2_CONF", text(&conf))],
        )
        .json();
        let line = format!("report_token_key = {label:?}");
        let config = self.configuration(&format!("{label}.toml"), &line);
        (config, made, public)
    }

    /// Writes a bundle.
    pub(crate) fn report(&self, config: &Path, name: &str) -> (PathBuf, Value) {
        let out = self.path(name);
        let said = report(config, &out).json();
        (out, said)
    }
}

pub(crate) fn report(config: &Path, out: &Path) -> Ran {
    program(
        &[
            "fips",
            "report",
            "--config",
            text(config),
            "--out",
            text(out),
            "--json",
        ],
        &[],
    )
}

/// Verifies a bundle as on another machine: without a configuration, an environment and a service.
pub(crate) fn verify(bundle: &Path, public: Option<&Path>) -> Ran {
    let mut args = vec!["fips", "report", "--verify", text(bundle), "--json"];
    if let Some(public) = public {
        args.extend(["--public-key", text(public)]);
    }
    program(&args, &[])
}

pub(crate) fn names(bundle: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(bundle)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The commands that README.txt gives for a shell, but for those of our own program.
pub(crate) fn commands(bundle: &Path) -> Vec<String> {
    fs::read_to_string(bundle.join("README.txt"))
        .unwrap()
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|command| !command.starts_with("pfx-connector"))
        .map(str::to_owned)
        .collect()
}

/// Runs a command of README.txt in the bundle: whether it is content, and what it says.
pub(crate) fn shell(bundle: &Path, command: &str) -> (bool, String) {
    let output = Command::new("sh")
        .args(["-c", command])
        .current_dir(bundle)
        .output()
        .expect("this test needs sh, sed, base64, sha256sum and openssl");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}
