//! What a TPM says of one of its keys: TPM2_Certify (TPM 2.0 Library specification, family 2.0, revision 01.59, part 3, clause 18.2), read
//! and verified.
//!
//! ```text
//! TPMS_ATTEST -- name ------------> digest of the key's TPMT_PUBLIC: its numbers and attributes
//!      |      -- qualified name --> digest over the names of everything above it, up to a hierarchy
//!      `-- TPMT_SIGNATURE <-- the attestation key, which somebody vouches for: [`Attester`]
//! ```
//!
//! The structures and their clauses are those of part 2 of that revision; numbers are big-endian. What comes from a file is bounded, read once
//! from its begin to its end, and refused when anything follows.

mod attest;
mod attributes;
mod error;
mod name;
mod place;
mod public;
mod reader;
mod signature;
mod verify;

pub use attest::{Attestation, ClockInfo};
pub use attributes::Attributes;
pub use error::TpmError;
pub use name::Name;
pub use place::{Hierarchy, MAX_PARENTS, Place};
pub use public::Public;
pub use signature::Signature;
pub use verify::{Attester, Certified, Evidence, Vouched, verify};

/// Largest file with one structure that is read, in bytes. The largest TPMT_PUBLIC and TPMS_ATTEST have a few hundred.
pub const MAX_STRUCTURE_BYTES: usize = 4096;

#[cfg(test)]
mod tests;
