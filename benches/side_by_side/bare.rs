//! The bare loop of the same PKCS#11 calls: the program `bare_loop` of the crate `hsm`, one process for each measurement.

use super::Fallible;
use super::built::built;
use super::ground::{Ground, OnToken};
use serde::Deserialize;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The program.
pub(crate) struct BareLoop {
    program: PathBuf,
}

/// What it measured.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BareFigures {
    pub(crate) per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) processor_us: f64,
}

impl BareLoop {
    /// Has cargo build it, with the same settings as this program, and learns where it is.
    pub(crate) fn build() -> Fallible<Self> {
        // With the settings of this program, which is tried without optimisation as well.
        let profile = if cfg!(debug_assertions) {
            "dev"
        } else {
            "bench"
        };
        // Both packages, so that their dependencies have the features that they had when this program was built.
        let program = built(
            "bare_loop",
            &[
                "bench",
                "--profile",
                profile,
                "--no-run",
                "-p",
                "pfx-connector",
                "-p",
                "hsm",
                "--bench",
                "bare_loop",
            ],
        )?;
        Ok(Self { program })
    }

    /// Runs it on the ground's token and key. `per_second`: at this rate; otherwise as fast as it goes.
    pub(crate) fn run(
        &self,
        ground: &Ground,
        threads: usize,
        operations: usize,
        per_second: Option<f64>,
    ) -> Fallible<BareFigures> {
        let mut command = self.on_token(&ground.token);
        command
            .args(["--key-label", pfx_connector::cli::demo::KEY_LABEL])
            .arg("--ciphertext")
            .arg(&ground.ciphertext_file)
            .args(["--threads", &threads.to_string()])
            .args(["--operations", &operations.to_string()]);
        if let Some(file) = &ground.device_spki_file {
            command.arg("--encrypt-to").arg(file);
        }
        if let Some(rate) = per_second {
            command.args(["--per-second", &rate.to_string()]);
        }
        Ok(serde_json::from_slice(&answer(command)?)?)
    }

    /// Has it make data objects on the token.
    pub(crate) fn add_objects(&self, ground: &Ground, count: u32) -> Fallible<()> {
        let mut command = self.on_token(&ground.token);
        command.args(["--add-objects", &count.to_string()]);
        answer(command).map(drop)
    }

    /// Has an EC key of this label sign so many digests, one after the other.
    pub(crate) fn sign(
        &self,
        token: &OnToken,
        key_label: &str,
        operations: usize,
    ) -> Fallible<BareFigures> {
        let mut command = self.on_token(token);
        command
            .args(["--key-label", key_label, "--sign", "ecdsa"])
            .args(["--threads", "1", "--operations", &operations.to_string()]);
        Ok(serde_json::from_slice(&answer(command)?)?)
    }

    fn on_token(&self, token: &OnToken) -> Command {
        let mut command = Command::new(&self.program);
        token.tell(&mut command);
        command
    }
}

fn answer(mut command: Command) -> Fallible<Vec<u8>> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("the bare loop failed: {said}").into())
}
