//! What the program tells people and machines about its work: the event log, its catalogue of events, metrics and health.
//!
//! ```text
//! Draft --EventLog--> writer thread --> admin.log operational.log debug.log --archiver thread--> admin-TIME.log.gz ...
//!                          `--> standard error (for people or as JSON), followers of the control socket
//! ```
//!
//! Nothing secret is ever handed to this module; it bounds what it is given, because parts of it come from strangers.

pub mod catalogue;
pub mod event;
pub mod health;
pub mod http;
pub mod log;
pub mod metrics;

pub use event::{Draft, Event};
pub use log::{EventLog, LogError};
