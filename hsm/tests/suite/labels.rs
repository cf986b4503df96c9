//! RSAES-OAEP with labels, and what has no time.

use std::time::Duration;

use hsm::{Custody, Error, Label, Padding, SecretBytes, Terms};

use super::{assert_well, error};
use crate::support::{TestToken, encrypt_with_label};

/// Whether the token does it or the padding is removed in software, the answers are the same.
pub fn a_message_comes_back_under_its_own_label_alone(token: &TestToken) {
    let (custody, key) = token.open_with_key();
    let decrypt = |padding, label: &Label, ciphertext: &[u8]| {
        custody.decrypt_with_label(
            &key.fingerprint,
            padding,
            label,
            ciphertext,
            Terms::within(Duration::from_secs(60)),
        )
    };
    let labels = [
        Label::empty(),
        Label::new(b"L").unwrap(),
        Label::new(&[0; 32]).unwrap(),
        Label::new(&[0xa5; Label::MAX_BYTES]).unwrap(),
    ];
    let mut refused = 0;
    for padding in Padding::OAEP {
        for label in &labels {
            let ciphertext =
                encrypt_with_label(&key.spki_der, padding, label.as_bytes(), b"message");
            for other in &labels {
                let result = decrypt(padding, other, &ciphertext);
                if other == label {
                    assert_eq!(result.unwrap().expose(), b"message", "{padding}");
                } else {
                    refused += 1;
                    assert!(matches!(error(result), Error::Decryption), "{padding}");
                }
            }
        }
    }
    assert_eq!(custody.health().bad_inputs, refused);
    assert_well(&custody, &key);
}

/// A token that ignores the label is found out, and not used with one.
pub fn a_token_encrypts_with_a_label_if_it_does_labels(token: &TestToken) {
    let (custody, key) = token.open_with_key();
    let label = Label::new(b"a label").unwrap();
    let message = SecretBytes::from_slice(b"content key");
    for padding in token.native() {
        let result = custody.encrypt_with_label(
            &key.spki_der,
            *padding,
            &label,
            &message,
            Terms::within(Duration::from_secs(60)),
        );
        assert!(result.is_ok() || token.quirks().oaep_label == Some(false));
        if let Ok(ciphertext) = result {
            let plain = custody
                .decrypt_with_label(
                    &key.fingerprint,
                    *padding,
                    &label,
                    &ciphertext,
                    Terms::default(),
                )
                .unwrap();
            assert_eq!(plain.expose(), message.expose());
        } else {
            assert_eq!(error(result).code(), "label_not_supported");
        }
    }
    assert_well(&custody, &key);
}

pub fn what_has_no_time_is_not_done(token: &TestToken) {
    let (custody, key) = token.open_with_key();
    let none = Terms::within(Duration::ZERO);
    let message = SecretBytes::from_slice(b"content key");
    let padding = token.native()[0];
    let before = custody.health();
    let encrypted = custody.encrypt_on(&key.spki_der, padding, &message, none);
    assert!(matches!(
        error(encrypted),
        Error::Deadline | Error::Overloaded
    ));
    let name = hsm::SigningKeyName::Label("none".to_owned());
    let signed = custody.sign_on(&name, b"message", none);
    assert!(matches!(error(signed), Error::Deadline | Error::Overloaded));
    let minute = Terms::within(Duration::from_secs(60));
    let signed = custody.sign_on(&name, b"message", minute);
    assert_eq!(error(signed).code(), "signing_key_not_found");
    custody
        .encrypt_on(&key.spki_der, padding, &message, minute)
        .unwrap();
    assert_eq!(custody.health().encrypts, before.encrypts + 1);
    assert_well(&custody, &key);
}
