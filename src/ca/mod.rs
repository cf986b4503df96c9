//! The configured certification authorities: clients of the crate `ca`, and those that this program is itself, behind the same trait.

mod configured;
mod key;

pub use configured::{AuthorityError, build, certificates};
