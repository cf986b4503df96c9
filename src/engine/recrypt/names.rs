//! Whom a certificate or a request names, found by DER headers alone as everything in [`layout`](super::layout).

use super::layout::{Cursor, Element, Layout};
use crate::encoding::hex;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;
const IA5_STRING: u8 = 0x16;
const BMP_STRING: u8 = 0x1e;
/// rfc822Name, dNSName and uniformResourceIdentifier in a GeneralName (RFC 5280 section 4.2.1.6).
const RFC822_NAME: u8 = 0x81;
const DNS_NAME: u8 = 0x82;
const URI: u8 = 0x86;
/// otherName in a GeneralName, and the value in an otherName.
const OTHER_NAME: u8 = 0xa0;

/// emailAddress (RFC 2985 section 5.2.1): 1.2.840.113549.1.9.1.
const EMAIL_ADDRESS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01];
/// User principal name: 1.3.6.1.4.1.311.20.2.3.
const PRINCIPAL_NAME: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x14, 0x02, 0x03];
/// id-on-SmtpUTF8Mailbox (RFC 9598): 1.3.6.1.5.5.7.8.9.
const SMTP_UTF8_MAILBOX: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x08, 0x09];
/// id-at (X.520): 2.5.4, as the first bytes of an object identifier's content.
const ID_AT: [u8; 2] = [0x55, 0x04];
/// domainComponent (RFC 4519 section 2.4): 0.9.2342.19200300.100.1.25.
const DOMAIN_COMPONENT: &[u8] = &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19];

/// Names that are looked at: more than anybody has in one certificate.
const MOST: usize = 64;

/// What kind of name it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// An e-mail address, of the subject or beside it.
    Email,
    /// A user principal name.
    Principal,
    /// A name of the DNS.
    Dns,
    /// A URI.
    Uri,
    /// Another attribute of the subject that tells one from another: a common name, a serial number, a user id.
    Attribute,
    /// Another kind of alternative name.
    Other,
}

impl Kind {
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Email => "e-mail address",
            Self::Principal => "user principal name",
            Self::Dns => "DNS name",
            Self::Uri => "URI",
            Self::Attribute => "attribute of the subject",
            Self::Other => "alternative name of another kind",
        }
    }
}

/// One name.
#[derive(Debug, Clone)]
pub(super) struct Name {
    pub(super) kind: Kind,
    /// What exactly, where the kind does not say: the object identifier's content, or the tag.
    of: Vec<u8>,
    /// The text; hexadecimal of its bytes where it is no text.
    pub(super) text: String,
}

impl Name {
    /// Whether both are the same name: addresses and names of the DNS in any case of their letters, others exactly.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.of == other.of
            && match self.kind {
                Kind::Email | Kind::Principal | Kind::Dns => {
                    self.text.eq_ignore_ascii_case(&other.text)
                }
                Kind::Uri | Kind::Attribute | Kind::Other => self.text == other.text,
            }
    }
}

/// Attributes of a subject that say where somebody belongs, and not who it is: an authority may add them or write its own.
fn is_organizational(oid: &[u8]) -> bool {
    // C, L, ST, street, O, OU, businessCategory, postalCode, organizationIdentifier.
    matches!(
        oid.strip_prefix(&ID_AT),
        Some([6 | 7 | 8 | 9 | 10 | 11 | 15 | 17 | 97])
    ) || oid == DOMAIN_COMPONENT
}

/// The e-mail addresses (subjectAltName and subject) and user principal names of a certificate; `None` when they cannot be placed.
#[must_use]
pub(super) fn of(der: &[u8], layout: &Layout) -> Option<Vec<String>> {
    let alternative = match layout.subject_alt_name {
        Some(span) => Some(span.of(der)?),
        None => None,
    };
    let named = named(layout.spans.subject.of(der)?, alternative)?;
    let wanted = |name: &Name| matches!(name.kind, Kind::Email | Kind::Principal);
    Some(
        named
            .into_iter()
            .filter(wanted)
            .map(|name| name.text)
            .collect(),
    )
}

/// Everybody and everything that a subject (Name) and the value of a subjectAltName (GeneralNames) name; `None` when a name cannot be placed,
/// an address is no text, or there are more than anybody has.
pub(super) fn named(subject: &[u8], alternative: Option<&[u8]>) -> Option<Vec<Name>> {
    let mut found = Vec::new();
    if let Some(bytes) = alternative {
        let mut whole = Cursor::over(bytes);
        let list = whole.take(SEQUENCE)?;
        whole.finish()?;
        let mut entries = Cursor::inside(bytes, list);
        while !entries.is_done() {
            let entry = entries.any()?;
            let plain = |kind| Some((kind, Vec::new(), utf8(entry.content(bytes)?)?));
            let name = match entry.tag() {
                RFC822_NAME => plain(Kind::Email)?,
                DNS_NAME => plain(Kind::Dns)?,
                URI => plain(Kind::Uri)?,
                OTHER_NAME => other_name(bytes, entry)?,
                tag => (Kind::Other, vec![tag], hex(entry.content(bytes)?)),
            };
            add(&mut found, name)?;
        }
    }
    let mut whole = Cursor::over(subject);
    let mut sets = Cursor::inside(subject, whole.take(SEQUENCE)?);
    whole.finish()?;
    while !sets.is_done() {
        let mut attributes = Cursor::inside(subject, sets.take(SET)?);
        while !attributes.is_done() {
            let mut attribute = Cursor::inside(subject, attributes.take(SEQUENCE)?);
            let kind = attribute.take(OBJECT_IDENTIFIER)?.content(subject)?;
            let value = attribute.any()?;
            if is_organizational(kind) {
                continue;
            }
            let bytes = value.content(subject)?;
            let name = match (kind, value.tag()) {
                (EMAIL_ADDRESS, IA5_STRING | UTF8_STRING) => {
                    (Kind::Email, Vec::new(), utf8(bytes)?)
                }
                (kind, tag) => (Kind::Attribute, kind.to_vec(), text(tag, bytes)),
            };
            add(&mut found, name)?;
        }
    }
    Some(found)
}

type Parts = (Kind, Vec<u8>, String);

fn other_name(bytes: &[u8], entry: Element) -> Option<Parts> {
    let mut parts = Cursor::inside(bytes, entry);
    let oid = parts.take(OBJECT_IDENTIFIER)?.content(bytes)?;
    let kind = match oid {
        PRINCIPAL_NAME => Kind::Principal,
        SMTP_UTF8_MAILBOX => Kind::Email,
        _ => {
            return Some((Kind::Other, oid.to_vec(), hex(entry.content(bytes)?)));
        }
    };
    let mut value = Cursor::inside(bytes, parts.take(OTHER_NAME)?);
    let text = utf8(value.take(UTF8_STRING)?.content(bytes)?)?;
    Some((kind, Vec::new(), text))
}

fn utf8(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

/// The text of a DirectoryString (RFC 5280 appendix A.1), so that the same name in another type of string is the same.
fn text(tag: u8, bytes: &[u8]) -> String {
    let decoded = match tag {
        UTF8_STRING | PRINTABLE_STRING | IA5_STRING => utf8(bytes),
        BMP_STRING => {
            let (pairs, rest) = bytes.as_chunks::<2>();
            let units = pairs.iter().map(|pair| u16::from_be_bytes(*pair));
            let text: Option<String> = char::decode_utf16(units).map(Result::ok).collect();
            text.filter(|_| rest.is_empty())
        }
        _ => None,
    };
    decoded.unwrap_or_else(|| hex(bytes))
}

fn add(found: &mut Vec<Name>, (kind, of, text): Parts) -> Option<()> {
    if found.len() >= MOST {
        return None;
    }
    found.push(Name { kind, of, text });
    Some(())
}
