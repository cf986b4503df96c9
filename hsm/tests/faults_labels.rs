//! Labels on a token that ignores them, or breaks while they are tried. One test, for there is one control file.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use hsm::{Custody, ErrorClass, Label, Padding, SecretBytes, Terms};
use support::{TestToken, command, encrypt_with_label, faulty_kryoptic};

const PADDING: Padding = Padding::OaepSha256;

#[test]
fn a_label_that_is_ignored_is_found_out_and_trouble_says_nothing_about_labels() {
    let (module, control) = faulty_kryoptic();
    let token = TestToken::new(module);
    let (custody, key) = token.open_with_key();
    let label = Label::new(b"a label").unwrap();
    let ciphertext = encrypt_with_label(&key.spki_der, PADDING, label.as_bytes(), b"message");
    let decrypt = |label: &Label| {
        custody
            .decrypt_with_label(
                &key.fingerprint,
                PADDING,
                label,
                &ciphertext,
                Terms::default(),
            )
            .map(|plain| assert_eq!(plain.expose(), b"message"))
    };

    for fault in ["device-error", "device-removed"] {
        command(&control, fault);
        let error = decrypt(&label).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Token, "{fault}: {error}");
    }
    command(&control, "ignores-labels");
    decrypt(&label).unwrap();
    for other in [Label::empty(), Label::new(b"another").unwrap()] {
        assert_eq!(decrypt(&other).unwrap_err().code(), "decryption_failed");
    }
    let message = SecretBytes::from_slice(b"message");
    let error = custody
        .encrypt_with_label(&key.spki_der, PADDING, &label, &message, Terms::default())
        .unwrap_err();
    assert_eq!(error.code(), "label_not_supported");
    // What was learned holds for other labels, and without one everything is as before.
    decrypt(&label).unwrap();
    custody.encrypt(&key.spki_der, PADDING, &message).unwrap();
}
