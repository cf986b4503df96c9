//! What a token does with a key, found out by trying.
//!
//! A mechanism list says little: SoftHSM lists CKM_RSA_PKCS_OAEP and refuses every hash but SHA-1. So a known message is
//! encrypted with the public key and decrypted by the token. Where the module may encrypt, two implementations have to
//! agree for that; in FIPS mode it may not, the token encrypts as well, and that check is lost (see [`super::canary`]).
//! The ciphertexts are kept as canaries: one that still decrypts shows that a ciphertext which did not was bad, and the
//! token is well.

use std::sync::OnceLock;

use cryptoki::error::RvError;
use cryptoki::mechanism::MechanismType;
use fips::secret::SecretBytes;

use super::canary::{self, Canary, Maker};
use super::evidence::Evidence;
use super::keys::FoundKey;
use super::mechanisms::is_listed;
use super::policy;
use super::raw::{RsaMechanism, Stage};
use super::worker::Worker;
use crate::Error;
use crate::error::Refusal;
use crate::key::KeyFingerprint;
use crate::oaep;
use crate::padding::Padding;
use crate::pkcs1;
use crate::public_key::PublicKey;

/// Length of the known message in bytes.
const MESSAGE_LEN: usize = 16;

/// How a padding is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Native,
    Software,
}

impl Way {
    pub(super) const fn mechanism(self, padding: Padding, label: &[u8]) -> RsaMechanism<'_> {
        match self {
            Self::Native => RsaMechanism::native(padding, label),
            Self::Software => RsaMechanism::raw(padding),
        }
    }
}

/// What a try showed.
pub(super) struct Tried {
    /// How the padding is removed.
    pub(super) way: Way,
    /// A ciphertext to which the answer is known.
    pub(super) canary: Vec<u8>,
    /// The token encrypts so.
    pub(super) encrypts: bool,
    /// What is known of later uses.
    pub(super) evidence: Evidence,
}

impl Tried {
    pub(super) fn new(way: Way, canary: Vec<u8>) -> Self {
        Self {
            way,
            canary,
            encrypts: false,
            evidence: Evidence::default(),
        }
    }
}

/// A padding that works with a key.
struct Known {
    padding: Padding,
    /// With the empty label.
    tried: Tried,
    /// With another label: tried when one is first asked for. `None` inside: it does not work.
    labelled: OnceLock<Option<Tried>>,
}

/// What probing one key showed.
pub(super) struct Probe {
    public: PublicKey,
    raw_was_not_allowed: bool,
    message: [u8; MESSAGE_LEN],
    known: Vec<Known>,
}

impl Probe {
    /// What was tried with `padding` and the empty label, if that works.
    pub(super) fn get(&self, padding: Padding) -> Option<&Tried> {
        self.known(padding).map(|known| &known.tried)
    }

    fn known(&self, padding: Padding) -> Option<&Known> {
        self.known.iter().find(|known| known.padding == padding)
    }

    /// Where what is tried with another label is kept. `None`: the padding does not work even without.
    pub(super) fn labelled(&self, padding: Padding) -> Option<&OnceLock<Option<Tried>>> {
        self.known(padding).map(|known| &known.labelled)
    }

    pub(super) fn is_native(&self, padding: Padding) -> bool {
        self.get(padding)
            .is_some_and(|tried| tried.way == Way::Native)
    }

    pub(super) fn is_software(&self, padding: Padding) -> bool {
        self.get(padding)
            .is_some_and(|tried| tried.way == Way::Software)
    }

    pub(super) fn encrypts(&self, padding: Padding) -> bool {
        self.get(padding).is_some_and(|tried| tried.encrypts)
    }

    /// True if `plaintext` is the message of the canaries.
    pub(super) fn is_message(&self, plaintext: &SecretBytes) -> bool {
        plaintext.ct_eq(&self.message)
    }

    fn add(&mut self, padding: Padding, tried: Tried) {
        self.known.push(Known {
            padding,
            tried,
            labelled: OnceLock::new(),
        });
    }

    /// Whether the token offers the raw operation, and the policy does not allow to use it.
    pub(super) const fn raw_was_not_allowed(&self) -> bool {
        self.raw_was_not_allowed
    }

    /// The public key that was probed.
    pub(super) const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The message of the canaries.
    pub(super) const fn message(&self) -> &[u8; MESSAGE_LEN] {
        &self.message
    }
}

/// What the token's mechanism list and information allow: an operator may have switched a mechanism off. Where the token
/// does not answer sensibly, trying decides.
fn may_decrypt(worker: &Worker, mechanism: MechanismType) -> bool {
    let module = worker.module();
    if !is_listed(worker, mechanism) {
        return false;
    }
    match module
        .context()
        .get_mechanism_info(worker.slot(), mechanism)
    {
        Ok(info) => info.decrypt(),
        Err(cryptoki::error::Error::Pkcs11(rv, function)) => {
            !Refusal::new(function, rv).means_unsupported()
        }
        Err(_) => true,
    }
}

/// The ways to remove a padding that the token offers, whatever the policy says, the better one first.
pub(super) fn candidates(worker: &Worker, padding: Padding) -> Vec<Way> {
    let raw = (Way::Software, MechanismType::RSA_X_509);
    match padding {
        // What the token does with a bad padding is its own affair; here nobody learns of it.
        Padding::Pkcs1 => [raw, (Way::Native, MechanismType::RSA_PKCS)],
        _ => [(Way::Native, MechanismType::RSA_PKCS_OAEP), raw],
    }
    .into_iter()
    .filter(|(_, mechanism)| may_decrypt(worker, *mechanism))
    .map(|(way, _)| way)
    .collect()
}

/// Decrypts `ciphertext` and removes the padding in the given way.
pub(super) fn decrypt(
    worker: &mut Worker,
    key: &FoundKeyRef<'_>,
    padding: Padding,
    label: &[u8],
    way: Way,
    ciphertext: &[u8],
) -> Result<Outcome, Error> {
    let modulus_len = key.modulus_len;
    let stage = worker.decrypt_raw(key, way.mechanism(padding, label), ciphertext)?;
    Ok(match stage {
        Ok(result) if way == Way::Native => Outcome::Plain(result),
        // Some modules strip leading zeros; that they did would be the very thing nobody may learn.
        Ok(result) if result.len() != modulus_len => Outcome::Failed(Refusal::new(
            cryptoki::context::Function::Decrypt,
            RvError::DataLenRange,
        )),
        Ok(result) if padding == Padding::Pkcs1 => {
            let named = &worker.shared().pkcs1;
            let rejection = named.rejection(&key.public.fingerprint()?, ciphertext)?;
            match pkcs1::unpad(rejection, result) {
                Some(message) => Outcome::Plain(message),
                // A modulus without room for any message.
                None => Outcome::BadPadding,
            }
        }
        Ok(result) => match oaep::unpad(padding, label, result) {
            Ok(message) => Outcome::Plain(message),
            Err(oaep::BadPadding) => Outcome::BadPadding,
        },
        Err(Stage::Init(refusal)) => Outcome::NotStarted(refusal),
        Err(Stage::Operation(refusal)) => Outcome::Failed(refusal),
    })
}

/// Decrypts a ciphertext that was made here, to find out what the token does with it. That is a use of the key like every other: whoever
/// counts known ciphertexts is told, as working where `message` came back.
pub(super) fn decrypt_known(
    worker: &mut Worker,
    key: &FoundKeyRef<'_>,
    padding: Padding,
    label: &[u8],
    way: Way,
    ciphertext: &[u8],
    message: &[u8; MESSAGE_LEN],
) -> Result<Outcome, Error> {
    let outcome = decrypt(worker, key, padding, label, way, ciphertext);
    let worked = matches!(&outcome, Ok(Outcome::Plain(plain)) if plain.ct_eq(message));
    worker.tell_canary(key.public.fingerprint()?, worked);
    outcome
}

/// What a decryption needs to know of a key.
#[derive(Clone, Copy)]
pub(super) struct FoundKeyRef<'a> {
    pub(super) handle: cryptoki::object::ObjectHandle,
    pub(super) modulus_len: usize,
    pub(super) public: &'a PublicKey,
    /// CKA_ALWAYS_AUTHENTICATE.
    pub(super) always_authenticate: bool,
}

/// How a decryption ended.
pub(super) enum Outcome {
    /// The message.
    Plain(SecretBytes),
    /// Raw RSA went well, the padding was wrong.
    BadPadding,
    /// C_DecryptInit failed.
    NotStarted(Refusal),
    /// C_Decrypt failed: a bad ciphertext or a bad token.
    Failed(Refusal),
}

/// Tries every padding with `key`. `module_may_encrypt`: the module is asked for the known ciphertexts, before the token is.
///
/// # Errors
/// [`Error::Token`] if nothing at all works for a reason that is not "not supported": that says nothing about the key.
pub(super) fn run(
    worker: &mut Worker,
    key: &FoundKey,
    module_may_encrypt: bool,
) -> Result<Probe, Error> {
    let mut message = [0; MESSAGE_LEN];
    fips::random::fill(&mut message).map_err(|_| Error::Internal("no random bytes"))?;
    let mut probe = Probe {
        public: key.public.clone(),
        raw_was_not_allowed: false,
        message,
        known: Vec::new(),
    };
    let ways = ways_for(worker, &key.info.fingerprint);
    probe.raw_was_not_allowed = !policy::allows(Way::Software, Padding::OaepSha1)
        && candidates(worker, Padding::OaepSha1).contains(&Way::Software);
    let reference = FoundKeyRef {
        handle: key.handle,
        modulus_len: key.public.modulus().len(),
        public: &key.public,
        always_authenticate: key.info.attributes.always_authenticate == Some(true),
    };
    let mut has_canary = false;
    let mut troubled = Vec::new();
    for (padding, candidates) in &ways {
        match attempt(
            worker,
            &reference,
            *padding,
            candidates,
            &message,
            module_may_encrypt,
        )? {
            Attempt::Worked(tried) => probe.add(*padding, tried),
            Attempt::Refused => {}
            Attempt::NoCanary => continue,
            Attempt::Trouble(refusal) => troubled.push((*padding, candidates, refusal)),
        }
        has_canary = true;
    }
    if !has_canary {
        tracing::warn!(
            key = %key.info.fingerprint,
            "neither the module nor the token encrypts to this key, so that it cannot be tried: no padding is used with it"
        );
    }
    // A padding that is left out now is left out for good. So it is tried again, and only if the token says the same each time and
    // another padding works in between it is this padding that the token does not do; else the token is in trouble.
    for (padding, candidates, first) in troubled {
        let mut refusals = Refusals::of(first);
        while refusals.are_too_few() {
            require_one_that_works(worker, &reference, &probe, first)?;
            match attempt(
                worker,
                &reference,
                padding,
                candidates,
                &message,
                module_may_encrypt,
            )? {
                Attempt::Worked(tried) => {
                    probe.add(padding, tried);
                    break;
                }
                Attempt::Refused | Attempt::NoCanary => break,
                Attempt::Trouble(again) => refusals.add(again)?,
            }
        }
        require_one_that_works(worker, &reference, &probe, first)?;
    }
    probe_encryption(worker, &reference, &mut probe)?;
    Ok(probe)
}

/// What is tried with this key, each padding with the ways that the token offers and the policy allows. PKCS#1 v1.5 only where somebody
/// has named the key for it.
fn ways_for(worker: &Worker, key: &KeyFingerprint) -> Vec<(Padding, Vec<Way>)> {
    let pkcs1 = worker
        .shared()
        .pkcs1
        .contains(key)
        .then_some(Padding::Pkcs1);
    Padding::OAEP
        .into_iter()
        .chain(pkcs1)
        .map(|padding| {
            let mut ways = candidates(worker, padding);
            ways.retain(|way| policy::allows(*way, padding));
            (padding, ways)
        })
        .filter(|(padding, ways)| *padding != Padding::Pkcs1 || !ways.is_empty())
        .collect()
}

/// What became of the attempt to decrypt a known ciphertext.
enum Attempt {
    Worked(Tried),
    /// The token does it in no way that there is.
    Refused,
    /// Neither module nor token makes a known ciphertext.
    NoCanary,
    Trouble(Refusal),
}

fn attempt(
    worker: &mut Worker,
    key: &FoundKeyRef<'_>,
    padding: Padding,
    candidates: &[Way],
    message: &[u8; MESSAGE_LEN],
    module_may_encrypt: bool,
) -> Result<Attempt, Error> {
    let makers = Maker::all(module_may_encrypt);
    let canary = match canary::make(worker, key.public, padding, b"", message, makers)? {
        Canary::Made(canary) => canary,
        Canary::Unsupported => return Ok(Attempt::NoCanary),
        Canary::Trouble(refusal) => return Ok(Attempt::Trouble(refusal)),
    };
    let mut trouble = None;
    for way in candidates {
        match decrypt_known(worker, key, padding, b"", *way, &canary, message)? {
            Outcome::Plain(plain) if plain.ct_eq(message) => {
                return Ok(Attempt::Worked(Tried::new(*way, canary)));
            }
            Outcome::Plain(_) | Outcome::BadPadding => {}
            Outcome::NotStarted(refusal) if refusal.means_unsupported() => {}
            Outcome::NotStarted(refusal) => return Err(Error::Token(refusal)),
            Outcome::Failed(refusal) => {
                trouble = Some(refusal);
                // Some modules leave the session in an operation that nothing ends.
                worker.replace_session();
            }
        }
    }
    Ok(trouble.map_or(Attempt::Refused, Attempt::Trouble))
}

/// Fails with `refusal` unless a padding that worked still does.
fn require_one_that_works(
    worker: &mut Worker,
    key: &FoundKeyRef<'_>,
    probe: &Probe,
    refusal: Refusal,
) -> Result<(), Error> {
    if let Some(Known { padding, tried, .. }) = probe.known.first()
        && let Outcome::Plain(plain) = decrypt_known(
            worker,
            key,
            *padding,
            b"",
            tried.way,
            &tried.canary,
            &probe.message,
        )?
        && probe.is_message(&plain)
    {
        return Ok(());
    }
    Err(Error::Token(refusal))
}

/// What a token said to the same question.
struct Refusals {
    first: Refusal,
    count: u32,
}

impl Refusals {
    const fn of(first: Refusal) -> Self {
        Self { first, count: 1 }
    }

    /// Whether the question has to be asked again before the answer is believed.
    const fn are_too_few(&self) -> bool {
        self.count < 3
    }

    /// # Errors
    /// [`Error::Token`] if it says something else now: a token that does not do what it is asked says the same each time.
    fn add(&mut self, again: Refusal) -> Result<(), Error> {
        if !again.is_same(self.first) {
            return Err(Error::Token(again));
        }
        self.count += 1;
        Ok(())
    }
}

/// Asks until the token gives an answer, or refuses as it did before: then `None`. In between, a padding that worked has to work still.
///
/// # Errors
/// [`Error::Token`] if that does not, or if the token refuses in another way each time.
pub(super) fn settle<T>(
    worker: &mut Worker,
    key: &FoundKeyRef<'_>,
    probe: &Probe,
    mut ask: impl FnMut(&mut Worker) -> Result<Result<T, Refusal>, Error>,
) -> Result<Option<T>, Error> {
    let mut refusals: Option<Refusals> = None;
    while refusals.as_ref().is_none_or(Refusals::are_too_few) {
        let refusal = match ask(worker)? {
            Ok(answer) => return Ok(Some(answer)),
            Err(refusal) => refusal,
        };
        match &mut refusals {
            Some(refusals) => refusals.add(refusal)?,
            None => refusals = Some(Refusals::of(refusal)),
        }
        // Some modules leave the session in an operation that nothing ends.
        worker.replace_session();
        require_one_that_works(worker, key, probe, refusal)?;
    }
    Ok(None)
}

/// Encrypts the message on the token with every padding that it decrypts.
fn probe_encryption(
    worker: &mut Worker,
    key: &FoundKeyRef<'_>,
    probe: &mut Probe,
) -> Result<(), Error> {
    for index in 0..probe.known.len() {
        let Some(Known { padding, tried, .. }) = probe.known.get(index) else {
            break;
        };
        let (padding, way) = (*padding, tried.way);
        if padding == Padding::Pkcs1 {
            // Nothing is encrypted so.
            continue;
        }
        let encrypts = settle(worker, key, probe, |worker| {
            encrypts(worker, key, padding, b"", way, &probe.message)
        })?;
        if let Some(known) = probe.known.get_mut(index) {
            known.tried.encrypts = encrypts == Some(true);
        }
    }
    Ok(())
}

/// Whether the token encrypts so and decrypts it again, or why that cannot be said.
pub(super) fn encrypts(
    worker: &mut Worker,
    key: &FoundKeyRef<'_>,
    padding: Padding,
    label: &[u8],
    way: Way,
    message: &[u8; MESSAGE_LEN],
) -> Result<Result<bool, Refusal>, Error> {
    let mechanism = RsaMechanism::Oaep(padding, label);
    let ciphertext = match worker.encrypt_with(key.public, mechanism, message)? {
        Ok(ciphertext) => ciphertext,
        Err(Stage::Init(refusal)) if refusal.means_unsupported() => return Ok(Ok(false)),
        Err(stage) => return Ok(Err(stage.refusal())),
    };
    Ok(
        match decrypt_known(worker, key, padding, label, way, &ciphertext, message)? {
            Outcome::Plain(plain) => Ok(plain.ct_eq(message)),
            Outcome::BadPadding => Ok(false),
            Outcome::NotStarted(refusal) | Outcome::Failed(refusal) => Err(refusal),
        },
    )
}
