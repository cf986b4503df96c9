//! A name as text (RFC 4514), for people and for comparison with what tools print.

use super::attribute::Kind;
use crate::template::is_control;
use der::{Any, Encode, Tag, Tagged};
use formats::text::hex;
use x509_cert::name::Name;

/// The name as RFC 4514 writes it: the last part first, special characters escaped, control characters as escaped octets, values that are
/// no text as `#` and their DER in hexadecimal. What is read from it by a reader of RFC 4514 is the name again.
#[must_use]
pub fn rfc4514(name: &Name) -> String {
    let rdns: Vec<_> = name.iter_rdn().collect();
    let parts: Vec<String> = rdns
        .into_iter()
        .rev()
        .map(|rdn| {
            let attributes: Vec<String> = rdn
                .iter()
                .map(|attribute| {
                    let kind = Kind::of_oid(&attribute.oid);
                    match (kind, value_text(&attribute.value)) {
                        (Some(kind), Some(text)) => format!("{}={}", kind.name, escaped(&text)),
                        (_, _) => format!(
                            "{}=#{}",
                            attribute.oid,
                            hex(&attribute.value.to_der().unwrap_or_default())
                        ),
                    }
                })
                .collect();
            attributes.join("+")
        })
        .collect();
    parts.join(",")
}

/// The text of a string of any of the types that names have; `None` for others.
pub(crate) fn value_text(value: &Any) -> Option<String> {
    let bytes = value.value();
    match value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String => {
            std::str::from_utf8(bytes).ok().map(str::to_owned)
        }
        // T.61 in name, ISO 8859-1 in practice.
        Tag::TeletexString => Some(bytes.iter().map(|byte| char::from(*byte)).collect()),
        Tag::BmpString => {
            let (pairs, rest) = bytes.as_chunks::<2>();
            let units = pairs.iter().map(|pair| u16::from_be_bytes(*pair));
            let text: Option<String> = char::decode_utf16(units).map(Result::ok).collect();
            text.filter(|_| rest.is_empty())
        }
        _ => None,
    }
}

fn escaped(text: &str) -> String {
    let last = text.chars().count().saturating_sub(1);
    let mut out = String::new();
    for (place, c) in text.chars().enumerate() {
        match c {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '#' if place == 0 => out.push_str("\\#"),
            ' ' if place == 0 || place == last => out.push_str("\\ "),
            c if is_control(c) => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    out.push_str(&format!("\\{byte:02X}"));
                }
            }
            c => out.push(c),
        }
    }
    out
}
