//! The loop: leases work, has the engine do it, delivers it exactly once, and says what happened.

mod again;
mod backoff;
mod deliver;
mod engine_link;
pub mod error;
mod gateway_client;
pub mod journal;
mod poll;
mod shared;
mod sweep;
mod tls;
mod worker;
