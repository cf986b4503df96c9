//! The copy of a SoftHSM token's own file knows the PIN that the token has, not the one that it had. One test: its login is the process's.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use cryptoki::types::AuthPin;
use hsm::pkcs11::Pkcs11Custody;
use hsm::{Custody, KeyInfo, Padding};
use support::{TestToken, USER_PIN, encrypt, session_beside, softhsm, write_pin};

const NEW_PIN: &str = "new-pin1";

fn decrypt(custody: &Pkcs11Custody, key: &KeyInfo) {
    let ciphertext = encrypt(&key.spki_der, Padding::OaepSha1, b"message");
    let plain = custody
        .decrypt(&key.fingerprint, Padding::OaepSha1, &ciphertext)
        .unwrap();
    assert_eq!(plain.expose(), b"message");
}

fn object(token: &TestToken) -> PathBuf {
    let folder = std::fs::read_dir(&token.module.folder).unwrap().next();
    folder.unwrap().unwrap().path().join("token.object")
}

#[test]
fn a_pin_that_was_changed_meanwhile_is_not_taken_back_by_a_kill() {
    let token = TestToken::new(softhsm());
    let (custody, key) = token.open_with_key();
    let pin = |text: &str| AuthPin::new(text.into());
    let session = session_beside(&token, &custody);
    session.set_pin(&pin(USER_PIN), &pin(NEW_PIN)).unwrap();
    write_pin(&token.pin_file, NEW_PIN);
    session.logout().unwrap();
    drop(session);
    decrypt(&custody, &key);
    drop(custody);

    // What a kill in the midst of the next login leaves, some time ago.
    let killed = File::create(object(&token)).unwrap();
    killed
        .set_modified(SystemTime::now() - Duration::from_secs(60))
        .unwrap();
    drop(killed);
    decrypt(&token.open(), &key);
}
