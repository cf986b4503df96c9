//! A failure, and whether the authority may have acted in spite of it.

use crate::{Error, ErrorClass};

/// What went wrong within a transaction.
#[derive(Debug)]
pub(super) struct Problem {
    error: Error,
    /// The request may have reached the authority, and no answer that is believed says what became of it.
    acted: bool,
}

impl Problem {
    /// Nothing was done: it was not sent, or the authority itself says so.
    pub(super) const fn before(error: Error) -> Self {
        Self {
            error,
            acted: false,
        }
    }

    /// Something may have been done.
    pub(super) const fn after(error: Error) -> Self {
        Self { error, acted: true }
    }

    /// The answer is none of this protocol; something may have been done.
    pub(super) fn protocol(message: impl Into<String>) -> Self {
        Self::after(Error::new(ErrorClass::Protocol, message))
    }

    /// Whether another try may succeed: no answer came.
    pub(super) fn is_lost(&self) -> bool {
        self.error.class() == ErrorClass::Unavailable
    }

    /// For what must not be repeated blindly: where something may have been done, the class is [`ErrorClass::Unknown`] and the words stay.
    pub(super) fn of_deed(self) -> Error {
        match self {
            Self { error, acted: true } => Error::new(ErrorClass::Unknown, error.to_string()),
            Self { error, .. } => error,
        }
    }

    /// For what is repeated until the authority itself has answered. That the way to it says no (a status of HTTP without a message: a proxy's,
    /// or that of a server whose CMP service is just not there) is no refusal of the authority's: nothing protects it.
    pub(super) fn repeated(self) -> Self {
        match self.error.class() {
            ErrorClass::Rejected | ErrorClass::Unsupported => Self {
                error: Error::new(
                    ErrorClass::Unavailable,
                    format!(
                        "{}; no message of the authority says so: it is asked again",
                        self.error
                    ),
                ),
                acted: false,
            },
            _ => self,
        }
    }

    /// For questions, which change nothing.
    pub(super) fn of_question(self) -> Error {
        self.error
    }
}
