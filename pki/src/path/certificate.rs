//! One certificate, read once with everything that a path asks of it.

use super::Problem;
use crate::extension::alt_names;
use crate::name::{Comparable, rfc4514};
use crate::time::time_digits;
use const_oid::db::rfc5280::{
    ID_CE_BASIC_CONSTRAINTS, ID_CE_CERTIFICATE_POLICIES, ID_CE_EXT_KEY_USAGE,
    ID_CE_INHIBIT_ANY_POLICY, ID_CE_KEY_USAGE, ID_CE_NAME_CONSTRAINTS, ID_CE_POLICY_CONSTRAINTS,
    ID_CE_POLICY_MAPPINGS, ID_CE_SUBJECT_ALT_NAME,
};
use const_oid::{AssociatedOid, ObjectIdentifier};
use der::{Decode, Encode};
use formats::ber::{self, Element, tag};
use x509_cert::Certificate as Parsed;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, NameConstraints,
    SubjectKeyIdentifier,
};
use x509_cert::name::Name;

/// Largest certificate that is read, in bytes.
pub const MAX_CERTIFICATE_BYTES: usize = 64 * 1024;
const MAX_DEPTH: usize = 24;
const MAX_EXTENSIONS: usize = 64;

/// A certificate that was read; what it says is verified by a path only.
#[derive(Debug, Clone)]
pub struct Certificate {
    der: Vec<u8>,
    tbs: Vec<u8>,
    algorithm: Vec<u8>,
    signature: Vec<u8>,
    serial: Vec<u8>,
    issuer: Vec<u8>,
    subject: Vec<u8>,
    issuer_name: Comparable,
    subject_name: Comparable,
    spki: Vec<u8>,
    not_before: [u8; 14],
    not_after: [u8; 14],
    parsed: Parsed,
    pub(super) basic: Option<BasicConstraints>,
    pub(super) key_usage: Option<KeyUsage>,
    pub(super) purposes: Option<Vec<ObjectIdentifier>>,
    pub(super) constraints: Option<NameConstraints>,
    pub(super) alt_names: Vec<GeneralName>,
    pub(super) refused: Option<Problem>,
    subject_key: Option<Vec<u8>>,
    authority_key: Option<Vec<u8>>,
}

const BROKEN: Problem = Problem::Malformed("it does not parse");

impl Certificate {
    /// Reads a certificate (DER) with nothing behind it.
    ///
    /// # Errors
    /// [`Problem::Malformed`].
    pub fn read(der: &[u8]) -> Result<Self, Problem> {
        if der.len() > MAX_CERTIFICATE_BYTES {
            return Err(Problem::Malformed("it has more than 65536 bytes"));
        }
        let whole = ber::normalise(der, MAX_DEPTH).map_err(|_| BROKEN)?;
        if whole.forms.any() || whole.used != der.len() {
            return Err(Problem::Malformed("it is not DER, or something follows it"));
        }
        let parsed = Parsed::from_der(der).map_err(|_| BROKEN)?;
        let mut found = Self::outline(der, parsed)?;
        let extensions = found.parsed.tbs_certificate().extensions().cloned();
        let extensions = extensions.unwrap_or_default();
        found.read_extensions(&extensions)?;
        Ok(found)
    }

    /// The parts as they stand in the octets: what is signed is what was there, not what is written again.
    fn outline(der: &[u8], parsed: Parsed) -> Result<Self, Problem> {
        let broken = |_| BROKEN;
        const VERSION: u8 = 0xa0;
        let mut parts = Element::whole(der)
            .and_then(|element| element.within(tag::SEQUENCE))
            .map_err(broken)?;
        let tbs = parts.take_tag(tag::SEQUENCE).map_err(broken)?;
        let algorithm = parts.take_tag(tag::SEQUENCE).map_err(broken)?;
        let bits = parts.take_tag(tag::BIT_STRING).map_err(broken)?;
        parts.finish().map_err(broken)?;
        let mut fields = tbs.elements();
        let version = fields.take_if(VERSION).map_err(broken)?;
        let serial = fields.take_tag(tag::INTEGER).map_err(broken)?;
        // The signed copy of the algorithm must be the one that is used (RFC 5280 section 4.1.1.2).
        if fields.take_tag(tag::SEQUENCE).map_err(broken)?.raw != algorithm.raw {
            return Err(Problem::Malformed("it names two signature algorithms"));
        }
        let issuer = fields.take_tag(tag::SEQUENCE).map_err(broken)?;
        let validity = fields.take_tag(tag::SEQUENCE).map_err(broken)?;
        let subject = fields.take_tag(tag::SEQUENCE).map_err(broken)?;
        let spki = fields.take_tag(tag::SEQUENCE).map_err(broken)?;
        let mut times = validity.elements();
        let mut time = || {
            let element = times.take().map_err(broken)?;
            time_digits(element.tag, element.content).ok_or(Problem::Malformed(
                "its dates are not in the form of RFC 5280",
            ))
        };
        let (not_before, not_after) = (time()?, time()?);
        let (unused_bits, signature) = bits.content.split_first().ok_or(BROKEN)?;
        if *unused_bits != 0 {
            return Err(Problem::Malformed("its signature is not whole octets"));
        }
        if parsed.tbs_certificate().extensions().is_some()
            && version.is_none_or(|version| version.content != [2, 1, 2])
        {
            return Err(Problem::Malformed(
                "it has extensions and is not of version 3",
            ));
        }
        // RFC 5280 section 4.1.2.2.
        if serial.content.is_empty()
            || serial.content.len() > 20
            || serial.content.first().is_some_and(|first| *first >= 0x80)
        {
            return Err(Problem::Malformed(
                "its serial number is negative or longer than 20 octets",
            ));
        }
        if issuer.content.is_empty() {
            return Err(Problem::Malformed("it names no issuer"));
        }
        Ok(Self {
            tbs: tbs.raw.to_vec(),
            algorithm: algorithm.raw.to_vec(),
            signature: signature.to_vec(),
            serial: serial.content.to_vec(),
            issuer: issuer.raw.to_vec(),
            subject: subject.raw.to_vec(),
            spki: spki.raw.to_vec(),
            der: der.to_vec(),
            not_before,
            not_after,
            issuer_name: Comparable::of(parsed.tbs_certificate().issuer()),
            subject_name: Comparable::of(parsed.tbs_certificate().subject()),
            parsed,
            basic: None,
            key_usage: None,
            purposes: None,
            constraints: None,
            alt_names: Vec::new(),
            refused: None,
            subject_key: None,
            authority_key: None,
        })
    }

    fn read_extensions(&mut self, extensions: &[Extension]) -> Result<(), Problem> {
        if extensions.len() > MAX_EXTENSIONS {
            return Err(Problem::Malformed("it has more than 64 extensions"));
        }
        for (place, extension) in extensions.iter().enumerate() {
            let oid = extension.extn_id;
            if extensions
                .iter()
                .take(place)
                .any(|other| other.extn_id == oid)
            {
                return Err(Problem::Malformed("an extension stands there twice"));
            }
            let value = extension.extn_value.as_bytes();
            match oid {
                ID_CE_BASIC_CONSTRAINTS => self.basic = Some(decoded(value)?),
                ID_CE_KEY_USAGE => self.key_usage = Some(decoded(value)?),
                ID_CE_EXT_KEY_USAGE => self.purposes = Some(decoded::<ExtendedKeyUsage>(value)?.0),
                ID_CE_NAME_CONSTRAINTS => self.constraints = Some(decoded(value)?),
                ID_CE_SUBJECT_ALT_NAME => {
                    self.alt_names = alt_names(value).map_err(|_| {
                        Problem::Malformed("its alternative names do not parse, or are too many")
                    })?;
                }
                ID_CE_CERTIFICATE_POLICIES => {}
                ID_CE_POLICY_CONSTRAINTS | ID_CE_INHIBIT_ANY_POLICY => {
                    self.refused.get_or_insert(Problem::Policies(oid));
                }
                ID_CE_POLICY_MAPPINGS if extension.critical => {
                    self.refused.get_or_insert(Problem::Policies(oid));
                }
                SubjectKeyIdentifier::OID => {
                    self.subject_key = decoded::<SubjectKeyIdentifier>(value)
                        .ok()
                        .map(|id| id.0.as_bytes().to_vec());
                    self.refuse_critical(extension);
                }
                AuthorityKeyIdentifier::OID => {
                    self.authority_key = decoded::<AuthorityKeyIdentifier>(value)
                        .ok()
                        .and_then(|id| id.key_identifier)
                        .map(|id| id.as_bytes().to_vec());
                    self.refuse_critical(extension);
                }
                _ => self.refuse_critical(extension),
            }
        }
        Ok(())
    }

    fn refuse_critical(&mut self, extension: &Extension) {
        if extension.critical {
            self.refused
                .get_or_insert(Problem::CriticalExtension(extension.extn_id));
        }
    }

    /// The certificate (DER).
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The same, parsed.
    #[must_use]
    pub const fn parsed(&self) -> &Parsed {
        &self.parsed
    }

    /// The subject.
    #[must_use]
    pub fn subject(&self) -> &Name {
        self.parsed.tbs_certificate().subject()
    }

    /// The subject as text (RFC 4514); its serial number where there is none.
    #[must_use]
    pub fn subject_text(&self) -> String {
        match rfc4514(self.subject()) {
            text if text.is_empty() => {
                format!("serial number {}", formats::text::hex(&self.serial))
            }
            text => formats::text::printable(&text),
        }
    }

    /// The issuer (DER Name).
    #[must_use]
    pub fn issuer_der(&self) -> &[u8] {
        &self.issuer
    }

    /// The subject (DER Name).
    #[must_use]
    pub fn subject_der(&self) -> &[u8] {
        &self.subject
    }

    /// The public key (DER SubjectPublicKeyInfo).
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// The serial number: content octets of its INTEGER.
    #[must_use]
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// Begin of its validity, `YYYYMMDDHHMMSS` in UTC.
    #[must_use]
    pub const fn not_before(&self) -> &[u8; 14] {
        &self.not_before
    }

    /// End of its validity, inclusive, `YYYYMMDDHHMMSS` in UTC.
    #[must_use]
    pub const fn not_after(&self) -> &[u8; 14] {
        &self.not_after
    }

    /// The AlgorithmIdentifier (DER) of its signature.
    #[must_use]
    pub fn signature_algorithm(&self) -> &[u8] {
        &self.algorithm
    }

    /// Every alternative name.
    #[must_use]
    pub fn alt_names(&self) -> &[GeneralName] {
        &self.alt_names
    }

    /// Whether it says that it is an authority's.
    #[must_use]
    pub fn is_authority(&self) -> bool {
        self.basic.as_ref().is_some_and(|basic| basic.ca)
    }

    /// How many authorities may be below it; `None`: any number, or it is none.
    #[must_use]
    pub fn path_length(&self) -> Option<u8> {
        self.basic
            .as_ref()
            .and_then(|basic| basic.path_len_constraint)
    }

    /// keyUsage, where there is one.
    #[must_use]
    pub const fn key_usage(&self) -> Option<&KeyUsage> {
        self.key_usage.as_ref()
    }

    /// extendedKeyUsage, where there is one.
    #[must_use]
    pub fn purposes(&self) -> Option<&[ObjectIdentifier]> {
        self.purposes.as_deref()
    }

    /// nameConstraints, where there are some.
    #[must_use]
    pub const fn name_constraints(&self) -> Option<&NameConstraints> {
        self.constraints.as_ref()
    }

    /// subjectKeyIdentifier, where there is one.
    #[must_use]
    pub fn subject_key_id(&self) -> Option<&[u8]> {
        self.subject_key.as_deref()
    }

    /// Whether it names itself as its issuer.
    #[must_use]
    pub fn is_self_issued(&self) -> bool {
        self.issuer_name == self.subject_name
    }

    /// The subject, as it is compared.
    pub(super) const fn subject_name(&self) -> &Comparable {
        &self.subject_name
    }

    /// The issuer, as it is compared.
    pub(super) const fn issuer_name(&self) -> &Comparable {
        &self.issuer_name
    }

    /// Whether the key of `spki_der` signed it.
    ///
    /// # Errors
    /// [`Problem::Signature`].
    pub fn is_signed_by(&self, spki_der: &[u8]) -> Result<(), Problem> {
        crate::algorithm::verify(&self.algorithm, spki_der, &self.tbs, &self.signature)
            .map_err(Problem::Signature)
    }

    /// Whether, by names and key identifiers, `issuer` may have issued it.
    pub(super) fn may_be_issued_by(&self, issuer: &Self) -> bool {
        let keys = match (&self.authority_key, &issuer.subject_key) {
            (Some(wanted), Some(found)) => wanted == found,
            _ => true,
        };
        self.issuer_name == issuer.subject_name && keys
    }
}

fn decoded<T: for<'a> Decode<'a> + Encode>(value: &[u8]) -> Result<T, Problem> {
    T::from_der(value)
        .ok()
        .filter(|decoded| decoded.to_der().is_ok_and(|again| again == value))
        .ok_or(Problem::Malformed(
            "an extension is not in DER, or not of its kind",
        ))
}
