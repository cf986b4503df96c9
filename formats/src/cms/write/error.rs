//! Why there is no message.

use super::MAX_RECIPIENTS;

/// Why a message is not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The recipient's key or name cannot be used, although its certificate may be in order.
    #[error("the recipient's {what} cannot be put into a CMS recipient")]
    Recipient {
        /// Which part.
        what: &'static str,
    },
    /// Nobody to encrypt to, or too many.
    #[error("a message is written for 1 to {MAX_RECIPIENTS} recipients, not for {count}")]
    Recipients {
        /// How many were asked for.
        count: usize,
    },
    /// The cryptographic module failed, or the policy refuses.
    #[error("the cryptographic module: {0}")]
    Module(#[from] fips::Error),
    /// The message could not be encoded: a bug.
    #[error("the CMS message could not be encoded: {0}")]
    Encoding(#[from] der::Error),
}

impl WriteError {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Recipient { .. } => "recipient_not_encodable",
            Self::Recipients { .. } => "recipients",
            Self::Module(error) => error.code(),
            Self::Encoding(_) => "encoding",
        }
    }
}
