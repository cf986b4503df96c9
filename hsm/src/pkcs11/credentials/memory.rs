//! What outlives the process of the attempts with a PIN: nothing of it, but which state of its source it was.

use std::io::{ErrorKind, Read};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use fips::secret::file::{self, Rights};

use super::{TokenId, sha256};
use crate::pin::PinStamp;

/// What became of the last attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// So many were begun, and of none is known what the token said to the PIN.
    Begun {
        attempts: u32,
        /// The token had taken the PIN before, in the process that wrote this.
        taken: bool,
    },
    Refused,
}

impl Outcome {
    /// One word.
    fn text(self) -> String {
        match self {
            Self::Begun { attempts, taken } => {
                let name = if taken { "again" } else { "begun" };
                match attempts {
                    1 => name.to_owned(),
                    more => format!("{name}{more}"),
                }
            }
            Self::Refused => "refused".to_owned(),
        }
    }

    /// What cannot be read is what allows least.
    fn parse(word: &str) -> Self {
        let (taken, attempts) = match (word.strip_prefix("begun"), word.strip_prefix("again")) {
            (Some(attempts), _) => (false, attempts),
            (None, Some(attempts)) => (true, attempts),
            (None, None) => return Self::Refused,
        };
        let attempts = match attempts {
            "" => 1,
            number => number.parse().unwrap_or(u32::MAX),
        };
        Self::Begun { attempts, taken }
    }
}

/// A file that outlives the process: one line for each token whose last login failed or did not end.
///
/// ```text
/// sha256(module path, 0, serial number, 0, label) begun|begun2|again|again2|...|refused device:inode:length:modified
/// ```
///
/// The number: attempts of which nobody knows what came; `again`: with a PIN that the token had taken before.
///
/// That a file cannot be read or written is logged and stops no login: within the process nothing is tried twice anyway.
pub(super) struct Memory(pub(super) PathBuf);

/// More lines than one process has tokens.
const MAX_BYTES: u64 = 64 * 1024;

impl Memory {
    pub(super) fn of(&self, token: &TokenId) -> Option<(Outcome, String)> {
        let name = name(token);
        self.lines().into_iter().find_map(|line| {
            let mut words = line.split(' ');
            if words.next() != Some(&name) {
                return None;
            }
            let outcome = Outcome::parse(words.next()?);
            Some((outcome, words.next()?.to_owned()))
        })
    }

    pub(super) fn set(&self, token: &TokenId, outcome: Option<(Outcome, &PinStamp)>) {
        // Tokens may share a file, and log in at once.
        static WRITING: Mutex<()> = Mutex::new(());
        let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        let name = name(token);
        let mut lines = self.lines();
        let before = lines.clone();
        lines.retain(|line| !line.starts_with(&name));
        if let Some((outcome, stamp)) = outcome {
            lines.push(format!("{name} {} {stamp}", outcome.text()));
        }
        if lines == before {
            return;
        }
        let text: String = lines.into_iter().map(|line| line + "\n").collect();
        if let Err(error) = file::replace(&self.0, text.as_bytes(), Rights::Owner) {
            tracing::error!(
                file = %self.0.display(),
                %error,
                "what a token says to a PIN cannot be written down: the next process may try a wrong one once more"
            );
        }
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let mut text = String::new();
        let read = std::fs::File::open(&self.0)
            .and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text));
        match read {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                tracing::error!(file = %self.0.display(), %error, "which PINs were refused cannot be read");
            }
        }
        text.lines().map(str::to_owned).collect()
    }
}

fn name((module, serial, label): &TokenId) -> String {
    use std::os::unix::ffi::OsStrExt;
    let hash = sha256(&[
        module.as_os_str().as_bytes(),
        &[0],
        serial.as_bytes(),
        &[0],
        label.as_bytes(),
    ]);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}
