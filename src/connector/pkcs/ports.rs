//! What an order needs of its surroundings: seams at which tests cut.

use super::course::Course;
use super::progress::Progress;
use crate::connector::error::CallError;
use crate::connector::journal::JournalError;
use crate::engine::api::{JudgeDeviceRequest, MadeKey, MakeKeyRequest, PackRequest, Packed};
use crate::engine::client::RecryptError;
use crate::telemetry::Draft;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// An answer that comes later.
pub(crate) type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Who makes keys and packs certificates for devices.
pub(crate) trait Keys: Send + Sync {
    /// Makes a key and its CSR.
    fn make_key(&self, request: MakeKeyRequest) -> Later<'_, Result<MadeKey, RecryptError>>;
    /// Says whether something can be encrypted to a device.
    fn judge(&self, request: JudgeDeviceRequest) -> Later<'_, Result<(), RecryptError>>;
    /// Puts certificate and key into a PFX for the device.
    fn pack(&self, request: PackRequest) -> Later<'_, Result<Packed, RecryptError>>;
}

/// Who remembers how far an order got.
pub(crate) trait Keeper: Send + Sync {
    /// Makes it durable here; only then comes the next step.
    fn keep<'a>(&'a self, course: &'a Course) -> Later<'a, Result<(), JournalError>>;
    /// Tells the gateway, under the lease with this fence; with a time, the request waits for so long in its queue, for anybody.
    fn share<'a>(
        &'a self,
        progress: &'a Progress,
        fence: u64,
        resume: Option<Duration>,
    ) -> Later<'a, Result<(), CallError>>;
    /// The fence of the request's lease: while it is worked at, it may be leased to somebody else, and after that here again.
    fn fence(&self) -> u64;
    /// Whether nobody else can have the request leased.
    fn is_held(&self) -> bool;
    /// Says what happened.
    fn tell(&self, draft: Draft) -> Later<'_, ()>;
    /// The time, in milliseconds since 1970.
    fn now_ms(&self) -> i64;
}
