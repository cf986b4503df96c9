//! The life of a key on the token: copied to another one, sealed, looked at by an auditor, destroyed.
//!
//! None of this is tried again by itself: of a step that failed nobody knows how far it went.

mod audit;
mod destroy;
mod seal;
mod transport;
mod unwrap;
mod wrap;

use cryptoki::error::Error as CryptokiError;
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use fips::policy::Service;

use super::Pkcs11Custody;
use super::generate::{self, GenerateKey};
use super::keys::{self, FoundKey};
use super::module::Module;
use super::raw::WrapMechanism;
use super::worker::Worker;
use crate::custody::Operation;
use crate::error::Refusal;
use crate::life::KeyLifeProblem;
use crate::public_key::PublicKey;
use crate::{
    Destroyed, Error, KeyAudit, KeyFingerprint, KeyInfo, Sealed, TokenCertificate, TransportKey,
    WrappedKey,
};

impl Pkcs11Custody {
    /// Generates a custody key that can be wrapped out of the token until it is sealed ([`seal`](Self::seal)): as
    /// [`generate`](Self::generate), but extractable. Custody refuses it for decryption until then.
    ///
    /// # Errors
    /// As [`generate`](Self::generate).
    pub fn generate_replicable(&self, key: &GenerateKey) -> Result<KeyInfo, Error> {
        let request = key.clone();
        self.submit(Operation::Generate, move |worker| {
            worker.inside(|worker| generate::generate_replicable(worker, &request))
        })
    }

    /// Tries what the token does with a key, as opening does with the first keys; [`Custody::capabilities`](crate::Custody::capabilities)
    /// counts it from then on.
    ///
    /// # Errors
    /// [`Error::UnknownKey`], [`Error::KeyRefused`], [`Error::Token`].
    pub fn examine(&self, key: &KeyFingerprint) -> Result<(), Error> {
        let key = *key;
        self.submit(Operation::ListKeys, move |worker| {
            worker.with_recovery(None, |worker| worker.load(&key).map(drop))
        })
    }

    /// Every secret and private key object of the token, whatever its type, with all that it tells about itself.
    ///
    /// # Errors
    /// [`Error::Token`] if the token does not answer.
    pub fn audit(&self) -> Result<Vec<KeyAudit>, Error> {
        self.submit(Operation::ListKeys, |worker| worker.inside(audit::audit))
    }

    /// The certificate objects of the token, of at most 16 KiB each.
    ///
    /// # Errors
    /// [`Error::Token`] if the token does not answer.
    pub fn certificates(&self) -> Result<Vec<TokenCertificate>, Error> {
        self.submit(Operation::ListKeys, audit::certificates)
    }

    /// Makes a transport key on this token, to receive one key: RSA, for unwrapping only, and tries it.
    ///
    /// # Errors
    /// [`Error::ModulusBits`], [`Error::LabelInUse`], [`Error::Generation`]; [`Error::Life`] with
    /// [`KeyLifeProblem::NoMechanism`] where the token cannot receive keys.
    pub fn make_transport_key(&self, modulus_bits: u32) -> Result<TransportKey, Error> {
        self.submit(Operation::Generate, move |worker| {
            worker.inside(|worker| transport::make(worker, modulus_bits))
        })
    }

    /// Wraps a key of this token for the token that has the transport key: with a fresh AES-256 key, wrapped to `transport` by
    /// the strongest of its paddings that this token does.
    ///
    /// # Errors
    /// [`Error::UnknownKey`]; [`Error::Life`]: not extractable, a transport key that is too short, or nothing in common.
    pub fn wrap_for(
        &self,
        key: &KeyFingerprint,
        transport: &TransportKey,
    ) -> Result<WrappedKey, Error> {
        let (key, transport) = (*key, transport.clone());
        self.submit(Operation::Generate, move |worker| {
            worker.inside(|worker| wrap::wrap_for(worker, &key, &transport))
        })
    }

    /// Unwraps a key into this token: sensitive and not extractable from the first moment. It has decrypted once when this
    /// returns, and the transport key is destroyed.
    ///
    /// # Errors
    /// [`Error::LabelInUse`]; [`Error::Life`]: whatever came out that is not `expected` was destroyed, unless it says that the token
    /// did not do that ([`KeyLifeProblem::LeftBehind`]). [`KeyLifeProblem::TransportLeft`]: the copy is there and works.
    pub fn unwrap(
        &self,
        transport: &KeyFingerprint,
        wrapped: &WrappedKey,
        expected: &PublicKey,
        label: &str,
    ) -> Result<KeyInfo, Error> {
        let (transport, wrapped) = (*transport, wrapped.clone());
        let (expected, label) = (expected.clone(), label.to_owned());
        self.submit(Operation::Generate, move |worker| {
            worker.inside(|worker| unwrap::unwrap(worker, &transport, &wrapped, &expected, &label))
        })
    }

    /// Makes a replicable key not extractable, for ever (PKCS#11, section 4.9: CKA_EXTRACTABLE never becomes true again).
    ///
    /// # Errors
    /// [`Error::UnknownKey`]; [`Error::Life`] if the token refuses, or says yes and does it not.
    pub fn seal(&self, key: &KeyFingerprint) -> Result<Sealed, Error> {
        let key = *key;
        self.submit(Operation::Generate, move |worker| {
            worker.inside(|worker| seal::seal(worker, &key))
        })
    }

    /// Destroys both halves of a key on this token, and looks whether they are gone. There is no way back.
    ///
    /// # Errors
    /// [`Error::UnknownKey`]; [`Error::Life`] if several objects have this fingerprint (nothing is done then), the token refuses,
    /// or shows the key still.
    pub fn destroy(&self, key: &KeyFingerprint) -> Result<Destroyed, Error> {
        let key = *key;
        self.submit(Operation::Generate, move |worker| {
            let destroyed = worker.inside(|worker| destroy::destroy(worker, &key))?;
            // Not missed from now on, also where it was the token's last one.
            worker.shared().cache.forget(&key);
            Ok(destroyed)
        })
    }
}

/// The one private RSA key of a fingerprint.
fn find_one(
    module: &Module,
    session: &Session,
    fingerprint: &KeyFingerprint,
) -> Result<FoundKey, Error> {
    let mut found: Vec<_> = keys::scan(module, session, false)?
        .into_iter()
        .filter(|key| key.info.fingerprint == *fingerprint)
        .collect();
    match (found.pop(), found.len()) {
        (None, _) => Err(Error::UnknownKey(*fingerprint)),
        (Some(key), 0) => Ok(key),
        (Some(_), others) => Err(KeyLifeProblem::Ambiguous {
            fingerprint: *fingerprint,
            count: others + 1,
        }
        .into()),
    }
}

/// The public key objects with the modulus of `public`.
fn public_halves(
    module: &Module,
    session: &Session,
    public: &PublicKey,
) -> Result<Vec<ObjectHandle>, Error> {
    let template = [
        Attribute::Class(ObjectClass::PUBLIC_KEY),
        Attribute::KeyType(KeyType::RSA),
        // Not the session objects of other people's keys.
        Attribute::Token(true),
        Attribute::Modulus(public.modulus().to_vec()),
    ];
    keys::find(module, session, &template)
}

/// Destroys an object that was made here and is not needed any more; what hinders it is in the log. True if it is destroyed.
fn remove(session: &Session, object: ObjectHandle, what: &'static str) -> bool {
    session
        .destroy_object(object)
        .inspect_err(|error| tracing::error!(%error, what, "an object could not be destroyed"))
        .is_ok()
}

/// What an error of cryptoki's means for a step: a refusal by the token as such, anything else as everywhere.
fn refused(step: &'static str, module: &Module) -> impl FnOnce(CryptokiError) -> Error {
    move |error| match error {
        CryptokiError::Pkcs11(rv, function) => step_refused(step, Refusal::new(function, rv)),
        other => module.error(other),
    }
}

/// A refusal is the token's last word on a step, unless the token or the session is what failed.
fn step_refused(step: &'static str, refusal: Refusal) -> Error {
    if refusal.is_never_about_data() {
        return Error::Token(refusal);
    }
    KeyLifeProblem::Refused {
        step,
        refusal: refusal.into(),
    }
    .into()
}

/// The mechanism for AES key wrap with padding that the token lists, under its newer or its older number.
fn aes_mechanism(worker: &Worker) -> Result<WrapMechanism, Error> {
    let listed = worker
        .module()
        .functions()
        .mechanisms(worker.slot().id())
        .map_err(Error::Token)?;
    WrapMechanism::AES
        .into_iter()
        .find(|mechanism| listed.contains(&mechanism.number()))
        .ok_or_else(|| {
            KeyLifeProblem::NoMechanism(
                "wrap keys under AES (CKM_AES_KEY_WRAP_KWP, CKM_AES_KEY_WRAP_PAD)",
            )
            .into()
        })
}

/// An AES-256 key of this session that wraps, and can itself be wrapped.
fn transport_secret(module: &Module, session: &Session) -> Result<ObjectHandle, Error> {
    const STEP: &str = "generate an AES key for the transport";
    let template = [
        Attribute::Token(false),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(true),
        Attribute::Wrap(true),
        Attribute::Unwrap(false),
        Attribute::Encrypt(false),
        Attribute::Decrypt(false),
        Attribute::ValueLen(32.into()),
    ];
    let made = fips::policy::perform(Service::TokenKeyGeneration, |_| {
        session
            .generate_key(&cryptoki::mechanism::Mechanism::AesKeyGen, &template)
            .map_err(Performed::Cryptoki)
    });
    made.map_err(|error| match error {
        Performed::Cryptoki(error) => refused(STEP, module)(error),
        Performed::Token(refusal) => step_refused(STEP, refusal),
        Performed::Policy(error) => error.into(),
    })
}

/// C_WrapKey as one decided and counted use of the token. The outer error is the policy's, the inner one the token's answer.
fn wrap_key(
    module: &Module,
    session: &Session,
    mechanism: WrapMechanism,
    wrapping: ObjectHandle,
    key: ObjectHandle,
) -> Result<Result<Vec<u8>, Refusal>, Error> {
    let functions = module.functions();
    answer(fips::policy::perform(Service::TokenKeyWrap, |_| {
        functions
            .wrap(session, mechanism, wrapping, key)
            .map_err(Performed::Token)
    }))
}

/// C_UnwrapKey as one decided and counted use of the token.
fn unwrap_key(
    module: &Module,
    session: &Session,
    mechanism: WrapMechanism,
    unwrapping: ObjectHandle,
    wrapped: &[u8],
    template: &[Attribute],
) -> Result<Result<ObjectHandle, Refusal>, Error> {
    let functions = module.functions();
    answer(fips::policy::perform(Service::TokenKeyUnwrap, |_| {
        functions
            .unwrap(session, mechanism, unwrapping, wrapped, template)
            .map_err(Performed::Token)
    }))
}

/// The attributes of the AES key on the side that unwraps.
fn unwrapping_secret() -> [Attribute; 9] {
    [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::Token(false),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Unwrap(true),
        Attribute::Encrypt(false),
        Attribute::Decrypt(false),
    ]
}

/// Why a use of the token gave nothing.
enum Performed {
    Token(Refusal),
    Cryptoki(CryptokiError),
    Policy(fips::Error),
}

impl From<fips::Error> for Performed {
    fn from(error: fips::Error) -> Self {
        Self::Policy(error)
    }
}

fn answer<T>(result: Result<T, Performed>) -> Result<Result<T, Refusal>, Error> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Performed::Token(refusal)) => Ok(Err(refusal)),
        Err(Performed::Policy(error)) => Err(error.into()),
        Err(Performed::Cryptoki(_)) => Err(Error::Internal("an answer of another call")),
    }
}
