//! A shared secret, and messages under it.

use ca::cmp::Credential;
use fips::secret::SecretBytes;
use pki::cmp::{Info, MacScheme, Protector, Request, Transaction, oid};
use std::sync::Arc;
use std::time::SystemTime;

pub(crate) const REFERENCE: &str = "connector-7";
pub(crate) const SECRET: &str = "a secret of enough octets";

pub(crate) fn shared(secret: &str) -> SecretBytes {
    SecretBytes::from_slice(secret.as_bytes())
}

pub(crate) fn credential(scheme: MacScheme) -> Credential {
    Credential::Secret {
        reference: REFERENCE.as_bytes().to_vec(),
        secret: Arc::new(shared(SECRET)),
        scheme,
    }
}

/// A general message under this secret.
pub(crate) fn message(scheme: MacScheme, secret: &str) -> Vec<u8> {
    let request = Request::general(&[Info::question(oid::CA_CERTS)]).unwrap();
    let secret = shared(secret);
    let protector = Protector::Secret {
        reference: REFERENCE.as_bytes(),
        secret: &secret,
        scheme,
    };
    let now = SystemTime::now();
    let mut transaction = Transaction::new().unwrap();
    transaction
        .message(&request, Vec::new(), None, false, now, &protector)
        .unwrap()
}

/// The message with another INTEGER at this place, and the lengths of everything around it.
pub(crate) fn with_longer_integer(message: &[u8], at: usize, value: &[u8]) -> Vec<u8> {
    fn rewrite(bytes: &[u8], offset: usize, at: usize, value: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut rest = bytes;
        let mut place = offset;
        while let Some(tag) = rest.first() {
            let head = header_length(rest);
            let (element, after) = rest.split_at(head + content_length(rest));
            let content = &element[head..];
            if place == at {
                out.extend(super::authority::element(*tag, &[value]));
            } else if tag & 0x20 != 0 && (place..place + element.len()).contains(&at) {
                let inner = rewrite(content, place + head, at, value);
                out.extend(super::authority::element(*tag, &[&inner]));
            } else {
                out.extend(element);
            }
            place += element.len();
            rest = after;
        }
        out
    }
    rewrite(message, 0, at, value)
}

fn header_length(element: &[u8]) -> usize {
    match element[1] {
        0x81 => 3,
        0x82 => 4,
        _ => 2,
    }
}

/// The content of an element.
pub(crate) fn content(element: &[u8]) -> &[u8] {
    &element[header_length(element)..]
}

fn content_length(element: &[u8]) -> usize {
    match element[1] {
        0x81 => usize::from(element[2]),
        0x82 => usize::from(element[2]) << 8 | usize::from(element[3]),
        short => usize::from(short),
    }
}

/// The elements that follow each other.
pub(crate) fn inside(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (element, rest) = bytes.split_at(header_length(bytes) + content_length(bytes));
        found.push(element);
        bytes = rest;
    }
    found
}
