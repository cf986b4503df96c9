//! What a token says about its mechanisms: by its list, and by refusing.

use cryptoki::error::RvError;
use cryptoki::mechanism::MechanismType;

use super::worker::Worker;

/// True unless the token's list leaves the mechanism out: an operator may have switched it off. Where the token does not
/// answer, trying decides.
pub(super) fn is_listed(worker: &Worker, mechanism: MechanismType) -> bool {
    worker
        .module()
        .functions()
        .mechanisms(worker.slot().id())
        .map_or(true, |list| list.contains(&mechanism.into()))
}

/// True for return values by which a token says that it does not do this with this key, now or ever.
pub(super) fn means_unsupported(rv: RvError) -> bool {
    matches!(
        rv,
        RvError::MechanismInvalid
            | RvError::MechanismParamInvalid
            | RvError::ArgumentsBad
            | RvError::FunctionNotSupported
            | RvError::KeyTypeInconsistent
            | RvError::KeyFunctionNotPermitted
            | RvError::KeySizeRange
            | RvError::ActionProhibited
    )
}
