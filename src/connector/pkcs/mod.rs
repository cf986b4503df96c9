//! Certificates on request: leased, allowed by the issuance policy, ordered at an authority exactly once, checked, packed for the device.
//!
//! The queue, the budget and the events (1000) are its own; journal, delivery and what comes after are those of every request.

mod ask;
mod authority;
mod breaker;
mod build;
mod chain;
mod check;
mod course;
mod device;
mod health;
mod order;
mod packed;
mod poll;
mod ports;
mod progress;
#[cfg(test)]
mod tests;
mod work;

pub(super) use authority::Authority;
pub(super) use build::{Issuance, policy};
pub(super) use health::watch;
pub(super) use poll::poll;
