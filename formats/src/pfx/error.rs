//! What can be wrong with a PFX.

use super::limits::limit;
use crate::ber::BerError;

/// Why a PFX is not opened, or not used. No text of it holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PfxError {
    /// The integrity check fails: another password, or a changed file. The two cannot be told apart.
    #[error("the password does not open the PFX (or the file was changed after it was made)")]
    WrongPassword,
    /// The password is right for the integrity check, or for what came first, but something else is encrypted under another one.
    #[error(
        "the PFX has two passwords: the one given fits its integrity check, but does not decrypt all of its contents"
    )]
    AnotherPassword,
    /// Well-formed, but with something that this reader does not know.
    #[error("the PFX uses {what}, which is not supported: {remedy}")]
    UnsupportedAlgorithm {
        /// What it is, in words and as object identifier.
        what: String,
        /// What to do instead.
        remedy: &'static str,
    },
    /// Not a PFX.
    #[error("the PFX is malformed: {what}")]
    Malformed {
        /// What is broken.
        what: &'static str,
    },
    /// Over a limit.
    #[error("the PFX is over the limit for {what} ({limit})")]
    LimitExceeded {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// Reading it would take an algorithm that is not approved, in strict mode without the exception; or the module is out of
    /// service.
    #[error("the PFX cannot be read in this FIPS mode: {0}")]
    Module(fips::Error),
    /// It holds no private key.
    #[error("the PFX holds no private key: export it together with its key")]
    NoPrivateKey,
    /// It holds several private keys.
    #[error(
        "the PFX holds {count} private keys: export each with its certificate into a file of its own"
    )]
    SeveralPrivateKeys {
        /// How many.
        count: usize,
    },
    /// No certificate has the key's public half.
    #[error("the PFX holds no certificate that belongs to its private key")]
    NoCertificateForKey,
}

impl PfxError {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::WrongPassword | Self::AnotherPassword => "wrong_password",
            Self::UnsupportedAlgorithm { .. } => "unsupported_algorithm",
            Self::Malformed { .. } => "malformed",
            Self::LimitExceeded { .. } => "limit_exceeded",
            Self::Module(error) => error.code(),
            Self::NoPrivateKey => "no_private_key",
            Self::SeveralPrivateKeys { .. } => "several_private_keys",
            Self::NoCertificateForKey => "no_certificate_for_key",
        }
    }

    /// What the module's refusal means: the policy's and a fault's are told, everything else is `otherwise`.
    pub(super) fn from_module(error: fips::Error, otherwise: Self) -> Self {
        match error {
            fips::Error::NotApproved { .. } | fips::Error::ModuleFault { .. } => {
                Self::Module(error)
            }
            _ => otherwise,
        }
    }

    /// What is not BER is malformed; what is too deep is over a limit.
    pub(super) fn from_ber(error: BerError, what: &'static str) -> Self {
        match error {
            BerError::TooDeep { limit: depth } => limit("elements within elements", depth),
            BerError::Malformed => Self::Malformed { what },
        }
    }

    /// Something about how the file is protected or encoded.
    pub(super) fn unsupported(what: impl Into<String>) -> Self {
        Self::UnsupportedAlgorithm {
            what: what.into(),
            remedy: "export it again with a password, AES-256 and SHA-256",
        }
    }

    /// Something about the key itself.
    pub(super) fn unsupported_key(what: impl Into<String>) -> Self {
        Self::UnsupportedAlgorithm {
            what: what.into(),
            remedy: "use RSA, or EC on P-256, P-384 or P-521",
        }
    }
}
