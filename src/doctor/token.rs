//! The PKCS#11 module, the token and its keys.
//!
//! ```text
//! this process                                            a process of its own (probe)
//! module file, folders, digest        --- spawns --->     the environment of the token's section, and nothing else
//! steps and findings, line by line    <-- socket ----     PIN source, load, slots, flags, login, keys, capabilities, speed
//! ```
//!
//! A library that crashes or hangs ends the other process, and the last step says where.

mod measure;
mod module_file;
mod probe;
mod process;
mod state;
mod words;

pub use probe::{ProbeRequest, run as run_probe};
pub use process::{Line, ProbeLaunch};

use super::catalogue::TOKEN_MODULE_LOADS;
use super::finding::{Finding, Severity};
use crate::config::TokenSection;

/// Looks at one token section; `key` is its place in the configuration, such as `engine.token`.
#[must_use]
pub fn examine(key: &str, section: &TokenSection, launch: &ProbeLaunch) -> Vec<Finding> {
    let mut findings = module_file::examine(key, &section.module);
    let loadable = findings
        .iter()
        .all(|found| found.severity < Severity::Error);
    if loadable {
        findings.extend(process::run(key, launch));
    } else {
        findings.push(TOKEN_MODULE_LOADS.note(key, "not tried: the file is not safe to load"));
    }
    findings
}
