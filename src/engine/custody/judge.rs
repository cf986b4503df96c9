//! Whether something can be encrypted to a device, for orders at authorities: these wait for days, and what was issued for them is revoked
//! where it cannot be packed. So a revocation list that is late, which passes, is told apart from a device that is refused.

use super::queue::Job;
use super::refusal::Refusal;
use super::{Shared, flow};
use crate::engine::api::{CmsFormat, DeviceTarget, FailureCode, JudgeDeviceRequest};
use crate::engine::recrypt::chain::{ChainError, DeviceIdentity};
use crate::engine::recrypt::cms::{self, KeyTransport};

/// Bounds that hold before anything looks into a field.
pub(super) fn bounded(request: &JudgeDeviceRequest) -> Result<(), Refusal> {
    flow::named(&request.request_id)?;
    if request.device.certificate.as_slice().is_empty() {
        return Err(Refusal::bad_request("there is no device certificate"));
    }
    Ok(())
}

/// Judges the device as [`pack`](super::pack::pack) does. No key is used and nothing is recorded.
pub(super) fn judge(
    shared: &Shared,
    job: &Job,
    request: &JudgeDeviceRequest,
) -> Result<(), Refusal> {
    let device = admit(shared, job, &request.device, request.format)?;
    let custody = flow::open_tokens(shared, job.deadline)?;
    let transport = KeyTransport::choose(custody, Some(job.deadline));
    cms::check_policy(request.format, &device, transport).map_err(flow::cms_refusal)
}

/// As [`flow::admit_device`]; a revocation list that is late or not there is [`FailureCode::RevocationUnknown`].
pub(super) fn admit(
    shared: &Shared,
    job: &Job,
    device: &DeviceTarget,
    format: CmsFormat,
) -> Result<DeviceIdentity, Refusal> {
    flow::admit_device(shared, job, device, format).map_err(|mut refusal| {
        let passes = [
            ChainError::RevocationStale { authority: false },
            ChainError::RevocationUnknown { authority: false },
        ];
        if passes.iter().any(|error| error.code() == refusal.reason) {
            refusal.told.code = FailureCode::RevocationUnknown;
        }
        refusal
    })
}
