//! What can be wrong with a configuration, said so that the operator can put it right.

use std::fmt;
use std::path::PathBuf;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line of the file, from 1, where one can be named.
    pub line: Option<usize>,
    /// What is wrong and what would be right.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

/// A configuration that cannot be used. No variant holds a value that could be a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration file {} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not what it has to be.
    #[error("{}: {}", path.display(), join(problems))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Everything that is wrong with it, in the order of its lines.
        problems: Vec<Problem>,
    },
    /// A section that a command needs is not there.
    #[error("{}: the section [{section}] is missing; `{command}` needs it", path.display())]
    MissingSection {
        /// The file.
        path: PathBuf,
        /// The section.
        section: &'static str,
        /// The command that needs it.
        command: &'static str,
    },
}

impl ConfigError {
    /// Stable code for machines.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "config_unreadable",
            Self::Invalid { .. } => "config_invalid",
            Self::MissingSection { .. } => "config_section_missing",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => {
                "`--config` takes the path of a TOML file; `pfx-connector config example` prints one"
            }
            Self::Invalid { .. } | Self::MissingSection { .. } => {
                "docs/configuration.md describes every key; `pfx-connector config example` prints a whole file"
            }
        }
    }
}

fn join(problems: &[Problem]) -> String {
    match problems {
        [only] => only.to_string(),
        all => {
            let lines: String = all.iter().map(|p| format!("\n  {p}")).collect();
            format!("{} problems:{lines}", all.len())
        }
    }
}
