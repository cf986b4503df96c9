//! The bags of a SafeContents (RFC 7292 section 4.2).

use super::attributes::Attributes;
use super::encoding::Password;
use super::facts::CertificateFacts;
use super::key::{self, Examined};
use super::keyring::Keyring;
use super::limits::{Budget, MAX_ELEMENT_DEPTH};
use super::model::{Bag, BagKind, EncryptionFacts};
use super::opened::OpenedOther;
use super::{PfxError, pbe};
use crate::ber::{self, BerError, Element, Elements, Forms, tag};
use crate::text::hex;
use crate::words;
use const_oid::ObjectIdentifier;
use der::Decode;
use fips::secret::SecretBytes;
use pkcs12::{
    PKCS_12_CERT_BAG_OID, PKCS_12_CRL_BAG_OID, PKCS_12_KEY_BAG_OID, PKCS_12_PKCS8_KEY_BAG_OID,
    PKCS_12_SAFE_CONTENTS_BAG_OID, PKCS_12_SECRET_BAG_OID, PKCS_12_X509_CERT_OID,
};
use spki::AlgorithmIdentifierRef;

/// What was found in all parts.
#[derive(Default)]
pub(super) struct Contents {
    pub(super) keys: Vec<(Examined, Attributes)>,
    /// DER.
    pub(super) certificates: Vec<(Vec<u8>, Attributes)>,
    pub(super) others: Vec<OpenedOther>,
    pub(super) closed: Closed,
}

/// What stays closed because it is protected in a way that is not supported: the first refusal of each kind, in words.
#[derive(Default)]
pub(super) struct Closed {
    key: Option<String>,
    part: Option<String>,
}

impl Closed {
    /// The refusal that names it: of a key, or of a part, which may hold one.
    pub(super) fn refusal(&self) -> Option<PfxError> {
        let what = self.key.as_ref().or(self.part.as_ref())?;
        Some(PfxError::unsupported(what.as_str()))
    }

    pub(super) fn part(&mut self, what: &str) {
        self.part.get_or_insert_with(|| what.to_owned());
    }
}

/// What goes along through all parts.
pub(super) struct Reading<'a> {
    /// `None` when only what needs no password is looked at.
    pub(super) keyring: Option<Keyring>,
    pub(super) budget: &'a mut Budget,
    pub(super) forms: Forms,
    pub(super) contents: Contents,
}

impl Reading<'_> {
    /// Definite lengths for one octet string of the file; zeros may follow it.
    pub(super) fn normalise<'b>(
        &mut self,
        bytes: &'b [u8],
        what: &'static str,
    ) -> Result<ber::Normalised<'b>, PfxError> {
        let normalised = ber::normalise(bytes, MAX_ELEMENT_DEPTH)
            .map_err(|error| PfxError::from_ber(error, what))?;
        let rest = bytes.get(normalised.used..).unwrap_or_default();
        if rest.iter().any(|octet| *octet != 0) {
            return Err(PfxError::Malformed { what });
        }
        self.budget.count_steps(normalised.steps);
        self.forms = self.forms.or(normalised.forms);
        Ok(normalised)
    }

    /// The bags of one SafeContents, those within bags too.
    ///
    /// ```text
    /// SafeContents ::= SEQUENCE OF SafeBag
    /// ```
    pub(super) fn safe_contents(&mut self, safe: &[u8]) -> Result<Vec<Bag>, PfxError> {
        const BROKEN: &str = "a SafeContents is not a sequence of bags";
        let safe = self.normalise(safe, BROKEN)?;
        let list = Element::whole(safe.bytes())
            .and_then(|list| list.within(tag::SEQUENCE))
            .map_err(|error| PfxError::from_ber(error, BROKEN))?;
        let mut bags = Vec::new();
        let mut open = vec![list];
        while let Some(innermost) = open.last_mut() {
            let Some(element) = innermost
                .next_element()
                .map_err(|error| PfxError::from_ber(error, BROKEN))?
            else {
                open.pop();
                continue;
            };
            self.budget.take_bag()?;
            let bag = SafeBag::parse(element).map_err(|error| PfxError::from_ber(error, BROKEN))?;
            let depth = open.len().saturating_sub(1);
            bags.push(self.bag(&bag, depth)?);
            if bag.id == PKCS_12_SAFE_CONTENTS_BAG_OID {
                self.budget.check_depth(open.len())?;
                let nested = bag
                    .value
                    .within(tag::SEQUENCE)
                    .map_err(|error| PfxError::from_ber(error, BROKEN))?;
                open.push(nested);
            }
        }
        Ok(bags)
    }

    fn bag(&mut self, bag: &SafeBag<'_>, depth: usize) -> Result<Bag, PfxError> {
        let attributes = bag
            .attributes
            .clone()
            .map(Attributes::read)
            .unwrap_or_default();
        let mut facts = Bag {
            kind: BagKind::Unknown,
            depth,
            of_type: None,
            encryption: None,
            friendly_name: attributes
                .friendly_name
                .as_ref()
                .map(|name| name.shown.clone()),
            local_key_id: attributes.local_key_id.as_deref().map(hex),
            microsoft_provider: attributes.microsoft_provider.clone(),
            java_trusted: attributes.java_trusted,
            broken_attributes: attributes.broken.clone(),
            not_supported: None,
            key: None,
            certificate: None,
            certificate_der: None,
        };
        match bag.id {
            PKCS_12_KEY_BAG_OID => {
                facts.kind = BagKind::Key;
                self.budget.take_key()?;
                let key = key::examine(&SecretBytes::from_slice(bag.value.raw), self.budget)?;
                self.found_key(key, attributes, &mut facts);
            }
            PKCS_12_PKCS8_KEY_BAG_OID => {
                facts.kind = BagKind::ShroudedKey;
                self.budget.take_key()?;
                self.shrouded_key(&Shrouded::parse(bag.value)?, attributes, &mut facts)?;
            }
            PKCS_12_CERT_BAG_OID => self.certificate(bag, attributes, &mut facts)?,
            PKCS_12_CRL_BAG_OID => {
                facts.kind = BagKind::Crl;
                self.other(
                    bag.value,
                    typed(bag.value, "a CRL bag does not parse")?.0,
                    &mut facts,
                );
            }
            PKCS_12_SECRET_BAG_OID => {
                facts.kind = BagKind::Secret;
                let (id, secret) = typed(bag.value, "a secret bag does not parse")?;
                facts.encryption = encryption_of_secret(secret);
                self.other(bag.value, id, &mut facts);
            }
            PKCS_12_SAFE_CONTENTS_BAG_OID => facts.kind = BagKind::SafeContents,
            unknown => self.other(bag.value, unknown, &mut facts),
        }
        Ok(facts)
    }

    /// An encrypted key. One under encryption that is not supported stays closed: each bag is encrypted by itself, so it says nothing about
    /// the others.
    fn shrouded_key(
        &mut self,
        shrouded: &Shrouded<'_>,
        attributes: Attributes,
        facts: &mut Bag,
    ) -> Result<(), PfxError> {
        let encryption = pbe::describe(&shrouded.algorithm)?;
        facts.not_supported = encryption.not_supported();
        facts.encryption = Some(encryption);
        let Some(keyring) = &mut self.keyring else {
            return Ok(());
        };
        match keyring.decrypt(&shrouded.algorithm, shrouded.ciphertext, self.budget) {
            Ok(pkcs8) => {
                let key = key::examine(&pkcs8, self.budget)?;
                self.found_key(key, attributes, facts);
            }
            Err(PfxError::UnsupportedAlgorithm { what, .. }) => {
                facts.not_supported = Some(what.clone());
                self.contents.closed.key.get_or_insert(what);
            }
            Err(other) => return Err(other),
        }
        Ok(())
    }

    fn found_key(&mut self, key: Examined, attributes: Attributes, facts: &mut Bag) {
        facts.key = Some(key.facts.clone());
        if self.keyring.is_some() {
            self.contents.keys.push((key, attributes));
        }
    }

    /// ```text
    /// CertBag ::= SEQUENCE { certId OBJECT IDENTIFIER, certValue [0] EXPLICIT ANY DEFINED BY certId }
    /// ```
    fn certificate(
        &mut self,
        bag: &SafeBag<'_>,
        attributes: Attributes,
        facts: &mut Bag,
    ) -> Result<(), PfxError> {
        const BROKEN: &str = "a certificate bag does not parse";
        let (id, value) = typed(bag.value, BROKEN)?;
        if id != PKCS_12_X509_CERT_OID {
            facts.kind = BagKind::OtherCertificate;
            self.other(bag.value, id, facts);
            return Ok(());
        }
        facts.kind = BagKind::Certificate;
        self.budget.take_certificate()?;
        if value.tag != tag::OCTET_STRING {
            return Err(PfxError::Malformed { what: BROKEN });
        }
        let der = value.content.to_vec();
        facts.certificate = CertificateFacts::of_certificate(&der).ok();
        if self.keyring.is_some() {
            self.contents.certificates.push((der.clone(), attributes));
        }
        facts.certificate_der = Some(der);
        Ok(())
    }

    fn other(&mut self, value: Element<'_>, of_type: ObjectIdentifier, facts: &mut Bag) {
        let of_type = words::oid(&of_type);
        if self.keyring.is_some() {
            self.contents.others.push(OpenedOther {
                kind: facts.kind,
                of_type: of_type.clone(),
                friendly_name: facts.friendly_name.clone(),
                value: SecretBytes::from_slice(value.raw),
            });
        }
        facts.of_type = Some(of_type);
    }
}

/// ```text
/// SafeBag ::= SEQUENCE { bagId OBJECT IDENTIFIER, bagValue [0] EXPLICIT ANY DEFINED BY bagId,
///                        bagAttributes SET OF PKCS12Attribute OPTIONAL }
/// ```
struct SafeBag<'a> {
    id: ObjectIdentifier,
    value: Element<'a>,
    attributes: Option<Elements<'a>>,
}

impl<'a> SafeBag<'a> {
    fn parse(element: Element<'a>) -> Result<Self, BerError> {
        let mut parts = element.within(tag::SEQUENCE)?;
        let id = identifier(&mut parts)?;
        let value = explicit(&mut parts)?;
        let attributes = parts.take_if(tag::SET)?.map(|set| set.elements());
        parts.finish()?;
        Ok(Self {
            id,
            value,
            attributes,
        })
    }
}

/// An OBJECT IDENTIFIER.
pub(super) fn identifier(parts: &mut Elements<'_>) -> Result<ObjectIdentifier, BerError> {
    let id = parts.take_tag(tag::OBJECT_IDENTIFIER)?;
    ObjectIdentifier::from_bytes(id.content).map_err(|_| BerError::Malformed)
}

/// The one element under `[0] EXPLICIT`.
pub(super) fn explicit<'a>(parts: &mut Elements<'a>) -> Result<Element<'a>, BerError> {
    let mut within = parts.take_tag(tag::CONTEXT_0)?.elements();
    let value = within.take()?;
    within.finish()?;
    Ok(value)
}

/// `SEQUENCE { OBJECT IDENTIFIER, [0] EXPLICIT ANY }`, the form of the values of CertBag, CRLBag and SecretBag.
fn typed<'a>(
    value: Element<'a>,
    what: &'static str,
) -> Result<(ObjectIdentifier, Element<'a>), PfxError> {
    let parse = || {
        let mut parts = value.within(tag::SEQUENCE)?;
        Ok((identifier(&mut parts)?, explicit(&mut parts)?))
    };
    parse().map_err(|error| PfxError::from_ber(error, what))
}

/// ```text
/// EncryptedPrivateKeyInfo ::= SEQUENCE { encryptionAlgorithm AlgorithmIdentifier, encryptedData OCTET STRING }
/// ```
/// (RFC 5958 section 3)
struct Shrouded<'a> {
    algorithm: AlgorithmIdentifierRef<'a>,
    ciphertext: &'a [u8],
}

impl<'a> Shrouded<'a> {
    fn parse(value: Element<'a>) -> Result<Self, PfxError> {
        let parse = || {
            let mut parts = value.within(tag::SEQUENCE)?;
            let algorithm = parts.take_tag(tag::SEQUENCE)?;
            let ciphertext = parts.take_tag(tag::OCTET_STRING)?;
            parts.finish()?;
            Ok(Self {
                algorithm: algorithm_identifier(algorithm)?,
                ciphertext: ciphertext.content,
            })
        };
        parse().map_err(|error| {
            PfxError::from_ber(error, "an encrypted key is not an EncryptedPrivateKeyInfo")
        })
    }
}

/// The key (DER PrivateKeyInfo) of an EncryptedPrivateKeyInfo that stands by itself.
pub(super) fn encrypted_key(
    bytes: &[u8],
    password: &Password,
    budget: &mut Budget,
) -> Result<SecretBytes, PfxError> {
    const WHAT: &str = "an encrypted key is not an EncryptedPrivateKeyInfo";
    let whole = ber::normalise(bytes, MAX_ELEMENT_DEPTH)
        .map_err(|error| PfxError::from_ber(error, WHAT))?;
    let element = Element::whole(whole.bytes()).map_err(|error| PfxError::from_ber(error, WHAT))?;
    let shrouded = Shrouded::parse(element)?;
    let pkcs8 = pbe::decrypt(&shrouded.algorithm, shrouded.ciphertext, password, budget)?;
    Ok(key::examine(&pkcs8, budget)?.pkcs8)
}

/// An AlgorithmIdentifier (RFC 5280 section 4.1.1.2).
pub(super) fn algorithm_identifier<'a>(
    element: Element<'a>,
) -> Result<AlgorithmIdentifierRef<'a>, BerError> {
    AlgorithmIdentifierRef::from_der(element.raw).map_err(|_| BerError::Malformed)
}

/// How a secret is encrypted, if it is an EncryptedPrivateKeyInfo in an OCTET STRING as Java stores symmetric keys.
fn encryption_of_secret(secret: Element<'_>) -> Option<EncryptionFacts> {
    let content = match secret.tag {
        tag::OCTET_STRING => Element::whole(secret.content).ok()?,
        _ => secret,
    };
    let shrouded = Shrouded::parse(content).ok()?;
    pbe::describe(&shrouded.algorithm).ok()
}
