//! Certification authorities behind one trait: [`CertificationAuthority`].
//!
//! What all of them promise: a call ends by its deadline; an [`Error`] says whether the authority may have issued in spite of it, so that
//! nobody asks twice for what may be there already.
#![forbid(unsafe_code)]

mod authority;
pub mod cmp;
mod error;

pub use authority::{
    Answer, Capabilities, CertificationAuthority, Enrolment, Health, Issued, Order, Pending,
    Recovered, Revocation, RevocationReason, Revoked,
};
pub use error::{Error, ErrorClass};
