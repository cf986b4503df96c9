//! Key agreement by a token that breaks. One test, for there is one control file.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use cryptoki::object::{Attribute, ObjectClass};
use fips::ec::{Curve, PrivateKey, point_from_spki};
use hsm::pkcs11::GenerateAgreementKey;
use hsm::{Custody, ErrorClass};
use support::{TestToken, command, faulty_softhsm, session_beside};

#[test]
fn a_broken_token_is_healed_and_a_secret_that_it_does_not_destroy_goes_with_its_session() {
    let (module, control) = faulty_softhsm();
    let token = TestToken::new(module);
    let custody = token.open();
    let request = |label: &str| GenerateAgreementKey {
        label: label.into(),
        curve: Curve::P256,
    };
    let key = custody
        .generate_agreement_key(&request("agreement"))
        .unwrap();
    let own = point_from_spki(&key.spki_der).unwrap().1;
    let peer = PrivateKey::generate(Curve::P256).unwrap();
    let expected = peer.agree(&own).unwrap();
    let point = peer.public_point().unwrap();
    let derive = || custody.derive_ecdh(&key.fingerprint, &point);
    assert!(derive().unwrap().ct_eq(expected.expose()));

    command(&control, "device-error");
    let before = custody.health();
    let error = derive().err().unwrap();
    assert_eq!(error.class(), ErrorClass::Token, "{error}");
    let after = custody.health();
    assert_eq!(after.reconnects, before.reconnects + 1);
    assert_eq!(after.token_failures, before.token_failures + 1);
    let error = custody.generate_agreement_key(&request("new")).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Token, "{error}");
    command(&control, "");
    assert!(derive().unwrap().ct_eq(expected.expose()));
    assert_eq!(
        custody.agreement_keys().unwrap(),
        std::slice::from_ref(&key)
    );

    command(&control, "objects-stay");
    let before = custody.health();
    assert!(derive().unwrap().ct_eq(expected.expose()));
    let after = custody.health();
    assert_eq!(after.sessions_replaced, before.sessions_replaced + 1);
    assert_eq!(after.reconnects, before.reconnects);
    let left = session_beside(&token, &custody)
        .find_objects(&[Attribute::Class(ObjectClass::SECRET_KEY)])
        .unwrap();
    assert_eq!(left, []);
}
