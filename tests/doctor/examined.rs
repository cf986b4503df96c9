//! Runs `doctor --json` and looks its findings up.

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// What one run said.
pub(crate) struct Examined {
    pub(crate) code: i32,
    pub(crate) report: Value,
}

/// `doctor --config F --json` with these further arguments, and an environment without anything.
pub(crate) fn doctor(config: &Path, more: &[&str]) -> Examined {
    let output = run(config, &[&["--json"], more].concat());
    read(&output)
}

pub(crate) fn read(output: &Output) -> Examined {
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!(
            "{error}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    });
    Examined {
        code: output.status.code().expect("ended by itself"),
        report,
    }
}

pub(crate) fn run(config: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pfx-connector"))
        .arg("doctor")
        .arg("--config")
        .arg(config)
        .args(more)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

impl Examined {
    pub(crate) fn all(&self) -> &[Value] {
        self.report["findings"].as_array().unwrap()
    }

    /// Every finding of that check.
    pub(crate) fn findings(&self, id: &str) -> Vec<&Value> {
        self.all()
            .iter()
            .filter(|found| found["id"] == id)
            .collect()
    }

    /// The one finding of that check.
    pub(crate) fn finding(&self, id: &str) -> &Value {
        match self.findings(id).as_slice() {
            [one] => one,
            other => panic!("{id}: {other:?} in {:#}", self.report),
        }
    }

    /// The finding of that check about that subject.
    pub(crate) fn about(&self, id: &str, subject: &str) -> &Value {
        let found = self.findings(id);
        found
            .iter()
            .find(|found| found["subject"] == subject)
            .unwrap_or_else(|| panic!("{id} of {subject}: {:#}", self.report))
    }

    /// The ids of all findings of that severity.
    pub(crate) fn ids(&self, severity: &str) -> Vec<&str> {
        let mut ids: Vec<&str> = self
            .all()
            .iter()
            .filter(|found| found["severity"] == severity)
            .map(|found| found["id"].as_str().unwrap())
            .collect();
        ids.dedup();
        ids
    }

    /// Exit code 3 because of this check, and of no other.
    pub(crate) fn fails_of(&self, id: &str) {
        assert_eq!(self.ids("error"), [id], "{:#}", self.report);
        assert_eq!(self.code, 3);
        assert_eq!(self.report["healthy"], false);
        for found in self.findings(id) {
            let wrong = found["severity"] == "error";
            assert!(!wrong || found["remedy"].is_string(), "{found}");
        }
    }

    /// Exit code 0.
    pub(crate) fn nothing_fails(&self) {
        assert_eq!(self.ids("error"), [""; 0], "{:#}", self.report);
        assert_eq!(self.code, 0);
        assert_eq!(self.report["healthy"], true);
    }
}
