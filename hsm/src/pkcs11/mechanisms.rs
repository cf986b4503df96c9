//! What a token says about its mechanisms by its list.

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
