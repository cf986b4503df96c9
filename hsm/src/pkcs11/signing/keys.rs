//! The private keys on a token that may sign.

use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use fips::ec::Curve;
use fips::sign::SignatureAlgorithm;

use crate::Error;
use crate::key::{KeyAttributes, KeyFingerprint, KeyProblem};
use crate::pkcs11::ec_keys::{self, EcKey};
use crate::pkcs11::keys as private_keys;
use crate::pkcs11::module::Module;
use crate::signing::{SigningKeyInfo, SigningKeyName};

/// A private key and its handle, for use at once or while handles are good.
pub(in crate::pkcs11) struct FoundSigningKey<H = ObjectHandle> {
    pub(in crate::pkcs11) handle: H,
    pub(in crate::pkcs11) info: SigningKeyInfo,
}

/// Every private key with CKA_SIGN: RSA, and elliptic-curve keys on the curves that can be verified here.
///
/// # Errors
/// [`Error::Token`] if the token does not answer.
pub(super) fn scan(module: &Module, session: &Session) -> Result<Vec<FoundSigningKey>, Error> {
    let mut found = Vec::new();
    for key_type in [KeyType::RSA, KeyType::EC] {
        let template = [
            Attribute::Class(ObjectClass::PRIVATE_KEY),
            Attribute::KeyType(key_type),
            Attribute::Sign(true),
        ];
        for handle in private_keys::find(module, session, &template)? {
            let key = if key_type == KeyType::RSA {
                read_rsa(module, session, handle)
            } else {
                read_ec(module, session, handle, None)
            };
            match key {
                Ok(key) => found.push(key),
                // A key that cannot be used anyway must not hide the others.
                Err(Error::InvalidPublicKey(reason)) => {
                    tracing::debug!(reason, "a key that may sign is left out");
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(found)
}

/// The one key that is meant. If the same key is there twice, a usable one.
///
/// # Errors
/// [`Error::SigningKeyNotFound`], [`Error::SigningKeyAmbiguous`].
pub(super) fn choose<H>(
    mut found: Vec<FoundSigningKey<H>>,
    name: &SigningKeyName,
) -> Result<FoundSigningKey<H>, Error> {
    found.retain(|key| match name {
        SigningKeyName::Label(label) => key.info.label == *label,
        SigningKeyName::Fingerprint(fingerprint) => key.info.fingerprint == *fingerprint,
    });
    found.sort_by_key(|key| (key.info.fingerprint, key.info.problems.len()));
    found.dedup_by_key(|key| key.info.fingerprint);
    let count = found.len();
    match found.pop() {
        None => Err(Error::SigningKeyNotFound(name.clone())),
        Some(_) if count > 1 => Err(Error::SigningKeyAmbiguous {
            name: name.clone(),
            count,
        }),
        Some(key) => Ok(key),
    }
}

/// Reads a private RSA key as one that signs.
pub(super) fn read_rsa(
    module: &Module,
    session: &Session,
    handle: ObjectHandle,
) -> Result<FoundSigningKey, Error> {
    let key = private_keys::read(module, session, handle, false)?.info;
    let mut problems = judge(&key.attributes);
    problems.extend(private_keys::judge_modulus(key.modulus_bits));
    Ok(FoundSigningKey {
        handle,
        info: SigningKeyInfo {
            fingerprint: key.fingerprint,
            label: key.label,
            id: key.id,
            algorithm: SignatureAlgorithm::RsaPssSha256,
            spki_der: key.spki_der,
            attributes: key.attributes,
            problems,
        },
    })
}

/// Reads a private elliptic-curve key as one that signs. `public`: its public half; `None` looks for it.
pub(super) fn read_ec(
    module: &Module,
    session: &Session,
    handle: ObjectHandle,
    public: Option<ObjectHandle>,
) -> Result<FoundSigningKey, Error> {
    let EcKey {
        curve,
        spki_der,
        values,
    } = ec_keys::read(module, session, handle, public)?;
    Ok(FoundSigningKey {
        handle,
        info: SigningKeyInfo {
            fingerprint: KeyFingerprint::of_spki(&spki_der),
            label: values.label,
            id: values.id,
            algorithm: match curve {
                Curve::P256 => SignatureAlgorithm::EcdsaP256Sha256,
                Curve::P384 => SignatureAlgorithm::EcdsaP384Sha384,
                Curve::P521 => SignatureAlgorithm::EcdsaP521Sha512,
            },
            spki_der,
            problems: judge(&values.attributes),
            attributes: values.attributes,
        },
    })
}

/// Why a key is refused for signing.
fn judge(attributes: &KeyAttributes) -> Vec<KeyProblem> {
    let KeyAttributes {
        sign,
        decrypt,
        unwrap,
        derive,
        ..
    } = attributes;
    let other_use = [decrypt, unwrap, derive].contains(&&Some(true));
    let mut problems = private_keys::judge_protection(attributes);
    problems.extend(
        [
            (*sign != Some(true)).then_some(KeyProblem::NotForSigning),
            other_use.then_some(KeyProblem::NotForSigningAlone),
        ]
        .into_iter()
        .flatten(),
    );
    problems
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    fn good() -> KeyAttributes {
        KeyAttributes {
            sensitive: Some(true),
            extractable: Some(false),
            sign: Some(true),
            ..KeyAttributes::default()
        }
    }

    fn found(label: &str, number: u8, problems: Vec<KeyProblem>) -> FoundSigningKey<()> {
        FoundSigningKey {
            handle: (),
            info: SigningKeyInfo {
                fingerprint: KeyFingerprint::from_bytes([number; 32]),
                label: label.to_owned(),
                id: Vec::new(),
                algorithm: SignatureAlgorithm::EcdsaP256Sha256,
                spki_der: Vec::new(),
                attributes: good(),
                problems,
            },
        }
    }

    #[test]
    fn a_key_that_does_not_say_how_it_is_protected_does_not_sign() {
        assert_eq!(judge(&good()), []);
        assert_eq!(
            judge(&KeyAttributes::default()),
            [
                KeyProblem::NotSensitive,
                KeyProblem::Extractable,
                KeyProblem::NotForSigning
            ]
        );
    }

    #[test]
    fn a_key_with_another_use_does_not_sign() {
        for other in [
            KeyAttributes {
                decrypt: Some(true),
                ..good()
            },
            KeyAttributes {
                unwrap: Some(true),
                ..good()
            },
            KeyAttributes {
                derive: Some(true),
                ..good()
            },
        ] {
            assert_eq!(judge(&other), [KeyProblem::NotForSigningAlone]);
        }
    }

    #[test]
    fn of_two_copies_the_usable_one_is_taken_and_two_keys_are_ambiguous() {
        let label = SigningKeyName::Label("report".into());
        let copies = || {
            vec![
                found("report", 1, vec![KeyProblem::Extractable]),
                found("report", 1, Vec::new()),
                found("other", 2, Vec::new()),
            ]
        };
        assert!(choose(copies(), &label).unwrap().info.is_usable());

        let mut several = copies();
        several.push(found("report", 3, Vec::new()));
        let error = choose(several, &label).err().unwrap();
        assert!(matches!(error, Error::SigningKeyAmbiguous { count: 2, .. }));
        let missing = SigningKeyName::Fingerprint(KeyFingerprint::from_bytes([9; 32]));
        let error = choose(copies(), &missing).err().unwrap();
        assert!(matches!(error, Error::SigningKeyNotFound(name) if name == missing));
    }
}
