//! Which tokens do RSAES-OAEP with a label, found out by trying, when one is first asked for.
//!
//! A token that does OAEP may refuse a label, fail with it, or ignore it without a word, when it encrypts as well as when it decrypts. So it
//! is taken for one that does labels only if a message comes back under its label and does not come back without.
//!
//! The two are apart: tpm2-pkcs11 encrypts with any label, in software, and its TPM decrypts with none that does not end with a zero.

use super::cache::LoadedKey;
use super::canary::{self, Canary, Maker};
use super::policy;
use super::probe::{self, FoundKeyRef, Outcome, Probe, Tried, Way};
use super::worker::Worker;
use crate::Error;
use crate::error::Refusal;
use crate::padding::Padding;

/// The label of the known ciphertexts.
pub(super) const OF_CANARIES: &[u8] = b"a label for a try";

impl Worker {
    /// How this key removes `padding` with a label. `None`: in no way that there is and that the policy allows.
    ///
    /// # Errors
    /// [`Error::Token`] if the token is in trouble: nothing is known then, and it is tried again the next time.
    pub(super) fn labelled<'k>(
        &mut self,
        key: &'k LoadedKey,
        padding: Padding,
    ) -> Result<Option<&'k Tried>, Error> {
        let Some(labelled) = key.probe.labelled(padding) else {
            return Ok(None);
        };
        if let Some(known) = labelled.get() {
            return Ok(known.as_ref());
        }
        let found = attempt(self, &key.reference(), &key.probe, padding)?;
        // Another worker may have been quicker.
        Ok(labelled.get_or_init(|| found).as_ref())
    }
}

fn attempt(
    worker: &mut Worker,
    key: &FoundKeyRef<'_>,
    probe: &Probe,
    padding: Padding,
) -> Result<Option<Tried>, Error> {
    for way in probe::candidates(worker, padding) {
        if !policy::allows(way, padding) {
            continue;
        }
        let worked = probe::settle(worker, key, probe, |worker| {
            decrypts(worker, key, probe, padding, way)
        })?;
        let Some(Some(canary)) = worked else {
            continue;
        };
        let mut tried = Tried::new(way, canary);
        let encrypts = probe::settle(worker, key, probe, |worker| {
            probe::encrypts(worker, key, padding, OF_CANARIES, way, probe.message())
        })?;
        tried.encrypts = encrypts == Some(true);
        return Ok(Some(tried));
    }
    Ok(None)
}

/// A ciphertext with a label that was decrypted under it and not without; `None` if it was not so; or why that cannot be said.
fn decrypts(
    worker: &mut Worker,
    key: &FoundKeyRef<'_>,
    probe: &Probe,
    padding: Padding,
    way: Way,
) -> Result<Result<Option<Vec<u8>>, Refusal>, Error> {
    // A token that ignores labels when it encrypts says nothing about one that is removed here.
    let by_token = match way {
        Way::Native => Maker::Token,
        Way::Software => Maker::Raw,
    };
    let with_module = [Maker::Module, by_token];
    let makers = if worker.shared().module_may_encrypt {
        &with_module[..]
    } else {
        &with_module[1..]
    };
    let message = probe.message();
    let made = canary::make(worker, key.public, padding, OF_CANARIES, message, makers)?;
    let canary = match made {
        Canary::Made(canary) => canary,
        Canary::Unsupported => return Ok(Ok(None)),
        Canary::Trouble(refusal) => return Ok(Err(refusal)),
    };
    match probe::decrypt_known(worker, key, padding, OF_CANARIES, way, &canary, message)? {
        Outcome::Plain(plain) if plain.ct_eq(message) => {}
        Outcome::Plain(_) | Outcome::BadPadding => return Ok(Ok(None)),
        Outcome::NotStarted(refusal) if refusal.means_unsupported() => return Ok(Ok(None)),
        Outcome::NotStarted(refusal) | Outcome::Failed(refusal) => return Ok(Err(refusal)),
    }
    match probe::decrypt_known(worker, key, padding, b"", way, &canary, message)? {
        Outcome::Plain(_) => Ok(Ok(None)),
        Outcome::BadPadding => Ok(Ok(Some(canary))),
        Outcome::NotStarted(refusal) => Ok(Err(refusal)),
        Outcome::Failed(_) => {
            // As it should be, unless the token has failed in this very moment: then the same again does not work.
            worker.replace_session();
            match probe::decrypt_known(worker, key, padding, OF_CANARIES, way, &canary, message)? {
                Outcome::Plain(plain) if plain.ct_eq(message) => Ok(Ok(Some(canary))),
                Outcome::Plain(_) | Outcome::BadPadding => Ok(Ok(None)),
                Outcome::NotStarted(refusal) | Outcome::Failed(refusal) => Ok(Err(refusal)),
            }
        }
    }
}
