//! What an authority wants to find in a certification request, as EST's `/csrattrs` says it (RFC 8951 section 3.5, RFC 9908).
//!
//! ```text
//! CsrAttrs ::= SEQUENCE SIZE (0..MAX) OF AttrOrOID
//! AttrOrOID ::= CHOICE { oid OBJECT IDENTIFIER, attribute Attribute { {AttrSet} } }
//! Attribute ::= SEQUENCE { type OBJECT IDENTIFIER, values SET SIZE (0..MAX) OF ANY }
//! ```
//!
//! Advice, and untrusted: which requests are made is the operator's to say. Where the template of RFC 9908 is there, it alone counts
//! (section 4 there).

use const_oid::ObjectIdentifier;
use formats::ber::{self, BerError, Element, tag};

/// The largest answer, in octets.
pub const MAX_BYTES: usize = 64 * 1024;
/// The most elements in one answer.
pub const MAX_ITEMS: usize = 256;
const MAX_DEPTH: usize = 24;

/// extensionRequest (RFC 2985 section 5.4.2).
const EXTENSION_REQUEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.14");
/// challengePassword (RFC 2985 section 5.4.1).
const CHALLENGE_PASSWORD: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.7");
/// rsaEncryption (RFC 8017).
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// id-ecPublicKey (RFC 5480).
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// id-aa-certificationRequestInfoTemplate (RFC 9908 section 3.4).
const TEMPLATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.61");
/// id-aa-extensionReqTemplate (RFC 9908 section 3.4).
const EXTENSION_TEMPLATE: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.62");

/// Why an answer is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CsrAttributesError {
    /// Longer than [`MAX_BYTES`].
    #[error("more than {MAX_BYTES} octets, which no list of attributes needs")]
    TooLong,
    /// More elements than [`MAX_ITEMS`].
    #[error("more than {MAX_ITEMS} attributes, extensions or parts of a name")]
    TooMany,
    /// No CsrAttrs.
    #[error("no list of attributes (RFC 8951, CsrAttrs): {0}")]
    Malformed(#[from] BerError),
    /// An object identifier that is none.
    #[error("no list of attributes (RFC 8951, CsrAttrs): an object identifier is none")]
    ObjectIdentifier,
}

/// A type with the value (DER) that the authority dictates for it; `None` where the request fills it in.
pub type Filled = (ObjectIdentifier, Option<Vec<u8>>);

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CsrAttributes {
    /// Everything that was asked for, in order, in the form of RFC 8951.
    pub items: Vec<Asked>,
    /// The template of RFC 9908, if there is one: then it alone counts.
    pub template: Option<Template>,
}

/// One element of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// What it is.
    pub oid: ObjectIdentifier,
    /// Its values (DER); none for one that is only named.
    pub values: Vec<Vec<u8>>,
}

/// A request that is filled in as far as the authority cares (RFC 9908 section 3.4).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Template {
    /// The parts of the subject, in order; `None` when the subject is free.
    pub subject: Option<Vec<Filled>>,
    /// The key's AlgorithmIdentifier (DER), if it is not free.
    pub key: Option<Vec<u8>>,
    /// The extensions; a value is the content of extnValue.
    pub extensions: Vec<Filled>,
    /// The other attributes.
    pub attributes: Vec<Asked>,
}

/// A kind of key that is wanted (RFC 9908 section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WantedKey {
    /// RSA, with a modulus of so many bits where it is said.
    Rsa {
        /// Its size.
        bits: Option<u32>,
    },
    /// An elliptic curve, which one where it is said.
    Ec {
        /// The curve.
        curve: Option<ObjectIdentifier>,
    },
}

impl CsrAttributes {
    /// Reads a list.
    ///
    /// # Errors
    /// [`CsrAttributesError`].
    pub fn read(message: &[u8]) -> Result<Self, CsrAttributesError> {
        if message.len() > MAX_BYTES {
            return Err(CsrAttributesError::TooLong);
        }
        let normalised = ber::normalise(message, MAX_DEPTH)?;
        if normalised.used != message.len() {
            return Err(BerError::Malformed.into());
        }
        let list = Element::whole(normalised.bytes())?;
        let mut budget = Budget(MAX_ITEMS);
        let mut read = Self {
            items: attributes(list, tag::SEQUENCE, &mut budget)?,
            template: None,
        };
        for asked in read.items.iter().filter(|asked| asked.oid == TEMPLATE) {
            let [value] = asked.values.as_slice() else {
                return Err(BerError::Malformed.into());
            };
            read.template = Some(Template::read(Element::whole(value)?, &mut budget)?);
        }
        Ok(read)
    }

    /// The extensions that a request should have, without their values.
    ///
    /// # Errors
    /// [`CsrAttributesError`] when the list of extensions is malformed.
    pub fn extensions(&self) -> Result<Vec<ObjectIdentifier>, CsrAttributesError> {
        if let Some(template) = &self.template {
            return Ok(template.extensions.iter().map(|(oid, _)| *oid).collect());
        }
        let mut found = Vec::new();
        let mut budget = Budget(MAX_ITEMS);
        for asked in self.items.iter().filter(|a| a.oid == EXTENSION_REQUEST) {
            for value in &asked.values {
                let listed = extensions(Element::whole(value)?, &mut budget)?;
                found.extend(listed.into_iter().map(|(oid, _)| oid));
            }
        }
        Ok(found)
    }

    /// Whether a challenge password is wanted, as servers do that bind a request to its TLS connection (RFC 7030 section 3.5).
    #[must_use]
    pub fn wants_challenge_password(&self) -> bool {
        let listed = match &self.template {
            Some(template) => &template.attributes,
            None => &self.items,
        };
        listed.iter().any(|asked| asked.oid == CHALLENGE_PASSWORD)
    }

    /// The kind of key that is wanted; `None` when it is free, or another kind than we have.
    #[must_use]
    pub fn key(&self) -> Option<WantedKey> {
        if let Some(template) = &self.template {
            let mut parts = Element::whole(template.key.as_deref()?)
                .ok()?
                .within(tag::SEQUENCE)
                .ok()?;
            let oid = object_identifier(parts.take().ok()?).ok()?;
            let parameters = parts.next_element().ok()?;
            return wanted(oid, parameters);
        }
        self.items.iter().find_map(|asked| {
            let value = match asked.values.first() {
                Some(value) => Some(Element::whole(value).ok()?),
                None => None,
            };
            wanted(asked.oid, value)
        })
    }
}

impl Template {
    /// CertificationRequestInfoTemplate: version, subject NameTemplate OPTIONAL, subjectPKInfo `[0]` IMPLICIT OPTIONAL, attributes `[1]`.
    fn read(template: Element<'_>, budget: &mut Budget) -> Result<Self, CsrAttributesError> {
        let mut read = Self::default();
        let mut parts = template.within(tag::SEQUENCE)?;
        parts.take_tag(tag::INTEGER)?;
        if let Some(name) = parts.take_if(tag::SEQUENCE)? {
            let mut subject = Vec::new();
            let mut rdns = name.elements();
            while let Some(rdn) = rdns.next_element()? {
                let mut pairs = rdn.within(tag::SET)?;
                while let Some(pair) = pairs.next_element()? {
                    budget.spend()?;
                    let mut pair = pair.within(tag::SEQUENCE)?;
                    let oid = object_identifier(pair.take()?)?;
                    let value = pair.next_element()?.map(|value| value.raw.to_vec());
                    pair.finish()?;
                    subject.push((oid, value));
                }
            }
            read.subject = Some(subject);
        }
        if let Some(key) = parts.take_if(tag::CONTEXT_0)? {
            read.key = Some(key.elements().take_tag(tag::SEQUENCE)?.raw.to_vec());
        }
        if let Some(listed) = parts.take_if(0xa1)? {
            for asked in attributes(listed, 0xa1, budget)? {
                if asked.oid == EXTENSION_REQUEST || asked.oid == EXTENSION_TEMPLATE {
                    for value in &asked.values {
                        read.extensions
                            .extend(extensions(Element::whole(value)?, budget)?);
                    }
                } else {
                    read.attributes.push(asked);
                }
            }
        }
        parts.finish()?;
        Ok(read)
    }
}

/// How many elements may still come.
struct Budget(usize);

impl Budget {
    fn spend(&mut self) -> Result<(), CsrAttributesError> {
        self.0 = self.0.checked_sub(1).ok_or(CsrAttributesError::TooMany)?;
        Ok(())
    }
}

fn attributes(
    list: Element<'_>,
    expected: u8,
    budget: &mut Budget,
) -> Result<Vec<Asked>, CsrAttributesError> {
    let mut items = Vec::new();
    let mut elements = list.within(expected)?;
    while let Some(element) = elements.next_element()? {
        budget.spend()?;
        items.push(match element.tag {
            tag::OBJECT_IDENTIFIER => Asked {
                oid: object_identifier(element)?,
                values: Vec::new(),
            },
            _ => {
                let mut parts = element.within(tag::SEQUENCE)?;
                let oid = object_identifier(parts.take()?)?;
                let mut set = parts.take_tag(tag::SET)?.elements();
                parts.finish()?;
                let mut values = Vec::new();
                while let Some(value) = set.next_element()? {
                    budget.spend()?;
                    values.push(value.raw.to_vec());
                }
                Asked { oid, values }
            }
        });
    }
    Ok(items)
}

/// Extensions or ExtensionTemplates: extnID, critical BOOLEAN DEFAULT FALSE, extnValue OCTET STRING, which a template may leave out. Old
/// servers also list bare object identifiers there.
fn extensions(list: Element<'_>, budget: &mut Budget) -> Result<Vec<Filled>, CsrAttributesError> {
    const BOOLEAN: u8 = 0x01;
    if list.tag == tag::OBJECT_IDENTIFIER {
        budget.spend()?;
        return Ok(vec![(object_identifier(list)?, None)]);
    }
    let mut found = Vec::new();
    let mut elements = list.within(tag::SEQUENCE)?;
    while let Some(extension) = elements.next_element()? {
        budget.spend()?;
        let mut parts = extension.within(tag::SEQUENCE)?;
        let oid = object_identifier(parts.take()?)?;
        parts.take_if(BOOLEAN)?;
        let value = match parts.next_element()? {
            Some(value) => Some(value.octets()?.into_owned()),
            None => None,
        };
        parts.finish()?;
        found.push((oid, value));
    }
    Ok(found)
}

fn object_identifier(element: Element<'_>) -> Result<ObjectIdentifier, CsrAttributesError> {
    if element.tag != tag::OBJECT_IDENTIFIER {
        return Err(BerError::Malformed.into());
    }
    ObjectIdentifier::from_bytes(element.content).map_err(|_| CsrAttributesError::ObjectIdentifier)
}

fn wanted(oid: ObjectIdentifier, parameter: Option<Element<'_>>) -> Option<WantedKey> {
    match oid {
        RSA => Some(WantedKey::Rsa {
            bits: parameter
                .filter(|value| value.tag == tag::INTEGER && value.content.len() <= 3)
                .map(|value| {
                    value
                        .content
                        .iter()
                        .fold(0_u32, |sum, octet| (sum << 8) | u32::from(*octet))
                }),
        }),
        EC => Some(WantedKey::Ec {
            curve: parameter.and_then(|value| object_identifier(value).ok()),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
