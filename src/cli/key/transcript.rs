//! What was done to keys, step by step, for those who were not there.

use crate::clock::{Clock, SystemClock, rfc3339};
use crate::encoding::printable;
use hsm::TokenInfo;
use serde_json::{Value, json};
use std::fmt::Write;

/// The steps of one command, each with its time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Transcript {
    head: Value,
    steps: Vec<Value>,
}

impl Transcript {
    /// Begins with who does what on which token.
    pub(super) fn begin(what: &str, token: &TokenInfo) -> Self {
        Self {
            head: json!({
                "type": "pfx-connector-transcript",
                "version": 1,
                "what": what,
                "program": { "name": "pfx-connector", "version": env!("CARGO_PKG_VERSION") },
                "began": rfc3339(SystemClock.now_ms()),
                "token": token,
            }),
            steps: Vec::new(),
        }
    }

    /// Adds to the head what is known before the first step.
    pub(super) fn head(&mut self, name: &str, value: Value) {
        if let Value::Object(fields) = &mut self.head {
            fields.insert(name.to_owned(), value);
        }
    }

    /// A step that was done, and what came of it. Never a secret.
    pub(super) fn step(&mut self, what: &str, result: Value) {
        self.steps.push(json!({
            "time": rfc3339(SystemClock.now_ms()),
            "step": what,
            "result": result,
        }));
    }

    /// The whole.
    pub(super) fn json(&self) -> Value {
        let mut whole = self.head.clone();
        if let Value::Object(fields) = &mut whole {
            fields.insert("steps".to_owned(), Value::Array(self.steps.clone()));
        }
        whole
    }

    /// The bytes of the file: what is signed.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{:#}", self.json());
        text.push('\n');
        text.into_bytes()
    }

    /// The steps, one a line.
    pub(super) fn text(&self) -> String {
        let mut text = String::from("Transcript:");
        for step in &self.steps {
            let word = |name: &str| step.get(name).and_then(Value::as_str).unwrap_or_default();
            let result = step
                .get("result")
                .map(ToString::to_string)
                .unwrap_or_default();
            let _ = write!(
                text,
                "\n  {}  {}: {}",
                word("time"),
                printable(word("step")),
                printable(&result)
            );
        }
        text
    }
}
