//! Certification paths (RFC 5280 section 6): from a certificate over intermediates to a root, each step verified.
//!
//! ```text
//! leaf --issuer's name--> intermediates ... --> root        bounded in length and in signatures
//!   each: signature, validity, critical extensions, name constraints, basicConstraints, path length, keyCertSign, purpose, revocation
//! leaf: purpose (S/MIME, client authentication), e-mail address
//! ```
//!
//! Policies are not processed: a path with policyConstraints or inhibitAnyPolicy is refused, since what they ask for would not be done.
//! Certificate policies and their mappings say nothing here. Names are compared as RFC 5280 (section 7.1) has it: in upper or lower case, with
//! any number of spaces, in any type of string; the compatibility forms of RFC 4518 are not.
//!
//! The engine does not use this: it verifies devices' paths by DER headers alone, without building any (`recrypt::chain`).

mod certificate;
pub mod constraints;
mod purpose;
mod search;

pub use certificate::{Certificate, MAX_CERTIFICATE_BYTES};
pub use purpose::Purpose;
pub(crate) use purpose::email_addresses;

use crate::revocation_list::RevocationList;

/// Certificates of a path, the first and the root among them.
pub const MAX_PATH_CERTIFICATES: usize = 10;
/// Signatures that are verified while a path is looked for.
pub const MAX_SIGNATURES: usize = 64;

/// What a certificate is held against.
#[derive(Default)]
pub struct Verification<'a> {
    /// Authorities that are trusted.
    pub roots: &'a [Certificate],
    /// Certificates that may be between; they are trusted with nothing.
    pub intermediates: &'a [Certificate],
    /// Revocation lists; with none, revocation is not looked at.
    pub lists: &'a [RevocationList],
    /// What the certificate has to be for.
    pub purpose: Purpose,
    /// The address that it has to name.
    pub email: Option<&'a str>,
    /// The time, `YYYYMMDDHHMMSS` in UTC.
    pub at: [u8; 14],
}

/// A path that was verified.
#[derive(Debug)]
pub struct VerifiedPath<'a> {
    /// The certificate, its issuer and so on; the last one is a root.
    pub certificates: Vec<&'a Certificate>,
    /// For each certificate but the root: whether a current list of its issuer was looked into. Empty when there are no lists.
    pub revocation_checked: Vec<bool>,
}

/// Why there is no path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{subject}: {problem}")]
pub struct PathError {
    /// The certificate that is refused: its subject (RFC 4514).
    pub subject: String,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a certificate of a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// It is no certificate in the form of RFC 5280.
    #[error("it is malformed: {0}")]
    Malformed(&'static str),
    /// Its issuer is neither a root nor among the intermediates.
    #[error(
        "its issuer is neither among the roots nor among the intermediates: name the missing certificates"
    )]
    NoIssuer,
    /// More than [`MAX_PATH_CERTIFICATES`], or more attempts than [`MAX_SIGNATURES`].
    #[error(
        "no path of at most {MAX_PATH_CERTIFICATES} certificates was found within {MAX_SIGNATURES} signatures"
    )]
    TooLong,
    /// Its signature.
    #[error("{0}")]
    Signature(crate::algorithm::VerifyError),
    /// Before its validity.
    #[error("it is not valid yet (from {0})")]
    NotYetValid(String),
    /// After its validity.
    #[error("it has expired ({0})")]
    Expired(String),
    /// It is not an authority's, or must not sign certificates.
    #[error("it issued a certificate and is not an authority's: {0}")]
    NotAnAuthority(&'static str),
    /// pathLenConstraint.
    #[error("more authorities are below it than it allows (pathLenConstraint)")]
    PathLength,
    /// A critical extension that is not understood.
    #[error("it has the critical extension {0}, which is not processed here")]
    CriticalExtension(const_oid::ObjectIdentifier),
    /// Constraints on policies.
    #[error("it asks for the processing of policies ({0}), which is not done here")]
    Policies(const_oid::ObjectIdentifier),
    /// A name outside of what an authority may name.
    #[error("{0}")]
    NameConstraints(String),
    /// Its key or its uses.
    #[error("it is not fit for the purpose: {0}")]
    Purpose(String),
    /// It does not name the address.
    #[error("it does not name the e-mail address {0:?}")]
    Email(String),
    /// A list names it.
    #[error("it is revoked: its issuer's revocation list names it")]
    Revoked,
    /// No current list is there.
    #[error("no revocation list of its issuer that is current and signed by it is there")]
    RevocationUnknown,
}

impl Problem {
    /// A stable name.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::NoIssuer => "no_issuer",
            Self::TooLong => "path_too_long",
            Self::Signature(_) => "signature",
            Self::NotYetValid(_) => "not_yet_valid",
            Self::Expired(_) => "expired",
            Self::NotAnAuthority(_) => "not_an_authority",
            Self::PathLength => "path_length",
            Self::CriticalExtension(_) => "critical_extension",
            Self::Policies(_) => "policies",
            Self::NameConstraints(_) => "name_constraints",
            Self::Purpose(_) => "purpose",
            Self::Email(_) => "email",
            Self::Revoked => "revoked",
            Self::RevocationUnknown => "revocation_unknown",
        }
    }
}

impl<'a> Verification<'a> {
    /// Finds a path for `leaf` and verifies all of it.
    ///
    /// # Errors
    /// [`PathError`] of the path that came furthest.
    pub fn verify(&self, leaf: &'a Certificate) -> Result<VerifiedPath<'a>, PathError> {
        search::verify(self, leaf)
    }
}
