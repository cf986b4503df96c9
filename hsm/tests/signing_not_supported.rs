//! SoftHSM with the mechanisms for signatures switched off: the error names the one that is missing.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use fips::sign::KeyKind;
use hsm::pkcs11::GenerateSigningKey;
use hsm::{Custody, ErrorClass};
use support::TestToken;

#[test]
fn a_mechanism_that_the_token_does_not_do_is_named_and_no_key_stays_behind() {
    let module = support::softhsm_with("CKM_RSA_PKCS_KEY_PAIR_GEN,CKM_RSA_PKCS_OAEP");
    let token = TestToken::new(module);
    let (custody, custody_key) = token.open_with_key();
    for (kind, mechanism) in [
        (KeyKind::Rsa(2048), "CKM_RSA_PKCS_PSS"),
        (KeyKind::EcP256, "CKM_ECDSA"),
    ] {
        let error = custody
            .generate_signing_key(&GenerateSigningKey {
                label: "report".into(),
                kind,
            })
            .unwrap_err();
        assert_eq!(error.code(), "mechanism_not_supported");
        assert_eq!(error.class(), ErrorClass::Configuration);
        assert!(error.to_string().contains(mechanism), "{error}");
        assert!(error.hint().is_some());
        assert!(custody.signing_keys().unwrap().is_empty());
    }
    assert_eq!(custody.keys().unwrap(), [custody_key]);
    assert_eq!(custody.health().token_failures, 0);
}
