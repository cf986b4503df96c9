//! One record for another custody key: decrypted by the old one, encrypted to the new one, signed anew.
//!
//! bounds -> importer's signature -> the new key and the signing key are there -> the old key decrypts -> encryption to the new key ->
//! the new key decrypts to the same -> signature -> the result is held against the importers like any record
//!
//! What is given out is what an importer could have made; the password stays in this process. All of it is batch work.

use super::Shared;
use super::flow;
use super::password_check::PasswordCheck;
use super::queue::Job;
use super::refusal::Refusal;
use super::signing_token::on_a_token_within;
use super::to_custody_key;
use super::usage::{Usage, Wanted};
use crate::encoding::{Base64Bytes, hex};
use crate::engine::api::ReencryptRequest;
use crate::engine::recrypt::importers::{self, Importer};
use crate::record::{ImporterSignature, Record};
use audit::event::{Purpose, ResultClass};
use fips::digest::{Hash, digest};
use fips::secret::Password;
use hsm::pkcs11::Pkcs11Custody;
use hsm::{Custody, KeyFingerprint, KeyInfo, Lane, Padding, SigningKeyName, Terms, TokenSignature};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

/// The part of the configuration that names the signing key.
const ROTATION: &str = "engine.rotation";

const NOT_CONFIGURED: &str = "this engine re-encrypts no records: name the signing key of the token as `engine.rotation.signing_key` in its \
                              configuration, its public half among `engine.importers`, and restart it";

/// What was found before: each record asks for the same again.
#[derive(Default)]
pub(super) struct Rotation {
    /// The new key. A fingerprint never stands for another public key; whether the key may be used is seen at each use.
    target: Mutex<Option<KeyInfo>>,
    /// The signing key, known to be an importer's.
    signer: OnceLock<KeyFingerprint>,
}

/// The record for the key that is asked for.
pub(super) fn reencrypt(
    shared: &Shared,
    job: &Job,
    request: &ReencryptRequest,
) -> Result<Record, Refusal> {
    let Some(rotation) = &shared.config.rotation else {
        return Err(Refusal::bad_request(NOT_CONFIGURED));
    };
    let (record, pfx) = (&request.record, request.pfx.as_slice());
    // Also under the exception `unsigned-records`: nothing gets a signature here that had none.
    let importer = verify(shared, record, pfx)?;
    let from = fingerprint(record.custody_key.as_deref().unwrap_or_default())?;
    let to = fingerprint(&request.to)?;
    if from == to {
        return Err(Refusal::bad_request("the record has the new key already"));
    }
    let custody = flow::open_tokens(shared, job.deadline)?;
    let target = target(shared, custody, to)?;
    let signer = signer(shared, job, &rotation.signing_key)?;
    let padding = to_custody_key::choose_padding(custody, request.padding)?;
    let check = match record.padding {
        Padding::Pkcs1 => PasswordCheck::of(shared, job, record.padding, &request.pfx)?,
        // Its padding says whether it was decrypted.
        _ => PasswordCheck::Off,
    };

    let wanted = |record, key, purpose, pfx_check| Wanted {
        request_id: &request.request_id,
        record,
        pfx,
        importer,
        key,
        purpose,
        delivery: "reencrypt",
        pfx_check,
    };
    let hash = |key: KeyFingerprint| audit::Hash::from_bytes(*key.as_bytes());
    let rotation = wanted(record, from, Purpose::Rotation(hash(to)), check.receipt());
    let mut old = Usage::begin(shared, job, &rotation)?;
    let decrypted = old.decrypt_and_check(custody, job, Lane::Batch, |password| {
        check.hold(shared, job, &request.pfx, password)
    });
    let reencrypted = decrypted.and_then(|password| {
        // The second use of this request must not wait for the first.
        old.worked();
        let bytes = encrypt(custody, job, &target.spki_der, padding, &password)?;
        Ok((password, bytes))
    });
    let (password, bytes) = match reencrypted {
        Ok(done) => done,
        Err(refusal) => return Err(old.refuse(refusal)),
    };
    let mut record = Record {
        key_name: name_of(&target, &record.key_name),
        custody_key: Some(to.to_string()),
        padding,
        encrypted_password: Base64Bytes(bytes),
        importer_signature: None,
        ..record.clone()
    };
    // The old ciphertext is about to be replaced by this one: a wrong one would be a password that is lost.
    let verification = wanted(&record, to, Purpose::Verify, None);
    let mut new = Usage::begin(shared, job, &verification)?;
    let again = match new.decrypt(custody, job, Lane::Batch) {
        Ok(again) => again,
        Err(refusal) => return Err(new.refuse(refusal)),
    };
    if !again.ct_eq(&password) {
        return Err(new.refuse(Refusal::fault(
            "reencrypted_otherwise",
            "what was encrypted to the new key decrypts to something else".to_owned(),
        )));
    }
    drop((password, again));
    for usage in [old, new] {
        usage.end(ResultClass::Decrypted)?;
    }

    let signed = sign(shared, job, signer, &record.signed_bytes(pfx))?;
    record.importer_signature = Some(ImporterSignature {
        importer: hex(digest(Hash::Sha256, &signed.spki_der).as_ref()),
        signature: Base64Bytes(signed.signature),
    });
    verify(shared, &record, pfx)?;
    Ok(record)
}

fn verify<'a>(
    shared: &'a Shared,
    record: &Record,
    pfx: &[u8],
) -> Result<Option<&'a Importer>, Refusal> {
    importers::verify(record, pfx, &shared.policy.importers, false).map_err(|refusal| {
        Refusal::open(refusal.failure_code(), refusal.code(), refusal.to_string())
    })
}

fn fingerprint(text: &str) -> Result<KeyFingerprint, Refusal> {
    text.parse()
        .map_err(|_| Refusal::bad_request("a custody key is not named by a SHA-256 in hexadecimal"))
}

/// The new key, if a token has it and it may be used.
fn target(shared: &Shared, custody: &dyn Custody, to: KeyFingerprint) -> Result<KeyInfo, Refusal> {
    let known = || {
        shared
            .rotation
            .target
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    };
    if let Some(key) = known().as_ref()
        && key.fingerprint == to
    {
        return Ok(key.clone());
    }
    let key = to_custody_key::usable(custody, to)?.ok_or_else(|| {
        Refusal::bad_request(
            "the new key is not on the token or may not be used: `status` says why",
        )
    })?;
    *known() = Some(key.clone());
    Ok(key)
}

/// The name that records of this key have: its label, where that can be one.
fn name_of(key: &KeyInfo, old: &str) -> String {
    if key.label.is_empty() || key.label.len() > 256 || key.label.contains(char::is_control) {
        old.to_owned()
    } else {
        key.label.clone()
    }
}

fn encrypt(
    custody: &dyn Custody,
    job: &Job,
    spki: &[u8],
    padding: Padding,
    password: &Password,
) -> Result<Vec<u8>, Refusal> {
    let left = job.deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(Refusal::deadline());
    }
    let terms = batch(Terms::within(left));
    to_custody_key::encrypt(custody, spki, padding, password.bytes(), terms).map_err(|error| {
        match error.class() {
            // Here it is not about a ciphertext: the password is longer than key and padding take.
            hsm::ErrorClass::BadInput => {
                Refusal::bad_request("the password does not fit into the new key with this padding")
            }
            _ => error.into(),
        }
    })
}

/// The same, in the lane of all of this.
const fn batch(terms: Terms) -> Terms {
    Terms {
        lane: Lane::Batch,
        ..terms
    }
}

/// The signing key, once it is known that the engine accepts what it signs.
fn signer(shared: &Shared, job: &Job, label: &str) -> Result<KeyFingerprint, Refusal> {
    if let Some(known) = shared.rotation.signer.get() {
        return Ok(*known);
    }
    let name = SigningKeyName::Label(label.to_owned());
    let look = |custody: &Pkcs11Custody, terms| custody.signing_key_on(&name, batch(terms));
    let (_, key) = on_a_token_within(shared, ROTATION, job.deadline, None, look)?;
    let named = key.fingerprint.to_string();
    if !shared
        .policy
        .importers
        .iter()
        .any(|importer| importer.fingerprint() == named)
    {
        return Err(Refusal::bad_request(&format!(
            "the signing key {label:?} ({named}) of `engine.rotation` is none of `engine.importers`: add its public half there, here and \
             wherever else an engine reads these records, and restart"
        )));
    }
    Ok(*shared.rotation.signer.get_or_init(|| key.fingerprint))
}

fn sign(
    shared: &Shared,
    job: &Job,
    signer: KeyFingerprint,
    message: &[u8],
) -> Result<TokenSignature, Refusal> {
    let name = SigningKeyName::Fingerprint(signer);
    let sign = |custody: &Pkcs11Custody, terms| custody.sign_on(&name, message, batch(terms));
    on_a_token_within(shared, ROTATION, job.deadline, None, sign).map(|(_, signed)| signed)
}
