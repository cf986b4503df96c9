#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use super::*;
use base64ct::{Base64, Encoding};

fn oid(text: &str) -> ObjectIdentifier {
    ObjectIdentifier::new(text).unwrap()
}

fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = ber::sequence(parts);
    bytes[0] = tag;
    bytes
}

fn named(oid: ObjectIdentifier) -> Vec<u8> {
    element(tag::OBJECT_IDENTIFIER, &[oid.as_bytes()])
}

fn attribute(oid: ObjectIdentifier, values: &[&[u8]]) -> Vec<u8> {
    ber::sequence(&[&named(oid), &element(tag::SET, values)])
}

#[test]
fn the_example_of_rfc_7030_is_read() {
    // Section 4.5.2: challengePassword, ecPublicKey on secp384r1, an extension request for macAddress, and ecdsa-with-SHA384.
    let der = Base64::decode_vec(
        "MEEGCSqGSIb3DQEJBzASBgcqhkjOPQIBMQcGBSuBBAAiMBYGCSqGSIb3DQEJDjEJBgcrBgEBAQEWBggqhkjOPQQDAw==",
    )
    .unwrap();
    let read = CsrAttributes::read(&der).unwrap();
    assert_eq!(read.items.len(), 4);
    assert!(read.wants_challenge_password());
    assert_eq!(
        read.key(),
        Some(WantedKey::Ec {
            curve: Some(oid("1.3.132.0.34"))
        })
    );
    assert_eq!(read.extensions().unwrap(), [oid("1.3.6.1.1.1.1.22")]);
    assert_eq!(read.items[3].oid, oid("1.2.840.10045.4.3.3"));
    assert!(read.template.is_none());
}

#[test]
fn an_empty_list_wants_nothing() {
    let read = CsrAttributes::read(&[0x30, 0]).unwrap();
    assert_eq!(read, CsrAttributes::default());
    assert_eq!(read.key(), None);
    assert!(!read.wants_challenge_password() && read.extensions().unwrap().is_empty());
}

#[test]
fn an_rsa_key_says_its_size_or_leaves_it_open() {
    let list = ber::sequence(&[&attribute(RSA, &[&[2, 2, 0x10, 0x00]])]);
    let read = CsrAttributes::read(&list).unwrap();
    assert_eq!(read.key(), Some(WantedKey::Rsa { bits: Some(4096) }));
    let list = ber::sequence(&[&named(RSA)]);
    let read = CsrAttributes::read(&list).unwrap();
    assert_eq!(read.key(), Some(WantedKey::Rsa { bits: None }));
}

#[test]
fn a_template_alone_counts_where_there_is_one() {
    let organisation = ber::sequence(&[&named(oid("2.5.4.10")), &[0x0c, 3, b'A', b'c', b'e']]);
    let name = ber::sequence(&[
        &element(tag::SET, &[&organisation]),
        &element(tag::SET, &[&ber::sequence(&[&named(oid("2.5.4.3"))])]),
    ]);
    let key = ber::sequence(&[&named(EC), &named(oid("1.2.840.10045.3.1.7"))]);
    let wanted_extensions = ber::sequence(&[
        &ber::sequence(&[
            &named(oid("2.5.29.15")),
            &[1, 1, 0xff],
            &[4, 4, 3, 2, 7, 0x80],
        ]),
        &ber::sequence(&[&named(oid("2.5.29.17"))]),
    ]);
    let template = ber::sequence(&[
        &[2, 1, 0],
        &name,
        &element(tag::CONTEXT_0, &[&key]),
        &element(
            0xa1,
            &[&attribute(EXTENSION_TEMPLATE, &[&wanted_extensions])],
        ),
    ]);
    let list = ber::sequence(&[
        &named(CHALLENGE_PASSWORD),
        &attribute(RSA, &[]),
        &attribute(TEMPLATE, &[&template]),
    ]);
    let read = CsrAttributes::read(&list).unwrap();
    let template = read.template.as_ref().unwrap();
    assert_eq!(
        template.subject.as_deref().unwrap(),
        [
            (oid("2.5.4.10"), Some(vec![0x0c, 3, b'A', b'c', b'e'])),
            (oid("2.5.4.3"), None)
        ]
    );
    assert_eq!(
        template.extensions,
        [
            (oid("2.5.29.15"), Some(vec![3, 2, 7, 0x80])),
            (oid("2.5.29.17"), None)
        ]
    );
    assert_eq!(
        read.key(),
        Some(WantedKey::Ec {
            curve: Some(oid("1.2.840.10045.3.1.7"))
        })
    );
    assert!(!read.wants_challenge_password(), "only the template counts");
    assert_eq!(
        read.extensions().unwrap(),
        [oid("2.5.29.15"), oid("2.5.29.17")]
    );
    for end in 0..list.len() {
        assert!(CsrAttributes::read(&list[..end]).is_err(), "cut at {end}");
    }
    for at in 0..list.len() {
        for value in [0, 1, 0x30, 0x31, 0x80, 0x84, 0xa0, 0xff] {
            let mut changed = list.clone();
            changed[at] = value;
            if let Ok(read) = CsrAttributes::read(&changed) {
                let _ = (
                    read.key(),
                    read.extensions(),
                    read.wants_challenge_password(),
                );
            }
        }
    }
}

#[test]
fn limits_hold() {
    let one = named(CHALLENGE_PASSWORD);
    let many = vec![one.as_slice(); MAX_ITEMS + 1];
    assert_eq!(
        CsrAttributes::read(&ber::sequence(&many)),
        Err(CsrAttributesError::TooMany)
    );
    assert_eq!(
        CsrAttributes::read(&vec![0x30; MAX_BYTES + 1]),
        Err(CsrAttributesError::TooLong)
    );
}
