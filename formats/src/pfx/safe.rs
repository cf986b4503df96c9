//! From the file to its SafeContents (RFC 7292 sections 4 and 4.1).

use super::PfxError;
use super::bags::{Reading, algorithm_identifier, explicit, identifier};
use super::limits::{BoundedPfx, MAX_ELEMENT_DEPTH};
use super::model::{Part, Protection};
use super::pbe;
use crate::ber::{self, BerError, Element, Elements, Normalised, tag};
use crate::words;
use const_oid::db::rfc5911::{ID_DATA, ID_ENCRYPTED_DATA, ID_ENVELOPED_DATA, ID_SIGNED_DATA};
use der::asn1::{IntRef, ObjectIdentifier, OctetStringRef};
use der::{Decode, Sequence};
use pkcs12::DigestInfo;
use spki::AlgorithmIdentifierRef;
use std::borrow::Cow;

/// MacData, whose count of iterations may be of any size: what is too large is over a limit, not malformed.
///
/// ```text
/// MacData ::= SEQUENCE { mac DigestInfo, macSalt OCTET STRING, iterations INTEGER DEFAULT 1 }
/// ```
#[derive(Sequence)]
pub(super) struct MacData<'a> {
    pub(super) mac: DigestInfo,
    pub(super) salt: &'a OctetStringRef,
    pub(super) iterations: Option<IntRef<'a>>,
}

/// The file with definite lengths.
pub(super) struct File<'a> {
    normalised: Normalised<'a>,
    /// Octets after its end. No MAC covers them, and nothing reads them.
    pub(super) trailing: usize,
}

impl<'a> File<'a> {
    /// # Errors
    /// [`PfxError::Malformed`], with a word on what else it may be.
    pub(super) fn open(pfx: BoundedPfx<'a>) -> Result<Self, PfxError> {
        let bytes = pfx.bytes();
        let normalised = ber::normalise(bytes, MAX_ELEMENT_DEPTH)
            .map_err(|error| PfxError::from_ber(error, something_else(bytes)))?;
        let rest = bytes.get(normalised.used..).unwrap_or_default();
        Ok(Self {
            trailing: rest.len(),
            normalised,
        })
    }

    pub(super) fn forms(&self) -> ber::Forms {
        self.normalised.forms
    }

    pub(super) fn steps(&self) -> usize {
        self.normalised.steps
    }

    pub(super) fn outer(&self) -> Result<Outer<'_>, PfxError> {
        Outer::parse(self.normalised.bytes())
    }
}

/// What a file is that is no ASN.1.
fn something_else(bytes: &[u8]) -> &'static str {
    const JKS: [u8; 4] = [0xfe, 0xed, 0xfe, 0xed];
    const JCEKS: [u8; 4] = [0xce, 0xce, 0xce, 0xce];
    let text = bytes
        .get(..64)
        .unwrap_or(bytes)
        .iter()
        .all(|octet| octet.is_ascii_graphic() || octet.is_ascii_whitespace());
    match bytes {
        [] => "it is empty",
        _ if bytes.starts_with(&JKS) || bytes.starts_with(&JCEKS) => {
            "it is a key store of Java in a format of its own (convert it with keytool -importkeystore -deststoretype pkcs12)"
        }
        _ if bytes.starts_with(b"-----BEGIN") => {
            "it is PEM text, not PKCS#12 (make a PFX of it, or decode it if it is one in base64)"
        }
        _ if text => "it is text, not PKCS#12 (decode it if it is base64)",
        _ => "it is not PKCS#12, or cut off",
    }
}

/// The outermost layer.
///
/// ```text
/// PFX ::= SEQUENCE { version INTEGER {v3(3)}, authSafe ContentInfo, macData MacData OPTIONAL }
/// ```
pub(super) struct Outer<'a> {
    pub(super) version: u8,
    content_type: ObjectIdentifier,
    /// The octets that the MAC covers, as they were, in one piece: an AuthenticatedSafe. Empty in public-key integrity mode.
    pub(super) auth_safe: &'a [u8],
    pub(super) mac_data: Option<MacData<'a>>,
}

impl<'a> Outer<'a> {
    fn parse(pfx: &'a [u8]) -> Result<Self, PfxError> {
        let broken = |error| PfxError::from_ber(error, "it is not a PFX");
        let mut parts = Element::whole(pfx)
            .and_then(|pfx| pfx.within(tag::SEQUENCE))
            .map_err(broken)?;
        let version = parts.take_tag(tag::INTEGER).map_err(broken)?;
        let content = parts.take_tag(tag::SEQUENCE).map_err(broken)?;
        let mut outer = Self {
            version: match version.content {
                [version] => *version,
                _ => return Err(broken(BerError::Malformed)),
            },
            content_type: identifier(&mut content.elements()).map_err(broken)?,
            auth_safe: &[],
            mac_data: None,
        };
        if outer.content_type == ID_DATA {
            outer.auth_safe = data(content).map_err(|error| {
                PfxError::from_ber(error, "its AuthenticatedSafe is not an OCTET STRING")
            })?;
        }
        if let Some(mac) = parts.next_element().map_err(broken)? {
            outer.mac_data = Some(MacData::from_der(mac.raw).map_err(|_| PfxError::Malformed {
                what: "its MacData does not parse",
            })?);
        }
        parts.finish().map_err(broken)?;
        Ok(outer)
    }

    /// Whether it is protected by a signature (public-key integrity mode).
    pub(super) fn is_signed(&self) -> bool {
        self.content_type == ID_SIGNED_DATA
    }

    /// # Errors
    /// [`PfxError::UnsupportedAlgorithm`] for what is not protected by a password.
    pub(super) fn check_supported(&self) -> Result<(), PfxError> {
        self.check_version()?;
        if self.is_signed() {
            return Err(PfxError::unsupported(
                "integrity by a signature (public-key integrity mode)",
            ));
        }
        Ok(())
    }

    /// # Errors
    /// [`PfxError::UnsupportedAlgorithm`] for a version and a content type that nobody has defined.
    pub(super) fn check_version(&self) -> Result<(), PfxError> {
        if self.version != 3 {
            return Err(PfxError::unsupported(format!(
                "version {} of PFX",
                self.version
            )));
        }
        if self.content_type != ID_DATA && !self.is_signed() {
            return Err(PfxError::unsupported(words::oid(&self.content_type)));
        }
        Ok(())
    }
}

/// The octets of a ContentInfo of type data (RFC 5652 section 4).
///
/// ```text
/// ContentInfo ::= SEQUENCE { contentType ContentType, content [0] EXPLICIT ANY DEFINED BY contentType }
/// ```
fn data(content: Element<'_>) -> Result<&[u8], BerError> {
    let mut parts = content.within(tag::SEQUENCE)?;
    identifier(&mut parts)?;
    let octets = explicit(&mut parts)?;
    parts.finish()?;
    match octets.tag {
        tag::OCTET_STRING => Ok(octets.content),
        _ => Err(BerError::Malformed),
    }
}

impl Reading<'_> {
    /// Every part.
    ///
    /// ```text
    /// AuthenticatedSafe ::= SEQUENCE OF ContentInfo
    /// ```
    pub(super) fn authenticated_safe(&mut self, auth_safe: &[u8]) -> Result<Vec<Part>, PfxError> {
        const BROKEN: &str = "its AuthenticatedSafe is not a sequence of ContentInfo";
        let broken = |error| PfxError::from_ber(error, BROKEN);
        let list = self.normalise(auth_safe, BROKEN)?;
        let mut list = Element::whole(list.bytes())
            .and_then(|list| list.within(tag::SEQUENCE))
            .map_err(broken)?;
        let mut parts = Vec::new();
        while let Some(part) = list.next_element().map_err(broken)? {
            // Each part counts like a bag, so that a file of empty parts is bounded as well.
            self.budget.take_bag()?;
            parts.push(self.part(part)?);
        }
        Ok(parts)
    }

    fn part(&mut self, part: Element<'_>) -> Result<Part, PfxError> {
        let content_type = part
            .within(tag::SEQUENCE)
            .and_then(|mut parts| identifier(&mut parts))
            .map_err(|error| PfxError::from_ber(error, "a part is not a ContentInfo"))?;
        match content_type {
            ID_DATA => {
                let safe = data(part).map_err(|error| {
                    PfxError::from_ber(error, "a plain SafeContents is not an OCTET STRING")
                })?;
                Ok(Part {
                    protection: Protection::Plain,
                    bags: Some(self.safe_contents(safe)?),
                    not_supported: None,
                })
            }
            ID_ENCRYPTED_DATA => self.encrypted_part(part),
            ID_ENVELOPED_DATA => Ok(self.closed_part(
                Protection::PublicKey,
                "encryption to a certificate (public-key privacy mode)".to_owned(),
            )),
            other => {
                let content_type = words::oid(&other);
                Ok(self.closed_part(
                    Protection::Unknown {
                        content_type: content_type.clone(),
                    },
                    content_type,
                ))
            }
        }
    }

    /// A part that no password opens here. Each part is a ContentInfo of its own, so the others are read nevertheless.
    fn closed_part(&mut self, protection: Protection, what: String) -> Part {
        self.contents.closed.part(&what);
        Part {
            protection,
            bags: None,
            not_supported: Some(what),
        }
    }

    fn encrypted_part(&mut self, part: Element<'_>) -> Result<Part, PfxError> {
        let encrypted = EncryptedSafe::parse(part).map_err(|error| {
            PfxError::from_ber(error, "an encrypted SafeContents is not an EncryptedData")
        })?;
        let encryption = pbe::describe(&encrypted.algorithm)?;
        let not_supported = encryption.not_supported();
        let protection = Protection::Password(encryption);
        if encrypted.content_type != ID_DATA {
            return Ok(self.closed_part(protection, words::oid(&encrypted.content_type)));
        }
        let Some(keyring) = &mut self.keyring else {
            return Ok(Part {
                protection,
                bags: None,
                not_supported,
            });
        };
        match keyring.decrypt(&encrypted.algorithm, &encrypted.ciphertext, self.budget) {
            Ok(safe) => Ok(Part {
                protection,
                bags: Some(self.safe_contents(safe.expose())?),
                not_supported: None,
            }),
            Err(PfxError::UnsupportedAlgorithm { what, .. }) => {
                Ok(self.closed_part(protection, what))
            }
            Err(other) => Err(other),
        }
    }
}

/// ```text
/// EncryptedData ::= SEQUENCE { version CMSVersion, encryptedContentInfo EncryptedContentInfo,
///                              unprotectedAttrs [1] IMPLICIT UnprotectedAttributes OPTIONAL }
/// EncryptedContentInfo ::= SEQUENCE { contentType ContentType, contentEncryptionAlgorithm AlgorithmIdentifier,
///                                     encryptedContent [0] IMPLICIT OCTET STRING OPTIONAL }
/// ```
/// (RFC 5652 sections 8 and 6.1)
struct EncryptedSafe<'a> {
    content_type: ObjectIdentifier,
    algorithm: AlgorithmIdentifierRef<'a>,
    ciphertext: Cow<'a, [u8]>,
}

impl<'a> EncryptedSafe<'a> {
    fn parse(part: Element<'a>) -> Result<Self, BerError> {
        /// `[0] IMPLICIT`, primitive.
        const CONTENT: u8 = 0x80;
        let mut parts: Elements<'a> = part.within(tag::SEQUENCE)?;
        identifier(&mut parts)?;
        let mut data = explicit(&mut parts)?.within(tag::SEQUENCE)?;
        parts.finish()?;
        data.take_tag(tag::INTEGER)?;
        let mut info = data.take_tag(tag::SEQUENCE)?.elements();
        let content_type = identifier(&mut info)?;
        let algorithm = algorithm_identifier(info.take_tag(tag::SEQUENCE)?)?;
        let content = info.take()?;
        if content.tag != CONTENT && content.tag != tag::CONTEXT_0 {
            return Err(BerError::Malformed);
        }
        Ok(Self {
            content_type,
            algorithm,
            ciphertext: content.octets()?,
        })
    }
}
