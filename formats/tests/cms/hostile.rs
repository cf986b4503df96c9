//! Changed, cut and bloated messages: authenticated ones never open to something else, and none of them panics or takes long.

use super::openssl::{Device, KeyAlgorithm, Workshop, text};
use super::{CONTENT, SecretBytes, begin, encrypted, open_with, pkcs8};
use formats::cms::{self, CmsError, CmsLimits, RecipientKey};

/// Opens every message that differs from this one in one bit (of each byte, as many as are said) or is cut, and hands on what came of it.
fn mutations(
    message: &[u8],
    device: &Device<'_>,
    bits: usize,
    mut check: impl FnMut(Option<&[u8]>),
) {
    begin();
    let (certificate, key) = (device.der(), pkcs8(device));
    let key = RecipientKey::new(&certificate, &key).unwrap();
    let limits = CmsLimits::default();
    let mut tries = |message: &[u8]| {
        let _ = cms::look_at(message, &limits);
        let opened = cms::open(message, &key, &limits);
        check(opened.as_ref().ok().map(|opened| opened.bytes.expose()));
    };
    for at in 0..message.len() {
        tries(&message[..at]);
        for bit in 0..bits {
            let mut changed = message.to_vec();
            changed[at] ^= 1 << ((at + bit) % 8);
            tries(&changed);
        }
    }
    let mut longer = message.to_vec();
    longer.push(0);
    tries(&longer);
}

#[test]
fn an_authenticated_message_with_any_bit_changed_opens_to_its_content_or_not_at_all() {
    let workshop = Workshop::new();
    let root = workshop.authority("R", KeyAlgorithm::P256);
    for (device, algorithm, bits) in [
        (root.device("d", KeyAlgorithm::P256), "-aes-256-gcm", 8),
        (root.device("d", KeyAlgorithm::Rsa(2048)), "-aes-128-gcm", 1),
    ] {
        let message = encrypted(&workshop, &[algorithm, "-recip", text(&device.certificate)]);
        let mut opened = 0;
        mutations(&message, &device, bits, |content| {
            if let Some(content) = content {
                assert_eq!(content, CONTENT);
                opened += 1;
            }
        });
        // Version numbers and the like: what nobody reads.
        assert!(opened < 120, "{opened} changed messages opened");
    }
}

#[test]
fn an_enveloped_message_with_any_bit_changed_never_panics() {
    let workshop = Workshop::new();
    let root = workshop.authority("R", KeyAlgorithm::P256);
    for (device, options) in [
        (root.device("d", KeyAlgorithm::P384), vec![]),
        (
            root.device("d", KeyAlgorithm::Rsa(2048)),
            vec!["-keyopt", "rsa_padding_mode:oaep", "-stream"],
        ),
    ] {
        let arguments = ["-aes-128-cbc", "-recip", text(&device.certificate)];
        let message = encrypted(&workshop, &[&arguments[..], &options].concat());
        let mut tried = 0;
        mutations(&message, &device, 1, |_| tried += 1);
        assert_eq!(tried, 2 * message.len() + 1);
    }
}

/// A wrong key, a changed padding and a changed ciphertext all look alike: the message says nothing, nor does the error.
#[test]
fn whatever_is_wrong_with_a_ciphertext_is_one_error() {
    let workshop = Workshop::new();
    let root = workshop.authority("R", KeyAlgorithm::P256);
    let device = root.device("d", KeyAlgorithm::Rsa(2048));
    let (certificate, key) = (device.der(), pkcs8(&device));
    begin();
    for options in [vec![], vec!["-keyopt", "rsa_padding_mode:oaep"]] {
        let arguments = ["-aes-256-gcm", "-recip", text(&device.certificate)];
        let message = encrypted(&workshop, &[&arguments[..], &options].concat());
        // The encrypted key: the one OCTET STRING of 256 bytes.
        let head = [0x04, 0x82, 0x01, 0x00];
        let at = message
            .windows(4)
            .position(|window| window == head)
            .unwrap()
            + 4;
        for (from, to) in [(at, at + 256), (message.len() - 16, message.len())] {
            for place in (from..to).step_by(5) {
                let mut changed = message.clone();
                changed[place] ^= 0x10;
                let error = open_with(&changed, &certificate, &key).err().unwrap();
                assert_eq!(error, CmsError::Decryption);
            }
        }
    }
}

#[test]
fn what_is_over_a_limit_is_said_and_costs_nothing() {
    begin();
    let limits = CmsLimits::default();
    let over = |message: &[u8], limits: &CmsLimits| match cms::look_at(message, limits) {
        Err(CmsError::LimitExceeded { what, .. }) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        over(&vec![0x30; limits.max_bytes + 1], &limits),
        "size in bytes"
    );
    // Indefinite lengths within each other: two bytes for each.
    let nested = [0x30, 0x80].repeat(100_000);
    assert_eq!(over(&nested, &limits), "elements within elements");

    let workshop = Workshop::new();
    let root = workshop.authority("R", KeyAlgorithm::P256);
    let device = root.device("d", KeyAlgorithm::P256);
    let mut arguments = vec!["-aes-128-cbc"];
    for _ in 0..9 {
        arguments.extend(["-recip", text(&device.certificate)]);
    }
    let message = encrypted(&workshop, &arguments);
    let few = CmsLimits {
        max_recipients: 8,
        ..CmsLimits::default()
    };
    assert_eq!(over(&message, &few), "recipients");
    assert_eq!(cms::look_at(&message, &limits).unwrap().recipients.len(), 9);
}

#[test]
fn a_key_that_does_not_belong_to_the_certificate_is_told_before_anything_is_read() {
    begin();
    let workshop = Workshop::new();
    let root = workshop.authority("R", KeyAlgorithm::P256);
    let rsa = root.device("a", KeyAlgorithm::Rsa(2048));
    let ec = root.device("b", KeyAlgorithm::P256);
    for (certificate, key) in [
        (rsa.der(), pkcs8(&ec)),
        (ec.der(), pkcs8(&rsa)),
        (rsa.der(), SecretBytes::from_slice(b"no key")),
        (b"no certificate".to_vec(), pkcs8(&rsa)),
    ] {
        let error = RecipientKey::new(&certificate, &key).err().unwrap();
        assert_eq!(error.code(), "recipient_key");
    }
}
