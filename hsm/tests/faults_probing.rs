//! Probing, with and without the module's known ciphertexts, a token that is broken or takes no public keys. One test, for
//! there is one control file.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use hsm::pkcs11::{Pkcs11Custody, TokenConfig};
use hsm::{Custody, Error, ErrorClass, Padding};
use support::{TestToken, command, encrypt, faulty_softhsm};

type Open = fn(TokenConfig) -> Result<Pkcs11Custody, Error>;

#[test]
fn a_broken_token_is_not_taken_for_one_that_can_do_nothing() {
    let (module, control) = faulty_softhsm();
    let token = TestToken::new(module);
    let (custody, key) = token.open_with_key();
    let expected = custody.capabilities();
    drop(custody);
    let ciphertext = encrypt(&key.spki_der, Padding::OaepSha1, b"message");
    let decrypt = |custody: &Pkcs11Custody| {
        custody
            .decrypt(&key.fingerprint, Padding::OaepSha1, &ciphertext)
            .map(|plain| assert_eq!(plain.expose(), b"message"))
    };

    let by_module: Open = Pkcs11Custody::open;
    let by_token: Open = Pkcs11Custody::open_probed_by_token;
    for open in [by_module, by_token] {
        for fault in ["device-error", "device-removed"] {
            command(&control, fault);
            let error = open(token.config()).err().unwrap();
            assert_eq!(error.class(), ErrorClass::Token, "{fault}: {error}");
        }
        command(&control, "");
        let custody = open(token.config()).unwrap();
        assert_eq!(custody.capabilities(), expected);
        decrypt(&custody).unwrap();
    }

    // Without public keys on the token there is nothing to try it with but what the module makes.
    command(&control, "no-objects");
    let custody = by_module(token.config()).unwrap();
    decrypt(&custody).unwrap();
    assert_eq!(custody.capabilities().encrypt_native, []);
    assert_eq!(custody.capabilities().key_transport_padding(), None);
    drop(custody);
    let custody = by_token(token.config()).unwrap();
    let error = decrypt(&custody).unwrap_err();
    assert_eq!(error.code(), "padding_not_supported");
    assert_eq!(custody.health().token_failures, 0);
}
