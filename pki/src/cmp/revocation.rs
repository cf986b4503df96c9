//! Requests to revoke, and what became of them.

use super::asn1::{INTEGER, OCTET_STRING, constructed, element, encoded, primitive, sequence};
use super::body::{Kind, Request};
use super::header::directory_name;
use super::status::{PkiStatusInfo, StatusInfo};
use super::{CmpError, MAX_RESPONSES, oid};
use der::Sequence;
use der::asn1::{AnyRef, IntRef};

/// rr: revoke one certificate, named by its issuer (Name, DER) and the content octets of its serial number, for a reason (the number of
/// RFC 5280, section 5.3.1).
///
/// ```text
/// RevReqContent ::= SEQUENCE OF RevDetails
/// RevDetails ::= SEQUENCE { certDetails CertTemplate, crlEntryDetails Extensions OPTIONAL }   (RFC 9810, section 5.3.9)
/// CertTemplate ::= SEQUENCE { serialNumber [1] INTEGER, issuer [3] Name, ... }                (RFC 4211, section 5, IMPLICIT)
/// ```
///
/// # Errors
/// [`CmpError::Malformed`] for an empty serial number.
pub fn revoke(issuer_der: &[u8], serial: &[u8], reason: u8) -> Result<Request, CmpError> {
    if serial.is_empty() {
        return Err(CmpError::malformed("the serial number"));
    }
    let template = sequence(&[
        &element(primitive(1), &[serial]),
        &element(constructed(3), &[issuer_der]),
    ]);
    const ENUMERATED: u8 = 0x0a;
    let code = element(ENUMERATED, &[&[reason]]);
    let extension = sequence(&[
        &encoded(&oid::REASON_CODE)?,
        &element(OCTET_STRING, &[&code]),
    ]);
    let details = sequence(&[&template, &sequence(&[&extension])]);
    Ok(Request::new(Kind::Rr, &sequence(&[&details])))
}

/// CertId of a certificate.
///
/// ```text
/// CertId ::= SEQUENCE { issuer GeneralName, serialNumber INTEGER }
/// ```
pub(super) fn cert_id(issuer_der: &[u8], serial: &[u8]) -> Vec<u8> {
    let issuer = super::header::name(Some(issuer_der));
    sequence(&[&issuer, &element(INTEGER, &[serial])])
}

#[derive(Sequence)]
struct CertId<'a> {
    issuer: AnyRef<'a>,
    serial_number: IntRef<'a>,
}

/// ```text
/// RevRepContent ::= SEQUENCE {
///     status        SEQUENCE SIZE (1..MAX) OF PKIStatusInfo,
///     revCerts  [0] SEQUENCE SIZE (1..MAX) OF CertId           OPTIONAL,
///     crls      [1] SEQUENCE SIZE (1..MAX) OF CertificateList  OPTIONAL
/// }                                                                  (RFC 9810, section 5.3.10)
/// ```
#[derive(Sequence)]
struct RevRepContent<'a> {
    status: Vec<PkiStatusInfo<'a>>,
    #[asn1(context_specific = "0", optional = "true")]
    rev_certs: Option<Vec<CertId<'a>>>,
    #[asn1(context_specific = "1", optional = "true")]
    crls: Option<Vec<AnyRef<'a>>>,
}

/// What became of requests to revoke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevRep {
    /// Of each.
    pub statuses: Vec<StatusInfo>,
    /// Which certificates: issuer (Name, DER; empty where it is no directory name) and content octets of the serial number.
    pub certificates: Vec<(Vec<u8>, Vec<u8>)>,
}

impl RevRep {
    pub(super) fn read(content: AnyRef<'_>) -> Result<Self, CmpError> {
        const WHAT: &str = "the answer to a revocation";
        let content: RevRepContent<'_> = content.decode_as().map_err(CmpError::at(WHAT))?;
        let ids = content.rev_certs.unwrap_or_default();
        if content.status.len() > MAX_RESPONSES || ids.len() > MAX_RESPONSES {
            return Err(CmpError::TooMany {
                what: "answers to revocations",
                limit: MAX_RESPONSES,
            });
        }
        let _ = content.crls;
        let statuses = content.status.into_iter().map(StatusInfo::read);
        let certificates = ids.into_iter().map(|id| {
            (
                directory_name(id.issuer).unwrap_or_default(),
                id.serial_number.as_bytes().to_vec(),
            )
        });
        Ok(Self {
            statuses: statuses.collect::<Result<_, _>>()?,
            certificates: certificates.collect(),
        })
    }
}
