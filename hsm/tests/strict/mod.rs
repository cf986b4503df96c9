//! Custody in strict mode without exceptions: what a token does itself works and is counted, everything else is refused by name.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use crate::support::{Module, TestToken};
use fips::policy::{Policy, Service, counts, not_approved};
use fips::secret::SecretBytes;
use hsm::pkcs11::Pkcs11Custody;
use hsm::{Custody, Error, KeyInfo, Label, Padding, Terms};

fn performed(service: Service) -> u64 {
    counts()
        .into_iter()
        .find(|count| count.service == service)
        .unwrap()
        .performed()
}

/// One test for each token, since the counters are the process'.
pub(crate) fn the_token_does_everything_or_it_is_refused(module: &'static Module) {
    let token = TestToken::under(Policy::STRICT, module);
    let (custody, key) = token.open_with_key();
    let capabilities = custody.capabilities();
    assert_eq!(capabilities.native, token.native());
    assert_eq!(capabilities.software_unpadding, []);
    let message = SecretBytes::from_slice(b"a password");
    for padding in Padding::OAEP {
        let before = performed(Service::TokenOaepDecrypt);
        let encrypted = custody.encrypt(&key.spki_der, padding, &message);
        if token.native().contains(&padding) {
            let decrypted = custody
                .decrypt(&key.fingerprint, padding, &encrypted.unwrap())
                .unwrap();
            assert!(decrypted.ct_eq(message.expose()));
            assert_eq!(
                performed(Service::TokenOaepDecrypt),
                before + 1,
                "{padding}"
            );
            continue;
        }
        assert!(matches!(encrypted, Err(Error::PaddingNotSupported(p)) if p == padding));
        let ciphertext = vec![1; 256];
        let error = custody
            .decrypt(&key.fingerprint, padding, &ciphertext)
            .err()
            .expect("removed in software");
        assert_eq!(error.code(), "not_approved", "{error}");
        for word in ["CKM_RSA_X_509", "oaep-unpadding-in-software", "key show"] {
            assert!(error.to_string().contains(word), "{error}");
        }
        assert_eq!(performed(Service::TokenOaepDecrypt), before);
    }
    labels_are_the_tokens_or_refused(&token, &custody, &key);
    a_key_that_is_named_for_pkcs1_is_not_used_for_it(&token, &key);
    let refused = custody
        .generate_agreement_key(&hsm::pkcs11::GenerateAgreementKey {
            label: "agreement".into(),
            curve: fips::ec::Curve::P256,
        })
        .unwrap_err();
    assert_eq!(refused.code(), "not_approved", "{refused}");
    for word in ["CKM_ECDH1_DERIVE", "cms-ecdh-static"] {
        assert!(refused.to_string().contains(word), "{refused}");
    }
    assert_eq!(custody.agreement_keys().unwrap(), []);
    assert!(performed(Service::TokenOaepEncrypt) > 0);
    assert!(performed(Service::TokenKeyGeneration) > 0);
    assert_eq!(not_approved(), 0);
    for count in counts() {
        assert_eq!(count.disagreed, 0, "{}", count.service.name());
    }
}

/// Whoever named it: no exception permits it.
fn a_key_that_is_named_for_pkcs1_is_not_used_for_it(token: &TestToken, key: &KeyInfo) {
    let mut config = token.config();
    config.pkcs1_keys = vec![key.fingerprint];
    let custody = Pkcs11Custody::open(config).unwrap();
    let error = custody
        .decrypt(&key.fingerprint, Padding::Pkcs1, &[1; 256])
        .err()
        .expect("strict");
    assert_eq!(error.code(), "not_approved", "{error}");
    assert!(error.to_string().contains("OAEP"), "{error}");
    for service in [Service::TokenRawRsaPkcs1v15, Service::TokenPkcs1v15] {
        assert_eq!(performed(service), 0);
    }
}

fn labels_are_the_tokens_or_refused(token: &TestToken, custody: &Pkcs11Custody, key: &KeyInfo) {
    let label = Label::new(b"a label").unwrap();
    let message = SecretBytes::from_slice(b"a password");
    let decrypt = |padding, ciphertext: &[u8]| {
        custody.decrypt_with_label(
            &key.fingerprint,
            padding,
            &label,
            ciphertext,
            Terms::default(),
        )
    };
    for padding in token.native().iter().copied() {
        let encrypted =
            custody.encrypt_with_label(&key.spki_der, padding, &label, &message, Terms::default());
        if token.quirks().oaep_label == Some(true) {
            let decrypted = decrypt(padding, &encrypted.unwrap()).unwrap();
            assert!(decrypted.ct_eq(message.expose()));
        } else {
            assert_eq!(encrypted.unwrap_err().code(), "label_not_supported");
            let error = decrypt(padding, &[1; 256]).err().expect("no label");
            assert_eq!(error.code(), "not_approved", "{error}");
        }
    }
}

/// Under the one exception the padding is removed in software, as it is counted; the known ciphertext is the token's.
pub(crate) fn under_its_exception_the_padding_is_removed_in_software(module: &'static Module) {
    let exception = fips::policy::Exception::OaepUnpaddingInSoftware;
    let token = TestToken::under(Policy::strict_except([exception]), module);
    let (custody, key) = token.open_with_key();
    let capabilities = custody.capabilities();
    let in_software: Vec<_> = Padding::OAEP
        .into_iter()
        .filter(|padding| !token.native().contains(padding))
        .collect();
    assert_eq!(capabilities.software_unpadding, in_software);
    let before = not_approved();
    assert!(before > 0, "probing is counted too");
    // A ciphertext of no meaning: the raw operation is done, and its result is no padding.
    let error = custody
        .decrypt(&key.fingerprint, in_software[0], &[1; 256])
        .err()
        .expect("no padding");
    assert_eq!(error.code(), "decryption_failed");
    assert!(not_approved() > before);
    // With a label too, also of a padding that the token removes itself without one: but no token that ignores labels encrypts with them.
    let label = Label::new(b"a label").unwrap();
    for padding in Padding::OAEP {
        let error = custody
            .decrypt_with_label(
                &key.fingerprint,
                padding,
                &label,
                &[1; 256],
                Terms::default(),
            )
            .err()
            .expect("no padding");
        assert_eq!(error.code(), "decryption_failed", "{padding}: {error}");
    }
    let message = SecretBytes::from_slice(b"a password");
    let native = token.native()[0];
    let refused =
        custody.encrypt_with_label(&key.spki_der, native, &label, &message, Terms::default());
    assert_eq!(refused.unwrap_err().code(), "label_not_supported");
    assert_eq!(performed(Service::RsaOaepEncrypt), 0);
}
