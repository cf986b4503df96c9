//! The transport key: a pair of the receiving token that unwraps one key and is destroyed then.

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, KeyType, ObjectHandle};
use cryptoki::session::Session;

use super::{aes_mechanism, transport_secret, unwrap_key, unwrapping_secret, wrap_key};
use crate::error::Error;
use crate::life::{KeyLifeProblem, TransportKey};
use crate::padding::Padding;
use crate::pkcs11::generate::check_modulus_bits;
use crate::pkcs11::key_pair::{self, Pair, Template};
use crate::pkcs11::keys::{self, FoundKey};
use crate::pkcs11::module::Module;
use crate::pkcs11::raw::WrapMechanism;
use crate::pkcs11::worker::Worker;

/// Begins the label of every transport key.
const LABEL: &str = "replication-transport";

/// Generates the key and has the token wrap and unwrap a throw-away AES key with it, by every padding. A key with which that does not
/// work is destroyed.
pub(super) fn make(worker: &mut Worker, modulus_bits: u32) -> Result<TransportKey, Error> {
    check_modulus_bits(modulus_bits)?;
    // Asked before a key is made for nothing.
    aes_mechanism(worker)?;
    let session = worker.open_session(true)?;
    let module = worker.module();
    let id = key_pair::random_id()?;
    let suffix: String = id
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let label = format!("{LABEL}-{suffix}");
    key_pair::label_is_free(module, &session, &label)?;
    let pair = key_pair::generate(
        module,
        &session,
        worker.shared().quirks,
        &template(&label, &id, modulus_bits),
    )?;
    let tried = examine(module, &session, pair, &label);
    if tried.is_err() {
        key_pair::destroy(&session, pair);
    }
    tried
}

fn examine(
    module: &Module,
    session: &Session,
    pair: Pair,
    label: &str,
) -> Result<TransportKey, Error> {
    let key = keys::read(module, session, pair.private, false)?;
    if !is_transport(&key) {
        return Err(KeyLifeProblem::NotATransportKey(key.info.fingerprint).into());
    }
    let paddings = paddings(module, session, pair)?;
    if paddings.is_empty() {
        return Err(KeyLifeProblem::NoMechanism("unwrap keys with RSA (CKM_RSA_PKCS_OAEP)").into());
    }
    Ok(TransportKey {
        fingerprint: key.info.fingerprint,
        label: label.to_owned(),
        spki_der: key.info.spki_der,
        modulus_bits: key.info.modulus_bits,
        paddings,
    })
}

/// A key that unwraps, does nothing else, and cannot leave.
pub(super) fn is_transport(key: &FoundKey) -> bool {
    let attributes = &key.info.attributes;
    attributes.unwrap == Some(true)
        && attributes.sensitive == Some(true)
        && attributes.extractable == Some(false)
        && ![attributes.decrypt, attributes.sign, attributes.derive].contains(&Some(true))
}

/// The paddings with which the token wraps an AES key and unwraps it again.
fn paddings(module: &Module, session: &Session, pair: Pair) -> Result<Vec<Padding>, Error> {
    let secret = transport_secret(module, session)?;
    let mut works = Vec::new();
    for padding in Padding::OAEP {
        let mechanism = WrapMechanism::Oaep(padding);
        let Ok(wrapped) = wrap_key(module, session, mechanism, pair.public, secret)? else {
            continue;
        };
        let template = unwrapping_secret();
        if let Ok(object) = unwrap_key(
            module,
            session,
            mechanism,
            pair.private,
            &wrapped,
            &template,
        )? {
            super::remove(session, object, "a throw-away AES key");
            works.push(padding);
        }
    }
    super::remove(session, secret, "a throw-away AES key");
    Ok(works)
}

/// Both halves are for transport alone. The public half wraps only so that the key can be tried.
fn template(label: &str, id: &[u8], modulus_bits: u32) -> Template {
    let mut public = key_pair::common(KeyType::RSA, label, id);
    public.extend([
        Attribute::Private(false),
        Attribute::Wrap(true),
        Attribute::Encrypt(false),
        Attribute::Verify(false),
        Attribute::ModulusBits(cryptoki_sys::CK_ULONG::from(modulus_bits).into()),
        Attribute::PublicExponent(vec![1, 0, 1]),
    ]);
    let mut private = key_pair::common(KeyType::RSA, label, id);
    private.extend([
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Unwrap(true),
        Attribute::Decrypt(false),
        Attribute::Sign(false),
        Attribute::Derive(false),
    ]);
    Template {
        mechanism: Mechanism::RsaPkcsKeyPairGen,
        mechanism_name: "CKM_RSA_PKCS_KEY_PAIR_GEN",
        public,
        private,
        private_if_known: vec![Attribute::SignRecover(false)],
    }
}

/// Destroys both halves. True if the private one, which is what matters, is destroyed.
pub(super) fn destroy(session: &Session, private: ObjectHandle, public: Vec<ObjectHandle>) -> bool {
    for half in public {
        super::remove(session, half, "the public half of a transport key");
    }
    super::remove(session, private, "a transport key")
}
