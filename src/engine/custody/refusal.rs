//! The one place where a reason becomes what the caller may know of it.

use crate::engine::api::{Failure, FailureCode};
use crate::engine::recrypt::chain::ChainError;
use hsm::ErrorClass;

/// The only sentence for everything that goes wrong in a decryption.
pub(super) const DECRYPTION_FAILED: &str = "the password of this record could not be decrypted";
const TOKEN_UNAVAILABLE: &str = "the token is not available: see the engine's log and status";
const MODULE_OUT_OF_SERVICE: &str = "the engine's cryptographic module has failed: see its status and log; it does nothing before a restart";
const KEY_NOT_FOUND: &str =
    "the custody key of this record is not on the token or may not be used: see the engine's log";

/// When in the course of a request it was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Came {
    /// No token was asked, as far as this refusal knows.
    BeforeUse,
    /// The token is well and does not decrypt the ciphertext.
    BadInput,
    /// What was decrypted does not open the PFX.
    WrongPassword,
    /// The token was asked and failed.
    TokenTrouble,
    /// The token was asked, and its answer did not come in time.
    NoAnswer,
}

/// A request that is not answered with a password: what the caller is told, and what the operator's log says.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub(super) told: Failure,
    /// Stable name of the reason, for the log.
    pub(super) reason: &'static str,
    /// The reason in words, without secrets, for the log.
    pub(super) detail: String,
    pub(super) came: Came,
    /// The answer leaves on the grid.
    pub(super) on_grid: bool,
}

impl Refusal {
    pub(super) fn new(
        code: FailureCode,
        message: impl Into<String>,
        reason: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            told: Failure {
                code,
                message: message.into(),
            },
            reason,
            detail: detail.into(),
            came: Came::BeforeUse,
            on_grid: false,
        }
    }

    /// As it came.
    pub(super) fn that_came(self, came: Came) -> Self {
        Self { came, ..self }
    }

    /// As an answer that follows a decryption.
    pub(super) fn after_use(self) -> Self {
        Self {
            on_grid: true,
            ..self
        }
    }

    /// A reason that the caller is told as it is.
    pub(super) fn open(code: FailureCode, reason: &'static str, message: String) -> Self {
        Self::new(code, message.clone(), reason, message)
    }

    pub(super) fn bad_request(message: &str) -> Self {
        Self::open(FailureCode::BadRequest, "bad_request", message.to_owned())
    }

    pub(super) fn token_unavailable(reason: &'static str, detail: String) -> Self {
        Self::new(
            FailureCode::TokenUnavailable,
            TOKEN_UNAVAILABLE,
            reason,
            detail,
        )
    }

    pub(super) fn module_out_of_service(detail: String) -> Self {
        Self::new(
            FailureCode::ModuleOutOfService,
            MODULE_OUT_OF_SERVICE,
            "module_out_of_service",
            detail,
        )
    }

    pub(super) fn key_not_found(detail: String) -> Self {
        Self::new(
            FailureCode::KeyNotFound,
            KEY_NOT_FOUND,
            "key_not_found",
            detail,
        )
    }

    pub(super) fn deadline() -> Self {
        Self::open(
            FailureCode::DeadlineExceeded,
            "deadline",
            "the deadline passed before the engine had an answer".to_owned(),
        )
    }

    pub(super) fn fault(reason: &'static str, detail: String) -> Self {
        Self::new(
            FailureCode::EngineFault,
            "the engine failed: see its log",
            reason,
            detail,
        )
    }
}

impl From<ChainError> for Refusal {
    fn from(error: ChainError) -> Self {
        Self::open(error.failure_code(), error.code(), error.to_string())
    }
}

impl From<hsm::Error> for Refusal {
    fn from(error: hsm::Error) -> Self {
        let (reason, detail) = (error.code(), super::token::describe(&error));
        let came = match &error {
            error if was_refused_before_use(error) => Came::BeforeUse,
            hsm::Error::Deadline => Came::NoAnswer,
            error if error.class() == ErrorClass::BadInput => Came::BadInput,
            _ => Came::TokenTrouble,
        };
        let refusal = match &error {
            hsm::Error::UnknownKey(_) | hsm::Error::KeyRefused { .. } => {
                Self::new(FailureCode::KeyNotFound, KEY_NOT_FOUND, reason, detail)
            }
            // Follows from the token and the record's padding alone, so it tells nothing about a ciphertext.
            hsm::Error::PaddingNotSupported(padding) => Self::new(
                FailureCode::BadRequest,
                format!(
                    "the token cannot do {padding}: import the record with a padding that it does"
                ),
                reason,
                detail,
            ),
            hsm::Error::Deadline => Self::deadline(),
            hsm::Error::Overloaded => Self::open(FailureCode::Busy, reason, detail),
            // Follows from the record's padding and the mode alone.
            hsm::Error::Policy(fips::Error::NotApproved { .. }) => {
                Self::new(FailureCode::BadRequest, error.to_string(), reason, detail)
            }
            _ => match error.class() {
                ErrorClass::BadInput => Self::new(
                    FailureCode::DecryptionFailed,
                    DECRYPTION_FAILED,
                    reason,
                    detail,
                ),
                ErrorClass::Token | ErrorClass::Configuration => {
                    Self::token_unavailable(reason, detail)
                }
                _ => Self::fault(reason, detail),
            },
        };
        refusal.that_came(came)
    }
}

/// Whether custody refused without asking the token for a private-key operation. What is not known to be refused counts as a use.
pub(super) fn was_refused_before_use(error: &hsm::Error) -> bool {
    matches!(
        error,
        hsm::Error::UnknownKey(_)
            | hsm::Error::KeyRefused { .. }
            | hsm::Error::PaddingNotSupported(_)
            | hsm::Error::LabelNotSupported(_)
            | hsm::Error::Overloaded
            | hsm::Error::NoTokenServes
            | hsm::Error::Policy(_)
    )
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        missing_docs
    )]
    use super::*;

    #[test]
    fn every_cause_of_a_failed_decryption_looks_the_same_outside() {
        let wrong = Refusal::from(hsm::Error::Decryption).told;
        let short = Refusal::from(hsm::Error::CiphertextLength {
            expected: 384,
            actual: 7,
        })
        .told;
        assert_eq!(wrong, short);
        assert_eq!(wrong.code, FailureCode::DecryptionFailed);
        assert_eq!(wrong.message, DECRYPTION_FAILED);
    }

    #[test]
    fn a_token_that_is_gone_is_not_taken_for_a_bad_record() {
        let gone = Refusal::from(hsm::Error::TokenNotFound {
            wanted: "a".to_owned(),
        })
        .told;
        assert_eq!(gone.code, FailureCode::TokenUnavailable);
        assert!(gone.code.is_transient());
    }
}
