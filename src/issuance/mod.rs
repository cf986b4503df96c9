//! What may be issued: the policy file of a connector, its decisions, and what to think of its rules.
//!
//! ```text
//! gateway's profile + device's variables --> what is asked ([`Asked`]) --> [`IssuancePolicy::decide`] --> key, CSR, authority
//!                                                                       `-> refused by name, for good
//! ```
//!
//! Deny by default: what no rule allows is not asked for. The gateway's profiles say what administrators of devices want; this file says what
//! the people who answer for the authorities let happen, and lies where the gateway cannot reach it.

mod decide;
pub mod lint;
mod pattern;
mod policy;
mod usage;

pub use decide::{Asked, Attribute, Denied};
pub use pattern::Pattern;
pub use policy::{IssuancePolicy, PolicyError, Rule};
pub use usage::{oid_of_usage, usage_in_words};

#[cfg(test)]
mod tests;
