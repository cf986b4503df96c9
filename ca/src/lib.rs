//! Certification authorities behind one trait: [`CertificationAuthority`].
//!
//! What all of them promise: a call ends by its deadline; an [`Error`] says whether the authority may have issued in spite of it, so that
//! nobody asks twice for what may be there already.
//!
//! ```text
//!   Order (PKCS#10) --enroll--> est | cmp | adcs --HTTP client of the caller's--> authority
//!        |                        |
//!        |                        +-- a bounded answer: Issued, Pending, or an Error with its class
//!        '-- poll, recover, revoke
//! ```
//!
//! The caller makes the HTTP client, from a TLS configuration that is checked to be a FIPS configuration, with the one certificate that it
//! shows and the authorities of TLS servers that it trusts: without redirects and repetitions of its own, and best without idle connections,
//! since one that the server has closed in the meantime looks like a request that was lost. What an authority answers is not trusted: it is
//! bounded and parsed here, and whoever asked checks whether the certificate is what was asked for.
#![forbid(unsafe_code)]

pub mod adcs;
mod authority;
mod certificate;
pub mod cmp;
mod error;
pub mod est;
mod http;
mod settings;
mod text;

pub use authority::{
    Answer, Capabilities, CertificationAuthority, Enrolment, Health, Issued, ListLife, Order,
    Pending, Recovered, Revocation, RevocationReason, Revoked,
};
pub use error::{Error, ErrorClass};
pub use http::CallFailure;
pub use settings::{Login, SettingsError};
