//! Elements of DER (X.690), written.

use super::CmpError;
use der::Encode;

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const UTF8_STRING: u8 = 0x0c;
pub(super) const SEQUENCE: u8 = 0x30;
/// NULL, whole.
pub(super) const NULL: &[u8] = &[0x05, 0x00];

/// The tag of `[number]`, constructed: EXPLICIT, or IMPLICIT of something constructed.
pub(super) const fn constructed(number: u8) -> u8 {
    0xa0 | number
}

/// The tag of `[number]`, IMPLICIT of something primitive.
pub(super) const fn primitive(number: u8) -> u8 {
    0x80 | number
}

/// An element of a one-octet tag with these parts as its content.
pub(super) fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = vec![tag];
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let octets = length.to_be_bytes();
            let needed: Vec<u8> = octets.into_iter().skip_while(|octet| *octet == 0).collect();
            out.push(0x80 | u8::try_from(needed.len()).unwrap_or(0x7f));
            out.extend(needed);
        }
    }
    out.extend(parts.iter().copied().flatten());
    out
}

/// SEQUENCE or SEQUENCE OF.
pub(super) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    element(SEQUENCE, parts)
}

/// SEQUENCE OF elements that are there already.
pub(super) fn sequence_of(items: &[Vec<u8>]) -> Vec<u8> {
    let parts: Vec<&[u8]> = items.iter().map(Vec::as_slice).collect();
    sequence(&parts)
}

/// A BIT STRING without unused bits.
pub(super) fn bit_string(octets: &[u8]) -> Vec<u8> {
    element(BIT_STRING, &[&[0], octets])
}

/// What the library encodes.
pub(super) fn encoded(value: &impl Encode) -> Result<Vec<u8>, CmpError> {
    value
        .to_der()
        .map_err(|_| CmpError::malformed("a value that does not encode"))
}

/// `[number] EXPLICIT` where there is something, nothing where there is not.
pub(super) fn optional(number: u8, value: Option<Vec<u8>>) -> Vec<u8> {
    value.map_or_else(Vec::new, |value| element(constructed(number), &[&value]))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use der::{Decode, asn1::AnyRef};

    #[test]
    fn lengths_are_the_shortest_ones() {
        for length in [0, 1, 127, 128, 255, 256, 65_535, 65_536] {
            let content = vec![7; length];
            let written = element(OCTET_STRING, &[&content]);
            // The reader takes DER alone.
            assert_eq!(AnyRef::from_der(&written).unwrap().value(), content);
        }
    }
}
