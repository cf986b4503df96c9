//! Why the connector does not start, or what it is told by the service.

use super::journal::JournalError;
use crate::config::ConfigError;
use crate::telemetry::LogError;
use std::path::PathBuf;

/// Why the connector does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A value of it cannot be used together with what is there.
    #[error("`connector.{key}`: {problem}")]
    Setting {
        /// The key.
        key: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A file that it names cannot be used.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// It has no certificate yet.
    #[error(
        "the connector is not enrolled: {} is not there; have an administrator of the gateway make a token (`gateway token create --role \
         enrolment`), then run `pfx-connector enroll --config FILE --token-file FILE`", path.display()
    )]
    NotEnrolled {
        /// Where the certificate would be.
        path: PathBuf,
    },
    /// The cryptographic module does not start, or TLS would not be its work alone.
    #[error("the cryptographic module: {0}")]
    Module(String),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The event log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The system gives no socket, thread or signal handler.
    #[error("cannot {action}: {source}")]
    System {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl StartError {
    /// Stable code for machines.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Config(error) => error.code(),
            Self::Setting { .. } => "config_invalid",
            Self::File { .. } => "file_unusable",
            Self::NotEnrolled { .. } => "not_enrolled",
            Self::Module(_) => "module_unusable",
            Self::Journal(JournalError::InUse(_)) => "journal_in_use",
            Self::Journal(_) => "journal_unusable",
            Self::Log(_) => "log_unusable",
            Self::System { .. } => "system",
        }
    }

    /// Whether the operator's configuration is what has to change.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        matches!(
            self,
            Self::Config(_) | Self::Setting { .. } | Self::File { .. } | Self::NotEnrolled { .. }
        )
    }

    pub(super) fn system(action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::System { action, source }
    }
}

/// Why a call to the gateway brought nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CallError {
    /// What it means for the caller.
    pub kind: CallErrorKind,
    /// In words, without the address.
    pub message: String,
    /// What is wrong between both sides' TLS, where it is that.
    pub tls: Option<fips::tls::PeerProblem>,
    /// `client-request-id` of the call and, when it was answered, a space and the `request-id` of the answer.
    pub correlation: Option<String>,
}

impl CallError {
    /// A client that cannot be made: nothing was asked.
    pub(super) const fn unusable(message: String) -> Self {
        Self {
            kind: CallErrorKind::Refused,
            message,
            tls: None,
            correlation: None,
        }
    }
}

/// What a failed call means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallErrorKind {
    /// No answer, half an answer, or an answer that says that the service is out of order: ask again.
    Unavailable,
    /// An answer that is none of this protocol: ask again.
    Garbage,
    /// The service refuses this connector: ask again, but somebody has to act.
    Refused,
    /// The fence is no longer current (409).
    Stale,
    /// The service does not know the request, or no longer (404, 410).
    Gone,
}
