//! Every use of the token for cryptography is decided by the policy of the process, and counted, like every use of the module.
//!
//! The token has no indicator: that it performed an operation is its answer. Whether it is validated for it is the operator's statement.

use super::raw::{RsaMechanism, Stage};
use crate::Error;
use fips::policy::{Service, decide};

/// Why a use gave nothing.
enum Ended {
    Token(Stage),
    Policy(fips::Error),
}

impl From<fips::Error> for Ended {
    fn from(error: fips::Error) -> Self {
        Self::Policy(error)
    }
}

/// Performs one use of the token as `service`. The outer error is the policy's, the inner one the token's answer.
///
/// # Errors
/// [`Error::Policy`] when the policy refuses.
pub(super) fn perform<T>(
    service: Service,
    work: impl FnOnce() -> Result<T, Stage>,
) -> Result<Result<T, Stage>, Error> {
    match decide(service)?.perform(|_| work().map_err(Ended::Token)) {
        Ok(result) => Ok(Ok(result)),
        Err(Ended::Token(stage)) => Ok(Err(stage)),
        Err(Ended::Policy(error)) => Err(error.into()),
    }
}

impl RsaMechanism {
    /// The service of a decryption.
    pub(super) const fn decryption(self) -> Service {
        match self {
            Self::Oaep(_) => Service::TokenOaepDecrypt,
            Self::Raw => Service::TokenRawRsaOaep,
        }
    }

    /// The service of an encryption.
    pub(super) const fn encryption(self) -> Service {
        match self {
            Self::Oaep(_) => Service::TokenOaepEncrypt,
            Self::Raw => Service::TokenRawRsaOaep,
        }
    }
}

/// Whether the raw operation, with the padding in software, may be used at all.
pub(super) fn allows_raw() -> bool {
    fips::policy::in_force().allows(Service::TokenRawRsaOaep)
}
