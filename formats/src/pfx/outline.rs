//! Of a certificate only what joins it to a key and to its issuer (RFC 5280 section 4.1).
//!
//! Old certificates break rules that do not matter here (negative serial numbers, dates, names), so that the full parser refuses them.
//! Their key has to be found nevertheless.

use crate::ber::{Element, tag};

/// Parts of a certificate, as they are encoded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Outline<'a> {
    /// Name of the issuer.
    pub(super) issuer: &'a [u8],
    /// Name of the subject.
    pub(super) subject: &'a [u8],
    /// subjectPublicKey: the octets of the BIT STRING.
    pub(super) public_key: &'a [u8],
}

impl<'a> Outline<'a> {
    /// ```text
    /// Certificate ::= SEQUENCE { tbsCertificate TBSCertificate, signatureAlgorithm AlgorithmIdentifier, signatureValue BIT STRING }
    /// TBSCertificate ::= SEQUENCE { version [0] EXPLICIT Version DEFAULT v1, serialNumber INTEGER, signature AlgorithmIdentifier,
    ///     issuer Name, validity Validity, subject Name, subjectPublicKeyInfo SubjectPublicKeyInfo, ... }
    /// ```
    ///
    /// `None` for what is no certificate.
    pub(super) fn of(der: &'a [u8]) -> Option<Self> {
        let mut certificate = Element::whole(der).ok()?.within(tag::SEQUENCE).ok()?;
        let mut tbs = certificate.take_tag(tag::SEQUENCE).ok()?.elements();
        certificate.take_tag(tag::SEQUENCE).ok()?;
        certificate.take_tag(tag::BIT_STRING).ok()?;
        tbs.take_if(tag::CONTEXT_0).ok()?;
        tbs.take_tag(tag::INTEGER).ok()?;
        tbs.take_tag(tag::SEQUENCE).ok()?;
        let issuer = tbs.take_tag(tag::SEQUENCE).ok()?;
        tbs.take_tag(tag::SEQUENCE).ok()?;
        let subject = tbs.take_tag(tag::SEQUENCE).ok()?;
        let mut key = tbs.take_tag(tag::SEQUENCE).ok()?.elements();
        key.take_tag(tag::SEQUENCE).ok()?;
        let bits = key.take_tag(tag::BIT_STRING).ok()?;
        Some(Self {
            issuer: issuer.raw,
            subject: subject.raw,
            public_key: whole_bits(bits.content)?,
        })
    }
}

/// The octets of a BIT STRING without unused bits.
pub(super) fn whole_bits(content: &[u8]) -> Option<&[u8]> {
    match content.split_first() {
        Some((0, bits)) => Some(bits),
        _ => None,
    }
}
