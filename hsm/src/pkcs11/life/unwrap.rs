//! A key enters a token: unwrapped with its protection from the first moment, compared, tried, and destroyed again if it is not what
//! was expected.

use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

use super::{
    aes_mechanism, find_one, public_halves, refused, remove, step_refused, transport, unwrap_key,
    unwrapping_secret,
};
use crate::error::{Error, Refusal};
use crate::life::{KeyLifeProblem, WrappedKey};
use crate::padding::Padding;
use crate::pkcs11::classify::Class;
use crate::pkcs11::key_pair::{self, ID_BYTES};
use crate::pkcs11::keys;
use crate::pkcs11::module::Module;
use crate::pkcs11::raw::WrapMechanism;
use crate::pkcs11::worker::Worker;
use crate::public_key::PublicKey;
use crate::{KeyFingerprint, KeyInfo};

pub(super) fn unwrap(
    worker: &mut Worker,
    transport_key: &KeyFingerprint,
    wrapped: &WrappedKey,
    expected: &PublicKey,
    label: &str,
) -> Result<KeyInfo, Error> {
    let fingerprint = expected.fingerprint()?;
    let mechanism = aes_mechanism(worker)?;
    let session = worker.open_session(true)?;
    let module = worker.module();
    if keys::scan(module, &session, false)?
        .iter()
        .any(|key| key.info.fingerprint == fingerprint)
    {
        return Err(KeyLifeProblem::AlreadyThere(fingerprint).into());
    }
    key_pair::label_is_free(module, &session, label)?;
    let transport = match find_one(module, &session, transport_key) {
        Err(Error::UnknownKey(missing)) => Err(KeyLifeProblem::NoTransportKey(missing).into()),
        other => other,
    }?;
    if !transport::is_transport(&transport) {
        return Err(KeyLifeProblem::NotATransportKey(*transport_key).into());
    }

    let oaep = WrapMechanism::Oaep(wrapped.padding);
    let secret = unwrap_key(
        module,
        &session,
        oaep,
        transport.handle,
        &wrapped.wrapped_kek,
        &unwrapping_secret(),
    )?
    .map_err(|refusal| step_refused("unwrap the AES key", refusal))?;
    let private = enter(
        module,
        &session,
        (mechanism, secret),
        &wrapped.wrapped_key,
        template(label, &fingerprint),
    );
    remove(&session, secret, "the AES key of a transport");
    let private = private?.map_err(|refusal| step_refused("unwrap the private key", refusal))?;

    let halves = Halves {
        private,
        public: public_half(module, &session, expected, label, &fingerprint),
    };
    let checked = halves
        .public
        .as_ref()
        .map_err(|error| KeyLifeProblem::Unusable(format!("has no public half: {error}")).into())
        .and_then(|_| check(module, &session, private, &fingerprint));
    let tried = match checked {
        Ok(()) => try_out(worker, &fingerprint),
        Err(error) => Err(error),
    };
    let copy = match tried {
        Ok(copy) => copy,
        Err(error) if halves.remove(&session) => return Err(error),
        Err(error) => return Err(KeyLifeProblem::LeftBehind(error.to_string()).into()),
    };
    // While it is there, whoever has the PIN and the bundle could unwrap the key a second time, with other attributes.
    let module = worker.module();
    let public = public_halves(module, &session, &transport.public).unwrap_or_default();
    let destroyed = transport::destroy(&session, transport.handle, public);
    // Believed when the token says so in an answer of its own.
    let is_gone = find_one(module, &session, transport_key)
        .is_err_and(|error| matches!(error, Error::UnknownKey(_)));
    if destroyed && is_gone {
        Ok(copy)
    } else {
        Err(KeyLifeProblem::TransportLeft(*transport_key).into())
    }
}

/// Unwraps the private key. Signing with recovery, which is the raw private-key operation, is switched off where the token knows it.
fn enter(
    module: &Module,
    session: &Session,
    (mechanism, secret): (WrapMechanism, ObjectHandle),
    wrapped: &[u8],
    template: Vec<Attribute>,
) -> Result<Result<ObjectHandle, Refusal>, Error> {
    let mut strict = template.clone();
    strict.push(Attribute::SignRecover(false));
    let first = unwrap_key(module, session, mechanism, secret, wrapped, &strict)?;
    match first {
        Err(refusal) if refusal.class() == Class::Refused => {
            unwrap_key(module, session, mechanism, secret, wrapped, &template)
        }
        other => Ok(other),
    }
}

struct Halves {
    private: ObjectHandle,
    public: Result<ObjectHandle, Error>,
}

impl Halves {
    /// True if the private half is destroyed.
    fn remove(&self, session: &Session) -> bool {
        if let Ok(public) = &self.public {
            remove(
                session,
                *public,
                "the public half of a key that was not what was expected",
            );
        }
        remove(
            session,
            self.private,
            "a key that was not what was expected",
        )
    }
}

/// What came out has to be the key that was expected, with the protection that was asked for.
fn check(
    module: &Module,
    session: &Session,
    private: ObjectHandle,
    expected: &KeyFingerprint,
) -> Result<(), Error> {
    let info = keys::read(module, session, private, false)?.info;
    if info.fingerprint != *expected {
        return Err(KeyLifeProblem::OtherKey {
            expected: *expected,
            found: info.fingerprint,
        }
        .into());
    }
    if !info.is_usable() {
        let problems: Vec<_> = info.problems.iter().map(ToString::to_string).collect();
        return Err(KeyLifeProblem::Unusable(format!("is {}", problems.join(", "))).into());
    }
    Ok(())
}

/// Has the token decrypt with the new key what was encrypted to the public half that was expected.
fn try_out(worker: &mut Worker, fingerprint: &KeyFingerprint) -> Result<KeyInfo, Error> {
    let key = worker.load(fingerprint)?;
    let decrypts = Padding::OAEP
        .into_iter()
        .any(|padding| key.probe.get(padding).is_some());
    if decrypts {
        Ok(key.info.clone())
    } else {
        Err(
            KeyLifeProblem::Unusable("does not decrypt what its public half encrypts".to_owned())
                .into(),
        )
    }
}

fn identifier(fingerprint: &KeyFingerprint) -> Attribute {
    Attribute::Id(
        fingerprint
            .as_bytes()
            .iter()
            .take(ID_BYTES)
            .copied()
            .collect(),
    )
}

fn template(label: &str, fingerprint: &KeyFingerprint) -> Vec<Attribute> {
    vec![
        Attribute::Class(ObjectClass::PRIVATE_KEY),
        Attribute::KeyType(KeyType::RSA),
        Attribute::Label(label.as_bytes().to_vec()),
        identifier(fingerprint),
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Decrypt(true),
        Attribute::Sign(false),
        Attribute::Unwrap(false),
        Attribute::Derive(false),
    ]
}

fn public_half(
    module: &Module,
    session: &Session,
    public: &PublicKey,
    label: &str,
    fingerprint: &KeyFingerprint,
) -> Result<ObjectHandle, Error> {
    session
        .create_object(&[
            Attribute::Class(ObjectClass::PUBLIC_KEY),
            Attribute::KeyType(KeyType::RSA),
            Attribute::Label(label.as_bytes().to_vec()),
            identifier(fingerprint),
            Attribute::Token(true),
            Attribute::Private(false),
            Attribute::Encrypt(true),
            Attribute::Verify(false),
            Attribute::Wrap(false),
            Attribute::Modulus(public.modulus().to_vec()),
            Attribute::PublicExponent(public.exponent().to_vec()),
        ])
        .map_err(refused("store the public half", module))
}
