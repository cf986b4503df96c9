//! A running engine with its token, an importer and an authority for devices.
//!
//! The file that uses it has to declare `openssl` and `softhsm` (tests/support) as modules beside it.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use super::openssl::Authority;
use super::softhsm::{KEY_LABEL, SoftHsm};
use audit::AuditKey;
use fips::sign::{KeyKind, SigningKey};
use hsm::Padding;
use pfx_connector::encoding::{Base64Bytes, public_key_pem};
use pfx_connector::engine::api::{
    CmsFormat, DeviceTarget, EngineStatus, PartStatus, RecryptRequest,
};
use pfx_connector::engine::client::EngineClient;
use pfx_connector::engine::recrypt::importers::sign;
use pfx_connector::record::Record;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longer than anything takes on a busy machine: reaching it is a failure.
pub const PATIENCE: Duration = Duration::from_secs(60);
pub const PFX: &[u8] = b"a PFX as stored; the engine passes it by";
pub const PASSWORD: &[u8] = b"correct horse battery staple";

/// What the usual engine names in strict mode, so that every format and padding can be asked for.
pub const FIPS_EXCEPTIONS: [&str; 4] = [
    "cms-ecdh-static",
    "cms-rsa-pkcs1v15",
    "oaep-unpadding-in-software",
    "triple-des-encryption",
];

/// Every exception in force, as a status shows them: these, and the usual ones of FIPS mode.
pub fn exceptions_with(named: &[&str]) -> Vec<String> {
    let mut all: Vec<_> = FIPS_EXCEPTIONS
        .iter()
        .chain(named)
        .map(ToString::to_string)
        .collect();
    all.sort();
    all
}

/// `[engine.audit]` of an engine in this folder, whose audit key is made there.
pub fn audit_section(dir: &Path) -> String {
    use std::os::unix::fs::OpenOptionsExt;
    let key = AuditKey::generate().unwrap();
    let private = pkcs8::SecretDocument::try_from(key.pkcs8_der().unwrap().expose())
        .unwrap()
        .to_pem("PRIVATE KEY", der::pem::LineEnding::LF)
        .unwrap();
    let (path, public) = (dir.join("audit-key.pem"), dir.join("audit-public.pem"));
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    options
        .open(&path)
        .unwrap()
        .write_all(private.as_bytes())
        .unwrap();
    std::fs::write(public, public_key_pem(key.spki_der()).unwrap()).unwrap();
    format!(
        "[engine.audit]\nfolder = {:?}\nsigning_key_file = {path:?}\n",
        dir.join("audit")
    )
}

/// What differs from the usual engine.
#[derive(Default)]
pub struct Options {
    /// Lines of `[fips]`; the usual exceptions where there are none.
    pub fips: Option<String>,
    /// Another program file than the one that was built.
    pub program: Option<PathBuf>,
    /// The lines of `[engine.token]` and of its environment; the usual ones where there are none.
    pub token: Option<String>,
    /// Lines added to the token's environment.
    pub environment: String,
    /// Lines of `[engine]`.
    pub engine: String,
    /// Further importers: whole tables.
    pub importers: String,
    /// Lines of `[engine.restart]`.
    pub restart: String,
    /// Exceptions by name.
    pub exceptions: Vec<&'static str>,
    /// Neither anchors nor importers.
    pub trusts_nobody: bool,
    /// Further arguments of the command `engine`.
    pub arguments: Vec<&'static str>,
}

/// The engine's folder and, while it runs, its first process.
pub struct Engine {
    dir: TempDir,
    importer: SigningKey,
    program: PathBuf,
    arguments: Vec<&'static str>,
    running: Option<Child>,
}

impl Engine {
    /// Writes the configuration and starts the engine; does not wait for it.
    pub fn start(token: &SoftHsm, authority: &Authority<'_>, options: &Options) -> Self {
        let mut engine = Self::prepare(token, authority, options);
        engine.launch();
        engine
    }

    /// Writes the configuration.
    pub fn prepare(token: &SoftHsm, authority: &Authority<'_>, options: &Options) -> Self {
        let dir = TempDir::new().unwrap();
        let importer = SigningKey::generate(KeyKind::EcP256).unwrap();
        let importer_pem = dir.path().join("importer.pem");
        let pem =
            der::pem::encode_string("PUBLIC KEY", der::pem::LineEnding::LF, importer.spki_der())
                .unwrap();
        std::fs::write(&importer_pem, pem).unwrap();
        let anchors = match options.trusts_nobody {
            true => String::new(),
            false => format!("device_anchors = [{:?}]\n", authority.certificate),
        };
        let importers = match options.trusts_nobody {
            true => String::new(),
            false => {
                format!(
                    "[[engine.importers]]\nname = \"ada\"\npublic_key = {importer_pem:?}\n{}",
                    options.importers
                )
            }
        };
        let audit = match options.exceptions.contains(&"no-receipts") {
            true => String::new(),
            false => audit_section(dir.path()),
        };
        let text = format!(
            "[fips]\n{}\n[engine]\nsocket = {:?}\nexceptions = {:?}\n{anchors}{}\n{audit}[engine.restart]\n{}\n{}{}\n{importers}",
            options
                .fips
                .clone()
                .unwrap_or_else(|| format!("exceptions = {FIPS_EXCEPTIONS:?}")),
            dir.path().join("engine.sock"),
            options.exceptions,
            options.engine,
            options.restart,
            options
                .token
                .clone()
                .unwrap_or_else(|| token.token_section()),
            options.environment,
        );
        std::fs::write(dir.path().join("config.toml"), text).unwrap();
        Self {
            dir,
            importer,
            program: options
                .program
                .clone()
                .unwrap_or_else(|| env!("CARGO_BIN_EXE_pfx-connector").into()),
            arguments: options.arguments.clone(),
            running: None,
        }
    }

    /// Starts the engine.
    pub fn launch(&mut self) {
        self.launch_as(|_| {});
    }

    /// Starts the engine, with something else about its process.
    pub fn launch_as(&mut self, change: impl FnOnce(&mut Command)) {
        assert!(self.running.is_none());
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_path())
            .unwrap();
        let mut command = Command::new(&self.program);
        command
            .args(["engine", "--config"])
            .arg(self.dir.path().join("config.toml"))
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        change(&mut command);
        self.running = Some(command.spawn().unwrap());
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("engine.sock")
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("engine.log")
    }

    /// What its processes have written to standard error.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    pub fn pid(&self) -> u32 {
        self.running.as_ref().unwrap().id()
    }

    /// A client, as soon as the engine listens.
    pub async fn client(&self) -> EngineClient {
        let until = Instant::now() + PATIENCE;
        loop {
            match EngineClient::connect(&self.socket()).await {
                Ok(client) => return client,
                Err(error) => assert!(Instant::now() < until, "{error}\n{}", self.log()),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A client of an engine whose token is open.
    pub async fn ready_client(&self) -> EngineClient {
        let client = self.client().await;
        self.wait_for(&client, "an open token", |status| status.token.is_some())
            .await;
        client
    }

    /// Asks for the status until it is as wanted.
    pub async fn wait_for(
        &self,
        client: &EngineClient,
        what: &str,
        wanted: impl Fn(&EngineStatus) -> bool,
    ) -> EngineStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            let status = client.status().await;
            if let Ok(status) = &status
                && wanted(status)
            {
                return status.clone();
            }
            assert!(
                Instant::now() < until,
                "no {what}: {status:?}\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A signed request for the usual password.
    pub fn request(&self, id: &str, token: &SoftHsm, device_der: Vec<u8>) -> RecryptRequest {
        let mut request = RecryptRequest {
            request_id: id.to_owned(),
            record: Record {
                user_principal_name: "ada@example.org".to_owned(),
                thumbprint: "ab".repeat(20),
                provider_name: "pkcs11".to_owned(),
                key_name: KEY_LABEL.to_owned(),
                custody_key: Some(token.fingerprint()),
                padding: Padding::OaepSha512,
                encrypted_password: Base64Bytes(token.encrypt(Padding::OaepSha512, PASSWORD)),
                importer_signature: None,
            },
            pfx: Base64Bytes(PFX.to_vec()),
            device: DeviceTarget {
                certificate: Base64Bytes(device_der),
                intermediates: Vec::new(),
            },
            format: CmsFormat::Modern,
        };
        self.sign(&mut request);
        request
    }

    /// Signs the record again after a change.
    pub fn sign(&self, request: &mut RecryptRequest) {
        let signature = sign(&self.importer, &request.record, request.pfx.as_slice()).unwrap();
        request.record.importer_signature = Some(signature);
    }

    /// Sends the engine's first process a signal.
    pub fn signal(&self, signal: Signal) {
        send_signal(self.pid(), signal);
    }

    /// Waits until the first process has ended.
    pub fn wait(&mut self) -> ExitStatus {
        let mut child = self.running.take().unwrap();
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            assert!(
                Instant::now() < until,
                "the engine does not end\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(mut child) = self.running.take() {
            // The parts end with it.
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log
                .lines()
                .filter(|line| !line.contains(" INFO recrypted "))
                .collect();
            let last = lines
                .get(lines.len().saturating_sub(60)..)
                .unwrap_or_default();
            eprintln!("--- last lines of the engine's log\n{}", last.join("\n"));
        }
    }
}

pub fn part<'a>(status: &'a EngineStatus, name: &str) -> &'a PartStatus {
    status.parts.iter().find(|part| part.name == name).unwrap()
}

pub fn send_signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Sends a signal until the process has died of it. Rust's handler of SIGSEGV lets the first one pass: it expects a real fault to
/// come again.
pub fn crash(pid: u32, signal: Signal) {
    wait_until("the part does not die", || {
        let raw = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        !is_alive(pid) || kill_process(raw, signal).is_err()
    });
}

/// Whether a process exists and is not just waiting to be reaped.
pub fn is_alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .starts_with(" Z")
    })
}

pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
