//! Where the parts of a certificate lie, found by DER headers alone (X.690 section 8.1, RFC 5280 section 4.1).
//!
//! This is all that the custody process reads of a stranger's certificate: tag and length of each element on the way, no
//! recursion, no allocation, no interpretation beyond the two extensions that make an authority. What it cannot place is refused.

use serde::{Deserialize, Serialize};

/// The largest certificate that is looked at, in bytes.
pub const MAX_CERTIFICATE_BYTES: usize = 16 * 1024;

/// Half-open range of bytes inside one certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Offset after the last byte.
    pub end: u32,
}

impl Span {
    /// The bytes it covers; `None` when it does not lie inside `bytes`.
    #[must_use]
    pub fn of(self, bytes: &[u8]) -> Option<&[u8]> {
        bytes.get(usize::try_from(self.start).ok()?..usize::try_from(self.end).ok()?)
    }
}

/// The parts of a certificate that a signature check and a CMS recipient need.
///
/// ```text
/// Certificate ::= SEQUENCE { tbsCertificate TBSCertificate, signatureAlgorithm AlgorithmIdentifier, signature BIT STRING }
/// TBSCertificate ::= SEQUENCE { version [0], serialNumber, signature AlgorithmIdentifier, issuer Name, validity,
///                               subject Name, subjectPublicKeyInfo, issuerUniqueID [1], subjectUniqueID [2], extensions [3] }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CertificateSpans {
    /// `tbsCertificate`, with its header: what is signed.
    pub tbs: Span,
    /// `signatureAlgorithm`, with its header.
    pub algorithm: Span,
    /// The signature itself: content of the BIT STRING without its count of unused bits.
    pub signature: Span,
    /// `serialNumber`, with its header.
    pub serial: Span,
    /// `issuer`, with its header.
    pub issuer: Span,
    /// `subject`, with its header.
    pub subject: Span,
    /// `subjectPublicKeyInfo`, with its header.
    pub spki: Span,
}

/// What the headers of a certificate tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Where its parts lie.
    pub spans: CertificateSpans,
    /// Begin of validity as `YYYYMMDDHHMMSS` (UTC).
    pub not_before: [u8; 14],
    /// End of validity as `YYYYMMDDHHMMSS` (UTC), inclusive.
    pub not_after: [u8; 14],
    /// Whether basicConstraints says that this is an authority, and how many authorities may follow it.
    pub authority: Option<PathLength>,
    /// The first byte of keyUsage's bits, where there is one: bit 5 (`keyCertSign`) is 0x04.
    pub key_usage: Option<u8>,
    /// Where the value of subjectAltName lies (GeneralNames, with its header), where there is one.
    pub subject_alt_name: Option<Span>,
    /// Whether there is a critical extension, or one that constrains names or policies, that nothing here would honour.
    pub unhandled_extension: bool,
}

/// `pathLenConstraint` of an authority (RFC 5280 section 4.2.1.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathLength {
    /// Any number of authorities may follow.
    Unlimited,
    /// At most so many that are not self-issued.
    AtMost(u8),
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const BOOLEAN: u8 = 0x01;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;

/// id-ce (2.5.29), as the first bytes of an object identifier's content.
const ID_CE: [u8; 2] = [0x55, 0x1d];
const KEY_USAGE: u8 = 15;
const SUBJECT_ALT_NAME: u8 = 17;
const BASIC_CONSTRAINTS: u8 = 19;
const NAME_CONSTRAINTS: u8 = 30;
const CERTIFICATE_POLICIES: u8 = 32;
const POLICY_CONSTRAINTS: u8 = 36;
const EXTENDED_KEY_USAGE: u8 = 37;

/// Whether an extension (content of its object identifier) may be critical: these are honoured, or restrict nothing that is done here.
#[must_use]
pub fn handles_extension(oid: &[u8]) -> bool {
    matches!(
        oid.strip_prefix(&ID_CE),
        Some([KEY_USAGE
            | SUBJECT_ALT_NAME
            | BASIC_CONSTRAINTS
            | CERTIFICATE_POLICIES
            | EXTENDED_KEY_USAGE])
    )
}

/// Whether an extension restricts a path in a way that is not processed here, so that it is refused even where it is not critical.
#[must_use]
pub fn restricts_path(oid: &[u8]) -> bool {
    matches!(
        oid.strip_prefix(&ID_CE),
        Some([NAME_CONSTRAINTS | POLICY_CONSTRAINTS])
    )
}

/// The parts of the one certificate that `der` holds; `None` when it is not one, is longer than [`MAX_CERTIFICATE_BYTES`], or when
/// anything follows it.
#[must_use]
pub fn read(der: &[u8]) -> Option<Layout> {
    if der.len() > MAX_CERTIFICATE_BYTES {
        return None;
    }
    let mut whole = Cursor::over(der);
    let certificate = whole.take(SEQUENCE)?;
    whole.finish()?;

    let mut parts = Cursor::inside(der, certificate);
    let tbs = parts.take(SEQUENCE)?;
    let algorithm = parts.take(SEQUENCE)?;
    let signature = parts.take(BIT_STRING)?;
    parts.finish()?;
    // DER, and every signature is whole bytes: no unused bits (RFC 5280 section 4.1.1.3).
    if der.get(signature.content) != Some(&0) {
        return None;
    }

    let mut fields = Cursor::inside(der, tbs);
    fields.take_if(VERSION)?;
    let serial = fields.take(INTEGER)?;
    let inner_algorithm = fields.take(SEQUENCE)?;
    let issuer = fields.take(SEQUENCE)?;
    let validity = fields.take(SEQUENCE)?;
    let subject = fields.take(SEQUENCE)?;
    let spki = fields.take(SEQUENCE)?;
    // The signed copy of the algorithm must be the one that is used (RFC 5280 section 4.1.1.2).
    if inner_algorithm.whole(der)? != algorithm.whole(der)? {
        return None;
    }
    let mut times = Cursor::inside(der, validity);
    let not_before = time(der, times.any()?)?;
    let not_after = time(der, times.any()?)?;
    times.finish()?;

    let mut layout = Layout {
        spans: CertificateSpans {
            tbs: tbs.span()?,
            algorithm: algorithm.span()?,
            signature: Span {
                start: u32::try_from(signature.content.checked_add(1)?).ok()?,
                end: u32::try_from(signature.end).ok()?,
            },
            serial: serial.span()?,
            issuer: issuer.span()?,
            subject: subject.span()?,
            spki: spki.span()?,
        },
        not_before,
        not_after,
        authority: None,
        key_usage: None,
        subject_alt_name: None,
        unhandled_extension: false,
    };
    fields.take_if(0x81)?;
    fields.take_if(0x82)?;
    if let Some(wrapper) = fields.take_if(EXTENSIONS)? {
        let mut wrapped = Cursor::inside(der, wrapper);
        let list = wrapped.take(SEQUENCE)?;
        wrapped.finish()?;
        extensions(der, list, &mut layout)?;
    }
    fields.finish()?;
    Some(layout)
}

/// Reads `Extensions ::= SEQUENCE OF SEQUENCE { extnID, critical BOOLEAN DEFAULT FALSE, extnValue OCTET STRING }`.
fn extensions(der: &[u8], list: Element, layout: &mut Layout) -> Option<()> {
    let mut entries = Cursor::inside(der, list);
    let (mut constraints_seen, mut usage_seen) = (false, false);
    while !entries.is_done() {
        let mut entry = Cursor::inside(der, entries.take(SEQUENCE)?);
        let oid = entry.take(OBJECT_IDENTIFIER)?.content(der)?;
        let critical = match entry.take_if(BOOLEAN)? {
            // DER knows one TRUE (X.690 section 11.1). Any other value may be TRUE to somebody else, so it is not taken for FALSE.
            Some(flag) => match flag.content(der)? {
                [0xff] => true,
                [0x00] => false,
                _ => return None,
            },
            None => false,
        };
        let octets = entry.take(OCTET_STRING)?;
        let value = octets.content(der)?;
        entry.finish()?;
        match oid.strip_prefix(&ID_CE) {
            Some([BASIC_CONSTRAINTS]) => {
                if std::mem::replace(&mut constraints_seen, true) {
                    return None;
                }
                layout.authority = authority(value)?;
            }
            Some([KEY_USAGE]) => {
                if std::mem::replace(&mut usage_seen, true) {
                    return None;
                }
                layout.key_usage = match value {
                    [BIT_STRING, 0x02, _, bits] | [BIT_STRING, 0x03, _, bits, _] => Some(*bits),
                    _ => return None,
                };
            }
            Some([SUBJECT_ALT_NAME]) => {
                let span = octets.content_span()?;
                if layout.subject_alt_name.replace(span).is_some() {
                    return None;
                }
            }
            _ => {}
        }
        layout.unhandled_extension |= restricts_path(oid) || (critical && !handles_extension(oid));
    }
    Some(())
}

/// Reads `BasicConstraints ::= SEQUENCE { cA BOOLEAN DEFAULT FALSE, pathLenConstraint INTEGER (0..MAX) OPTIONAL }`, whether it is an
/// authority's. DER has one form for each: what is in another one (another TRUE, a FALSE that is written out, more behind it, a length
/// without cA) may be an authority's to somebody else, and is refused.
fn authority(value: &[u8]) -> Option<Option<PathLength>> {
    match value {
        [0x30, 0x00] => Some(None),
        [0x30, 0x03, 0x01, 0x01, 0xff] => Some(Some(PathLength::Unlimited)),
        [0x30, 0x06, 0x01, 0x01, 0xff, 0x02, 0x01, length] if *length < 0x80 => {
            Some(Some(PathLength::AtMost(*length)))
        }
        _ => None,
    }
}

fn time(der: &[u8], element: Element) -> Option<[u8; 14]> {
    pki::time::time_digits(element.tag, element.content(der)?)
}

/// One element: its tag, and where header, content and end lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element {
    tag: u8,
    start: usize,
    content: usize,
    end: usize,
}

impl Element {
    pub(super) fn span(self) -> Option<Span> {
        Some(Span {
            start: u32::try_from(self.start).ok()?,
            end: u32::try_from(self.end).ok()?,
        })
    }

    /// Of its content, without its header.
    pub(super) fn content_span(self) -> Option<Span> {
        Some(Span {
            start: u32::try_from(self.content).ok()?,
            end: u32::try_from(self.end).ok()?,
        })
    }

    fn whole(self, der: &[u8]) -> Option<&[u8]> {
        der.get(self.start..self.end)
    }

    pub(super) fn tag(self) -> u8 {
        self.tag
    }

    pub(super) fn content(self, der: &[u8]) -> Option<&[u8]> {
        der.get(self.content..self.end)
    }
}

/// Goes from one element to the next between two offsets.
pub(super) struct Cursor<'a> {
    der: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn over(der: &'a [u8]) -> Self {
        Self {
            der,
            at: 0,
            end: der.len(),
        }
    }

    pub(super) fn inside(der: &'a [u8], element: Element) -> Self {
        Self {
            der,
            at: element.content,
            end: element.end,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.at >= self.end
    }

    /// Nothing may be left over.
    pub(super) fn finish(&self) -> Option<()> {
        (self.at == self.end).then_some(())
    }

    /// The next element, whatever its tag: definite length in its shortest form, at most 65,535 bytes, tags below 31 only.
    pub(super) fn any(&mut self) -> Option<Element> {
        let start = self.at;
        let tag = *self.der.get(start)?;
        if tag & 0x1f == 0x1f {
            return None;
        }
        let first = *self.der.get(start.checked_add(1)?)?;
        let (header, length) = match first {
            0..=0x7f => (2, usize::from(first)),
            0x81 => {
                let length = *self.der.get(start.checked_add(2)?)?;
                (length >= 0x80).then_some((3, usize::from(length)))?
            }
            0x82 => {
                let high = *self.der.get(start.checked_add(2)?)?;
                let low = *self.der.get(start.checked_add(3)?)?;
                let length = u16::from_be_bytes([high, low]);
                (length >= 0x100).then_some((4, usize::from(length)))?
            }
            _ => return None,
        };
        let content = start.checked_add(header)?;
        let end = content.checked_add(length)?;
        if end > self.end {
            return None;
        }
        self.at = end;
        Some(Element {
            tag,
            start,
            content,
            end,
        })
    }

    /// The next element, which must have this tag.
    pub(super) fn take(&mut self, tag: u8) -> Option<Element> {
        let element = self.any()?;
        (element.tag == tag).then_some(element)
    }

    /// The next element if it has this tag; outer `None` when there is something that is not an element.
    pub(super) fn take_if(&mut self, tag: u8) -> Option<Option<Element>> {
        if self.is_done() || self.der.get(self.at) != Some(&tag) {
            return Some(None);
        }
        self.any().map(Some)
    }
}

#[cfg(test)]
mod tests;
