//! Certificates that travel in a message that signs nothing: the certs-only message of EST, SCEP and CMC (RFC 5272 section 4.1, RFC 7030
//! section 4.1.3), which PKCS#7 files for people are as well.
//!
//! ```text
//! ContentInfo ::= SEQUENCE { contentType id-signedData, content [0] EXPLICIT SignedData }
//! SignedData ::= SEQUENCE { version CMSVersion, digestAlgorithms SET OF DigestAlgorithmIdentifier,
//!     encapContentInfo EncapsulatedContentInfo, certificates [0] IMPLICIT CertificateSet OPTIONAL,
//!     crls [1] IMPLICIT RevocationInfoChoices OPTIONAL, signerInfos SET OF SignerInfo }           -- RFC 5652 section 5.1
//! ```
//!
//! [`read`] takes any SignedData, in BER as well: some authorities sign the message, or wrap a response of CMC in it. What it signs is not
//! looked at, and **nothing is trusted because of the message that it came in**.

use formats::ber::{self, BerError, Element, tag};

/// The largest message, in octets.
pub const MAX_BYTES: usize = 1024 * 1024;
/// The most certificates in one message.
pub const MAX_CERTIFICATES: usize = 64;
/// The most elements within elements.
const MAX_DEPTH: usize = 32;

/// id-signedData, content octets (RFC 5652 section 5.1).
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
/// id-data, content octets (RFC 5652 section 4).
const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];

/// Why a message is not taken, or cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertsOnlyError {
    /// Longer than [`MAX_BYTES`].
    #[error("more than {MAX_BYTES} octets, which no message with certificates needs")]
    TooLong,
    /// More certificates than [`MAX_CERTIFICATES`].
    #[error("more than {MAX_CERTIFICATES} certificates")]
    TooMany,
    /// No ContentInfo, or one that breaks off.
    #[error("no CMS message (PKCS#7) in DER or BER: {0}")]
    Malformed(#[from] BerError),
    /// A ContentInfo with something else than SignedData in it.
    #[error("a CMS message, but not SignedData, the only kind that carries certificates alone")]
    AnotherContent,
}

/// The certificates of a message (each DER, as it stands there), in its order; maybe none. Other kinds of certificates are left out.
///
/// # Errors
/// [`CertsOnlyError`].
pub fn read(message: &[u8]) -> Result<Vec<Vec<u8>>, CertsOnlyError> {
    if message.len() > MAX_BYTES {
        return Err(CertsOnlyError::TooLong);
    }
    let normalised = ber::normalise(message, MAX_DEPTH)?;
    if normalised.used != message.len() {
        return Err(BerError::Malformed.into());
    }
    let mut info = Element::whole(normalised.bytes())?.within(tag::SEQUENCE)?;
    if info.take_tag(tag::OBJECT_IDENTIFIER)?.content != SIGNED_DATA {
        return Err(CertsOnlyError::AnotherContent);
    }
    let content = info.take_tag(tag::CONTEXT_0)?;
    info.finish()?;
    let mut signed = Element::whole(content.content)?.within(tag::SEQUENCE)?;
    signed.take_tag(tag::INTEGER)?;
    signed.take_tag(tag::SET)?;
    signed.take_tag(tag::SEQUENCE)?;
    let mut certificates = Vec::new();
    if let Some(set) = signed.take_if(tag::CONTEXT_0)? {
        let mut elements = set.elements();
        while let Some(element) = elements.next_element()? {
            if element.tag != tag::SEQUENCE {
                continue;
            }
            if certificates.len() == MAX_CERTIFICATES {
                return Err(CertsOnlyError::TooMany);
            }
            certificates.push(element.raw.to_vec());
        }
    }
    signed.take_if(0xa1)?;
    signed.take_tag(tag::SET)?;
    signed.finish()?;
    Ok(certificates)
}

/// A message with these certificates (DER), in DER. They are sorted as a SET wants it (X.690 section 11.6).
///
/// # Errors
/// [`CertsOnlyError::TooMany`], [`CertsOnlyError::TooLong`]; [`CertsOnlyError::Malformed`] when one is not an element of ASN.1.
pub fn write(certificates: &[impl AsRef<[u8]>]) -> Result<Vec<u8>, CertsOnlyError> {
    if certificates.len() > MAX_CERTIFICATES {
        return Err(CertsOnlyError::TooMany);
    }
    let mut sorted: Vec<&[u8]> = Vec::with_capacity(certificates.len());
    let mut total = 0_usize;
    for certificate in certificates {
        let certificate = certificate.as_ref();
        Element::whole(certificate)?.within(tag::SEQUENCE)?;
        total = total.saturating_add(certificate.len());
        sorted.push(certificate);
    }
    if total > MAX_BYTES / 2 {
        return Err(CertsOnlyError::TooLong);
    }
    sorted.sort_unstable();
    let set = sorted.concat();
    let parts: [&[u8]; 5] = [
        &[tag::INTEGER, 1, 1],
        &[tag::SET, 0],
        &ber::sequence(&[&element(tag::OBJECT_IDENTIFIER, DATA)]),
        &element(tag::CONTEXT_0, &set),
        &[tag::SET, 0],
    ];
    Ok(ber::sequence(&[
        &element(tag::OBJECT_IDENTIFIER, SIGNED_DATA),
        &element(tag::CONTEXT_0, &ber::sequence(&parts)),
    ]))
}

/// An element with this tag: a SEQUENCE of `content`'s octets whose first octet is another one.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = ber::sequence(&[content]);
    if let Some(first) = bytes.first_mut() {
        *first = tag;
    }
    bytes
}

#[cfg(test)]
mod tests;
