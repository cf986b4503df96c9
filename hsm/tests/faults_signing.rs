//! Signatures by a token that breaks or computes wrongly. One test, for there is one control file.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use cryptoki::object::Attribute;
use fips::sign::{KeyKind, verify};
use hsm::pkcs11::{GenerateSigningKey, Pkcs11Custody};
use hsm::{Custody, ErrorClass, SigningKeyInfo, SigningKeyName};
use support::{TestToken, command, faulty_softhsm, session_beside};

const MESSAGE: &[u8] = b"a report";

fn generate(
    custody: &Pkcs11Custody,
    label: &str,
    kind: KeyKind,
) -> Result<SigningKeyInfo, hsm::Error> {
    custody.generate_signing_key(&GenerateSigningKey {
        label: label.into(),
        kind,
    })
}

#[test]
fn a_signature_that_does_not_verify_is_not_given_out_and_a_broken_token_is_told_from_it() {
    let (module, control) = faulty_softhsm();
    let token = TestToken::new(module);
    let custody = token.open();
    for (label, kind) in [("ec", KeyKind::EcP384), ("rsa", KeyKind::Rsa(2048))] {
        let key = generate(&custody, label, kind).unwrap();
        let by_fingerprint = SigningKeyName::Fingerprint(key.fingerprint);
        // The second one's handle is kept.
        for (number, name) in [SigningKeyName::Label(label.into()), by_fingerprint]
            .into_iter()
            .enumerate()
        {
            let works = || {
                let signed = custody.sign(&name, MESSAGE).unwrap();
                verify(key.algorithm, &key.spki_der, MESSAGE, &signed.signature).unwrap();
            };
            works();

            command(&control, "wrong-signature");
            let before = custody.health();
            let error = custody.sign(&name, MESSAGE).unwrap_err();
            assert_eq!(error.code(), "wrong_signature");
            assert_eq!(error.class(), ErrorClass::Configuration);
            let after = custody.health();
            assert_eq!(after.signatures, before.signatures);
            assert_eq!(after.token_failures, before.token_failures);

            // Nor is a key kept whose first signature is wrong.
            let new = format!("{label}-new-{number}");
            let error = generate(&custody, &new, kind).unwrap_err();
            assert_eq!(error.code(), "wrong_signature");
            command(&control, "");
            assert_eq!(
                custody
                    .signing_keys()
                    .unwrap()
                    .iter()
                    .filter(|key| key.label == new)
                    .count(),
                0
            );
            generate(&custody, &new, kind).unwrap();

            command(&control, "device-error");
            let before = custody.health();
            let error = custody.sign(&name, MESSAGE).unwrap_err();
            assert_eq!(error.class(), ErrorClass::Token, "{error}");
            let after = custody.health();
            assert_eq!(after.reconnects, before.reconnects + 1);
            assert_eq!(after.token_failures, before.token_failures + 1);
            command(&control, "");
            works();
        }
    }

    // A key that somebody destroys while its handle is known signs no more, nor does another one in its place.
    let destroyed = generate(&custody, "destroyed", KeyKind::EcP256).unwrap();
    let name = SigningKeyName::Fingerprint(destroyed.fingerprint);
    custody.sign(&name, MESSAGE).unwrap();
    custody.sign(&name, MESSAGE).unwrap();
    let session = session_beside(&token, &custody);
    let label = Attribute::Label(b"destroyed".to_vec());
    for object in session.find_objects(&[label]).unwrap() {
        session.destroy_object(object).unwrap();
    }
    generate(&custody, "in its place", KeyKind::EcP256).unwrap();
    assert!(custody.sign(&name, MESSAGE).is_err());
}
