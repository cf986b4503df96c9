//! Files put together by hand: elements in DER, and the same in BER.
#![allow(dead_code, unreachable_pub)]

/// An element in DER.
pub fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match content.len() {
        short @ 0..=0x7f => out.push(short.to_le_bytes()[0]),
        long => {
            let digits: Vec<u8> = long
                .to_be_bytes()
                .into_iter()
                .skip_while(|digit| *digit == 0)
                .collect();
            out.push(0x80 | digits.len().to_le_bytes()[0]);
            out.extend(digits);
        }
    }
    out.extend_from_slice(content);
    out
}

/// A constructed element with an end marker instead of a length.
pub fn indefinite(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag, 0x80], content, &[0, 0]].concat()
}

/// An element whose length takes four octets more than it has to.
pub fn long_length(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x88, 0, 0, 0, 0], &length[..], content].concat()
}

/// An OCTET STRING in pieces of `size` octets.
pub fn pieces(content: &[u8], size: usize) -> Vec<u8> {
    let pieces: Vec<u8> = content
        .chunks(size)
        .flat_map(|piece| der(0x04, piece))
        .collect();
    indefinite(0x24, &pieces)
}

pub fn sequence(elements: &[&[u8]]) -> Vec<u8> {
    der(0x30, &elements.concat())
}

pub const DATA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";

/// ContentInfo of type data.
pub fn data(content: &[u8]) -> Vec<u8> {
    sequence(&[DATA, &der(0xa0, &der(0x04, content))])
}

/// A SafeBag of PKCS#12's bag type `number`.
pub fn bag(number: u8, value: &[u8], attributes: &[u8]) -> Vec<u8> {
    let id = [
        b"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01".as_slice(),
        &[number],
    ]
    .concat();
    sequence(&[&id, &der(0xa0, value), attributes])
}

/// The value of a CertBag of type x509Certificate.
pub fn certificate(content: &[u8]) -> Vec<u8> {
    let id = b"\x06\x0a\x2a\x86\x48\x86\xf7\x0d\x01\x09\x16\x01";
    sequence(&[id, &der(0xa0, &der(0x04, content))])
}

/// A certificate (RFC 5280) of no key at all, whose alternative names are the GeneralNames `alternative`.
pub fn x509(subject: &str, issuer: &str, alternative: &[u8]) -> Vec<u8> {
    const ED25519: &[u8] = b"\x30\x05\x06\x03\x2b\x65\x70";
    let name = |text: &str| {
        let attribute = sequence(&[b"\x06\x03\x55\x04\x03", &der(0x0c, text.as_bytes())]);
        sequence(&[&der(0x31, &attribute)])
    };
    let validity = sequence(&[&der(0x17, b"200101000000Z"), &der(0x17, b"491231235959Z")]);
    let key = sequence(&[ED25519, &der(0x03, &[0; 33])]);
    let names = der(0x04, &der(0x30, alternative));
    let extensions = sequence(&[&sequence(&[b"\x06\x03\x55\x1d\x11", &names])]);
    let tbs = sequence(&[
        b"\xa0\x03\x02\x01\x02\x02\x01\x01",
        ED25519,
        &name(issuer),
        &validity,
        &name(subject),
        &key,
        &der(0xa3, &extensions),
    ]);
    sequence(&[&tbs, ED25519, &der(0x03, &[0; 65])])
}

/// A PFX without MAC, with one plain part.
pub fn pfx(safe_contents: &[u8]) -> Vec<u8> {
    sequence(&[&[2, 1, 3], &data(&sequence(&[&data(safe_contents)]))])
}
