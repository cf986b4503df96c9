//! A replicable key becomes one that never leaves again.

use cryptoki::object::Attribute;

use super::{find_one, refused};
use crate::KeyFingerprint;
use crate::error::Error;
use crate::life::{KeyLifeProblem, Sealed};
use crate::pkcs11::keys;
use crate::pkcs11::worker::Worker;

pub(super) fn seal(worker: &mut Worker, fingerprint: &KeyFingerprint) -> Result<Sealed, Error> {
    let session = worker.open_session(true)?;
    let module = worker.module();
    let key = find_one(module, &session, fingerprint)?;
    let already = key.info.attributes.extractable == Some(false);
    if !already {
        session
            .update_attributes(key.handle, &[Attribute::Extractable(false)])
            .map_err(refused("make the key not extractable", module))?;
    }
    // Believed when the token says so in an answer of its own.
    let info = keys::read(module, &session, key.handle, false)?.info;
    if info.attributes.extractable != Some(false) {
        return Err(KeyLifeProblem::NotSealed(*fingerprint).into());
    }
    Ok(Sealed { key: info, already })
}
