//! The gateway as a process of its own, with its files in a folder of the test.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use super::gateway::*;
use super::pki::{Authority, Identity};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Only so that a fault ends the test; nothing is measured.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// The configuration and the files of a gateway.
pub struct Host {
    pub folder: tempfile::TempDir,
    pub authority: Authority,
    pub connector: Identity,
}

/// Killed when the test ends, however it ends.
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Host {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (_, authority) = configuration(folder.path());
        let connector = authority.client("connector-1");
        std::fs::write(
            folder.path().join("config.toml"),
            "[gateway]\nlisten = \"127.0.0.1:0\"\ncertificate = \"gateway.pem\"\nprivate_key = \"gateway-key.pem\"\n\
             connector_ca = \"authority.pem\"\ndatabase = \"gateway.db\"\nready_file = \"ready\"\nlease_ms = 300\nmax_leases = 1000\n",
        )
        .unwrap();
        Self {
            folder,
            authority,
            connector,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pfx-connector"));
        command.arg("gateway").args(arguments);
        command.arg("--config").arg(self.path("config.toml"));
        command
    }

    /// Runs one of the commands beside the service.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).arg("--json").output().unwrap()
    }

    pub fn done(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).unwrap()
    }

    pub fn token(&self, role: &str) -> String {
        let made = self.done(&["token", "create", "--role", role, "--name", role]);
        made["token"].as_str().unwrap().to_owned()
    }

    /// Starts the service; returns it with its base URL.
    pub fn start(&self) -> (Process, String) {
        let ready = self.path("ready");
        let _ = std::fs::remove_file(&ready);
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path("log"))
            .unwrap();
        let mut process = Process(
            self.command(&[])
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
                .unwrap(),
        );
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Ok(address) = std::fs::read_to_string(&ready) {
                return (process, format!("https://{}", address.trim()));
            }
            let ended = process.0.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "the gateway did not start: {}",
                std::fs::read_to_string(self.path("log")).unwrap()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn caller(&self, base: &str, token: Option<&str>) -> Caller {
        let identity = token.is_none().then_some(&self.connector);
        Caller {
            client: client(&self.authority.certificate(), identity),
            base: base.to_owned(),
            token: token.map(str::to_owned),
        }
    }
}
