//! The private RSA keys on a token.

use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

use super::module::Module;
use crate::Error;
use crate::key::{KeyAttributes, KeyFingerprint, KeyInfo, KeyProblem};
use crate::public_key::PublicKey;

/// More private keys than this on one token are not looked at: a token that lists objects without end must not fill the
/// memory.
const MAX_KEYS: usize = 4096;

/// What is read of every private key.
const WANTED: &[AttributeType] = &[
    AttributeType::Label,
    AttributeType::Id,
    AttributeType::Sensitive,
    AttributeType::AlwaysSensitive,
    AttributeType::Extractable,
    AttributeType::NeverExtractable,
    AttributeType::Local,
    AttributeType::Decrypt,
    AttributeType::Sign,
    AttributeType::Unwrap,
    AttributeType::Derive,
    AttributeType::Token,
    AttributeType::Private,
    AttributeType::AlwaysAuthenticate,
];

/// A private key and its handle, which is good until the generation of the handles changes.
pub(super) struct FoundKey {
    pub(super) handle: ObjectHandle,
    pub(super) public: PublicKey,
    pub(super) info: KeyInfo,
}

/// Every private RSA key that the session sees.
///
/// # Errors
/// [`Error::Token`] if the token does not answer.
pub(super) fn scan(
    module: &Module,
    session: &Session,
    allow_extractable: bool,
) -> Result<Vec<FoundKey>, Error> {
    let template = [
        Attribute::Class(ObjectClass::PRIVATE_KEY),
        Attribute::KeyType(KeyType::RSA),
    ];
    let mut found = Vec::new();
    for handle in find(module, session, &template)? {
        match read(module, session, handle, allow_extractable) {
            Ok(key) => found.push(key),
            // A key that custody cannot use anyway must not hide the others.
            Err(Error::InvalidPublicKey(reason)) => {
                tracing::debug!(reason, "a private RSA key on the token is left out");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// The objects that fit a template; of very many only the first.
pub(super) fn find(
    module: &Module,
    session: &Session,
    template: &[Attribute],
) -> Result<Vec<ObjectHandle>, Error> {
    session
        .iter_objects(template)
        .map_err(|error| module.error(error))?
        .take(MAX_KEYS)
        .map(|handle| handle.map_err(|error| module.error(error)))
        .collect()
}

/// Whether the session sees private keys, of whatever type, that only a user sees who is logged in.
pub(super) fn shows_any(module: &Module, session: &Session) -> Result<bool, Error> {
    let template = [
        Attribute::Class(ObjectClass::PRIVATE_KEY),
        Attribute::Private(true),
    ];
    Ok(!find(module, session, &template)?.is_empty())
}

/// What a private key of any type says of itself.
pub(super) struct Values {
    pub(super) label: String,
    pub(super) id: Vec<u8>,
    pub(super) attributes: KeyAttributes,
    /// What else was asked for, as far as the token tells it.
    pub(super) others: Vec<Attribute>,
}

/// Reads the attributes that every private key has, and `others`.
pub(super) fn values(
    module: &Module,
    session: &Session,
    handle: ObjectHandle,
    others: &[AttributeType],
) -> Result<Values, Error> {
    let wanted = [WANTED, others].concat();
    let mut values = Values {
        label: String::new(),
        id: Vec::new(),
        attributes: KeyAttributes::default(),
        others: Vec::new(),
    };
    let attributes = &mut values.attributes;
    for value in session
        .get_attributes(handle, &wanted)
        .map_err(|error| module.error(error))?
    {
        match value {
            Attribute::Label(bytes) => {
                values.label = String::from_utf8_lossy(&bytes).into_owned();
            }
            Attribute::Id(bytes) => values.id = bytes,
            Attribute::Sensitive(on) => attributes.sensitive = Some(on),
            Attribute::AlwaysSensitive(on) => attributes.always_sensitive = Some(on),
            Attribute::Extractable(on) => attributes.extractable = Some(on),
            Attribute::NeverExtractable(on) => attributes.never_extractable = Some(on),
            Attribute::Local(on) => attributes.local = Some(on),
            Attribute::Decrypt(on) => attributes.decrypt = Some(on),
            Attribute::Sign(on) => attributes.sign = Some(on),
            Attribute::Unwrap(on) => attributes.unwrap = Some(on),
            Attribute::Derive(on) => attributes.derive = Some(on),
            Attribute::Token(on) => attributes.token = Some(on),
            Attribute::Private(on) => attributes.private = Some(on),
            Attribute::AlwaysAuthenticate(on) => attributes.always_authenticate = Some(on),
            other => values.others.push(other),
        }
    }
    Ok(values)
}

/// Reads one private RSA key.
pub(super) fn read(
    module: &Module,
    session: &Session,
    handle: ObjectHandle,
    allow_extractable: bool,
) -> Result<FoundKey, Error> {
    let values = values(
        module,
        session,
        handle,
        &[AttributeType::Modulus, AttributeType::PublicExponent],
    )?;
    let (mut modulus, mut exponent) = (vec![], vec![]);
    for value in values.others {
        match value {
            Attribute::Modulus(bytes) => modulus = bytes,
            Attribute::PublicExponent(bytes) => exponent = bytes,
            _ => {}
        }
    }
    if exponent.is_empty() {
        exponent = exponent_of_public_half(module, session, &modulus)?;
    }
    let public = PublicKey::from_components(&modulus, &exponent)?;
    let spki_der = public.to_spki_der()?;
    let (problems, waived) = judge(&values.attributes, public.modulus_bits(), allow_extractable);
    let info = KeyInfo {
        fingerprint: KeyFingerprint::of_spki(&spki_der),
        label: values.label,
        id: values.id,
        modulus_bits: public.modulus_bits(),
        spki_der,
        attributes: values.attributes,
        problems,
        waived,
    };
    Ok(FoundKey {
        handle,
        public,
        info,
    })
}

/// CKA_PUBLIC_EXPONENT is optional on a private key (PKCS#11, RSA private key objects): the public key object has it.
fn exponent_of_public_half(
    module: &Module,
    session: &Session,
    modulus: &[u8],
) -> Result<Vec<u8>, Error> {
    let template = [
        Attribute::Class(ObjectClass::PUBLIC_KEY),
        Attribute::KeyType(KeyType::RSA),
        // Not one of the session objects for encryption: a stranger's key may have this modulus and another exponent.
        Attribute::Token(true),
        Attribute::Modulus(modulus.to_vec()),
    ];
    let handles = session
        .find_objects(&template)
        .map_err(|error| module.error(error))?;
    let Some(handle) = handles.into_iter().next() else {
        return Err(Error::InvalidPublicKey(
            "the token does not show the exponent",
        ));
    };
    let values = session
        .get_attributes(handle, &[AttributeType::PublicExponent])
        .map_err(|error| module.error(error))?;
    match values.into_iter().next() {
        Some(Attribute::PublicExponent(exponent)) => Ok(exponent),
        _ => Err(Error::InvalidPublicKey(
            "the token does not show the exponent",
        )),
    }
}

/// What is wrong with the protection of a key, whatever it is for.
pub(super) fn judge_protection(attributes: &KeyAttributes) -> Vec<KeyProblem> {
    [
        (attributes.sensitive != Some(true)).then_some(KeyProblem::NotSensitive),
        (attributes.extractable != Some(false)).then_some(KeyProblem::Extractable),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What is wrong with the length of an RSA key, whatever it is for.
pub(super) const fn judge_modulus(modulus_bits: u32) -> Option<KeyProblem> {
    match modulus_bits {
        ..2048 => Some(KeyProblem::ModulusTooShort),
        2048..=4096 => None,
        4097.. => Some(KeyProblem::ModulusTooLong),
    }
}

/// Why a key is refused for decryption, and what is waived by the development switch.
fn judge(
    attributes: &KeyAttributes,
    modulus_bits: u32,
    allow_extractable: bool,
) -> (Vec<KeyProblem>, Vec<KeyProblem>) {
    let protection = judge_protection(attributes);
    let mut problems: Vec<_> = [
        (attributes.decrypt != Some(true)).then_some(KeyProblem::NotForDecryption),
        (attributes.sign == Some(true) || attributes.unwrap == Some(true))
            .then_some(KeyProblem::OtherUses),
        judge_modulus(modulus_bits),
    ]
    .into_iter()
    .flatten()
    .collect();
    if allow_extractable {
        (problems, protection)
    } else {
        problems.splice(0..0, protection);
        (problems, Vec::new())
    }
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;

    fn good() -> KeyAttributes {
        KeyAttributes {
            sensitive: Some(true),
            extractable: Some(false),
            decrypt: Some(true),
            ..KeyAttributes::default()
        }
    }

    #[test]
    fn a_key_that_does_not_say_how_it_is_protected_is_refused() {
        assert!(judge(&good(), 2048, false).0.is_empty());
        let (problems, _) = judge(&KeyAttributes::default(), 2048, false);
        assert_eq!(
            problems,
            [
                KeyProblem::NotSensitive,
                KeyProblem::Extractable,
                KeyProblem::NotForDecryption
            ]
        );
    }

    #[test]
    fn a_key_with_another_use_is_refused_also_under_the_development_switch() {
        for (sign, unwrap) in [(true, false), (false, true)] {
            let attributes = KeyAttributes {
                sign: Some(sign),
                unwrap: Some(unwrap),
                ..good()
            };
            for switch in [false, true] {
                assert_eq!(judge(&attributes, 2048, switch).0, [KeyProblem::OtherUses]);
            }
        }
    }

    #[test]
    fn the_development_switch_waives_protection_only_and_says_so() {
        let (problems, waived) = judge(&KeyAttributes::default(), 1024, true);
        assert_eq!(
            problems,
            [KeyProblem::NotForDecryption, KeyProblem::ModulusTooShort]
        );
        assert_eq!(waived, [KeyProblem::NotSensitive, KeyProblem::Extractable]);
    }
}
