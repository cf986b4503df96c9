//! Clients of the public Microsoft APIs. The gateway speaks the same ones, so one client serves a tenant and a gateway alike.

mod error;
mod retry;
mod rotation;
mod user_pfx;

pub use error::{GraphError, unwrap_message};
pub use retry::{RetryBudget, retry_after};
pub(crate) use user_pfx::http_client;
pub use user_pfx::{Selection, UserPfxClient};
