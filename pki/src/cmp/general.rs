//! What authorities tell of themselves in general messages (RFC 9483, section 4.3).

use super::asn1::{SEQUENCE, constructed, element, encoded};
use super::certificate::{issued_by, read, valid_at};
use super::header::Info;
use super::message::{certificate, certificates};
use super::{CmpError, oid};
use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode, Sequence};
use std::time::SystemTime;

/// The certificates (DER) of id-it-caCerts among these: none when it has no value, `None` when it is not there.
///
/// ```text
/// CaCertsValue ::= SEQUENCE SIZE (1..MAX) OF CMPCertificate
/// ```
///
/// # Errors
/// [`CmpError::Malformed`], [`CmpError::TooMany`].
pub fn ca_certs(infos: &[Info]) -> Result<Option<Vec<Vec<u8>>>, CmpError> {
    let Some(info) = find(infos, oid::CA_CERTS) else {
        return Ok(None);
    };
    let Some(value) = &info.value else {
        return Ok(Some(Vec::new()));
    };
    let elements = Vec::<AnyRef<'_>>::from_der(value).map_err(CmpError::at("caCerts"))?;
    certificates(elements).map(Some)
}

fn find(infos: &[Info], kind: ObjectIdentifier) -> Option<&Info> {
    infos.iter().find(|info| info.kind == kind)
}

/// ```text
/// RootCaKeyUpdateContent ::= SEQUENCE {
///     newWithNew      CMPCertificate,
///     newWithOld  [0] CMPCertificate OPTIONAL,
///     oldWithNew  [1] CMPCertificate OPTIONAL
/// }                                                                  (RFC 9810, section 5.3.19.15)
/// ```
#[derive(Sequence)]
struct RootCaKeyUpdateContent<'a> {
    new_with_new: AnyRef<'a>,
    #[asn1(context_specific = "0", optional = "true")]
    new_with_old: Option<AnyRef<'a>>,
    #[asn1(context_specific = "1", optional = "true")]
    old_with_new: Option<AnyRef<'a>>,
}

/// The next certificate of a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootUpdate {
    /// The new one (DER), signed by itself.
    pub new_with_new: Vec<u8>,
    /// The new one (DER), signed by the old one's key.
    pub new_with_old: Option<Vec<u8>>,
}

impl RootUpdate {
    /// The update among these; `None` when there is none.
    ///
    /// # Errors
    /// [`CmpError::Malformed`].
    pub fn find(infos: &[Info]) -> Result<Option<Self>, CmpError> {
        const WHAT: &str = "the update of a root";
        let Some(value) = find(infos, oid::ROOT_CA_KEY_UPDATE).and_then(|i| i.value.as_ref())
        else {
            return Ok(None);
        };
        let content = RootCaKeyUpdateContent::from_der(value).map_err(CmpError::at(WHAT))?;
        let _ = content.old_with_new;
        Ok(Some(Self {
            new_with_new: certificate(content.new_with_new)?,
            new_with_old: content.new_with_old.map(certificate).transpose()?,
        }))
    }

    /// Checks that the old root (DER) vouches for the new one: it signed a certificate of the very same name and key, which is valid now and
    /// an authority's, and the new one signed itself (RFC 9483, section 4.3.2). Only then may somebody be asked whether to trust it.
    ///
    /// # Errors
    /// [`CmpError::Untrusted`], saying why not; [`CmpError::Malformed`].
    pub fn vouched_by(&self, old_root_der: &[u8], now: SystemTime) -> Result<(), CmpError> {
        let refused = |problem: &str| {
            Err(CmpError::Untrusted {
                problem: problem.to_owned(),
            })
        };
        let old = read(old_root_der)?;
        let new = read(&self.new_with_new)?;
        let Some(link) = &self.new_with_old else {
            return refused("the new root comes without a certificate that the old one signed");
        };
        let link = read(link)?;
        if !issued_by(&link, old.subject_der(), old.spki_der()) {
            return refused("the old root did not sign the new one's certificate");
        }
        if link.spki_der() != new.spki_der() || link.subject_der() != new.subject_der() {
            return refused("the old root signed another key or name than the new root's");
        }
        if !issued_by(&new, new.subject_der(), new.spki_der()) {
            return refused("the new root did not sign itself");
        }
        if [&new, &link].iter().any(|one| !one.is_authority()) {
            return refused("the new root is no authority");
        }
        if [&new, &link, &old].iter().any(|one| !valid_at(one, now)) {
            return refused("a root is expired or not yet valid");
        }
        Ok(())
    }
}

/// ```text
/// CertReqTemplateContent ::= SEQUENCE { certTemplate CertTemplate, keySpec Controls OPTIONAL }   (RFC 9810, section 5.3.19.16)
/// ```
#[derive(Sequence)]
struct CertReqTemplateContent<'a> {
    template: Vec<AnyRef<'a>>,
    key_spec: Option<Vec<Control<'a>>>,
}

#[derive(Sequence)]
struct Control<'a> {
    kind: ObjectIdentifier,
    value: AnyRef<'a>,
}

/// A kind of key that an authority takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySpec {
    /// RSA with a modulus of this many bits.
    RsaBits(u32),
    /// The AlgorithmIdentifier (DER) of another kind of key.
    Algorithm(Vec<u8>),
}

/// What an authority wants requests to look like. It is advice: what is asked for is still the operator's policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestTemplate {
    /// The subject (Name, DER), with empty values where the requester fills in.
    pub subject_der: Option<Vec<u8>>,
    /// The extensions (DER), with empty values where the requester fills in.
    pub extensions_der: Option<Vec<u8>>,
    /// The kinds of keys that are taken; none: any.
    pub keys: Vec<KeySpec>,
}

impl RequestTemplate {
    /// The template among these; `None` when the authority has none.
    ///
    /// # Errors
    /// [`CmpError::Malformed`].
    pub fn find(infos: &[Info]) -> Result<Option<Self>, CmpError> {
        const WHAT: &str = "the template of requests";
        let Some(value) = find(infos, oid::CERT_REQ_TEMPLATE).and_then(|i| i.value.as_ref()) else {
            return Ok(None);
        };
        let content = CertReqTemplateContent::from_der(value).map_err(CmpError::at(WHAT))?;
        let mut template = Self::default();
        for field in content.template {
            let tag = encoded(&field)?.first().copied();
            if tag == Some(constructed(5)) {
                template.subject_der = Some(field.value().to_vec());
            } else if tag == Some(constructed(9)) {
                template.extensions_der = Some(element(SEQUENCE, &[field.value()]));
            }
        }
        for control in content.key_spec.unwrap_or_default() {
            match control.kind {
                oid::CTRL_RSA_KEY_LEN => {
                    let bits = control.value.decode_as().map_err(CmpError::at(WHAT))?;
                    template.keys.push(KeySpec::RsaBits(bits));
                }
                oid::CTRL_ALG_ID => {
                    let identifier = encoded(&control.value)?;
                    template.keys.push(KeySpec::Algorithm(identifier));
                }
                // Other controls do not say anything about keys.
                _ => {}
            }
        }
        Ok(Some(template))
    }
}

/// The question for the update of a root (DER): id-it-rootCaCert.
#[must_use]
pub fn root_question(root_der: &[u8]) -> Info {
    Info {
        kind: oid::ROOT_CA_CERT,
        value: Some(root_der.to_vec()),
    }
}
