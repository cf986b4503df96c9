//! Certificates of an authority of our own (RFC 5280): what a [`Profile`] allows, and nothing else.
//!
//! A request gives a public key, a subject and alternative names; everything else of a certificate is the profile's. What a request asks
//! for and the profile does not know is refused and not left out in silence, so that nobody gets another certificate than was asked for.

mod authority;
mod build;
mod constraints;
pub(crate) mod extensions;
mod names;
mod profile;
mod request;
mod root;

pub use authority::Authority;
pub(crate) use build::sign_der;
pub use build::{Certificate, issue, new_serial};
pub use constraints::permitted;
pub use profile::{KeyRule, NameKind, Profile, Publication, Purpose, SubjectPart};
pub use request::Request;
pub use root::{AuthorityRequest, responder, root, root_extensions};

use crate::SignError;

/// Why there is no certificate or list.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// The request is malformed, its signature does not verify, or the profile does not allow what it asks for.
    #[error("the request is refused: {0}")]
    Refused(String),
    /// The authority's own certificate, or what is configured for it, does not allow it.
    #[error("the authority: {0}")]
    Authority(String),
    /// The key did not sign.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The module gave no random bytes.
    #[error(transparent)]
    Module(#[from] fips::Error),
    /// Something does not fit into DER, such as a time before 1970.
    #[error("it cannot be encoded: {0}")]
    Encoding(#[from] der::Error),
}

fn refused<T>(why: impl Into<String>) -> Result<T, IssueError> {
    Err(IssueError::Refused(why.into()))
}
