//! One certificate revocation list (RFC 5280 section 5), read by DER headers alone.

use crate::algorithm;
use crate::name::Comparable;
use crate::time::time_digits;
use der::Decode;
use fips::digest::{Hash, digest};
use formats::ber::{self, Element, Elements, tag};
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use x509_cert::name::Name;

/// Elements within elements: a list has seven.
const MAX_DEPTH: usize = 16;
/// Content of the object identifier of issuingDistributionPoint (2.5.29.28).
const ISSUING_DISTRIBUTION_POINT: &[u8] = &[0x55, 0x1d, 0x1c];
/// Most entries of one list.
pub const MAX_ENTRIES: usize = 500_000;

/// What a list says, and which key was seen to have signed it.
#[derive(Debug)]
pub struct RevocationList {
    /// The issuer's Name (DER).
    pub issuer: Vec<u8>,
    /// When it was made, as `YYYYMMDDHHMMSS` (UTC).
    pub this_update: [u8; 14],
    /// When the next one comes, as `YYYYMMDDHHMMSS` (UTC).
    pub next_update: [u8; 14],
    /// Serial numbers (content of their INTEGERs).
    revoked: HashSet<Box<[u8]>>,
    scope: Scope,
    tbs: Vec<u8>,
    algorithm: Vec<u8>,
    signature: Vec<u8>,
    /// SHA-256 of the SubjectPublicKeyInfo of the key whose signature it was found to be.
    signer: Mutex<Option<Vec<u8>>>,
}

/// Which certificates of its issuer a list is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    All,
    Users,
    Authorities,
}

impl RevocationList {
    /// Reads a list (DER). Its signature is not verified: [`Self::is_signed_by`].
    ///
    /// ```text
    /// CertificateList ::= SEQUENCE { tbsCertList TBSCertList, signatureAlgorithm AlgorithmIdentifier, signature BIT STRING }
    /// TBSCertList ::= SEQUENCE {
    ///     version Version OPTIONAL, signature AlgorithmIdentifier, issuer Name, thisUpdate Time, nextUpdate Time OPTIONAL,
    ///     revokedCertificates SEQUENCE OF SEQUENCE { userCertificate, revocationDate Time, crlEntryExtensions OPTIONAL } OPTIONAL,
    ///     crlExtensions [0] EXPLICIT Extensions OPTIONAL }
    /// ```
    ///
    /// # Errors
    /// A sentence that says what is wrong, or what of it is not honoured here.
    pub fn read(der: &[u8]) -> Result<Self, String> {
        const BROKEN: &str = "holds a revocation list that is malformed";
        let whole = ber::normalise(der, MAX_DEPTH).map_err(|_| BROKEN)?;
        if whole.forms.any() || whole.used != der.len() {
            return Err("holds a revocation list that is not in DER, or something after it".into());
        }
        let parts = Parts::read(der).ok_or(BROKEN)?;
        let next_update = parts.next_update.ok_or(
            "holds a revocation list that does not say when the next one comes (nextUpdate, RFC 5280 section 5.1.2.5)",
        )?;
        let mut scope = Scope::All;
        if let Some(extensions) = parts.extensions {
            for extension in extensions_of(extensions).ok_or(BROKEN)? {
                if extension.oid == ISSUING_DISTRIBUTION_POINT {
                    scope = scope_of(extension.value)?;
                } else if extension.critical {
                    return Err(
                        "holds a revocation list with a critical extension that is not honoured here (a delta list has one): \
                         configure the authority's full list"
                            .into(),
                    );
                }
            }
        }
        Ok(Self {
            issuer: parts.issuer.to_vec(),
            this_update: parts.this_update,
            next_update,
            revoked: entries(parts.revoked)?,
            scope,
            tbs: parts.tbs.to_vec(),
            algorithm: parts.algorithm.to_vec(),
            signature: parts.signature.to_vec(),
            signer: Mutex::new(None),
        })
    }

    /// Whether its issuer has this name.
    pub(crate) fn is_of(&self, issuer: &Comparable) -> bool {
        Name::from_der(&self.issuer).is_ok_and(|name| Comparable::of(&name) == *issuer)
    }

    /// Whether it is about certificates of this kind.
    #[must_use]
    pub fn covers(&self, authority: bool) -> bool {
        match self.scope {
            Scope::All => true,
            Scope::Users => !authority,
            Scope::Authorities => authority,
        }
    }

    /// Whether it names the serial number (content of its INTEGER).
    #[must_use]
    pub fn names(&self, serial: &[u8]) -> bool {
        self.revoked.contains(serial)
    }

    /// How many it names.
    #[must_use]
    pub fn len(&self) -> usize {
        self.revoked.len()
    }

    /// Whether it names none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.revoked.is_empty()
    }

    /// Whether this key (DER SubjectPublicKeyInfo) signed it: verified once for each key that did.
    #[must_use]
    pub fn is_signed_by(&self, spki: &[u8]) -> bool {
        let key = digest(Hash::Sha256, spki).as_ref().to_vec();
        let mut signer = self.signer.lock().unwrap_or_else(PoisonError::into_inner);
        if signer.as_ref() == Some(&key) {
            return true;
        }
        let signed = algorithm::algorithm(&self.algorithm, spki).is_some_and(|algorithm| {
            fips::sign::verify(algorithm, spki, &self.tbs, &self.signature).is_ok()
        });
        if signed {
            *signer = Some(key);
        }
        signed
    }
}

struct Parts<'a> {
    tbs: &'a [u8],
    algorithm: &'a [u8],
    signature: &'a [u8],
    issuer: &'a [u8],
    this_update: [u8; 14],
    next_update: Option<[u8; 14]>,
    revoked: Option<Element<'a>>,
    extensions: Option<Element<'a>>,
}

impl<'a> Parts<'a> {
    fn read(der: &'a [u8]) -> Option<Self> {
        let mut list = Element::whole(der).ok()?.within(tag::SEQUENCE).ok()?;
        let tbs = list.take_tag(tag::SEQUENCE).ok()?;
        let algorithm = list.take_tag(tag::SEQUENCE).ok()?;
        let bits = list.take_tag(tag::BIT_STRING).ok()?;
        list.finish().ok()?;
        let mut fields = tbs.elements();
        if let Some(version) = fields.take_if(tag::INTEGER).ok()?
            && version.content != [1]
        {
            return None;
        }
        // The signed copy of the algorithm must be the one that is used (RFC 5280 section 5.1.1.2).
        if fields.take_tag(tag::SEQUENCE).ok()?.raw != algorithm.raw {
            return None;
        }
        let issuer = fields.take_tag(tag::SEQUENCE).ok()?;
        let this_update = time(fields.take().ok()?)?;
        let next_update = match take_time(&mut fields)? {
            Some(element) => Some(time(element)?),
            None => None,
        };
        let revoked = fields.take_if(tag::SEQUENCE).ok()?;
        let extensions = fields.take_if(tag::CONTEXT_0).ok()?;
        fields.finish().ok()?;
        let (unused_bits, signature) = bits.content.split_first()?;
        (*unused_bits == 0).then_some(Self {
            tbs: tbs.raw,
            algorithm: algorithm.raw,
            signature,
            issuer: issuer.raw,
            this_update,
            next_update,
            revoked,
            extensions,
        })
    }
}

fn take_time<'a>(fields: &mut Elements<'a>) -> Option<Option<Element<'a>>> {
    for tag in [crate::time::UTC_TIME, crate::time::GENERALIZED_TIME] {
        if let Some(element) = fields.take_if(tag).ok()? {
            return Some(Some(element));
        }
    }
    Some(None)
}

fn time(element: Element<'_>) -> Option<[u8; 14]> {
    time_digits(element.tag, element.content)
}

/// The serial numbers of the entries. An entry that is about another issuer's certificate (an indirect list) says so by a critical
/// extension.
fn entries(list: Option<Element<'_>>) -> Result<HashSet<Box<[u8]>>, String> {
    const BROKEN: &str = "holds a revocation list with an entry that is malformed";
    let mut revoked = HashSet::new();
    let Some(list) = list else {
        return Ok(revoked);
    };
    let mut entries = list.elements();
    while let Some(entry) = entries.next_element().map_err(|_| BROKEN)? {
        let (serial, extensions) = entry_of(entry).ok_or(BROKEN)?;
        let critical = match extensions {
            Some(list) => list_of(list).ok_or(BROKEN)?.iter().any(|one| one.critical),
            None => false,
        };
        if critical {
            return Err(
                "holds a revocation list with a critical extension of an entry that is not honoured here (an indirect list has one)".into(),
            );
        }
        revoked.insert(serial.into());
        if revoked.len() > MAX_ENTRIES {
            return Err(format!(
                "holds a revocation list with more than {MAX_ENTRIES} entries"
            ));
        }
    }
    Ok(revoked)
}

fn entry_of(entry: Element<'_>) -> Option<(&[u8], Option<Element<'_>>)> {
    let mut fields = entry.within(tag::SEQUENCE).ok()?;
    let serial = fields.take_tag(tag::INTEGER).ok()?;
    time(fields.take().ok()?)?;
    let extensions = fields.take_if(tag::SEQUENCE).ok()?;
    fields.finish().ok()?;
    Some((serial.content, extensions))
}

struct Extension<'a> {
    oid: &'a [u8],
    critical: bool,
    value: &'a [u8],
}

/// `[0] EXPLICIT Extensions`.
fn extensions_of(wrapper: Element<'_>) -> Option<Vec<Extension<'_>>> {
    let mut wrapped = wrapper.elements();
    let list = wrapped.take_tag(tag::SEQUENCE).ok()?;
    wrapped.finish().ok()?;
    list_of(list)
}

/// `Extensions ::= SEQUENCE OF SEQUENCE { extnID, critical BOOLEAN DEFAULT FALSE, extnValue OCTET STRING }`; no extension twice.
fn list_of(list: Element<'_>) -> Option<Vec<Extension<'_>>> {
    const BOOLEAN: u8 = 0x01;
    let mut found: Vec<Extension<'_>> = Vec::new();
    let mut entries = list.elements();
    while let Some(entry) = entries.next_element().ok()? {
        let mut fields = entry.within(tag::SEQUENCE).ok()?;
        let oid = fields.take_tag(tag::OBJECT_IDENTIFIER).ok()?.content;
        // Any value but FALSE is TRUE to somebody (X.690 section 8.2.2).
        let critical = fields
            .take_if(BOOLEAN)
            .ok()?
            .is_some_and(|flag| flag.content != [0]);
        let value = fields.take_tag(tag::OCTET_STRING).ok()?.content;
        fields.finish().ok()?;
        // Lists have a handful of extensions, so that this is no search.
        if found.len() > 32 || found.iter().any(|other| other.oid == oid) {
            return None;
        }
        found.push(Extension {
            oid,
            critical,
            value,
        });
    }
    Some(found)
}

/// ```text
/// IssuingDistributionPoint ::= SEQUENCE {
///     distributionPoint [0] DistributionPointName OPTIONAL, onlyContainsUserCerts [1] BOOLEAN DEFAULT FALSE,
///     onlyContainsCACerts [2] BOOLEAN DEFAULT FALSE, onlySomeReasons [3] ReasonFlags OPTIONAL,
///     indirectCRL [4] BOOLEAN DEFAULT FALSE, onlyContainsAttributeCerts [5] BOOLEAN DEFAULT FALSE }
/// ```
fn scope_of(value: &[u8]) -> Result<Scope, String> {
    const BROKEN: &str = "holds a revocation list whose issuingDistributionPoint is malformed";
    let mut fields = Element::whole(value)
        .and_then(|point| point.within(tag::SEQUENCE))
        .map_err(|_| BROKEN)?;
    let mut scope = Scope::All;
    while let Some(field) = fields.next_element().map_err(|_| BROKEN)? {
        let limited = match field.tag {
            0x81 | 0x82 if field.content == [0] => continue,
            0x81 if scope == Scope::All => {
                scope = Scope::Users;
                continue;
            }
            0x82 if scope == Scope::All => {
                scope = Scope::Authorities;
                continue;
            }
            0xa0 => "for one distribution point only",
            0x83 => "for some reasons only",
            0x84 => "for certificates of other authorities (indirect)",
            0x85 => "for attribute certificates only",
            _ => return Err(BROKEN.into()),
        };
        return Err(format!(
            "holds a revocation list {limited}, which is not honoured here: configure the authority's full list"
        ));
    }
    Ok(scope)
}
