//! Why an authority did not do what it was asked.

use std::time::Duration;

/// What a failure means for whoever asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The authority was not reached, or says that it is busy: nothing was issued, and later it may be.
    Unavailable,
    /// The authority was asked and no answer came: it may have issued. Ask with [`recover`](crate::CertificationAuthority::recover) before
    /// anything else.
    Unknown,
    /// The authority said no to this order: asking again changes nothing.
    Rejected,
    /// The authority issued, and not what was ordered: the certificate is for another key. Asking again may have it issue once more, so nobody
    /// asks for this order again.
    Misissued,
    /// The authority does not accept our credential, or its identity is not the configured one: an operator has to act.
    Credential,
    /// The answer is none: malformed, over a limit, or not what the protocol says.
    Protocol,
    /// The authority, or the protocol to it, has no such operation.
    Unsupported,
}

/// A failure of an authority.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    class: ErrorClass,
    message: String,
    retry_after: Option<Duration>,
    unknown_certificate: bool,
    undecided: bool,
}

impl Error {
    /// A failure of a class; `message` says what happened and what to do, without secrets.
    #[must_use]
    pub fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
            retry_after: None,
            unknown_certificate: false,
            undecided: false,
        }
    }

    /// The same, with the time that the authority asked to be left alone.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The same, of a revocation: the authority issued no such certificate.
    #[must_use]
    pub fn of_unknown_certificate(mut self) -> Self {
        self.unknown_certificate = true;
        self
    }

    /// Whether the authority says that it issued no such certificate.
    #[must_use]
    pub const fn is_unknown_certificate(&self) -> bool {
        self.unknown_certificate
    }

    /// The same, of a revocation that is not decided here and now: the authority has it and decides later, or it is for another instance of it.
    /// Whoever asks again asks how it fares.
    #[must_use]
    pub const fn of_undecided(mut self) -> Self {
        self.undecided = true;
        self
    }

    /// Whether a revocation is not decided here and now, and nothing is wrong with the authority.
    #[must_use]
    pub const fn is_undecided(&self) -> bool {
        self.undecided
    }

    /// What it means.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        self.class
    }

    /// How long the authority asked to be left alone.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}
