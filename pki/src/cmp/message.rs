//! A message as a whole: read within limits, its parts kept as they were for the protection.

use super::asn1::{self, constructed, element, encoded, sequence};
use super::body::Body;
use super::header::Header;
use super::{CmpError, MAX_CERTIFICATES, MAX_MESSAGE_BYTES};
use crate::path::MAX_CERTIFICATE_BYTES;
use der::asn1::{AnyRef, BitStringRef};
use der::{Decode, Sequence};

/// ```text
/// PKIMessage ::= SEQUENCE {
///     header           PKIHeader,
///     body             PKIBody,
///     protection   [0] PKIProtection OPTIONAL,
///     extraCerts   [1] SEQUENCE SIZE (1..MAX) OF CMPCertificate OPTIONAL
/// }
/// PKIProtection ::= BIT STRING                                             (RFC 9810, section 5.1)
/// ```
#[derive(Sequence)]
struct PkiMessage<'a> {
    header: AnyRef<'a>,
    body: AnyRef<'a>,
    #[asn1(context_specific = "0", optional = "true")]
    protection: Option<BitStringRef<'a>>,
    #[asn1(context_specific = "1", optional = "true")]
    extra_certs: Option<Vec<AnyRef<'a>>>,
}

/// A message. Nothing of it is true until [`Message::verify`] says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its header.
    pub header: Header,
    /// What it says.
    pub body: Body,
    /// Certificates (DER) that came along: whose, is not known.
    pub extra_certs: Vec<Vec<u8>>,
    /// What is protected (DER): ProtectedPart.
    pub(super) protected_part: Vec<u8>,
    pub(super) protection: Option<Vec<u8>>,
}

impl Message {
    /// Reads a message that somebody sent.
    ///
    /// At most [`MAX_MESSAGE_BYTES`], DER, with nothing behind it; every list in it is bounded, and no structure contains itself.
    ///
    /// # Errors
    /// [`CmpError`] naming the part that is none.
    pub fn read(bytes: &[u8]) -> Result<Self, CmpError> {
        if bytes.len() > MAX_MESSAGE_BYTES {
            return Err(CmpError::TooLarge);
        }
        let message = PkiMessage::from_der(bytes).map_err(CmpError::at("the message"))?;
        let protection = message
            .protection
            .map(|bits| bits.as_bytes().map(<[u8]>::to_vec))
            .map(|octets| octets.ok_or(CmpError::malformed("the protection")))
            .transpose()?;
        Ok(Self {
            header: Header::read(message.header)?,
            body: Body::read(message.body)?,
            extra_certs: certificates(message.extra_certs.unwrap_or_default())?,
            protected_part: sequence(&[&encoded(&message.header)?, &encoded(&message.body)?]),
            protection,
        })
    }
}

/// CMPCertificates, each only known to be a SEQUENCE.
pub(super) fn certificates(elements: Vec<AnyRef<'_>>) -> Result<Vec<Vec<u8>>, CmpError> {
    if elements.len() > MAX_CERTIFICATES {
        return Err(CmpError::TooMany {
            what: "certificates",
            limit: MAX_CERTIFICATES,
        });
    }
    elements.into_iter().map(certificate).collect()
}

/// ```text
/// CMPCertificate ::= CHOICE { x509v3PKCert Certificate }
/// ```
pub(super) fn certificate(element: AnyRef<'_>) -> Result<Vec<u8>, CmpError> {
    let der = encoded(&element)?;
    if der.first() != Some(&asn1::SEQUENCE) || der.len() > MAX_CERTIFICATE_BYTES {
        return Err(CmpError::malformed("a certificate"));
    }
    Ok(der)
}

/// A message of these parts.
pub(super) fn assemble(
    header: &[u8],
    body: &[u8],
    protection: Option<&[u8]>,
    extra_certs: &[Vec<u8>],
) -> Vec<u8> {
    let protection = asn1::optional(0, protection.map(asn1::bit_string));
    let extra = match extra_certs.is_empty() {
        true => Vec::new(),
        false => element(constructed(1), &[&asn1::sequence_of(extra_certs)]),
    };
    sequence(&[header, body, &protection, &extra])
}
