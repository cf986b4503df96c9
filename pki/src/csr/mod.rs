//! Certification requests (PKCS#10, RFC 2986): made and signed, and read from strangers.
//!
//! ```text
//! Request --create--> CertificationRequestInfo --Signer--> CertificationRequest (DER)
//! bytes   --read----> size, depth, DER, no duplicates, signature by its own key --> Csr
//! ```

mod create;
mod read;

pub use create::create;
pub use read::Csr;

use crate::SignError;
use crate::algorithm::VerifyError;
use crate::extension::{ExtensionError, Extensions};
use const_oid::ObjectIdentifier;
use fips::secret::Password;
use x509_cert::name::Name;

/// Largest request that is read, in bytes.
pub const MAX_CSR_BYTES: usize = 16 * 1024;
/// Most elements within elements of a request that is read.
pub const MAX_DEPTH: usize = 16;
/// challengePassword (RFC 2985 section 5.4.1): most characters.
pub const MAX_CHALLENGE_CHARACTERS: usize = 255;

/// challengePassword (RFC 2985).
const CHALLENGE_PASSWORD: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.7");
/// extensionRequest (RFC 2985 section 5.4.2).
const EXTENSION_REQUEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.14");
/// szOID_CERT_EXTENSIONS: Microsoft's older attribute of the same syntax.
const CERT_EXTENSIONS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.1.14");

/// What a request asks for. The key is the signer's.
#[derive(Default)]
pub struct Request {
    /// The subject; it may be empty when there is a subject alternative name.
    pub subject: Name,
    /// The extensions.
    pub extensions: Extensions,
    /// A password that the authority knows. It stands in the request in clear.
    pub challenge_password: Option<Password>,
}

/// Why there is no request, or a request is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CsrError {
    /// Neither a subject nor a subject alternative name.
    #[error("the request names nobody: give it a subject or a subject alternative name")]
    Nobody,
    /// The challenge password is none.
    #[error(
        "a challenge password is 1 to {MAX_CHALLENGE_CHARACTERS} characters of UTF-8 without control characters"
    )]
    ChallengePassword,
    /// Its extensions.
    #[error("the request's extensions: {0}")]
    Extensions(#[from] ExtensionError),
    /// The signer did not sign.
    #[error(transparent)]
    Signer(#[from] SignError),
    /// It is larger than [`MAX_CSR_BYTES`].
    #[error("the request has more than {MAX_CSR_BYTES} bytes")]
    TooLarge,
    /// It is no PEM, or holds something else.
    #[error(
        "the request is neither DER nor one whole PEM block (-----BEGIN CERTIFICATE REQUEST-----)"
    )]
    Pem,
    /// It is not a request in DER.
    #[error("the request is malformed: {0}")]
    Malformed(&'static str),
    /// An attribute stands there twice, or with several values.
    #[error("the request's attribute {0} stands there twice or has not exactly one value")]
    Attribute(ObjectIdentifier),
    /// Its signature, or the key.
    #[error("the request is refused: {0}")]
    Signature(#[from] VerifyError),
}
