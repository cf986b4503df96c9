//! Generation of a custody key on the token.

use cryptoki::error::RvError;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, KeyType, ObjectClass};
use cryptoki::session::Session;

use super::keys;
use super::worker::Worker;
use crate::error::Refusal;
use crate::{Error, KeyInfo};

/// Length of the CKA_ID that is chosen where none is given.
const ID_BYTES: usize = 20;

/// A custody key to be generated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerateKey {
    /// CKA_LABEL of both halves. No other key may have it.
    pub label: String,
    /// CKA_ID of both halves. `None`: the first 20 bytes of the key's fingerprint (random, where the token does not let
    /// the identifier be set after the generation).
    pub id: Option<Vec<u8>>,
    /// Length of the modulus: 2048, 3072 (the project's default) or 4096.
    pub modulus_bits: u32,
}

/// Generates the key, checks what came out, and destroys it again if it is not what custody needs.
pub(super) fn generate(worker: &mut Worker, request: &GenerateKey) -> Result<KeyInfo, Error> {
    if !matches!(request.modulus_bits, 2048 | 3072 | 4096) {
        return Err(Error::ModulusBits(request.modulus_bits));
    }
    let session = worker.open_session(true)?;
    let module = worker.module();
    for class in [ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY] {
        let template = [
            Attribute::Class(class),
            Attribute::Label(request.label.clone().into_bytes()),
        ];
        let same = session
            .find_objects(&template)
            .map_err(|error| module.error(error))?;
        if !same.is_empty() {
            return Err(Error::LabelInUse(request.label.clone()));
        }
    }
    let id = match &request.id {
        Some(id) => id.clone(),
        None => {
            let mut id = vec![0; ID_BYTES];
            fips::random::fill(&mut id).map_err(|_| Error::Internal("no random bytes"))?;
            id
        }
    };
    let (public, private) = generate_pair(&session, request, &id)
        .map_err(|error| refusal_of_generation(error, |other| module.error(other)))?;

    // Never with the development switch: what is generated here has to be right.
    let key = keys::read(module, &session, private, false)?;
    if !key.info.problems.is_empty() {
        for half in [private, public] {
            if let Err(error) = session.destroy_object(half) {
                tracing::error!(%error, "a key that was generated wrongly could not be destroyed");
            }
        }
        return Err(Error::GeneratedKeyRefused(key.info.problems));
    }
    if request.id.is_none() {
        let fingerprint = key.info.fingerprint;
        let id: Vec<u8> = fingerprint
            .as_bytes()
            .iter()
            .take(ID_BYTES)
            .copied()
            .collect();
        for half in [private, public] {
            if let Err(error) = session.update_attributes(half, &[Attribute::Id(id.clone())]) {
                tracing::debug!(%error, "CKA_ID stays as it was generated");
                break;
            }
        }
    }
    Ok(keys::read(module, &session, private, false)?.info)
}

fn generate_pair(
    session: &Session,
    request: &GenerateKey,
    id: &[u8],
) -> cryptoki::error::Result<(
    cryptoki::object::ObjectHandle,
    cryptoki::object::ObjectHandle,
)> {
    let common = || {
        vec![
            Attribute::KeyType(KeyType::RSA),
            Attribute::Token(true),
            Attribute::Label(request.label.clone().into_bytes()),
            Attribute::Id(id.to_vec()),
        ]
    };
    let mut public = common();
    public.extend([
        Attribute::Private(false),
        Attribute::Encrypt(true),
        Attribute::Verify(false),
        Attribute::Wrap(false),
        Attribute::ModulusBits(cryptoki_sys::CK_ULONG::from(request.modulus_bits).into()),
        Attribute::PublicExponent(vec![1, 0, 1]),
    ]);
    let mut private = common();
    private.extend([
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Decrypt(true),
        Attribute::Sign(false),
        Attribute::Unwrap(false),
        Attribute::Derive(false),
    ]);
    let mut strict = private.clone();
    strict.push(Attribute::WrapWithTrusted(true));

    match session.generate_key_pair(&Mechanism::RsaPkcsKeyPairGen, &public, &strict) {
        // Tokens that do not know CKA_WRAP_WITH_TRUSTED. A key that is not extractable loses nothing without it.
        Err(cryptoki::error::Error::Pkcs11(
            RvError::AttributeTypeInvalid
            | RvError::AttributeValueInvalid
            | RvError::TemplateInconsistent,
            _,
        )) => session.generate_key_pair(&Mechanism::RsaPkcsKeyPairGen, &public, &private),
        other => other,
    }
}

/// Return values by which the token says that it will not, as opposed to cannot at the moment.
fn refusal_of_generation(
    error: cryptoki::error::Error,
    otherwise: impl FnOnce(cryptoki::error::Error) -> Error,
) -> Error {
    match error {
        cryptoki::error::Error::Pkcs11(
            rv @ (RvError::AttributeTypeInvalid
            | RvError::AttributeValueInvalid
            | RvError::AttributeReadOnly
            | RvError::TemplateInconsistent
            | RvError::TemplateIncomplete
            | RvError::KeySizeRange
            | RvError::MechanismInvalid
            | RvError::FunctionNotSupported
            | RvError::TokenWriteProtected
            | RvError::DomainParamsInvalid),
            function,
        ) => Error::Generation(Refusal::new(function, rv)),
        other => otherwise(other),
    }
}
