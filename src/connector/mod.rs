//! The loop: leases work, has the engine do it, delivers it exactly once, and says what happened.
//!
//! ```text
//! gateway --lease--> poll --journal: leased--> worker --recrypt--> engine
//!    ^                |                           | journal: outcome (durable before anything leaves)
//!    |                `-- finished before: again  v
//!    +------------------------------------- deliver --journal: settled--> Admin event (durable) --journal: reported
//!                                               ^
//!              after a crash or a full disk: sweep
//! ```
//!
//! Whatever moment a crash, a power cut or a lost answer takes, the journal says which step comes next, and each step may be
//! repeated: the gateway's fences make completions idempotent, and before an Admin event is written a second time the log is
//! searched for the first.
//!
//! It sees no clear secret: passwords arrive encrypted to the custody key and leave encrypted to the device.

mod again;
mod backoff;
pub mod control;
mod deliver;
mod engine_link;
pub mod error;
mod expiry;
mod gateway_client;
pub mod identity;
mod intake;
pub mod journal;
mod manager;
mod pkcs;
mod poll;
mod result;
mod revoke;
mod service;
mod shared;
mod sweep;
mod tls;
mod turn;
mod worker;

pub use error::StartError;
pub(crate) use gateway_client::http_client;
pub use gateway_client::read_lease;

use crate::clock::{Clock, SystemClock};
use std::path::Path;
use std::sync::Arc;

/// Runs the connector of a configuration file until SIGTERM or SIGINT: then it stops leasing, finishes what is in flight, and returns.
/// SIGHUP makes it read the file again.
///
/// # Errors
/// [`StartError`] when it cannot start.
pub fn run(config_path: &Path) -> Result<(), StartError> {
    service::run(config_path, Arc::new(SystemClock))
}

/// The same by another clock.
///
/// # Errors
/// As [`run`].
pub fn run_by(config_path: &Path, clock: Arc<dyn Clock>) -> Result<(), StartError> {
    service::run(config_path, clock)
}
