//! The attributes of a bag (RFC 7292 section 4.2, RFC 2985 section 5.5). They decide nothing that a key does not confirm.

use crate::ber::{BerError, Element, Elements, tag};
use crate::text;
use crate::words;
use const_oid::ObjectIdentifier;

/// friendlyName (RFC 2985 section 5.5.1).
pub(super) const FRIENDLY_NAME: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.20");
/// localKeyID (RFC 2985 section 5.5.2).
pub(super) const LOCAL_KEY_ID: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.21");
/// The name of the provider that held the key, in exports of Windows.
const MICROSOFT_PROVIDER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.17.1");
/// What a certificate is trusted for, in key stores of Java.
const JAVA_TRUSTED: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.113894.746875.1.1");

/// Longest name that is kept and written, in units of UTF-16. RFC 2985 (pkcs-9-ub-friendlyName) says 255; real files have longer ones,
/// which readers take.
pub(super) const LONGEST_NAME_UNITS: usize = 1024;
/// Longest local key id that is kept and written, in bytes: a digest is 20 to 64.
pub(super) const LONGEST_ID: usize = 1024;
/// Longest name that is shown, in characters.
const LONGEST_SHOWN: usize = 256;
/// Most complaints that are kept.
const MOST_BROKEN: usize = 16;

/// A name that a file gives something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// As it is in the file.
    pub(super) stored: String,
    /// Whether that is all of it: it is not too long, and has no halves of characters and nothing behind a zero.
    pub(super) whole: bool,
    /// As it may be shown.
    pub(super) shown: String,
}

/// The attributes of one bag that are of use.
#[derive(Default, Clone)]
pub(super) struct Attributes {
    pub(super) friendly_name: Option<Name>,
    pub(super) local_key_id: Option<Vec<u8>>,
    pub(super) microsoft_provider: Option<String>,
    pub(super) java_trusted: bool,
    /// Attributes whose value is not of their type.
    pub(super) broken: Vec<String>,
}

impl Attributes {
    /// ```text
    /// bagAttributes SET OF PKCS12Attribute OPTIONAL
    /// PKCS12Attribute ::= SEQUENCE { attrId OBJECT IDENTIFIER, attrValues SET OF ANY }
    /// ```
    ///
    /// An attribute that is broken is none. The order of the set is the writer's.
    pub(super) fn read(mut set: Elements<'_>) -> Self {
        let mut found = Self::default();
        loop {
            match set.next_element() {
                Ok(None) => return found,
                Ok(Some(attribute)) => found.add(attribute),
                Err(_) => {
                    found.complain(|| "bag attributes".to_owned());
                    return found;
                }
            }
        }
    }

    fn add(&mut self, attribute: Element<'_>) {
        let Ok((id, value)) = parts(attribute) else {
            self.complain(|| "an attribute".to_owned());
            return;
        };
        let fits = match id {
            FRIENDLY_NAME => keep(&mut self.friendly_name, value.and_then(|value| name(value))),
            MICROSOFT_PROVIDER => keep(
                &mut self.microsoft_provider,
                value.and_then(|value| Some(name(value)?.shown)),
            ),
            LOCAL_KEY_ID => keep(
                &mut self.local_key_id,
                value
                    .filter(|value| {
                        value.tag == tag::OCTET_STRING && value.content.len() <= LONGEST_ID
                    })
                    .map(|value| value.content.to_vec()),
            ),
            JAVA_TRUSTED => {
                self.java_trusted = true;
                true
            }
            _ => true,
        };
        if !fits {
            self.complain(|| words::oid(&id));
        }
    }

    /// What there is to say is put in words for the first ones alone: a file may have 70,000.
    fn complain(&mut self, what: impl FnOnce() -> String) {
        if self.broken.len() < MOST_BROKEN {
            self.broken.push(what());
        }
    }
}

/// The identifier of an attribute, and its first value.
fn parts(attribute: Element<'_>) -> Result<(ObjectIdentifier, Option<Element<'_>>), BerError> {
    let mut parts = attribute.within(tag::SEQUENCE)?;
    let id = parts.take_tag(tag::OBJECT_IDENTIFIER)?;
    let id = ObjectIdentifier::from_bytes(id.content).map_err(|_| BerError::Malformed)?;
    let value = parts.take_tag(tag::SET)?.elements().next_element()?;
    Ok((id, value))
}

/// The first one counts. `false` when there was a value of another type.
fn keep<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    let fits = value.is_some();
    if place.is_none() {
        *place = value;
    }
    fits
}

/// A text of one of the string types: BMPString, which it has to be, or what some writers use instead.
fn name(value: Element<'_>) -> Option<Name> {
    const UTF8_STRING: u8 = 0x0c;
    const PRINTABLE_STRING: u8 = 0x13;
    const IA5_STRING: u8 = 0x16;
    const BMP_STRING: u8 = 0x1e;
    let (stored, whole) = match value.tag {
        BMP_STRING if value.content.len().is_multiple_of(2) => bmp(value.content),
        UTF8_STRING | PRINTABLE_STRING | IA5_STRING => {
            let text = std::str::from_utf8(value.content).ok()?;
            kept(text.chars().map(Some))
        }
        _ => return None,
    };
    let shown: String = stored.chars().take(LONGEST_SHOWN).collect();
    Some(Name {
        shown: text::printable(&shown),
        stored,
        whole,
    })
}

/// UTF-16, which BMPString is for every writer of today, up to a zero: some count the one at the end as a character.
fn bmp(content: &[u8]) -> (String, bool) {
    let units = || {
        content
            .chunks_exact(2)
            .filter_map(|pair| <[u8; 2]>::try_from(pair).ok())
            .map(u16::from_be_bytes)
    };
    let end = units().position(|unit| unit == 0).unwrap_or(usize::MAX);
    let (stored, whole) = kept(char::decode_utf16(units().take(end)).map(Result::ok));
    (stored, whole && units().skip(end).all(|unit| unit == 0))
}

/// What fits of a text, and whether that is all of it; half a character is `None`.
fn kept(characters: impl Iterator<Item = Option<char>>) -> (String, bool) {
    let (mut kept, mut units, mut whole) = (String::new(), 0_usize, true);
    for character in characters {
        whole &= character.is_some();
        let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
        units = units.saturating_add(character.len_utf16());
        if units > LONGEST_NAME_UNITS {
            return (kept, false);
        }
        kept.push(character);
    }
    (kept, whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many as fit into a file of 1 MiB.
    #[test]
    fn what_many_broken_attributes_are_called_is_looked_up_for_the_first_ones_alone() {
        let name_without_value = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x14\x31\x00";
        for set in [
            name_without_value.repeat(70_000),
            b"\x30\x00".repeat(70_000),
        ] {
            let before = words::lookups();
            let attributes = Attributes::read(Elements::new(&set));
            assert_eq!(attributes.broken.len(), MOST_BROKEN);
            let lookups = words::lookups() - before;
            assert!(lookups <= MOST_BROKEN, "{lookups}");
        }
    }
}
