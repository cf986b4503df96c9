//! Which certificates of a file with many go on where there is room for a few.

use super::asn1::{bag, certificate, der, pfx, x509};
use super::open;
use super::openssl::{KeyAlgorithm, Workshop};
use super::structure::{CERTIFICATE, KEY, pkcs8};

fn file_of(certificates: &[Vec<u8>], key: &[u8]) -> Vec<u8> {
    let bags = certificates
        .iter()
        .map(|der| bag(CERTIFICATE, &certificate(der), &[]));
    let bags: Vec<Vec<u8>> = bags.chain([bag(KEY, key, &[])]).collect();
    pfx(&der(0x30, &bags.concat()))
}

#[test]
fn the_chain_goes_before_what_is_unrelated() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let middle = root.intermediate("Intermediate", KeyAlgorithm::P256);
    let device = middle.device("ada", KeyAlgorithm::P256);
    let strangers = (0..17).map(|number| x509(&format!("{number}"), "elsewhere", &[]));
    // The authority was renewed: only a signature tells which of its certificates it was.
    let twin = x509("Intermediate", "Root", &[]);
    let mut all: Vec<Vec<u8>> = strangers.clone().collect();
    all.extend([
        root.der(),
        twin.clone(),
        middle.der(),
        device.der(),
        twin.clone(),
    ]);
    let opened = open(&file_of(&all, &pkcs8(&device.key)), "").unwrap();
    let identity = opened.identity().unwrap();
    let found = identity.others(16);
    assert_eq!(found.len(), 16);
    assert_eq!(found[..3], [twin, middle.der(), root.der()]);
    let rest: Vec<Vec<u8>> = strangers.take(13).collect();
    assert_eq!(found[3..], rest);
    assert_eq!(identity.others(100).len(), 20);
    assert!(opened.others_of(99, 1).len() == 1 && opened.chain_of(99).is_none());
}
