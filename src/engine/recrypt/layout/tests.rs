//! Certificates made octet by octet, so that what no encoder writes can stand in them.
#![allow(clippy::unwrap_used, missing_docs)]
use super::*;

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).unwrap();
    let mut der = match length {
        0..=0x7f => vec![tag, length],
        _ => vec![tag, 0x81, length],
    };
    der.extend_from_slice(content);
    der
}

/// A certificate whose only extension is basicConstraints with this value.
fn certificate(constraints: &[u8]) -> Vec<u8> {
    let algorithm = element(SEQUENCE, &element(OBJECT_IDENTIFIER, &[0x2a, 0x03]));
    let extension = [
        element(OBJECT_IDENTIFIER, &[0x55, 0x1d, BASIC_CONSTRAINTS]),
        element(OCTET_STRING, constraints),
    ];
    let list = element(SEQUENCE, &element(SEQUENCE, &extension.concat()));
    let time = element(0x17, b"260101000000Z");
    let tbs = [
        element(VERSION, &[0x02, 0x01, 0x02]),
        element(INTEGER, &[1]),
        algorithm.clone(),
        element(SEQUENCE, &[]),
        element(SEQUENCE, &[time.clone(), time].concat()),
        element(SEQUENCE, &[]),
        element(SEQUENCE, &[]),
        element(EXTENSIONS, &list),
    ];
    let parts = [
        element(SEQUENCE, &tbs.concat()),
        algorithm,
        element(BIT_STRING, &[0, 0]),
    ];
    element(SEQUENCE, &parts.concat())
}

fn authority_of(constraints: &[u8]) -> Option<Option<PathLength>> {
    read(&certificate(constraints)).map(|layout| layout.authority)
}

#[test]
fn each_form_of_basic_constraints_in_der_is_read() {
    let forms: [(&[u8], _); 4] = [
        (&[0x30, 0], None),
        (&[0x30, 3, 1, 1, 0xff], Some(PathLength::Unlimited)),
        (&[0x30, 6, 1, 1, 0xff, 2, 1, 0], Some(PathLength::AtMost(0))),
        (
            &[0x30, 6, 1, 1, 0xff, 2, 1, 0x7f],
            Some(PathLength::AtMost(127)),
        ),
    ];
    for (value, authority) in forms {
        assert_eq!(authority_of(value), Some(authority), "{value:02x?}");
    }
}

/// To somebody else, each of them may be an authority's.
#[test]
fn basic_constraints_in_another_form_are_refused_and_not_taken_for_no_authority() {
    let forms: [&[u8]; 14] = [
        // BOOLEAN: another TRUE, FALSE that is written out, none, two octets.
        &[0x30, 3, 1, 1, 0x01],
        &[0x30, 3, 1, 1, 0x00],
        &[0x30, 2, 1, 0],
        &[0x30, 4, 1, 2, 0xff, 0xff],
        // Something behind it, within and without.
        &[0x30, 5, 1, 1, 0xff, 5, 0],
        &[0x30, 3, 1, 1, 0xff, 0],
        &[0x30, 0, 0],
        // pathLenConstraint: without cA, with a cA of FALSE, negative, not in its shortest form.
        &[0x30, 3, 2, 1, 0],
        &[0x30, 6, 1, 1, 0, 2, 1, 0],
        &[0x30, 6, 1, 1, 0xff, 2, 1, 0x80],
        &[0x30, 7, 1, 1, 0xff, 2, 2, 0, 1],
        // The SEQUENCE: another tag, a longer length, nothing at all.
        &[0x31, 3, 1, 1, 0xff],
        &[0x30, 0x81, 3, 1, 1, 0xff],
        &[],
    ];
    for value in forms {
        assert_eq!(authority_of(value), None, "{value:02x?}");
    }
}
