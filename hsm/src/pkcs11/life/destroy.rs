//! The end of a key.

use super::{find_one, public_halves, refused};
use crate::KeyFingerprint;
use crate::error::Error;
use crate::life::{Destroyed, KeyLifeProblem};
use crate::pkcs11::keys;
use crate::pkcs11::worker::Worker;

pub(super) fn destroy(
    worker: &mut Worker,
    fingerprint: &KeyFingerprint,
) -> Result<Destroyed, Error> {
    let session = worker.open_session(true)?;
    let module = worker.module();
    let key = find_one(module, &session, fingerprint)?;
    let public = public_halves(module, &session, &key.public)?;
    // The private half first: if the token refuses that, nothing has happened.
    session
        .destroy_object(key.handle)
        .map_err(refused("destroy the private half", module))?;
    // Looked for while the public half is there: a token may show the exponent with that alone, and without one a key is not seen.
    let still_private = keys::scan(module, &session, false)?
        .iter()
        .any(|key| key.info.fingerprint == *fingerprint);
    if still_private {
        return Err(KeyLifeProblem::StillThere(*fingerprint).into());
    }
    for half in &public {
        session.destroy_object(*half).map_err(refused(
            "destroy the public half (the private half is destroyed)",
            module,
        ))?;
    }
    if !public_halves(module, &session, &key.public)?.is_empty() {
        return Err(KeyLifeProblem::StillThere(*fingerprint).into());
    }
    Ok(Destroyed {
        private_halves: 1,
        public_halves: public.len(),
    })
}
