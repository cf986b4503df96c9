//! Whoever counts uses of a key for known ciphertexts is told of all of them: the tries by which a token is got to know among them.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use hsm::pkcs11::{CanaryObserver, Pkcs11Custody, TokenConfig};
use hsm::{Custody, Label, Padding, Terms};
use support::{TestToken, encrypt, encrypt_with_label, softhsm};

#[test]
fn the_tries_of_a_padding_and_of_a_label_are_told() {
    let token = TestToken::new(softhsm());
    let (custody, key) = token.open_with_key();
    drop(custody);
    let told = Arc::new(Mutex::new(BTreeMap::<_, [u64; 2]>::new()));
    let count = Arc::clone(&told);
    let observer = CanaryObserver::new(move |key, is_well| {
        count.lock().unwrap().entry(key).or_default()[usize::from(is_well)] += 1;
    });
    let custody = Pkcs11Custody::open(TokenConfig {
        canary_observer: Some(observer),
        ..token.config()
    })
    .unwrap();
    let ciphertext = encrypt(&key.spki_der, Padding::OaepSha1, b"message");
    let plain = custody
        .decrypt(&key.fingerprint, Padding::OaepSha1, &ciphertext)
        .unwrap();
    assert_eq!(plain.expose(), b"message");
    let of_padding = told.lock().unwrap()[&key.fingerprint];
    assert!(of_padding[1] >= 1, "{of_padding:?}");

    let label = Label::new(b"a label").unwrap();
    let ciphertext = encrypt_with_label(
        &key.spki_der,
        Padding::OaepSha1,
        label.as_bytes(),
        b"message",
    );
    // Whether this token does labels is not the question.
    let _ = custody.decrypt_with_label(
        &key.fingerprint,
        Padding::OaepSha1,
        &label,
        &ciphertext,
        Terms::default(),
    );
    let of_label = told.lock().unwrap()[&key.fingerprint];
    assert!(
        of_label.iter().sum::<u64>() > of_padding.iter().sum(),
        "{of_label:?}"
    );
}
