//! Where the parts of a certification request lie, found by DER headers alone as in [`layout`](super::layout).
//!
//! The requests that are looked at here were made by an engine, or are said to have been: their signatures are verified by who issues.

use super::layout::{Cursor, Element, MAX_CERTIFICATE_BYTES, Span};

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OBJECT_IDENTIFIER: u8 = 0x06;
const BOOLEAN: u8 = 0x01;
const OCTET_STRING: u8 = 0x04;
const ATTRIBUTES: u8 = 0xa0;

/// extensionRequest (RFC 2985 section 5.4.2): 1.2.840.113549.1.9.14.
const EXTENSION_REQUEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x0e];
/// subjectAltName (RFC 5280 section 4.2.1.6): 2.5.29.17.
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];

/// What the headers of a certification request tell.
///
/// ```text
/// CertificationRequest     ::= SEQUENCE { certificationRequestInfo, signatureAlgorithm AlgorithmIdentifier, signature BIT STRING }
/// CertificationRequestInfo ::= SEQUENCE { version INTEGER, subject Name, subjectPKInfo, attributes [0] SET OF Attribute }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RequestLayout {
    /// `subject`, with its header.
    pub(super) subject: Span,
    /// `subjectPKInfo`, with its header.
    pub(super) spki: Span,
    /// The value of the subjectAltName that is asked for (GeneralNames, with its header).
    pub(super) subject_alt_name: Option<Span>,
}

/// Reads a certification request (RFC 2986 section 4); `None` when a part cannot be placed.
pub(super) fn read(der: &[u8]) -> Option<RequestLayout> {
    if der.len() > MAX_CERTIFICATE_BYTES {
        return None;
    }
    let mut whole = Cursor::over(der);
    let request = whole.take(SEQUENCE)?;
    whole.finish()?;
    let mut parts = Cursor::inside(der, request);
    let info = parts.take(SEQUENCE)?;
    parts.take(SEQUENCE)?;
    parts.take(BIT_STRING)?;
    parts.finish()?;
    let mut fields = Cursor::inside(der, info);
    fields.take(INTEGER)?;
    let subject = fields.take(SEQUENCE)?.span()?;
    let spki = fields.take(SEQUENCE)?.span()?;
    let mut subject_alt_name = None;
    if let Some(attributes) = fields.take_if(ATTRIBUTES)? {
        let mut attributes = Cursor::inside(der, attributes);
        let mut is_seen = false;
        while !attributes.is_done() {
            let mut attribute = Cursor::inside(der, attributes.take(SEQUENCE)?);
            let kind = attribute.take(OBJECT_IDENTIFIER)?.content(der)?;
            let values = attribute.take(SET)?;
            attribute.finish()?;
            if kind != EXTENSION_REQUEST {
                continue;
            }
            if std::mem::replace(&mut is_seen, true) {
                return None;
            }
            let mut values = Cursor::inside(der, values);
            let list = values.take(SEQUENCE)?;
            values.finish()?;
            subject_alt_name = alternative_names(der, list)?;
        }
    }
    fields.finish()?;
    Some(RequestLayout {
        subject,
        spki,
        subject_alt_name,
    })
}

/// The value of the subjectAltName among `Extensions`; the outer `None` when they cannot be placed, or there are two.
fn alternative_names(der: &[u8], list: Element) -> Option<Option<Span>> {
    let mut entries = Cursor::inside(der, list);
    let mut found = None;
    while !entries.is_done() {
        let mut entry = Cursor::inside(der, entries.take(SEQUENCE)?);
        let oid = entry.take(OBJECT_IDENTIFIER)?.content(der)?;
        entry.take_if(BOOLEAN)?;
        let value = entry.take(OCTET_STRING)?;
        entry.finish()?;
        if oid == SUBJECT_ALT_NAME && found.replace(value.content_span()?).is_some() {
            return None;
        }
    }
    Some(found)
}
