//! What can keep a PFX from being written.

use fips::policy::Service;

/// Why a PFX is not written. No text of it holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// Neither a key nor a certificate.
    #[error("there is no private key and no certificate to write into a PFX")]
    NothingToWrite,
    /// No program would open a file with such a password.
    #[error("the new password cannot be used: {what}")]
    UnusablePassword {
        /// What is wrong with it.
        what: &'static str,
    },
    /// A private key that does not belong into the file.
    #[error("the private key {number} cannot be written: {what}")]
    UnusableKey {
        /// Which, counted from 1.
        number: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Something of one entry has no place in a PFX.
    #[error("an entry cannot be written: {what}")]
    UnusableEntry {
        /// What it is.
        what: &'static str,
    },
    /// Too few or too many iterations.
    #[error("{iterations} iterations are not between {minimum} and {maximum}")]
    Iterations {
        /// How many were asked for.
        iterations: u32,
        /// The fewest.
        minimum: u32,
        /// The most.
        maximum: u32,
    },
    /// Each part fits, but all together ask more of a reader than readers give.
    #[error(
        "the file would take {total} iterations to open, more than {limit}, which readers refuse: ask for fewer iterations, or write fewer keys into one file"
    )]
    TooMuchWork {
        /// Iterations of all parts.
        total: u64,
        /// The limit.
        limit: u64,
    },
    /// The password is shorter than approved key derivation allows (SP 800-132), in strict mode.
    #[error(
        "in strict FIPS mode the new password must have {minimum} bytes or more (SP 800-132 and the module's security policy)"
    )]
    ShortPassword {
        /// The fewest bytes.
        minimum: usize,
    },
    /// The policy does not allow what this form needs, or the module is out of service.
    #[error("the PFX cannot be written in this FIPS mode: {0}")]
    Module(fips::Error),
    /// The encoding failed: too large for DER, or an error of ours.
    #[error("the PFX could not be encoded: {0}")]
    Encoding(String),
}

impl WriteError {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NothingToWrite => "nothing_to_write",
            Self::UnusablePassword { .. } => "unusable_password",
            Self::UnusableKey { .. } => "unusable_key",
            Self::UnusableEntry { .. } => "unusable_entry",
            Self::Iterations { .. } | Self::TooMuchWork { .. } => "limit_exceeded",
            Self::ShortPassword { .. } => "not_approved",
            Self::Module(error) => error.code(),
            Self::Encoding(_) => "encoding",
        }
    }

    /// The policy's refusal of a service. A short password has a better remedy than the table can name, which speaks of files that exist.
    pub(super) fn refused(error: fips::Error, service: Service) -> Self {
        match error {
            fips::Error::NotApproved { .. } if service == Service::Pbkdf2OutOfBounds => {
                Self::ShortPassword {
                    minimum: fips::policy::bounds::PBKDF2_PASSWORD_BYTES,
                }
            }
            error => Self::Module(error),
        }
    }

    pub(super) fn encoding(error: der::Error) -> Self {
        Self::Encoding(error.to_string())
    }
}

impl From<fips::Error> for WriteError {
    fn from(error: fips::Error) -> Self {
        Self::Module(error)
    }
}
