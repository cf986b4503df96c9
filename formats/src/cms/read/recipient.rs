//! Recipients (RFC 5652 section 6.2): who may decrypt the content key, and how.

use super::message::Algorithm;
use crate::cms::CmsError;
use crate::cms::element::{
    BIT_STRING, Element, INTEGER, OCTET_STRING, SEQUENCE, constructed, primitive,
};

/// Which certificate is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name<'a> {
    /// The issuer's Name (DER, with its header) and the serial number (content of its INTEGER).
    IssuerAndSerialNumber { issuer: &'a [u8], serial: &'a [u8] },
    /// The value of the extension subjectKeyIdentifier.
    SubjectKeyIdentifier(&'a [u8]),
}

/// A recipient, with references into the message.
pub(super) enum Recipient<'a> {
    /// KeyTransRecipientInfo: encrypted to a public key.
    KeyTransport {
        name: Name<'a>,
        algorithm: Algorithm<'a>,
        encrypted_key: &'a [u8],
    },
    /// KeyAgreeRecipientInfo: wrapped under keys agreed with public keys.
    KeyAgreement {
        originator: Originator<'a>,
        user_keying_material: Option<&'a [u8]>,
        algorithm: Algorithm<'a>,
        keys: Vec<(Name<'a>, &'a [u8])>,
    },
    /// Another kind, in words.
    Other(&'static str),
}

/// Whose public key the other one was agreed with.
pub(super) enum Originator<'a> {
    /// A key of this message alone: its algorithm and its point.
    Key {
        algorithm: Algorithm<'a>,
        point: &'a [u8],
    },
    /// The key of a certificate, which is not in the message.
    Certificate,
}

impl<'a> Recipient<'a> {
    /// ```text
    /// RecipientInfo ::= CHOICE {
    ///     ktri KeyTransRecipientInfo, kari [1] KeyAgreeRecipientInfo, kekri [2] KEKRecipientInfo,
    ///     pwri [3] PasswordRecipientInfo, ori [4] OtherRecipientInfo }
    /// ```
    pub(super) fn read(info: Element<'a>) -> Result<Self, CmsError> {
        const KARI: u8 = constructed(1);
        const KEKRI: u8 = constructed(2);
        const PWRI: u8 = constructed(3);
        const ORI: u8 = constructed(4);
        match info.tag() {
            SEQUENCE => key_transport(info),
            KARI => key_agreement(info),
            KEKRI => Ok(Self::Other(
                "a key that both sides already have (KEKRecipientInfo)",
            )),
            PWRI => Ok(Self::Other("a password (PasswordRecipientInfo)")),
            ORI => Ok(Self::Other(
                "another kind of recipient (OtherRecipientInfo)",
            )),
            _ => Err(CmsError::malformed("a recipient in it is none")),
        }
    }

    /// How many recipients it stands for.
    pub(super) fn count(&self) -> usize {
        match self {
            Self::KeyAgreement { keys, .. } => keys.len(),
            _ => 1,
        }
    }
}

/// ```text
/// KeyTransRecipientInfo ::= SEQUENCE {
///     version CMSVersion, rid RecipientIdentifier, keyEncryptionAlgorithm KeyEncryptionAlgorithmIdentifier,
///     encryptedKey EncryptedKey }
/// RecipientIdentifier ::= CHOICE {
///     issuerAndSerialNumber IssuerAndSerialNumber, subjectKeyIdentifier [0] SubjectKeyIdentifier }
/// ```
fn key_transport(info: Element<'_>) -> Result<Recipient<'_>, CmsError> {
    const WHAT: &str = "a recipient in it is not a KeyTransRecipientInfo";
    let mut fields = info.inside();
    fields.take(INTEGER, WHAT)?;
    let name = match fields.take_if(primitive(0))? {
        Some(identifier) => Name::SubjectKeyIdentifier(identifier.content()),
        None => issuer_and_serial_number(fields.take(SEQUENCE, WHAT)?)?,
    };
    let algorithm = Algorithm::read(fields.take(SEQUENCE, WHAT)?)?;
    let encrypted_key = fields.take(OCTET_STRING, WHAT)?.content();
    fields.finish(WHAT)?;
    Ok(Recipient::KeyTransport {
        name,
        algorithm,
        encrypted_key,
    })
}

/// ```text
/// KeyAgreeRecipientInfo ::= SEQUENCE {
///     version CMSVersion, originator [0] EXPLICIT OriginatorIdentifierOrKey, ukm [1] EXPLICIT UserKeyingMaterial OPTIONAL,
///     keyEncryptionAlgorithm KeyEncryptionAlgorithmIdentifier, recipientEncryptedKeys RecipientEncryptedKeys }
/// RecipientEncryptedKeys ::= SEQUENCE OF SEQUENCE { rid KeyAgreeRecipientIdentifier, encryptedKey EncryptedKey }
/// KeyAgreeRecipientIdentifier ::= CHOICE {
///     issuerAndSerialNumber IssuerAndSerialNumber, rKeyId [0] IMPLICIT RecipientKeyIdentifier }
/// ```
fn key_agreement(info: Element<'_>) -> Result<Recipient<'_>, CmsError> {
    const WHAT: &str = "a recipient in it is not a KeyAgreeRecipientInfo";
    let mut fields = info.inside();
    fields.take(INTEGER, WHAT)?;
    let mut wrapped = fields.take(constructed(0), WHAT)?.inside();
    let originator = originator(wrapped.any(WHAT)?)?;
    wrapped.finish(WHAT)?;
    let user_keying_material = match fields.take_if(constructed(1))? {
        Some(wrapper) => {
            let mut wrapped = wrapper.inside();
            let material = wrapped.take(OCTET_STRING, WHAT)?;
            wrapped.finish(WHAT)?;
            Some(material.content())
        }
        None => None,
    };
    let algorithm = Algorithm::read(fields.take(SEQUENCE, WHAT)?)?;
    let mut entries = fields.take(SEQUENCE, WHAT)?.inside();
    fields.finish(WHAT)?;
    let mut keys = Vec::new();
    while !entries.is_done() {
        let mut entry = entries.take(SEQUENCE, WHAT)?.inside();
        let name = match entry.take_if(constructed(0))? {
            // RecipientKeyIdentifier: what follows the identifier (a date, another attribute) names nothing.
            Some(identifier) => {
                let mut fields = identifier.inside();
                Name::SubjectKeyIdentifier(fields.take(OCTET_STRING, WHAT)?.content())
            }
            None => issuer_and_serial_number(entry.take(SEQUENCE, WHAT)?)?,
        };
        let key = entry.take(OCTET_STRING, WHAT)?.content();
        entry.finish(WHAT)?;
        keys.push((name, key));
    }
    Ok(Recipient::KeyAgreement {
        originator,
        user_keying_material,
        algorithm,
        keys,
    })
}

/// ```text
/// OriginatorIdentifierOrKey ::= CHOICE {
///     issuerAndSerialNumber IssuerAndSerialNumber, subjectKeyIdentifier [0] SubjectKeyIdentifier,
///     originatorKey [1] IMPLICIT SEQUENCE { algorithm AlgorithmIdentifier, publicKey BIT STRING } }
/// ```
fn originator(element: Element<'_>) -> Result<Originator<'_>, CmsError> {
    const WHAT: &str = "the originator of a key agreement in it is none";
    if element.tag() != constructed(1) {
        return Ok(Originator::Certificate);
    }
    let mut fields = element.inside();
    let algorithm = Algorithm::read(fields.take(SEQUENCE, WHAT)?)?;
    let bits = fields.take(BIT_STRING, WHAT)?;
    fields.finish(WHAT)?;
    match bits.content().split_first() {
        Some((0, point)) => Ok(Originator::Key { algorithm, point }),
        _ => Err(CmsError::malformed(WHAT)),
    }
}

/// ```text
/// IssuerAndSerialNumber ::= SEQUENCE { issuer Name, serialNumber CertificateSerialNumber }
/// ```
fn issuer_and_serial_number(element: Element<'_>) -> Result<Name<'_>, CmsError> {
    const WHAT: &str = "a recipient in it has no issuer and serial number";
    let mut fields = element.inside();
    let issuer = fields.take(SEQUENCE, WHAT)?;
    let serial = fields.take(INTEGER, WHAT)?;
    fields.finish(WHAT)?;
    Ok(Name::IssuerAndSerialNumber {
        issuer: issuer.whole(),
        serial: serial.content(),
    })
}
