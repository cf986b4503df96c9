//! Certificates of one key: it was renewed, and the file has them all.

use super::asn1::{bag, certificate, der, pfx, sequence};
use super::open;
use super::openssl::{Issuance, KeyAlgorithm, Workshop};
use super::structure::{CERTIFICATE, KEY, pkcs8};
use formats::pfx::MatchedBy;

/// A set with a local key id.
fn id(id: u8) -> Vec<u8> {
    let attribute = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x15";
    der(0x31, &sequence(&[attribute, &der(0x31, &[4, 1, id])]))
}

#[test]
fn every_certificate_of_a_key_has_it_and_the_file_says_which_is_the_key_s() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let new = root.device("ada", KeyAlgorithm::P256);
    let old = root.device_with_key("ada", new.key.clone(), &Issuance::default());
    let key = pkcs8(&new.key);
    let file = pfx(&der(
        0x30,
        &[
            bag(CERTIFICATE, &certificate(&root.der()), &[]),
            bag(CERTIFICATE, &certificate(&old.der()), &id(2)),
            bag(CERTIFICATE, &certificate(&new.der()), &id(1)),
            bag(KEY, &key, &id(1)),
        ]
        .concat(),
    ));
    let opened = open(&file, "").unwrap();
    let keys: Vec<_> = opened.certificates().iter().map(|one| one.key()).collect();
    assert_eq!(keys, [None, Some(0), Some(0)]);
    assert_eq!(opened.keys()[0].certificate(), Some(2));
    assert_eq!(opened.keys()[0].matched_by(), Some(MatchedBy::PublicKey));
    assert!(opened.keys()[0].has_public_half());
    assert_eq!(opened.identity().unwrap().certificate(), new.der());

    // The key twice, each time with a certificate of its own.
    let file = pfx(&der(
        0x30,
        &[
            bag(KEY, &key, &id(1)),
            bag(KEY, &key, &id(2)),
            bag(CERTIFICATE, &certificate(&old.der()), &id(2)),
            bag(CERTIFICATE, &certificate(&new.der()), &id(1)),
        ]
        .concat(),
    ));
    let opened = open(&file, "").unwrap();
    let keys: Vec<_> = opened.certificates().iter().map(|one| one.key()).collect();
    assert_eq!(keys, [Some(1), Some(0)]);
}
