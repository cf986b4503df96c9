//! Whom a certificate names: e-mail addresses and user principal names, found by DER headers alone as everything in [`layout`](super::layout).

use super::layout::{Cursor, Element, Layout};

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const IA5_STRING: u8 = 0x16;
/// rfc822Name in a GeneralName (RFC 5280 section 4.2.1.6).
const RFC822_NAME: u8 = 0x81;
/// otherName in a GeneralName, and the value in an otherName.
const OTHER_NAME: u8 = 0xa0;

/// emailAddress (RFC 2985 section 5.2.1): 1.2.840.113549.1.9.1.
const EMAIL_ADDRESS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01];
/// User principal name: 1.3.6.1.4.1.311.20.2.3.
const PRINCIPAL_NAME: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x14, 0x02, 0x03];
/// id-on-SmtpUTF8Mailbox (RFC 9598): 1.3.6.1.5.5.7.8.9.
const SMTP_UTF8_MAILBOX: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x08, 0x09];

/// Names that are looked at: more than anybody has in one certificate.
const MOST: usize = 64;

/// The e-mail addresses (subjectAltName and subject) and user principal names of a certificate; `None` when they cannot be placed.
#[must_use]
pub(super) fn of(der: &[u8], layout: &Layout) -> Option<Vec<String>> {
    let mut found = Vec::new();
    if let Some(span) = layout.subject_alt_name {
        let mut whole = Cursor::over(span.of(der)?);
        let list = whole.take(SEQUENCE)?;
        whole.finish()?;
        let bytes = span.of(der)?;
        let mut entries = Cursor::inside(bytes, list);
        while !entries.is_done() {
            let entry = entries.any()?;
            let name = match entry.tag() {
                RFC822_NAME => entry.content(bytes),
                OTHER_NAME => other_name(bytes, entry)?,
                _ => None,
            };
            add(&mut found, name)?;
        }
    }
    let subject = layout.spans.subject.of(der)?;
    let mut whole = Cursor::over(subject);
    let mut sets = Cursor::inside(subject, whole.take(SEQUENCE)?);
    while !sets.is_done() {
        let mut attributes = Cursor::inside(subject, sets.take(SET)?);
        while !attributes.is_done() {
            let mut attribute = Cursor::inside(subject, attributes.take(SEQUENCE)?);
            let kind = attribute.take(OBJECT_IDENTIFIER)?.content(subject)?;
            let value = attribute.any()?;
            if kind == EMAIL_ADDRESS && matches!(value.tag(), IA5_STRING | UTF8_STRING) {
                add(&mut found, value.content(subject))?;
            }
        }
    }
    Some(found)
}

/// The text of an otherName of a kind that is known here: inner `None` for other kinds.
fn other_name(bytes: &[u8], entry: Element) -> Option<Option<&[u8]>> {
    let mut parts = Cursor::inside(bytes, entry);
    let kind = parts.take(OBJECT_IDENTIFIER)?.content(bytes)?;
    if kind != PRINCIPAL_NAME && kind != SMTP_UTF8_MAILBOX {
        return Some(None);
    }
    let mut value = Cursor::inside(bytes, parts.take(OTHER_NAME)?);
    Some(value.take(UTF8_STRING)?.content(bytes))
}

fn add(found: &mut Vec<String>, name: Option<&[u8]>) -> Option<()> {
    if let Some(name) = name {
        if found.len() >= MOST {
            return None;
        }
        found.push(std::str::from_utf8(name).ok()?.to_owned());
    }
    Some(())
}
