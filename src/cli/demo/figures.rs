//! What the processes of the demo say of their cryptography, added up.

use crate::evidence::process::ProcessEvidence;
use fips::policy::Service;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// FIPS mode and counts over every process of a run: the commands that made the key, engine, connector, gateway, and each import.
#[derive(Debug, Clone, Default)]
pub(super) struct FipsFigures {
    modes: BTreeSet<String>,
    exceptions: BTreeSet<String>,
    not_approved: u64,
    processes: u64,
    key_transport_token: u64,
    key_transport_module: u64,
    faults: Vec<String>,
}

impl FipsFigures {
    /// Adds what a command said in its report's `fips` object.
    pub(super) fn add_report(&mut self, report: &Value) {
        self.processes += 1;
        let mode = report.pointer("/fips/mode").and_then(Value::as_str);
        // A report that says nothing must not pass for one that says "strict".
        self.modes.insert(mode.unwrap_or("unknown").to_owned());
        for exception in report
            .pointer("/fips/exceptions")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            self.exceptions
                .extend(exception.as_str().map(str::to_owned));
        }
        let count = report.pointer("/fips/notApproved").and_then(Value::as_u64);
        self.not_approved = self.not_approved.saturating_add(count.unwrap_or(0));
    }

    /// Adds what a service says of one of its processes.
    pub(super) fn add_process(&mut self, evidence: &ProcessEvidence) {
        self.processes += 1;
        self.modes.insert(evidence.mode.clone());
        self.exceptions.extend(evidence.exceptions.iter().cloned());
        self.not_approved = self.not_approved.saturating_add(evidence.not_approved);
        self.key_transport_token += evidence.performed(Service::TokenOaepEncrypt);
        self.key_transport_module += evidence.performed(Service::RsaOaepEncrypt)
            + evidence.performed(Service::RsaPkcs1v15Encrypt);
        if let Some(fault) = &evidence.fault {
            self.faults
                .push(format!("{}: {}", evidence.process, fault.message));
        }
    }

    /// What the processes said, as the demo's `fips` object.
    pub(super) fn json(&self, module_version: &str) -> Value {
        json!({
            "mode": self.mode(),
            "exceptions": self.exceptions,
            "not_approved": self.not_approved,
            "module_version": module_version,
            "processes": self.processes,
            "key_transport": {
                "token": self.key_transport_token,
                "module": self.key_transport_module,
            },
        })
    }

    /// One mode, or all of them where the processes differ.
    fn mode(&self) -> String {
        self.modes.iter().cloned().collect::<Vec<_>>().join(", ")
    }

    /// The same in a line for people.
    pub(super) fn line(&self) -> String {
        let exceptions = if self.exceptions.is_empty() {
            "no exception".to_owned()
        } else {
            self.exceptions
                .iter()
                .cloned()
                .collect::<Vec<_>>()
                .join(", ")
        };
        let uses = match self.not_approved {
            1 => "1 use".to_owned(),
            count => format!("{count} uses"),
        };
        format!(
            "{}, {exceptions}; {uses} of anything not approved",
            self.mode()
        )
    }

    /// Failures of the module.
    pub(super) fn faults(&self) -> &[String] {
        &self.faults
    }
}
