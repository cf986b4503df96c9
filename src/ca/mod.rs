//! Certification authorities that this program is itself: the others are in crate `ca`, behind the same trait.

pub mod local;
