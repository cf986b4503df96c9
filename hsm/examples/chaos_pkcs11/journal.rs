//! What has happened, in a file that outlives the process: a process that a script has ended must not be ended again by the
//! same event when it is replaced.
//!
//! One line for each thing: `start UNIX_MS`, `load`, `done INDEX AT_MS`, `login right`, `login wrong`, `lockout`, `violation ...`, and
//! `call FUNCTION` for the functions that `CHAOS_CALLS` names.
//! Time in it is that of the system, in milliseconds since the first process.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) struct Journal {
    file: File,
    start_ms: u64,
    done: Vec<(usize, u64)>,
    logins: Vec<bool>,
    /// Functions of which every call is told.
    told: Vec<String>,
}

fn unix_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Journal {
    /// Reads the file, or begins it. `None` if neither is possible.
    pub(crate) fn open(path: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let mut journal = Self {
            file: File::options().create(true).append(true).open(path).ok()?,
            start_ms: 0,
            done: Vec::new(),
            logins: Vec::new(),
            told: std::env::var("CHAOS_CALLS")
                .unwrap_or_default()
                .split(',')
                .map(str::to_owned)
                .collect(),
        };
        for line in text.lines() {
            match line.split(' ').collect::<Vec<_>>().as_slice() {
                ["start", ms] => journal.start_ms = ms.parse().ok()?,
                ["done", index, at_ms] => {
                    journal
                        .done
                        .push((index.parse().ok()?, at_ms.parse().ok()?));
                }
                ["login", outcome] => journal.logins.push(*outcome == "right"),
                _ => {}
            }
        }
        if journal.start_ms == 0 {
            journal.start_ms = unix_ms();
            journal.write(&format!("start {}", journal.start_ms));
        }
        journal.write("load");
        Some(journal)
    }

    pub(crate) fn now_ms(&self) -> u64 {
        unix_ms().saturating_sub(self.start_ms)
    }

    /// Events that have happened, and when.
    pub(crate) fn done(&self) -> &[(usize, u64)] {
        &self.done
    }

    /// Logins in the order of their happening: whether the PIN was right.
    pub(crate) fn logins(&self) -> &[bool] {
        &self.logins
    }

    /// A function is called.
    pub(crate) fn called(&mut self, function: &str) {
        if self.told.iter().any(|told| told == function) {
            self.write(&format!("call {function}"));
        }
    }

    /// Appends a line, in one step: several threads and a process that dies leave whole lines.
    pub(crate) fn write(&mut self, line: &str) {
        // There is nobody to tell; the test that reads the file sees that the line is missing.
        let _ = self.file.write_all(format!("{line}\n").as_bytes());
    }
}
