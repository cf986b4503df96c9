//! The message around the recipients (RFC 5652 sections 3 and 6.1, RFC 5083 section 2.1).

use super::recipient::Recipient;
use crate::ber;
use crate::cms::element::{
    Element, Elements, INTEGER, OCTET_STRING, SEQUENCE, SET, constructed, primitive,
};
use crate::cms::facts::MessageKind;
use crate::cms::{CmsError, CmsLimits, oids};
use der::asn1::ObjectIdentifier;
use std::borrow::Cow;

/// AlgorithmIdentifier (RFC 5280 section 4.1.1.2).
#[derive(Clone, Copy)]
pub(super) struct Algorithm<'a> {
    pub(super) oid: ObjectIdentifier,
    pub(super) parameters: Option<Element<'a>>,
    /// With its header.
    pub(super) whole: &'a [u8],
}

impl<'a> Algorithm<'a> {
    pub(super) fn read(element: Element<'a>) -> Result<Self, CmsError> {
        const WHAT: &str = "an algorithm identifier in it is none";
        let element = element.expect(SEQUENCE, WHAT)?;
        let mut fields = element.inside();
        let oid = fields.any(WHAT)?.oid()?;
        let parameters = if fields.is_done() {
            None
        } else {
            Some(fields.any(WHAT)?)
        };
        fields.finish(WHAT)?;
        Ok(Self {
            oid,
            parameters,
            whole: element.whole(),
        })
    }
}

/// What is encrypted, to whom.
///
/// ```text
/// EnvelopedData ::= SEQUENCE {
///     version CMSVersion, originatorInfo [0] IMPLICIT OriginatorInfo OPTIONAL, recipientInfos RecipientInfos,
///     encryptedContentInfo EncryptedContentInfo, unprotectedAttrs [1] IMPLICIT UnprotectedAttributes OPTIONAL }
/// AuthEnvelopedData ::= SEQUENCE {
///     version CMSVersion, originatorInfo [0] IMPLICIT OriginatorInfo OPTIONAL, recipientInfos RecipientInfos,
///     authEncryptedContentInfo EncryptedContentInfo, authAttrs [1] IMPLICIT AuthAttributes OPTIONAL,
///     mac MessageAuthenticationCode, unauthAttrs [2] IMPLICIT UnauthAttributes OPTIONAL }
/// EncryptedContentInfo ::= SEQUENCE {
///     contentType ContentType, contentEncryptionAlgorithm ContentEncryptionAlgorithmIdentifier,
///     encryptedContent [0] IMPLICIT EncryptedContent OPTIONAL }
/// ```
pub(super) struct Message<'a> {
    pub(super) kind: MessageKind,
    pub(super) recipients: Vec<Recipient<'a>>,
    pub(super) content_type: ObjectIdentifier,
    pub(super) algorithm: Algorithm<'a>,
    pub(super) ciphertext: Cow<'a, [u8]>,
    /// Whether the ciphertext is in pieces, as BER allows.
    pub(super) in_pieces: bool,
    /// AuthEnvelopedData: what is authenticated besides the content (DER, as RFC 5083 section 2.2 wants it), and the tag.
    pub(super) authenticated: Option<(Vec<u8>, &'a [u8])>,
}

/// The type of a ContentInfo and its content.
///
/// ```text
/// ContentInfo ::= SEQUENCE { contentType ContentType, content [0] EXPLICIT ANY DEFINED BY contentType }
/// ```
pub(super) fn content_info(der: &[u8]) -> Result<(ObjectIdentifier, Element<'_>), CmsError> {
    const WHAT: &str = "it is no ContentInfo";
    let mut outer = Elements::over(der);
    let info = outer.take(SEQUENCE, WHAT)?;
    outer.finish("something follows it")?;
    let mut fields = info.inside();
    let content_type = fields.any(WHAT)?.oid()?;
    let wrapper = fields.take(constructed(0), WHAT)?;
    fields.finish(WHAT)?;
    let mut wrapped = wrapper.inside();
    let content = wrapped.any(WHAT)?;
    wrapped.finish(WHAT)?;
    Ok((content_type, content))
}

impl<'a> Message<'a> {
    pub(super) fn read(der: &'a [u8], limits: &CmsLimits) -> Result<Self, CmsError> {
        let (content_type, content) = content_info(der)?;
        let kind = if content_type == oids::ENVELOPED_DATA {
            MessageKind::Enveloped
        } else if content_type == oids::AUTH_ENVELOPED_DATA {
            MessageKind::AuthEnveloped
        } else {
            return Err(CmsError::NotEnveloped {
                what: oids::name(&content_type),
            });
        };
        let mut fields = content
            .expect(SEQUENCE, "its EnvelopedData is none")?
            .inside();
        fields.take(INTEGER, "its version is missing")?;
        // Certificates and revocation lists of the originator: nothing here asks who that is.
        fields.take_if(constructed(0))?;
        let recipients = recipients(fields.take(SET, "it has no recipients")?, limits)?;
        let (content_type, algorithm, (ciphertext, in_pieces)) =
            encrypted_content(fields.take(SEQUENCE, "its encrypted content is missing")?)?;
        let attributes = fields.take_if(constructed(1))?;
        let authenticated = match kind {
            MessageKind::Enveloped => None,
            MessageKind::AuthEnveloped => {
                let aad = authenticated_attributes(attributes, &content_type)?;
                let mac = fields.take(OCTET_STRING, "its authentication tag is missing")?;
                fields.take_if(constructed(2))?;
                Some((aad, mac.content()))
            }
        };
        fields.finish("something follows its last field")?;
        Ok(Self {
            kind,
            recipients,
            content_type,
            algorithm,
            ciphertext,
            in_pieces,
            authenticated,
        })
    }
}

fn recipients<'a>(set: Element<'a>, limits: &CmsLimits) -> Result<Vec<Recipient<'a>>, CmsError> {
    let mut infos = set.inside();
    let mut recipients = Vec::new();
    let mut count = 0_usize;
    while !infos.is_done() {
        let recipient = Recipient::read(infos.any("a recipient in it is none")?)?;
        count = count.saturating_add(recipient.count());
        if count > limits.max_recipients {
            return Err(CmsError::LimitExceeded {
                what: "recipients",
                limit: limits.max_recipients,
            });
        }
        recipients.push(recipient);
    }
    if recipients.is_empty() {
        return Err(CmsError::malformed("it has no recipients"));
    }
    Ok(recipients)
}

type EncryptedContent<'a> = (ObjectIdentifier, Algorithm<'a>, (Cow<'a, [u8]>, bool));

fn encrypted_content(info: Element<'_>) -> Result<EncryptedContent<'_>, CmsError> {
    const WHAT: &str = "its encrypted content is not an EncryptedContentInfo";
    let mut fields = info.inside();
    let content_type = fields.any(WHAT)?.oid()?;
    let algorithm = Algorithm::read(fields.take(SEQUENCE, WHAT)?)?;
    if fields.is_done() {
        return Err(CmsError::unsupported(
            "encrypted content that is kept elsewhere (detached)",
        ));
    }
    let content = fields.any(WHAT)?;
    fields.finish(WHAT)?;
    // IMPLICIT OCTET STRING; in pieces from those who write while they encrypt.
    if ![primitive(0), constructed(0)].contains(&content.tag()) {
        return Err(CmsError::malformed(WHAT));
    }
    let ciphertext = content.octets(WHAT)?;
    Ok((
        content_type,
        algorithm,
        (ciphertext, content.tag() == constructed(0)),
    ))
}

/// The authenticated attributes as they are authenticated: a SET OF in DER, whatever it is written in; nothing at all when there are
/// none (RFC 5083 section 2.2).
fn authenticated_attributes(
    attributes: Option<Element<'_>>,
    content_type: &ObjectIdentifier,
) -> Result<Vec<u8>, CmsError> {
    const WHAT: &str = "its authenticated attributes are none";
    let Some(attributes) = attributes else {
        if *content_type != oids::DATA {
            return Err(CmsError::malformed(
                "it has no authenticated attributes although its content is not data (RFC 5083 section 2.1)",
            ));
        }
        return Ok(Vec::new());
    };
    let mut entries = attributes.inside();
    let mut encoded = Vec::new();
    while !entries.is_done() {
        let attribute = entries.take(SEQUENCE, WHAT)?;
        check_content_type(attribute, content_type)?;
        encoded.push(attribute.whole());
    }
    // X.690 section 11.6: in ascending order of their encodings.
    encoded.sort_unstable();
    let mut der = ber::sequence(&encoded);
    // A SET OF has the same lengths.
    if let Some(tag) = der.first_mut() {
        *tag = SET;
    }
    Ok(der)
}

/// The attribute content-type, where there is one, says what EncryptedContentInfo says (RFC 5083 section 2.1).
fn check_content_type(
    attribute: Element<'_>,
    content_type: &ObjectIdentifier,
) -> Result<(), CmsError> {
    const WHAT: &str = "its authenticated attributes are none";
    let mut fields = attribute.inside();
    if fields.any(WHAT)?.oid()? != oids::CONTENT_TYPE_ATTRIBUTE {
        return Ok(());
    }
    let mut values = fields.take(SET, WHAT)?.inside();
    if values.is_done() || values.any(WHAT)?.oid()? != *content_type || !values.is_done() {
        return Err(CmsError::malformed(
            "its authenticated attributes name another content type than it has",
        ));
    }
    Ok(())
}
