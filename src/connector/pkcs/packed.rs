//! What the engine packed: the result for the device, and what speaks against its form on the platform (in strict mode the approved form is
//! all there is), told to the operator.

use crate::connector::result::DeviceResult;
use crate::engine::api::{Delivery, FailureCode, Packed};
use crate::gateway::pkcs_api::PkcsWorkItem;
use crate::telemetry::Draft;

pub(super) const MESSAGE: &str = "the device's platform is not known to read the form of its PFX";

/// The event with form and reasons.
pub(super) fn with(draft: Draft, platform: &str, packed: &Packed) -> Draft {
    draft
        .field("platform", platform)
        .field("form", packed.form.clone())
        .field("warnings", packed.warnings.join("; "))
}

/// Under which name the device gets it as a configuration profile, where that was asked for.
pub(super) fn profile_name(item: &PkcsWorkItem) -> Option<String> {
    (item.profile.delivery == Delivery::AppleProfile).then(|| item.profile_name.clone())
}

/// The result of the request.
pub(super) fn result(packed: Packed, certificate_der: Vec<u8>) -> DeviceResult {
    DeviceResult {
        encrypted_password: packed.encrypted_password,
        encrypted_pfx: packed.encrypted_pfx,
        profile: packed.profile,
        certificate: certificate_der.into(),
        revocation: None,
    }
}

/// Whether what was issued is of no use, whichever engine is asked and whenever: then it is withdrawn. A custody key that this engine does not
/// have, and what its configuration does not allow, an operator mends or another connector's engine has.
pub(super) fn is_final(code: FailureCode) -> bool {
    !code.is_transient()
        && !matches!(
            code,
            FailureCode::KeyNotFound | FailureCode::FormatRefused | FailureCode::BadRequest
        )
}
