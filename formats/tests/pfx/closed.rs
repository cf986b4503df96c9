//! Parts and keys under protection that is not supported: they stay closed, and the rest is read.

use super::asn1::{DATA, bag, certificate, data, der, pfx, sequence};
use super::openssl::{Device, KeyAlgorithm, Workshop};
use super::structure::{CERTIFICATE, KEY, SHROUDED_KEY, pkcs8, shrouded, shrouded_under};
use super::{open, refusal};
use formats::pfx::{self, PfxError, PfxLimits};

const PASSWORD: &str = "Passw0rd!";
/// A cipher that OpenSSL writes and the module does not have.
const CIPHER: &str = "camellia-256-cbc";
const NUMBERS: &str = "1.2.392.200011.61.1.1.1.4";

/// An EncryptedData under that cipher, as a part: the encryption of somebody's EncryptedPrivateKeyInfo around any octets.
fn part_under_the_cipher(workshop: &Workshop) -> Vec<u8> {
    let shrouded = shrouded_under(CIPHER, &workshop.key(KeyAlgorithm::P256), PASSWORD);
    // SEQUENCE { algorithm, OCTET STRING }: both lengths are of three octets or less than 128.
    let content = &shrouded[if shrouded[1] < 0x80 {
        2
    } else {
        2 + usize::from(shrouded[1] & 0x7f)
    }..];
    let algorithm = &content[..2 + usize::from(content[1])];
    let info = sequence(&[DATA, algorithm, &der(0x80, &[0x5a; 64])]);
    sequence(&[
        b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x06",
        &der(0xa0, &sequence(&[&[2, 1, 0], &info])),
    ])
}

/// A part that is encrypted to a certificate.
fn part_for_a_certificate() -> Vec<u8> {
    sequence(&[
        b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03",
        &der(0xa0, &der(0x30, b"\x02\x01\x00")),
    ])
}

fn of_parts(parts: &[&[u8]]) -> Vec<u8> {
    sequence(&[&[2, 1, 3], &data(&sequence(parts))])
}

fn key_and_certificate(device: &Device<'_>) -> Vec<u8> {
    data(&sequence(&[
        &bag(SHROUDED_KEY, &shrouded(&device.key, PASSWORD), &[]),
        &bag(CERTIFICATE, &certificate(&device.der()), &[]),
    ]))
}

#[test]
fn parts_that_cannot_be_opened_are_named_and_the_others_are_read() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let ada = root.device("ada", KeyAlgorithm::P256);
    let unknown = sequence(&[b"\x06\x03\x55\x04\x03", &der(0xa0, b"\x05\x00")]);
    let file = of_parts(&[
        &part_under_the_cipher(&workshop),
        &part_for_a_certificate(),
        &key_and_certificate(&ada),
        &unknown,
    ]);
    let opened = open(&file, PASSWORD).unwrap();
    assert_eq!(opened.identity().unwrap().certificate(), ada.der());
    let named = opened.survey().not_supported();
    assert_eq!(named.len(), 3, "{named:?}");
    assert!(named[0].contains(NUMBERS), "{named:?}");
    assert!(named[1].contains("public-key privacy"), "{named:?}");
    assert!(named[2].contains("2.5.4.3"), "{named:?}");
    assert_eq!(opened.closed().unwrap().code(), "unsupported_algorithm");
    let seen: Vec<bool> = opened
        .survey()
        .parts
        .iter()
        .map(|part| part.bags.is_some())
        .collect();
    assert_eq!(seen, [false, false, true, false]);
    // What can be said without the password is the same.
    let outside = pfx::survey(&file, &PfxLimits::default()).unwrap();
    assert_eq!(outside.not_supported(), named);
    // Nothing of that hides a wrong password.
    assert_eq!(refusal(&file, "another"), PfxError::WrongPassword);
}

#[test]
fn where_the_key_may_be_in_what_cannot_be_opened_the_file_is_refused_by_that_name() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let ada = root.device("ada", KeyAlgorithm::P256);
    let closed_part = part_under_the_cipher(&workshop);
    let only_certificates = data(&sequence(&[&bag(
        CERTIFICATE,
        &certificate(&ada.der()),
        &[],
    )]));
    let closed_key = data(&sequence(&[
        &bag(CERTIFICATE, &certificate(&ada.der()), &[]),
        &bag(
            SHROUDED_KEY,
            &shrouded_under(CIPHER, &ada.key, PASSWORD),
            &[],
        ),
    ]));
    for file in [
        of_parts(&[&closed_part, &only_certificates]),
        of_parts(&[&closed_key]),
        // Of two things the key is named.
        of_parts(&[&part_for_a_certificate(), &closed_key]),
    ] {
        let error = refusal(&file, PASSWORD);
        assert_eq!(error.code(), "unsupported_algorithm");
        assert!(error.to_string().contains(NUMBERS), "{error}");
    }
}

#[test]
fn a_key_that_cannot_be_opened_does_not_keep_another_one_from_being_used() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let ada = root.device("ada", KeyAlgorithm::P256);
    let bob = root.device("bob", KeyAlgorithm::P256);
    let file = pfx(&sequence(&[
        &bag(
            SHROUDED_KEY,
            &shrouded_under(CIPHER, &bob.key, PASSWORD),
            &[],
        ),
        &bag(CERTIFICATE, &certificate(&bob.der()), &[]),
        &bag(KEY, &pkcs8(&ada.key), &[]),
        &bag(CERTIFICATE, &certificate(&ada.der()), &[]),
    ]));
    let opened = open(&file, PASSWORD).unwrap();
    assert_eq!(opened.keys().len(), 1);
    assert_eq!(opened.identity().unwrap().certificate(), ada.der());
    let keys: Vec<(bool, bool)> = opened
        .survey()
        .bags()
        .filter(|bag| bag.certificate.is_none())
        .map(|bag| (bag.key.is_some(), bag.not_supported.is_some()))
        .collect();
    assert_eq!(keys, [(false, true), (true, false)]);
}

/// The MAC is over all parts as they are, whether they can be opened or not.
#[test]
fn the_mac_guards_what_stays_closed_too() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let ada = root.device("ada", KeyAlgorithm::P256);
    let file = ada.pfx(PASSWORD, &["-certpbe", CIPHER, "-keypbe", "AES-256-CBC"]);
    let opened = open(&file, PASSWORD).unwrap();
    assert_eq!((opened.keys().len(), opened.certificates().len()), (1, 0));
    // The certificate may be in there, so that is what is said of it.
    let error = opened.identity().err().unwrap();
    assert_eq!(error.code(), "unsupported_algorithm");
    assert!(error.to_string().contains(NUMBERS), "{error}");
    assert_eq!(refusal(&file, "another"), PfxError::WrongPassword);

    let closed = opened
        .survey()
        .parts
        .iter()
        .position(|part| part.bags.is_none())
        .unwrap();
    assert_eq!(closed, 0, "OpenSSL writes the certificates first");
    // One octet of the ciphertext of the closed part, which begins within the first hundreds of octets.
    let mut changed = file.clone();
    changed[300] ^= 1;
    assert_eq!(refusal(&changed, PASSWORD), PfxError::WrongPassword);

    let key_closed = ada.pfx(PASSWORD, &["-keypbe", CIPHER, "-certpbe", "AES-256-CBC"]);
    let error = refusal(&key_closed, PASSWORD);
    assert_eq!(error.code(), "unsupported_algorithm");
    assert!(error.to_string().contains(NUMBERS), "{error}");
    assert_eq!(refusal(&key_closed, "another"), PfxError::WrongPassword);
}
