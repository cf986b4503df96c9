//! Revocation: leased by issuer, held against the connector's own brake, done by the authority, reported once.
//!
//! Queue, budget and events (3000) are its own; the authorities, with their breakers, are those that issue, and journal, delivery and what comes
//! after are those of every request. The gateway is not trusted with the thresholds: [`Revoking`] is this side's brake.

mod brake;
mod poll;
mod routes;
mod work;

pub(super) use brake::Revoking;
pub(super) use poll::poll;
pub(super) use routes::Revoker;
