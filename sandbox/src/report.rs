//! What is in force, and what is not.

use crate::kernel::{Kernel, Want};
use crate::profile::{Family, Profile, Violation};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The sandbox of one process, as that process says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// What was asked for.
    pub want: Want,
    /// The profile's name.
    pub profile: String,
    /// The Landlock ABI in force; 0: none is.
    pub landlock_abi: u8,
    /// Paths that can be opened.
    pub paths: usize,
    /// Paths of the profile that were not there, so that they cannot be opened later either.
    pub absent: Vec<PathBuf>,
    /// System calls that can be made; 0: they are not filtered.
    pub calls: usize,
    /// What happens over another.
    pub violation: Violation,
    /// Sockets that can be made.
    pub families: Vec<Family>,
    /// Whether code can still be mapped from files.
    pub maps_code: bool,
    /// What is not in force: a sentence each.
    pub lacking: Vec<String>,
}

impl Report {
    /// Nothing is in force yet.
    pub(crate) fn nothing(profile: &Profile, kernel: &Kernel, want: Want) -> Self {
        Self {
            want,
            profile: profile.name.clone(),
            landlock_abi: 0,
            paths: 0,
            absent: Vec::new(),
            calls: 0,
            violation: profile.violation,
            families: profile.families.clone(),
            maps_code: profile.maps_code,
            lacking: match want {
                Want::Off => vec![
                    "the sandbox is off: any file can be opened and any system call made"
                        .to_owned(),
                ],
                Want::Required | Want::Available => kernel.lacking(),
            },
        }
    }

    /// Whether both Landlock and seccomp are in force.
    #[must_use]
    pub const fn is_in_force(&self) -> bool {
        self.landlock_abi > 0 && self.calls > 0
    }

    /// Whether any of it is: then files may be closed to this process that were open to it before.
    #[must_use]
    pub const fn is_partly_in_force(&self) -> bool {
        self.landlock_abi > 0 || self.calls > 0
    }

    /// What is in force, in one line.
    #[must_use]
    pub fn words(&self) -> String {
        if self.want == Want::Off {
            return "off".to_owned();
        }
        let files = match self.landlock_abi {
            0 => "files not restricted".to_owned(),
            abi => format!("{} paths (Landlock ABI {abi})", self.paths),
        };
        let calls = match (self.calls, self.violation) {
            (0, _) => "system calls not filtered".to_owned(),
            (calls, Violation::Errno) => format!("{calls} system calls"),
            (calls, Violation::Kill) => format!("{calls} system calls, killed over any other"),
        };
        let sockets = if self.calls == 0 {
            "sockets not restricted"
        } else if self.families.contains(&Family::Inet) {
            "network"
        } else if self.families.contains(&Family::Unix) {
            "no network, unix sockets"
        } else {
            "no network"
        };
        format!("{files}, {calls}, {sockets}")
    }
}

/// Why a process does not start in its sandbox.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The kernel lacks what was said to be required.
    #[error(
        "the sandbox is required and this kernel lacks {0}: use a kernel that has it, or say `sandbox = \"available\"` in [engine]"
    )]
    Kernel(String),
    /// Landlock said no.
    #[error("the sandbox cannot be put in force (Landlock): {0}")]
    Landlock(String),
    /// Seccomp said no.
    #[error("the sandbox cannot be put in force (seccomp): {0}")]
    Seccomp(String),
}
