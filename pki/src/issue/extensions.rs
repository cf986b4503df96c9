//! The extensions of certificates (RFC 5280, section 4.2), in the order in which they stand.

use super::{IssueError, Publication, Purpose};
use crate::algorithm::KeyKind;
use crate::extension::SID_EXTENSION;
use der::Encode;
use der::asn1::{Ia5String, ObjectIdentifier, OctetString};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::certpolicy::PolicyInformation;
use x509_cert::ext::pkix::crl::dp::DistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName, GeneralNames};
use x509_cert::ext::pkix::{
    AccessDescription, AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, BasicConstraints,
    CertificatePolicies, CrlDistributionPoints, ExtendedKeyUsage, KeyUsage, KeyUsages,
    NameConstraints, SubjectKeyIdentifier,
};

const BASIC_CONSTRAINTS: &str = "2.5.29.19";
const KEY_USAGE: &str = "2.5.29.15";
const EXTENDED_KEY_USAGE: &str = "2.5.29.37";
const SUBJECT_ALT_NAME: &str = "2.5.29.17";
const SUBJECT_KEY_ID: &str = "2.5.29.14";
const AUTHORITY_KEY_ID: &str = "2.5.29.35";
const POLICIES: &str = "2.5.29.32";
const NAME_CONSTRAINTS: &str = "2.5.29.30";
const CRL_DISTRIBUTION_POINTS: &str = "2.5.29.31";
const FRESHEST_CRL: &str = "2.5.29.46";
const AUTHORITY_INFO_ACCESS: &str = "1.3.6.1.5.5.7.1.1";
/// id-pkix-ocsp-nocheck (RFC 6960, section 4.2.2.2.1).
const OCSP_NO_CHECK: &str = "1.3.6.1.5.5.7.48.1.5";

const EMAIL_PROTECTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.4");
const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");
const OCSP_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.9");
const CA_ISSUERS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.2");
const OCSP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1");

/// One extension by its number, with its value.
pub(crate) fn extension(
    oid: &'static str,
    critical: bool,
    value: &impl Encode,
) -> Result<Extension, der::Error> {
    raw(ObjectIdentifier::new_unwrap(oid), critical, value.to_der()?)
}

/// One extension with the octets of its value.
fn raw(oid: ObjectIdentifier, critical: bool, der: Vec<u8>) -> Result<Extension, der::Error> {
    Ok(Extension {
        extn_id: oid,
        critical,
        extn_value: OctetString::new(der)?,
    })
}

/// A name of the kind that verifiers fetch.
pub(crate) fn uri(url: &str) -> Result<GeneralName, der::Error> {
    Ok(GeneralName::UniformResourceIdentifier(Ia5String::new(url)?))
}

/// The one place of a list.
pub(crate) fn distribution_point(url: &str) -> Result<DistributionPoint, der::Error> {
    Ok(DistributionPoint {
        distribution_point: Some(DistributionPointName::FullName(vec![uri(url)?])),
        reasons: None,
        crl_issuer: None,
    })
}

/// What a list is told where its delta is, and what certificates are told: freshestCRL (RFC 5280, sections 4.2.1.15 and 5.2.6).
pub(crate) fn freshest_crl(url: &str) -> Result<Extension, der::Error> {
    let points = CrlDistributionPoints(vec![distribution_point(url)?]);
    extension(FRESHEST_CRL, false, &points)
}

/// authorityKeyIdentifier with the authority's key identifier.
pub(crate) fn authority_key_id(key_id: &[u8]) -> Result<Extension, der::Error> {
    let value = AuthorityKeyIdentifier {
        key_identifier: Some(OctetString::new(key_id)?),
        ..AuthorityKeyIdentifier::default()
    };
    extension(AUTHORITY_KEY_ID, false, &value)
}

/// The usages of a key for a purpose.
pub(super) fn key_usage(purpose: Purpose, key: KeyKind) -> KeyUsages {
    match (purpose, key) {
        (Purpose::SmimeSigning | Purpose::ClientAuthentication, _) => KeyUsages::DigitalSignature,
        (Purpose::SmimeEncryption, KeyKind::Rsa | KeyKind::RsaPss) => KeyUsages::KeyEncipherment,
        (Purpose::SmimeEncryption, _) => KeyUsages::KeyAgreement,
        (Purpose::SubordinateAuthority, _) => KeyUsages::KeyCertSign,
    }
}

/// The purposes in extendedKeyUsage; none: there is no such extension.
pub(super) fn extended_key_usage(purpose: Purpose) -> Option<ObjectIdentifier> {
    match purpose {
        Purpose::SmimeSigning | Purpose::SmimeEncryption => Some(EMAIL_PROTECTION),
        Purpose::ClientAuthentication => Some(CLIENT_AUTH),
        Purpose::SubordinateAuthority => None,
    }
}

/// Extensions that are put together.
pub(super) struct Extensions(Vec<Extension>);

impl Extensions {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// basicConstraints and keyUsage of an authority.
    pub(super) fn authority(
        mut self,
        path_len: Option<u8>,
        constraints: Option<&NameConstraints>,
    ) -> Result<Self, IssueError> {
        let basic = BasicConstraints {
            ca: true,
            path_len_constraint: path_len,
        };
        self.0.push(extension(BASIC_CONSTRAINTS, true, &basic)?);
        let usage = KeyUsage(KeyUsages::KeyCertSign | KeyUsages::CRLSign);
        self.0.push(extension(KEY_USAGE, true, &usage)?);
        if let Some(constraints) = constraints {
            self.0.push(extension(NAME_CONSTRAINTS, true, constraints)?);
        }
        Ok(self)
    }

    /// The usages of an end entity. basicConstraints is left out: absent it says the same (RFC 5280, section 4.2.1.9).
    pub(super) fn end_entity(mut self, purpose: Purpose, key: KeyKind) -> Result<Self, IssueError> {
        let usage = KeyUsage(key_usage(purpose, key).into());
        self.0.push(extension(KEY_USAGE, true, &usage)?);
        if let Some(oid) = extended_key_usage(purpose) {
            let value = ExtendedKeyUsage(vec![oid]);
            self.0.push(extension(EXTENDED_KEY_USAGE, false, &value)?);
        }
        Ok(self)
    }

    /// The usages of a delegated OCSP responder (RFC 6960, section 4.2.2.2), whose certificate nobody looks up in turn.
    pub(super) fn responder(mut self) -> Result<Self, IssueError> {
        let usage = KeyUsage(KeyUsages::DigitalSignature.into());
        self.0.push(extension(KEY_USAGE, true, &usage)?);
        let value = ExtendedKeyUsage(vec![OCSP_SIGNING]);
        self.0.push(extension(EXTENDED_KEY_USAGE, false, &value)?);
        self.0
            .push(extension(OCSP_NO_CHECK, false, &der::asn1::Null)?);
        Ok(self)
    }

    /// subjectAltName: critical where there is no subject (RFC 5280, section 4.2.1.6).
    pub(super) fn names(
        mut self,
        names: &GeneralNames,
        critical: bool,
    ) -> Result<Self, IssueError> {
        if !names.is_empty() {
            self.0.push(extension(SUBJECT_ALT_NAME, critical, names)?);
        }
        Ok(self)
    }

    /// szOID_NTDS_CA_SECURITY_EXT, as the request has it.
    pub(super) fn sid(mut self, value: Option<&[u8]>) -> Result<Self, IssueError> {
        if let Some(value) = value {
            self.0.push(raw(SID_EXTENSION, false, value.to_vec())?);
        }
        Ok(self)
    }

    /// certificatePolicies.
    pub(super) fn policies(mut self, policies: &[ObjectIdentifier]) -> Result<Self, IssueError> {
        if policies.is_empty() {
            return Ok(self);
        }
        let value = CertificatePolicies(
            policies
                .iter()
                .map(|oid| PolicyInformation {
                    policy_identifier: *oid,
                    policy_qualifiers: None,
                })
                .collect(),
        );
        self.0.push(extension(POLICIES, false, &value)?);
        Ok(self)
    }

    /// subjectKeyIdentifier, and authorityKeyIdentifier of whoever issues.
    pub(super) fn key_ids(
        mut self,
        subject: &[u8],
        issuer: Option<&[u8]>,
    ) -> Result<Self, IssueError> {
        let value = SubjectKeyIdentifier(OctetString::new(subject)?);
        self.0.push(extension(SUBJECT_KEY_ID, false, &value)?);
        if let Some(issuer) = issuer {
            self.0.push(authority_key_id(issuer)?);
        }
        Ok(self)
    }

    /// Where verifiers look things up.
    pub(super) fn published(mut self, at: &Publication) -> Result<Self, IssueError> {
        if let Some(url) = &at.crl {
            let value = CrlDistributionPoints(vec![distribution_point(url)?]);
            self.0
                .push(extension(CRL_DISTRIBUTION_POINTS, false, &value)?);
        }
        if let Some(url) = &at.delta_crl {
            self.0.push(freshest_crl(url)?);
        }
        let mut access = Vec::new();
        for (method, url) in [(OCSP, &at.ocsp), (CA_ISSUERS, &at.issuer)] {
            if let Some(url) = url {
                access.push(AccessDescription {
                    access_method: method,
                    access_location: uri(url)?,
                });
            }
        }
        if !access.is_empty() {
            let value = AuthorityInfoAccessSyntax(access);
            self.0
                .push(extension(AUTHORITY_INFO_ACCESS, false, &value)?);
        }
        Ok(self)
    }

    pub(super) fn into_vec(self) -> Vec<Extension> {
        self.0
    }
}
