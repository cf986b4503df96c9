//! Certificates (RFC 5280), certification requests (RFC 2986), revocation lists and the messages that carry them, as documents: what is
//! made here is signed by a [`Signer`], wherever its key lives; what is read here is untrusted until its signature is verified.
//!
//! No network, no token, no clock of its own: times are arguments.
#![forbid(unsafe_code)]

pub mod algorithm;
pub mod certs_only;
pub mod cmp;
pub mod crl;
pub mod csr;
pub mod csr_attributes;
pub mod extension;
pub mod inspect;
pub mod issue;
pub mod key;
mod key_id;
pub mod name;
pub mod ocsp;
pub mod path;
pub mod revocation_list;
pub mod san;
mod signer;
pub mod template;
pub mod time;
pub mod tpm;

pub use signer::{KeyAndAlgorithm, SignError, Signer};
