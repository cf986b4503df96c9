//! A key leaves its token: wrapped under a fresh AES key, which is wrapped to the receiver.

use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

use super::{aes_mechanism, find_one, refused, remove, step_refused, transport_secret, wrap_key};
use crate::KeyFingerprint;
use crate::error::{Error, Refusal};
use crate::life::{KeyLifeProblem, TransportKey, WrappedKey};
use crate::padding::Padding;
use crate::pkcs11::classify::Class;
use crate::pkcs11::module::Module;
use crate::pkcs11::raw::WrapMechanism;
use crate::pkcs11::worker::Worker;
use crate::public_key::PublicKey;

/// The order in which paddings are tried: as for key transport to devices, SHA-256 first and SHA-1 last.
const PREFERRED: [Padding; 4] = [
    Padding::OaepSha256,
    Padding::OaepSha384,
    Padding::OaepSha512,
    Padding::OaepSha1,
];

pub(super) fn wrap_for(
    worker: &mut Worker,
    fingerprint: &KeyFingerprint,
    transport: &TransportKey,
) -> Result<WrappedKey, Error> {
    let receiver = PublicKey::from_spki_der(&transport.spki_der)?;
    if receiver.fingerprint()? != transport.fingerprint {
        return Err(Error::InvalidPublicKey(
            "the fingerprint of the transport key is another one",
        ));
    }
    let mechanism = aes_mechanism(worker)?;
    let session = worker.open_session(true)?;
    let module = worker.module();
    let key = find_one(module, &session, fingerprint)?;
    if key.info.attributes.extractable != Some(true) {
        return Err(KeyLifeProblem::NotReplicable(*fingerprint).into());
    }
    if receiver.modulus_bits() < key.info.modulus_bits {
        return Err(KeyLifeProblem::WeakTransport {
            transport: receiver.modulus_bits(),
            key: key.info.modulus_bits,
        }
        .into());
    }
    let public = import(module, &session, &receiver)?;
    let secret = transport_secret(module, &session);
    let wrapped = secret.and_then(|secret| {
        let wrapped = both(
            module,
            &session,
            mechanism,
            transport,
            [public, secret, key.handle],
        );
        remove(&session, secret, "the AES key of a transport");
        wrapped
    });
    remove(&session, public, "the public half of a transport key");
    wrapped
}

/// The AES key under the transport key, and the private key under the AES key.
fn both(
    module: &Module,
    session: &Session,
    aes: WrapMechanism,
    transport: &TransportKey,
    [public, secret, key]: [ObjectHandle; 3],
) -> Result<WrappedKey, Error> {
    for padding in PREFERRED {
        if !transport.paddings.contains(&padding) {
            continue;
        }
        let mechanism = WrapMechanism::Oaep(padding);
        let wrapped_kek = match wrap_key(module, session, mechanism, public, secret)? {
            Ok(wrapped) => wrapped,
            Err(refusal) if is_about_the_padding(&refusal) => continue,
            Err(refusal) => {
                return Err(step_refused(
                    "wrap an AES key to the transport key",
                    refusal,
                ));
            }
        };
        let wrapped_key = wrap_key(module, session, aes, secret, key)?
            .map_err(|refusal| step_refused("wrap the private key", refusal))?;
        return Ok(WrappedKey {
            padding,
            wrapped_kek,
            wrapped_key,
        });
    }
    Err(
        KeyLifeProblem::NoMechanism("wrap to the other token with any padding that that one takes")
            .into(),
    )
}

/// Whether the refusal says that the token does not wrap with this padding, so that another one may do. SoftHSM says
/// CKR_ARGUMENTS_BAD, which otherwise is a misuse; the call differs from the one that works in the padding alone.
fn is_about_the_padding(refusal: &Refusal) -> bool {
    matches!(
        refusal.class(),
        Class::Unsupported | Class::Refused | Class::Misuse
    )
}

/// The receiver's public half as an object of this session.
fn import(module: &Module, session: &Session, public: &PublicKey) -> Result<ObjectHandle, Error> {
    session
        .create_object(&[
            Attribute::Class(ObjectClass::PUBLIC_KEY),
            Attribute::KeyType(KeyType::RSA),
            Attribute::Token(false),
            Attribute::Private(false),
            Attribute::Wrap(true),
            Attribute::Encrypt(false),
            Attribute::Verify(false),
            Attribute::Modulus(public.modulus().to_vec()),
            Attribute::PublicExponent(public.exponent().to_vec()),
        ])
        .map_err(refused("take the transport key", module))
}
