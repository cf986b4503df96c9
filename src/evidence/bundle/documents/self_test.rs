//! self-test.txt: what the module's own tests said, now and in each process.

use super::Evidence;
use crate::encoding::printable;
use crate::evidence::process::{ModuleEvidence, SelfTestEvidence};

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
    let mut lines = Lines(String::from(
        "Self-tests of the cryptographic module\n======================================\n\n\
         Run for this bundle, by the command that wrote it\n-------------------------------------------------\n",
    ));
    lines.module(&evidence.self_test.module);
    lines.add("");
    lines.add("The last run in each running process");
    lines.add("------------------------------------");
    if evidence.status.processes.is_empty() {
        lines.add("No process reports.");
    }
    for process in &evidence.status.processes {
        lines.add(&format!(
            "{} (version {})",
            process.process, process.version
        ));
        lines.module(&process.module);
        if let Some(fault) = &process.fault {
            lines.fact("FAULT", &format!("{} at {}", fault.message, fault.at));
        }
    }
    for silent in &evidence.status.silent {
        lines.add(&format!("{silent}: does not report"));
    }
    lines.add("");
    lines.0 + WHAT_IT_IS
}

/// Lines of a text: what a process says of itself stays in its line.
struct Lines(String);

impl Lines {
    fn add(&mut self, line: &str) {
        self.0.push_str(&printable(line));
        self.0.push('\n');
    }

    fn fact(&mut self, name: &str, value: &str) {
        self.add(&format!("  {name:<19} {value}"));
    }

    fn module(&mut self, module: &ModuleEvidence) {
        let version = match module.version.as_str() {
            "" => "did not start",
            version => version,
        };
        let linkage = if module.static_build {
            "static"
        } else {
            "dynamic"
        };
        self.fact("module", &format!("{version} ({linkage})"));
        self.fact(
            "source",
            &if module.source_matches_pinned {
                format!("the one that certificate {} names", module.certificate)
            } else {
                "not known to be the one that a certificate names".to_owned()
            },
        );
        match &module.self_test {
            Some(run) => self.tests(run),
            None => self.fact("self-tests", "not run, or not told"),
        }
    }

    fn tests(&mut self, run: &SelfTestEvidence) {
        let word = |passed| if passed { "passed" } else { "FAILED" };
        self.fact("integrity test", word(run.integrity_passed));
        self.fact("known-answer tests", word(run.known_answers_passed));
        self.fact("ended", &run.at);
        self.fact("took", &format!("{} microseconds", run.took_us));
    }
}
