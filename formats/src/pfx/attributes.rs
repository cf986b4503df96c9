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

/// Longest name that is kept, in characters.
const LONGEST_NAME: usize = 256;
/// Longest local key id that is kept, in bytes.
const LONGEST_ID: usize = 256;
/// Most complaints that are kept.
const MOST_BROKEN: usize = 16;

/// The attributes of one bag that are of use.
#[derive(Default, Clone)]
pub(super) struct Attributes {
    pub(super) friendly_name: Option<String>,
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
                    found.complain("bag attributes".to_owned());
                    return found;
                }
            }
        }
    }

    fn add(&mut self, attribute: Element<'_>) {
        let Ok((id, value)) = parts(attribute) else {
            self.complain("an attribute".to_owned());
            return;
        };
        let fits = match id {
            FRIENDLY_NAME => keep(&mut self.friendly_name, value.and_then(|value| name(value))),
            MICROSOFT_PROVIDER => keep(
                &mut self.microsoft_provider,
                value.and_then(|value| name(value)),
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
            self.complain(words::oid(&id));
        }
    }

    fn complain(&mut self, what: String) {
        if self.broken.len() < MOST_BROKEN {
            self.broken.push(what);
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

/// A text of one of the string types, as it may be shown: BMPString, which it has to be, or what some writers use instead.
fn name(value: Element<'_>) -> Option<String> {
    const UTF8_STRING: u8 = 0x0c;
    const PRINTABLE_STRING: u8 = 0x13;
    const IA5_STRING: u8 = 0x16;
    const BMP_STRING: u8 = 0x1e;
    let text: String = match value.tag {
        BMP_STRING if value.content.len().is_multiple_of(2) => {
            let units = value
                .content
                .chunks_exact(2)
                .filter_map(|pair| <[u8; 2]>::try_from(pair).ok())
                .map(u16::from_be_bytes);
            char::decode_utf16(units)
                .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
                // Some writers count the zero at the end as a character.
                .take_while(|character| *character != '\0')
                .take(LONGEST_NAME)
                .collect()
        }
        UTF8_STRING | PRINTABLE_STRING | IA5_STRING => std::str::from_utf8(value.content)
            .ok()?
            .chars()
            .take(LONGEST_NAME)
            .collect(),
        _ => return None,
    };
    Some(text::printable(&text))
}
