//! Certification authorities as they are configured: clients of the crate `ca`, and those that this program is itself, behind the same
//! trait.

mod configured;
mod key;
pub mod local;
mod state;

pub use configured::{AuthorityError, build, certificates};
pub use state::{Asked, AuthorityState, BreakerState, right};
