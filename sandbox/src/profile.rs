//! A profile: which paths, which system calls, which sockets.

use crate::calls::Call;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What may be done below a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Access {
    /// Files are read, folders listed.
    Read,
    /// A device or file that is there is read and written.
    Use,
    /// As `Read`, and programs are started.
    Execute,
    /// As `Read`; files and folders are also made, written and removed.
    Write,
    /// As `Write`, and sockets are made.
    Listen,
}

impl Access {
    /// In words, for reports and pages.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Use => "read and written as it is",
            Self::Execute => "read and executed",
            Self::Write => "read and written",
            Self::Listen => "read and written, sockets too",
        }
    }
}

/// A path and what may be done below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// A file or folder. Links are followed when the profile is put in force; the file or folder that is there then is meant for good.
    pub path: PathBuf,
    /// What may be done.
    pub access: Access,
}

/// An address family of sockets that may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// AF_UNIX.
    Unix,
    /// AF_INET and AF_INET6: streams and datagrams, no raw packets.
    Inet,
}

/// What happens over a system call that is not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Violation {
    /// It fails with EPERM.
    Errno,
    /// The process ends by SIGSYS.
    Kill,
}

/// What a process may still do.
#[derive(Debug, Clone)]
pub struct Profile {
    /// For reports, such as `custody (softhsm)`.
    pub name: String,
    /// Paths. Nothing else can be opened.
    pub rules: Vec<Rule>,
    /// System calls, each with what its arguments must be.
    pub calls: Vec<&'static Call>,
    /// Sockets.
    pub families: Vec<Family>,
    /// Whether code may still be mapped from files: for libraries that load others after they were loaded themselves.
    pub maps_code: bool,
    /// Whether abstract unix sockets of others can be reached, where sockets can be made at all.
    pub abstract_sockets: bool,
    /// What happens over anything else.
    pub violation: Violation,
}

impl Profile {
    /// A profile that allows nothing: every right is added.
    #[must_use]
    pub fn nothing(name: impl Into<String>, violation: Violation) -> Self {
        Self {
            name: name.into(),
            rules: Vec::new(),
            calls: Vec::new(),
            families: Vec::new(),
            maps_code: false,
            abstract_sockets: false,
            violation,
        }
    }

    /// Adds a path.
    pub fn path(&mut self, path: impl AsRef<Path>, access: Access) {
        let rule = Rule {
            path: path.as_ref().to_owned(),
            access,
        };
        if !self.rules.contains(&rule) {
            self.rules.push(rule);
        }
    }

    /// Adds system calls; one that is there already stays as it is.
    pub fn calls(&mut self, calls: &'static [Call]) {
        for call in calls {
            // The same call may be on two lists under different conditions: then either is enough.
            if !self.calls.contains(&call) {
                self.calls.push(call);
            }
        }
    }

    /// Adds a family of sockets.
    pub fn family(&mut self, family: Family) {
        if !self.families.contains(&family) {
            self.families.push(family);
        }
    }

    /// Adds everything that another profile allows: for a process whose children have that one.
    pub fn widen(&mut self, other: &Self) {
        for rule in &other.rules {
            self.path(&rule.path, rule.access);
        }
        for call in &other.calls {
            if !self.calls.contains(call) {
                self.calls.push(call);
            }
        }
        for family in &other.families {
            self.family(*family);
        }
        self.maps_code |= other.maps_code;
    }
}
