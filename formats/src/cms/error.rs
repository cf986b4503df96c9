//! What can be wrong with a CMS message, or with the key that is to open it.

use super::limits::CmsLimits;
use der::asn1::ObjectIdentifier;

/// Why a message is not opened. No text of it holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CmsError {
    /// Not a CMS message.
    #[error("the CMS message is malformed: {what}")]
    Malformed {
        /// What is broken.
        what: &'static str,
    },
    /// A CMS message of another kind, which is not encrypted to anybody's key.
    #[error(
        "the CMS message is {what}, not EnvelopedData or AuthEnvelopedData: there is nothing in it to decrypt with a private key"
    )]
    NotEnveloped {
        /// What it is, in words and as object identifier.
        what: String,
    },
    /// Well-formed, but with something that this reader does not know.
    #[error("the CMS message uses {what}, which is not supported: {remedy}")]
    Unsupported {
        /// What it is, in words and as object identifier.
        what: String,
        /// What to do instead.
        remedy: &'static str,
    },
    /// Over a limit.
    #[error("the CMS message is over the limit for {what} ({limit})")]
    LimitExceeded {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// None of its recipients has the name or the key identifier of the certificate.
    #[error(
        "none of the {count} recipients of the CMS message is this certificate (by issuer and serial number, or by subject key identifier)"
    )]
    NoRecipient {
        /// How many recipients it has.
        count: usize,
    },
    /// Certificate or private key cannot be used.
    #[error("the recipient's {what}")]
    RecipientKey {
        /// Which of them, and why.
        what: &'static str,
    },
    /// It does not decrypt. On purpose nothing says why: another key, a changed message and a bad padding look alike.
    #[error("the CMS message does not decrypt with this key (or it was changed after it was made)")]
    Decryption,
    /// Opening it would take an algorithm that is not approved, in strict mode without the exception; or the module is out of service.
    #[error("the CMS message cannot be read in this FIPS mode: {0}")]
    Module(fips::Error),
}

impl CmsError {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "malformed",
            Self::NotEnveloped { .. } => "not_enveloped",
            Self::Unsupported { .. } => "unsupported_algorithm",
            Self::LimitExceeded { .. } => "limit_exceeded",
            Self::NoRecipient { .. } => "no_recipient",
            Self::RecipientKey { .. } => "recipient_key",
            Self::Decryption => "decryption_failed",
            Self::Module(error) => error.code(),
        }
    }

    pub(super) const fn malformed(what: &'static str) -> Self {
        Self::Malformed { what }
    }

    pub(super) fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported {
            what: what.into(),
            remedy: "have it encrypted with AES and with RSA, or EC on P-256, P-384 or P-521",
        }
    }

    pub(super) fn unsupported_oid(oid: &ObjectIdentifier) -> Self {
        Self::unsupported(super::oids::name(oid))
    }

    pub(super) fn too_large(limits: &CmsLimits) -> Self {
        Self::LimitExceeded {
            what: "size in bytes",
            limit: limits.max_bytes,
        }
    }

    /// What the module's refusal means once a private or a content key is in use: the policy's and a fault's are told, nothing else is.
    pub(super) fn from_use(error: fips::Error) -> Self {
        match error {
            fips::Error::NotApproved { .. } | fips::Error::ModuleFault { .. } => {
                Self::Module(error)
            }
            _ => Self::Decryption,
        }
    }
}
