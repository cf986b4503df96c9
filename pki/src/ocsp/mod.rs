//! OCSP (RFC 6960), the responder's side, with nonces (RFC 9654).

mod request;
mod response;

pub use request::{CertId, IdHash, Query, QueryError, RequestedId};
pub use response::{Responder, Single, Status, refusal};

use der::asn1::ObjectIdentifier;

/// id-pkix-ocsp-nonce.
const NONCE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.2");

/// The longest nonce that is answered (RFC 9654, section 2.1).
pub const MAX_NONCE_BYTES: usize = 128;
/// Certificates asked about in one request.
pub const MAX_ASKED: usize = 16;
/// The longest request.
pub const MAX_REQUEST_BYTES: usize = 16 * 1024;

/// Why a request is not answered with a status (OCSPResponseStatus).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unanswered {
    /// It is none.
    MalformedRequest,
    /// Something here failed.
    InternalError,
    /// Ask again later.
    TryLater,
    /// About certificates of somebody else (RFC 5019, section 2.2.3).
    Unauthorized,
}

impl Unanswered {
    const fn code(self) -> u8 {
        match self {
            Self::MalformedRequest => 1,
            Self::InternalError => 2,
            Self::TryLater => 3,
            Self::Unauthorized => 6,
        }
    }
}
