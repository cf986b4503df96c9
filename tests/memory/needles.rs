//! Secrets in every form in which they may have been left somewhere.

use std::path::Path;
use std::process::Command;

/// Pieces of numbers and keys that are looked for: a number may be overwritten in part, by whoever had the memory next.
const PIECE: usize = 16;

/// Something to look for.
pub(crate) struct Needle {
    /// What it is, for people; not the secret itself.
    pub(crate) what: String,
    pub(crate) bytes: Vec<u8>,
    /// The process that works with it, if one does, and may have it.
    pub(crate) holder: Option<&'static str>,
}

/// What is looked for.
#[derive(Default)]
pub(crate) struct Needles(pub(crate) Vec<Needle>);

impl Needles {
    fn add(&mut self, what: String, bytes: Vec<u8>) {
        assert!(bytes.len() >= 8, "{what}: too short to be told from chance");
        self.0.push(Needle {
            what,
            bytes,
            holder: None,
        });
    }

    /// What `add` adds is something that this process works with: it may be there and nowhere else.
    pub(crate) fn held_by(&mut self, holder: &'static str, add: impl FnOnce(&mut Self)) {
        let before = self.0.len();
        add(self);
        for needle in &mut self.0[before..] {
            needle.holder = Some(holder);
        }
    }

    /// Bytes as they are, in hexadecimal digits and in base64.
    fn add_bytes(&mut self, what: &str, bytes: &[u8]) {
        self.add(what.to_owned(), bytes.to_vec());
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        self.add(format!("{what}, hexadecimal"), hex.clone().into_bytes());
        self.add(
            format!("{what}, hexadecimal in capitals"),
            hex.to_uppercase().into_bytes(),
        );
        for (shift, text) in base64_at_any_place(bytes).into_iter().enumerate() {
            if text.len() >= 8 {
                self.add(format!("{what}, base64 at {shift} mod 3"), text);
            }
        }
    }

    /// A password or PIN: also as the BMPString of PKCS #12, of which the one with terminator begins with the one without, and as the
    /// UTF-16 of little-endian machines.
    pub(crate) fn add_text(&mut self, what: &str, text: &str) {
        self.add_bytes(what, text.as_bytes());
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        self.add_bytes(&format!("{what}, BMPString"), &big);
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        self.add(format!("{what}, UTF-16LE"), little);
    }

    /// A private number: pieces of its beginning, middle and end, in both orders of bytes.
    pub(crate) fn add_number(&mut self, what: &str, number: &[u8]) {
        let number = match number {
            [0, rest @ ..] => rest,
            other => other,
        };
        let pieces = [
            ("beginning", 0),
            ("middle", number.len() / 2 - PIECE / 2),
            ("end", number.len() - PIECE),
        ];
        for (place, at) in pieces {
            let piece = &number[at..at + PIECE];
            self.add_bytes(&format!("{what}, {place}"), piece);
            let turned: Vec<u8> = piece.iter().rev().copied().collect();
            self.add(format!("{what}, {place}, little-endian"), turned);
        }
    }

    /// The private numbers of a key: of RSA the exponent, the primes and what is made of them (RFC 8017 A.1.2); of EC the scalar (RFC 5915).
    pub(crate) fn add_key(&mut self, what: &str, key: &Path) {
        let key = key.to_str().unwrap();
        let traditional = openssl(&["pkey", "-in", key, "-traditional", "-outform", "DER"]);
        let fields = fields_of_sequence(&traditional);
        match fields.as_slice() {
            // version, n, e, d, p, q, d mod p-1, d mod q-1, 1/q mod p
            [_, _, _, d, p, q, dp, dq, qi] => self.add_rsa(what, [d, p, q, dp, dq, qi]),
            // version, scalar, [0] curve, [1] public key
            [_, scalar, ..] => self.add_number(&format!("{what}, scalar"), scalar),
            _ => panic!("{key}: no key of a kind that is known here"),
        }
    }

    /// The private numbers of an RSA key, in the order in which RFC 8017 A.1.2 and PKCS #11 have them.
    pub(crate) fn add_rsa(&mut self, what: &str, numbers: [&[u8]; 6]) {
        let names = [
            "exponent",
            "first prime",
            "second prime",
            "first exponent",
            "second exponent",
            "coefficient",
        ];
        for (name, number) in names.into_iter().zip(numbers) {
            self.add_number(&format!("{what}, {name}"), number);
        }
    }
}

/// Base64 of bytes that stand at any place of a longer text: without the characters that its neighbours have a part in.
fn base64_at_any_place(bytes: &[u8]) -> Vec<Vec<u8>> {
    use base64ct::{Base64Unpadded, Encoding};
    (0..3)
        .map(|shift| {
            let text = Base64Unpadded::encode_string(&[&vec![0; shift][..], bytes].concat());
            let from = (shift * 8).div_ceil(6);
            let to = (shift + bytes.len()) * 8 / 6;
            text.as_bytes()[from..to].to_vec()
        })
        .collect()
}

/// The contents of what is directly in a DER SEQUENCE.
pub(crate) fn fields_of_sequence(der: &[u8]) -> Vec<&[u8]> {
    let (_, mut rest) = field(der).0;
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let ((_, content), after) = field(rest);
        fields.push(content);
        rest = after;
    }
    fields
}

/// Tag, content and what follows.
pub(crate) fn field(der: &[u8]) -> ((u8, &[u8]), &[u8]) {
    let (length, header) = match der[1] {
        short @ 0..0x80 => (usize::from(short), 2),
        long => {
            let octets = usize::from(long & 0x7f);
            let length = der[2..2 + octets]
                .iter()
                .fold(0, |length, octet| length << 8 | usize::from(*octet));
            (length, 2 + octets)
        }
    };
    (
        (der[0], &der[header..header + length]),
        &der[header + length..],
    )
}

pub(crate) fn openssl(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl")
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("this test needs the program `openssl`: {error}"));
    assert!(
        output.status.success(),
        "openssl {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

#[test]
fn a_text_is_found_in_every_form() {
    let mut needles = Needles::default();
    needles.add_text("password", "Kk7-Zz9-never-left");
    let found_in = |haystack: &[u8]| {
        let contains = |needle: &&Needle| {
            haystack
                .windows(needle.bytes.len())
                .any(|window| window == needle.bytes)
        };
        needles.0.iter().filter(contains).count()
    };
    assert_eq!(found_in(b"..Kk7-Zz9-never-left.."), 1);
    assert_eq!(found_in(b"..Kk7-Zz9-never-lef_.."), 0);
    for junk in ["", "a", "ab", "abc"] {
        use base64ct::{Base64, Encoding};
        let text = Base64::encode_string(format!("{junk}Kk7-Zz9-never-left, and more").as_bytes());
        assert_eq!(found_in(text.as_bytes()), 1, "{text}");
    }
    let wide: Vec<u8> = "Kk7-Zz9-never-left\0"
        .encode_utf16()
        .flat_map(u16::to_be_bytes)
        .collect();
    // Big-endian as it is, and little-endian from the second byte on.
    assert!(found_in(&wide) >= 1);
}
