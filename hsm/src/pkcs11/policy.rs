//! Every use of the token for cryptography is decided by the policy of the process, and counted, like every use of the module.
//!
//! The token has no indicator: that it performed an operation is its answer. Whether it is validated for it is the operator's statement.

use super::probe::Way;
use super::raw::RsaMechanism;
use crate::{Error, Padding};
use fips::policy::{Service, decide};

/// Why a use gave nothing: `E`, or the policy.
enum Ended<E> {
    Token(E),
    Policy(fips::Error),
}

impl<E> From<fips::Error> for Ended<E> {
    fn from(error: fips::Error) -> Self {
        Self::Policy(error)
    }
}

/// Performs one use of the token as `service`. The outer error is the policy's, the inner one the token's answer.
///
/// # Errors
/// [`Error::Policy`] when the policy refuses.
pub(super) fn perform<T, E>(
    service: Service,
    work: impl FnOnce() -> Result<T, E>,
) -> Result<Result<T, E>, Error> {
    match decide(service)?.perform(|_| work().map_err(Ended::Token)) {
        Ok(result) => Ok(Ok(result)),
        Err(Ended::Token(answer)) => Ok(Err(answer)),
        Err(Ended::Policy(error)) => Err(error.into()),
    }
}

impl RsaMechanism<'_> {
    /// The service of a decryption.
    pub(super) const fn decryption(self) -> Service {
        match self {
            Self::Oaep(..) => Service::TokenOaepDecrypt,
            Self::Raw => Service::TokenRawRsaOaep,
            Self::RawPkcs1 => Service::TokenRawRsaPkcs1v15,
            Self::Pkcs1 => Service::TokenPkcs1v15,
        }
    }

    /// The service of an encryption.
    pub(super) const fn encryption(self) -> Service {
        match self {
            Self::Oaep(..) => Service::TokenOaepEncrypt,
            Self::Raw => Service::TokenRawRsaOaep,
            Self::RawPkcs1 => Service::TokenRawRsaPkcs1v15,
            Self::Pkcs1 => Service::TokenPkcs1v15,
        }
    }
}

/// Whether the policy lets the token encrypt so.
pub(super) fn may_encrypt(mechanism: RsaMechanism<'_>) -> bool {
    fips::policy::in_force().allows(mechanism.encryption())
}

/// Whether the policy lets this padding be removed in this way.
pub(super) fn allows(way: Way, padding: Padding) -> bool {
    fips::policy::in_force().allows(way.mechanism(padding, b"").decryption())
}
