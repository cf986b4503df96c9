//! What a command answers with, as text or as JSON, and the one place where errors become texts, stable codes and exit codes.

use crate::config::secret_file::SecretFileError;
use crate::config::{ConfigError, Problem};
use crate::evidence::process as evidence;
use crate::tls::TlsError;
use serde_json::{Value, json};
use std::fmt;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// The operation failed.
    Failed,
    /// Usage or configuration.
    Usage,
    /// What was asked about is not healthy.
    Unhealthy,
}

impl Exit {
    /// The number that the system is told.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Unhealthy => 3,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}

/// What a command has to say when it is done.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// For machines: one line on standard output with `--json`.
    pub json: Value,
    /// For people, without a line end at its end.
    pub text: String,
    /// How it ended: reports of an unhealthy service are reports nevertheless.
    pub exit: Exit,
}

impl Report {
    /// The end of a service, which has said everything in its log.
    #[must_use]
    pub fn silent() -> Self {
        Self::done(Value::Null, "")
    }

    /// The same with what was done in FIPS terms: mode, exceptions, and uses of what is not approved.
    #[must_use]
    pub fn with_fips(mut self) -> Self {
        if let Value::Object(fields) = &mut self.json {
            fields.insert("fips".to_owned(), evidence::summary());
        }
        if let Some(note) = evidence::note() {
            self.text.push_str("\nFIPS         ");
            self.text.push_str(&note);
        }
        self
    }

    /// A report of success.
    #[must_use]
    pub fn done(json: Value, text: impl Into<String>) -> Self {
        Self {
            json,
            text: text.into(),
            exit: Exit::Done,
        }
    }
}

/// Why a command did not do what it was asked for. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Stable code for machines.
    pub code: String,
    /// What happened, in words.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The exit code.
    pub exit: Exit,
}

impl Failure {
    /// The operation failed (exit code 1).
    #[must_use]
    pub fn failed(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            hint: None,
            exit: Exit::Failed,
        }
    }

    /// Wrong usage or configuration (exit code 2).
    #[must_use]
    pub fn usage(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Usage,
            ..Self::failed(code, message)
        }
    }

    /// The same with a remedy.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// The same with what was being done before the message.
    #[must_use]
    pub fn doing(self, what: impl fmt::Display) -> Self {
        Self {
            message: format!("{what}: {}", self.message),
            ..self
        }
    }

    /// `{"error":{"code","message","hint"}}`.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({"error": {"code": self.code, "message": self.message, "hint": self.hint}})
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::usage(error.code(), error.to_string()).hint(error.hint())
    }
}

impl From<SecretFileError> for Failure {
    fn from(error: SecretFileError) -> Self {
        Self::usage(error.code(), error.to_string()).hint(error.hint())
    }
}

impl From<TlsError> for Failure {
    fn from(error: TlsError) -> Self {
        match error {
            TlsError::File { .. } => Self::usage("tls_file", error.to_string()),
            TlsError::Secret(error) => error.into(),
            TlsError::Module(_) => Self::failed("tls", error.to_string()),
        }
    }
}

impl From<fips::Error> for Failure {
    fn from(error: fips::Error) -> Self {
        Self::failed(error.code(), error.to_string())
    }
}

impl From<hsm::Error> for Failure {
    fn from(error: hsm::Error) -> Self {
        let exit = match &error {
            hsm::Error::File { .. }
            | hsm::Error::Module { .. }
            | hsm::Error::Pin(_)
            | hsm::Error::Threads(_)
            | hsm::Error::ModulusBits(_)
            | hsm::Error::TokenAmbiguous { .. } => Exit::Usage,
            _ => Exit::Failed,
        };
        Self {
            code: error.code().to_owned(),
            message: error.to_string(),
            hint: error.hint().map(str::to_owned),
            exit,
        }
    }
}

/// Problems as a list of texts.
#[must_use]
pub fn problem_list(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

/// Prints what a command ended with and gives the exit code: reports to standard output, failures to standard error.
#[must_use]
pub fn finish(result: Result<Report, Failure>, as_json: bool) -> ExitCode {
    match result {
        Ok(report) => {
            let line = match as_json {
                true if report.json.is_null() => String::new(),
                true => report.json.to_string(),
                false => report.text,
            };
            if line.is_empty() {
                return report.exit.into();
            }
            // Whoever reads may have gone (`| head`): that is no failure of ours.
            let _ = writeln!(std::io::stdout().lock(), "{line}");
            report.exit.into()
        }
        Err(failure) => {
            complain(&failure, as_json);
            failure.exit.into()
        }
    }
}

/// Prints a failure to standard error, for a command that has a report besides.
pub fn complain(failure: &Failure, as_json: bool) {
    let line = if as_json {
        failure.json().to_string()
    } else {
        failure.to_string()
    };
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Whether a report may have colours: on a terminal that knows them, unless NO_COLOR says no (any value but the empty one).
#[must_use]
pub fn colours() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    !refused && !dumb && std::io::stdout().is_terminal()
}
