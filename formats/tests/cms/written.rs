//! What is written here: read by OpenSSL, and by our own reader.

use super::openssl::{Authority, Device, KeyAlgorithm, Workshop};
use super::{CONTENT, SecretBytes, begin, look, open};
use fips::digest::Hash;
use formats::cms::MessageKind;
use formats::cms::write::{
    ContentEncryption, Form, MAX_RECIPIENTS, Recipient, RsaPadding, WriteError, envelop,
    module_oaep,
};

pub(crate) fn written(form: Form, hash: Hash, devices: &[&Device<'_>]) -> Vec<u8> {
    written_content(form, hash, devices, CONTENT)
}

fn written_content(form: Form, hash: Hash, devices: &[&Device<'_>], content: &[u8]) -> Vec<u8> {
    begin();
    let recipients: Vec<_> = devices
        .iter()
        .map(|device| Recipient::of_certificate(&device.der()).unwrap())
        .collect();
    let content = SecretBytes::from_slice(content);
    envelop::<WriteError>(form, &recipients, &content, module_oaep(hash)).unwrap()
}

pub(crate) const fn form(content: ContentEncryption, rsa: RsaPadding) -> Form {
    Form { content, rsa }
}

const CONTENTS: [ContentEncryption; 3] = [
    ContentEncryption::Aes256Cbc,
    ContentEncryption::Aes256Gcm,
    ContentEncryption::DesEde3Cbc,
];

fn devices<'a>(root: &Authority<'a>) -> [Device<'a>; 5] {
    [
        KeyAlgorithm::Rsa(2048),
        KeyAlgorithm::P256,
        KeyAlgorithm::P384,
        KeyAlgorithm::P521,
        KeyAlgorithm::Rsa(4096),
    ]
    .map(|algorithm| root.device("device", algorithm))
}

#[test]
fn every_kind_of_recipient_reads_every_form_with_openssl_and_with_ours() {
    let workshop = Workshop::new();
    let root = workshop.authority("Prüfstelle München", KeyAlgorithm::P256);
    for device in devices(&root) {
        for content in CONTENTS {
            for rsa in [RsaPadding::Oaep, RsaPadding::Pkcs1v15] {
                let message = written(form(content, rsa), Hash::Sha256, &[&device]);
                let opened = open(&message, &device).unwrap();
                assert_eq!(opened.bytes.expose(), CONTENT);
                let authenticated = content == ContentEncryption::Aes256Gcm;
                assert_eq!(opened.authenticated, authenticated);
                assert_eq!(
                    opened.facts.kind == MessageKind::AuthEnveloped,
                    authenticated
                );
                assert_eq!(device.decrypt_cms(&message), CONTENT, "{content:?} {rsa:?}");
            }
        }
    }
}

#[test]
fn oaep_with_every_hash() {
    let workshop = Workshop::new();
    let root = workshop.authority("Test Root", KeyAlgorithm::P256);
    let device = root.device("device", KeyAlgorithm::Rsa(2048));
    let modern = form(ContentEncryption::Aes256Cbc, RsaPadding::Oaep);
    for hash in [Hash::Sha1, Hash::Sha256, Hash::Sha384, Hash::Sha512] {
        let message = written(modern, hash, &[&device]);
        assert_eq!(device.decrypt_cms(&message), CONTENT, "{hash:?}");
        let opened = open(&message, &device).unwrap();
        assert_eq!(opened.bytes.expose(), CONTENT, "{hash:?}");
        let algorithm = &opened.facts.recipients[0].algorithm;
        let expected = format!("RSAES-OAEP with {}, MGF1 with {}", hash.name(), hash.name());
        assert_eq!(*algorithm, expected);
    }
}

#[test]
fn one_message_to_all_of_them_is_read_by_each_with_one_encryption_of_the_content() {
    let workshop = Workshop::new();
    let root = workshop.authority("Test Root", KeyAlgorithm::P256);
    let devices = devices(&root);
    let all: Vec<_> = devices.iter().collect();
    for content in CONTENTS {
        for length in [0, 15, 16, 5000] {
            let clear: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
            let form = form(content, RsaPadding::Oaep);
            let message = written_content(form, Hash::Sha384, &all, &clear);
            assert_eq!(look(&message).recipients.len(), devices.len());
            for device in &devices {
                assert_eq!(open(&message, device).unwrap().bytes.expose(), clear);
                assert_eq!(device.decrypt_cms(&message), clear);
            }
        }
    }
}

#[test]
fn nobody_and_too_many_are_refused_and_so_is_a_key_that_cannot_be_encrypted_to() {
    begin();
    let workshop = Workshop::new();
    let root = workshop.authority("Test Root", KeyAlgorithm::P256);
    let device = root.device("device", KeyAlgorithm::P256);
    let recipient = Recipient::of_certificate(&device.der()).unwrap();
    let content = SecretBytes::from_slice(CONTENT);
    let modern = form(ContentEncryption::Aes256Cbc, RsaPadding::Oaep);
    for count in [0, MAX_RECIPIENTS + 1] {
        let recipients = vec![recipient.clone(); count];
        let refused =
            envelop::<WriteError>(modern, &recipients, &content, module_oaep(Hash::Sha256));
        assert_eq!(refused.unwrap_err().code(), "recipients");
    }
    let most = vec![recipient; MAX_RECIPIENTS];
    let message =
        envelop::<WriteError>(modern, &most, &content, module_oaep(Hash::Sha256)).unwrap();
    assert_eq!(device.decrypt_cms(&message), CONTENT);

    for (algorithm, what) in [
        (KeyAlgorithm::Ed25519, "key"),
        (KeyAlgorithm::Rsa(1024), "RSA key"),
    ] {
        let device = root.device("device", algorithm);
        let refused = Recipient::of_certificate(&device.der()).unwrap_err();
        assert!(refused.to_string().contains(what), "{refused}");
    }
    assert!(Recipient::of_certificate(b"no certificate").is_err());
}
