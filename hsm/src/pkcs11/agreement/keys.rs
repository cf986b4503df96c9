//! The private keys on a token that may derive.

use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

use crate::Error;
use crate::agreement::AgreementKeyInfo;
use crate::key::{KeyAttributes, KeyFingerprint, KeyProblem};
use crate::pkcs11::ec_keys;
use crate::pkcs11::keys as private_keys;
use crate::pkcs11::module::Module;

/// A private key and its handle, for use at once.
pub(super) struct FoundAgreementKey {
    pub(super) handle: ObjectHandle,
    pub(super) info: AgreementKeyInfo,
}

/// Every private elliptic-curve key with CKA_DERIVE, on the curves of the module.
///
/// # Errors
/// [`Error::Token`] if the token does not answer.
pub(super) fn scan(module: &Module, session: &Session) -> Result<Vec<FoundAgreementKey>, Error> {
    let template = [
        Attribute::Class(ObjectClass::PRIVATE_KEY),
        Attribute::KeyType(KeyType::EC),
        Attribute::Derive(true),
    ];
    let mut found = Vec::new();
    for handle in private_keys::find(module, session, &template)? {
        match read(module, session, handle, None) {
            Ok(key) => found.push(key),
            // A key that cannot be used anyway must not hide the others.
            Err(Error::InvalidPublicKey(reason)) => {
                tracing::debug!(reason, "a key that may derive is left out");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Reads a private elliptic-curve key as one for agreements. `public`: its public half; `None` looks for it.
pub(super) fn read(
    module: &Module,
    session: &Session,
    handle: ObjectHandle,
    public: Option<ObjectHandle>,
) -> Result<FoundAgreementKey, Error> {
    let key = ec_keys::read(module, session, handle, public)?;
    Ok(FoundAgreementKey {
        handle,
        info: AgreementKeyInfo {
            fingerprint: KeyFingerprint::of_spki(&key.spki_der),
            label: key.values.label,
            id: key.values.id,
            curve: key.curve,
            spki_der: key.spki_der,
            problems: judge(&key.values.attributes),
            attributes: key.values.attributes,
        },
    })
}

/// Why a key is refused for agreements.
fn judge(attributes: &KeyAttributes) -> Vec<KeyProblem> {
    let KeyAttributes {
        sign,
        decrypt,
        unwrap,
        derive,
        ..
    } = attributes;
    let other_use = [sign, decrypt, unwrap].contains(&&Some(true));
    let mut problems = private_keys::judge_protection(attributes);
    problems.extend(
        [
            (*derive != Some(true)).then_some(KeyProblem::NotForAgreement),
            other_use.then_some(KeyProblem::NotForAgreementAlone),
        ]
        .into_iter()
        .flatten(),
    );
    problems
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;

    #[test]
    fn a_key_agrees_only_if_it_says_that_it_is_protected_and_has_no_other_use() {
        let good = KeyAttributes {
            sensitive: Some(true),
            extractable: Some(false),
            derive: Some(true),
            ..KeyAttributes::default()
        };
        assert_eq!(judge(&good), []);
        assert_eq!(
            judge(&KeyAttributes::default()),
            [
                KeyProblem::NotSensitive,
                KeyProblem::Extractable,
                KeyProblem::NotForAgreement
            ]
        );
        for (sign, decrypt, unwrap) in [
            (true, false, false),
            (false, true, false),
            (false, false, true),
        ] {
            let other = KeyAttributes {
                sign: Some(sign),
                decrypt: Some(decrypt),
                unwrap: Some(unwrap),
                ..good.clone()
            };
            assert_eq!(judge(&other), [KeyProblem::NotForAgreementAlone]);
        }
    }
}
