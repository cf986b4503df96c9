//! Why a message is not made or not believed.

use crate::SignError;

/// Why a message is not made or not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CmpError {
    /// It is larger than [`super::MAX_MESSAGE_BYTES`].
    #[error("a CMP message of more than {} bytes", super::MAX_MESSAGE_BYTES)]
    TooLarge,
    /// It is none of RFC 9810, or not in DER.
    #[error("no CMP message: {what} is malformed")]
    Malformed {
        /// The part.
        what: &'static str,
    },
    /// A list is longer than what is read.
    #[error("a CMP message with more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// It has no protection: anybody may have sent it.
    #[error("the CMP message has no protection: anybody may have sent it")]
    Unprotected,
    /// Its protection is of a kind that is not accepted here.
    #[error("the protection of the CMP message is not accepted: {problem}")]
    ProtectionKind {
        /// Why, and what to do.
        problem: &'static str,
    },
    /// Its protection does not verify.
    #[error("the protection of the CMP message does not verify: {problem}")]
    Protection {
        /// What does not.
        problem: &'static str,
    },
    /// Whoever signed it is not trusted to.
    #[error("the signer of the CMP message is not trusted: {problem}")]
    Untrusted {
        /// Why, and what to do.
        problem: String,
    },
    /// It does not belong to the transaction, or to the message that it answers.
    #[error("the CMP message answers another one: {problem}")]
    Elsewhere {
        /// What differs.
        problem: &'static str,
    },
    /// Our key did not sign.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The module refused or failed.
    #[error(transparent)]
    Module(#[from] fips::Error),
}

impl CmpError {
    pub(super) const fn malformed(what: &'static str) -> Self {
        Self::Malformed { what }
    }

    /// For `map_err`: this part is malformed, whatever the reader says.
    pub(super) fn at<E>(what: &'static str) -> impl Fn(E) -> Self {
        move |_| Self::Malformed { what }
    }
}
