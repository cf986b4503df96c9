//! Certificates that connectors have issued for devices: requests, what came of them, and renewal.
//!
//! A PKCS request is a request as every other: fences, leases, retries and retention are those of [`super::leases`] and [`super::settle`].

mod certificates;
mod devices;
mod lease;
mod requests;

pub(super) use certificates::{issued, note_collected, purge};
pub(super) use devices::purge as forget_updates;
pub use lease::PkcsLease;
pub(super) use requests::collected;
pub use requests::{NewPkcsRequest, PkcsQueued};

use super::StoreError;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What stands in the place of a delivery's name.
pub(super) const DELIVERY: &str = "pkcs";

fn to_json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|_| StoreError::Unreadable("message"))
}

fn of_json<T: DeserializeOwned>(json: &str, what: &'static str) -> Result<T, StoreError> {
    serde_json::from_str(json).map_err(|_| StoreError::Unreadable(what))
}
