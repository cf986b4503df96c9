//! The PIN: changed by others while custody runs, and asked for at each use of a key.

use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::MechanismType;
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsOaepParams, PkcsOaepSource};
use cryptoki::object::Attribute;
use cryptoki::types::AuthPin;
use fips::sign::verify;
use hsm::pkcs11::quirks::AlwaysAuthenticate;
use hsm::pkcs11::{GenerateKey, Pkcs11Custody};
use hsm::{Custody, Error, KeyInfo, Padding, PinProblem, SigningKeyName};

use super::signing::{generate_one_that_signs, signing_only};
use crate::support::{TestToken, USER_PIN, WRONG_PIN, encrypt, session_beside, write_pin};

const NEW_PIN: &str = "new-pin1";

fn decrypt(custody: &Pkcs11Custody, key: &KeyInfo) -> Result<(), Error> {
    for padding in [Padding::OaepSha1, Padding::OaepSha512] {
        let ciphertext = encrypt(&key.spki_der, padding, b"message");
        let plain = custody.decrypt(&key.fingerprint, padding, &ciphertext)?;
        assert_eq!(plain.expose(), b"message");
    }
    Ok(())
}

fn pin_problem<T>(result: Result<T, Error>) -> PinProblem {
    match result {
        Err(Error::Pin(problem)) => problem,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it worked"),
    }
}

fn change_pin(token: &TestToken, custody: &Pkcs11Custody, old: &str, new: &str) {
    let pin = |pin: &str| AuthPin::new(pin.into());
    session_beside(token, custody)
        .set_pin(&pin(old), &pin(new))
        .unwrap();
}

fn generate_always(custody: &Pkcs11Custody) -> KeyInfo {
    custody
        .generate(&GenerateKey {
            label: "always".into(),
            id: None,
            modulus_bits: 2048,
            always_authenticate: true,
        })
        .unwrap()
}

/// Whether the token does what the attribute says; some only store it.
fn is_enforced(token: &TestToken, custody: &Pkcs11Custody, key: &KeyInfo) -> bool {
    let session = session_beside(token, custody);
    let template = [
        Attribute::Class(cryptoki::object::ObjectClass::PRIVATE_KEY),
        Attribute::Label(key.label.as_bytes().to_vec()),
    ];
    let handle = session.find_objects(&template).unwrap().remove(0);
    let oaep = PkcsOaepParams::new(
        MechanismType::SHA1,
        PkcsMgfType::MGF1_SHA1,
        PkcsOaepSource::empty(),
    );
    let ciphertext = encrypt(&key.spki_der, Padding::OaepSha1, b"message");
    session
        .decrypt(&Mechanism::RsaPkcsOaep(oaep), handle, &ciphertext)
        .is_err()
}

pub fn a_pin_that_somebody_changes_is_read_again_at_the_next_login(token: &TestToken) {
    let (custody, key) = token.open_with_key();
    change_pin(token, &custody, USER_PIN, NEW_PIN);
    // Who is logged in stays so.
    decrypt(&custody, &key).unwrap();
    write_pin(&token.pin_file, NEW_PIN);
    decrypt(&custody, &key).unwrap();
    drop(custody);
    let custody = token.open();
    decrypt(&custody, &key).unwrap();
    assert!(custody.health().logins > 0 && !custody.health().pin_kept);
    // As it was, for whoever has this token next.
    change_pin(token, &custody, NEW_PIN, USER_PIN);
}

pub fn a_key_that_asks_for_the_pin_each_time_gets_it(token: &TestToken) {
    let custody = token.open();
    let key = generate_always(&custody);
    assert!(key.is_usable());
    assert_eq!(key.attributes.always_authenticate, Some(true));
    decrypt(&custody, &key).unwrap();
    let mut bad = encrypt(&key.spki_der, Padding::OaepSha1, b"message");
    bad[100] ^= 1;
    for _ in 0..3 {
        let refused = custody.decrypt(&key.fingerprint, Padding::OaepSha1, &bad);
        assert!(matches!(refused, Err(Error::Decryption)));
        decrypt(&custody, &key).unwrap();
    }
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| decrypt(&custody, &key).unwrap());
        }
    });
    assert_eq!(custody.health().reconnects, 0);
    drop(custody);
    decrypt(&token.open(), &key).unwrap();
}

pub fn a_wrong_pin_at_one_use_is_tried_once_until_its_source_changes(token: &TestToken) {
    let custody = token.open();
    let key = generate_always(&custody);
    let enforced = is_enforced(token, &custody, &key);
    let expected = token.quirks().always_authenticate;
    assert_eq!(expected == Some(AlwaysAuthenticate::Enforced), enforced);
    if !enforced {
        // Nothing can be refused then, and the key works like any other.
        write_pin(&token.pin_file, WRONG_PIN);
        return decrypt(&custody, &key).unwrap();
    }
    decrypt(&custody, &key).unwrap();
    change_pin(token, &custody, USER_PIN, NEW_PIN);
    assert_eq!(pin_problem(decrypt(&custody, &key)), PinProblem::Incorrect);
    for _ in 0..20 {
        let again = pin_problem(decrypt(&custody, &key));
        assert_eq!(again, PinProblem::RefusedBefore);
    }
    write_pin(&token.pin_file, NEW_PIN);
    decrypt(&custody, &key).unwrap();
    let health = custody.health();
    assert_eq!((health.reconnects, health.token_failures), (0, 0));
    // As it was, for whoever has this token next.
    change_pin(token, &custody, NEW_PIN, USER_PIN);
}

pub fn a_signing_key_that_asks_for_the_pin_each_time_gets_it(token: &TestToken) {
    let custody = token.open();
    let mut private = signing_only().to_vec();
    private.push(Attribute::AlwaysAuthenticate(true));
    generate_one_that_signs(token, &custody, "signing", 1, &private);
    let name = SigningKeyName::Label("signing".into());
    let info = custody.signing_key(&name).unwrap();
    assert_eq!(info.attributes.always_authenticate, Some(true));
    for _ in 0..3 {
        let signed = custody.sign(&name, b"message").unwrap();
        verify(
            signed.algorithm,
            &signed.spki_der,
            b"message",
            &signed.signature,
        )
        .unwrap();
    }
    assert_eq!(custody.health().reconnects, 0);
}
