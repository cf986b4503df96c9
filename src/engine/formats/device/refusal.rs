//! What can be wrong with a device certificate.

use serde::{Deserialize, Serialize};

/// Which certificate is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Place {
    /// The device's own.
    Device,
    /// One that came with it, counted from 1.
    Intermediate(u32),
    /// A configured anchor, counted from 1.
    Anchor(u32),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Device => f.write_str("the device certificate"),
            Self::Intermediate(number) => write!(f, "intermediate certificate {number}"),
            Self::Anchor(number) => write!(f, "configured anchor {number}"),
        }
    }
}

/// Why a device certificate is refused, with what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeviceRefusal {
    /// Over the size limit.
    #[error(
        "{place} has {bytes} bytes, more than the {limit} that are accepted: check what the service sends"
    )]
    TooLarge {
        /// Which certificate.
        place: Place,
        /// Its size in bytes.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Over the number of intermediates.
    #[error(
        "{count} intermediate certificates came with the device certificate, more than the {limit} that are accepted"
    )]
    TooManyIntermediates {
        /// How many.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// Not a certificate.
    #[error(
        "{place} is malformed: {reason}; enrol the device again or correct what the service sends"
    )]
    Malformed {
        /// Which certificate.
        place: Place,
        /// In what way.
        reason: String,
    },
    /// Not valid yet.
    #[error("{place} is valid only from {from}: check this machine's clock, or wait")]
    NotYetValid {
        /// Which certificate.
        place: Place,
        /// Begin of validity, RFC 3339.
        from: String,
    },
    /// Not valid any more.
    #[error("{place} expired at {since}: renew it")]
    Expired {
        /// Which certificate.
        place: Place,
        /// End of validity, RFC 3339.
        since: String,
    },
    /// An RSA key of a size that is not accepted.
    #[error(
        "the device's RSA key has {bits} bits; 2048 to 8192 are accepted: enrol the device with a larger key"
    )]
    KeySize {
        /// Size of the modulus in bits.
        bits: usize,
    },
    /// A key that is not RSA or EC on a NIST curve.
    #[error(
        "the device's key is of a kind that passwords are not encrypted to: {algorithm}; enrol it with RSA, or EC on P-256, P-384 or P-521"
    )]
    UnsupportedKey {
        /// The kind.
        algorithm: String,
    },
    /// keyUsage does not allow what is needed.
    #[error(
        "the device certificate is not for encryption: its key usage lacks {needed}; enrol the device with a certificate that has it"
    )]
    NotForEncryption {
        /// Name of the bit that is needed.
        needed: String,
    },
    /// An authority's certificate in place of a device's.
    #[error(
        "the device certificate is an authority's (basicConstraints cA): passwords are encrypted to devices only"
    )]
    IsAnAuthority,
    /// A restriction that nobody here honours.
    #[error("{place} has an extension that must be understood and is not: {extension}")]
    UnhandledExtension {
        /// Which certificate.
        place: Place,
        /// The extension.
        extension: String,
    },
    /// A signature algorithm that is not accepted.
    #[error(
        "{place} is signed with {algorithm}, which is not accepted for its issuer's key: RSA or ECDSA with SHA-2 and its usual parameters is needed"
    )]
    UnsupportedSignature {
        /// Which certificate.
        place: Place,
        /// The algorithm.
        algorithm: String,
    },
    /// A signature that does not verify with the key of the issuer of that name.
    #[error("{place} names {issuer} as its issuer, but is not signed with that authority's key")]
    WrongSignature {
        /// Which certificate.
        place: Place,
        /// The issuer's name.
        issuer: String,
    },
    /// An issuer that is not an authority, or not for a path of this length.
    #[error(
        "{place} may not issue the certificates below it (basicConstraints, key usage keyCertSign, path length)"
    )]
    NotAnAuthority {
        /// Which certificate.
        place: Place,
    },
    /// Nobody known issued the end of the path.
    #[error(
        "the device certificate does not chain to a configured anchor: the certificate of {issuer} is neither configured in device_anchors nor among the intermediates"
    )]
    NoPath {
        /// The issuer that is missing.
        issuer: String,
    },
    /// The path or the search for it is too long.
    #[error(
        "no path of at most {limit} certificates leads from the device certificate to a configured anchor"
    )]
    PathTooLong {
        /// Certificates that a path may have.
        limit: usize,
    },
}

impl DeviceRefusal {
    /// Stable code for logs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too_large",
            Self::TooManyIntermediates { .. } => "too_many_intermediates",
            Self::Malformed { .. } => "malformed",
            Self::NotYetValid { .. } => "not_yet_valid",
            Self::Expired { .. } => "expired",
            Self::KeySize { .. } => "key_size",
            Self::UnsupportedKey { .. } => "unsupported_key",
            Self::NotForEncryption { .. } => "not_for_encryption",
            Self::IsAnAuthority => "is_an_authority",
            Self::UnhandledExtension { .. } => "unhandled_extension",
            Self::UnsupportedSignature { .. } => "unsupported_signature",
            Self::WrongSignature { .. } => "wrong_signature",
            Self::NotAnAuthority { .. } => "not_an_authority",
            Self::NoPath { .. } => "no_path",
            Self::PathTooLong { .. } => "path_too_long",
        }
    }

    /// What the caller of the engine is told.
    #[must_use]
    pub fn failure_code(&self) -> crate::engine::api::FailureCode {
        crate::engine::api::FailureCode::DeviceCertificateRefused
    }
}
