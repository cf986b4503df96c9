//! self-test.txt: what the module's own tests said, now and in each process.

use super::Evidence;
use crate::evidence::process::{ModuleEvidence, SelfTestEvidence};
use std::fmt::Write;

/// A run of the module's own tests in this process, for the bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelfTestRun {
    /// The module with its last test.
    pub module: ModuleEvidence,
}

impl SelfTestRun {
    /// Runs integrity and known-answer tests now.
    ///
    /// # Errors
    /// [`fips::Error::SelfTestFailed`]: nothing more is done in this process then, and nothing is signed.
    pub fn now() -> Result<Self, fips::Error> {
        fips::self_test()?;
        Ok(Self {
            module: ModuleEvidence::of_this_process(),
        })
    }
}

const WHAT_IT_IS: &str = "\
What was run
------------
Integrity test: an HMAC-SHA-256 over the code and the constants of the module as they are in memory, compared with the value that
was put into the program when it was built. It also runs before main() of every process; where it fails, the process ends by SIGABRT
before it has done anything, and the supervisor says so.
Known-answer tests: the module's own tests of its algorithms against values that are known.
Each process runs both when it starts; custody again, at most hourly, when it is asked for its status.

How to repeat it
----------------
  pfx-connector version              runs both, and ends with an error if one fails
  pfx-connector fips status --json   says of every running process when it ran them, and what they said
";

/// The document.
pub(super) fn text(evidence: &Evidence) -> String {
    let mut text = String::from(
        "Self-tests of the cryptographic module\n======================================\n\n",
    );
    let _ = writeln!(
        text,
        "Run for this bundle, by the command that wrote it\n-------------------------------------------------"
    );
    module(&mut text, &evidence.self_test.module);
    let _ = writeln!(
        text,
        "\nThe last run in each running process\n------------------------------------"
    );
    if evidence.status.processes.is_empty() {
        let _ = writeln!(text, "No process reports.");
    }
    for process in &evidence.status.processes {
        let _ = writeln!(text, "{} (version {})", process.process, process.version);
        module(&mut text, &process.module);
        if let Some(fault) = &process.fault {
            let _ = writeln!(
                text,
                "  FAULT               {} at {}",
                fault.message, fault.at
            );
        }
    }
    for silent in &evidence.status.silent {
        let _ = writeln!(text, "{silent}: does not report");
    }
    let _ = write!(text, "\n{WHAT_IT_IS}");
    text
}

fn module(text: &mut String, module: &ModuleEvidence) {
    let version = match module.version.as_str() {
        "" => "did not start",
        version => version,
    };
    let linkage = if module.static_build {
        "static"
    } else {
        "dynamic"
    };
    let _ = writeln!(
        text,
        "  module              {version} ({linkage}; its source is that of certificate {})",
        module.certificate
    );
    match &module.self_test {
        Some(run) => tests(text, run),
        None => {
            let _ = writeln!(text, "  self-tests          not run, or not told");
        }
    }
}

fn tests(text: &mut String, run: &SelfTestEvidence) {
    let word = |passed| if passed { "passed" } else { "FAILED" };
    let _ = writeln!(text, "  integrity test      {}", word(run.integrity_passed));
    let _ = writeln!(
        text,
        "  known-answer tests  {}",
        word(run.known_answers_passed)
    );
    let _ = writeln!(text, "  ended               {}", run.at);
    let _ = writeln!(text, "  took                {} microseconds", run.took_us);
}
