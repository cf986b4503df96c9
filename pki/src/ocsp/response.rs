//! What the responder answers.

use super::request::nonce_extension;
use super::{CertId, Unanswered};
use crate::issue::IssueError;
use crate::{Signer, algorithm, key_id};
use der::asn1::{Any, BitString, GeneralizedTime, Null, ObjectIdentifier, OctetString};
use der::{Choice, Decode, Encode, Enumerated, Sequence};
use fips::digest::{Hash, digest};
use std::time::SystemTime;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::CrlReason;

const BASIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.1");

/// What is known of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It was issued here and is not revoked.
    Good,
    /// It is revoked.
    Revoked {
        /// Since when.
        at: SystemTime,
        /// Why.
        reason: CrlReason,
    },
    /// It was not issued here.
    Unknown,
}

/// One status in an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Single {
    /// Of which certificate.
    pub id: CertId,
    /// The status.
    pub status: Status,
}

#[derive(Sequence)]
struct OcspResponse {
    status: ResponseStatus,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    bytes: Option<ResponseBytes>,
}

#[derive(Clone, Copy, Enumerated)]
#[repr(u8)]
enum ResponseStatus {
    Successful = 0,
    MalformedRequest = 1,
    InternalError = 2,
    TryLater = 3,
    Unauthorized = 6,
}

#[derive(Sequence)]
struct ResponseBytes {
    kind: ObjectIdentifier,
    response: OctetString,
}

#[derive(Sequence)]
struct BasicResponse {
    tbs: Any,
    algorithm: Any,
    signature: BitString,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    certificates: Option<Vec<Any>>,
}

#[derive(Sequence)]
struct ResponseData {
    responder: ResponderId,
    produced_at: GeneralizedTime,
    responses: Vec<SingleResponse>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    extensions: Option<Vec<Extension>>,
}

#[derive(Choice)]
enum ResponderId {
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT", constructed = "true")]
    ByKey(OctetString),
}

#[derive(Sequence)]
struct SingleResponse {
    id: CertId,
    status: CertStatus,
    this_update: GeneralizedTime,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    next_update: Option<GeneralizedTime>,
}

#[derive(Choice)]
enum CertStatus {
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT")]
    Good(Null),
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", constructed = "true")]
    Revoked(RevokedInfo),
    #[asn1(context_specific = "2", tag_mode = "IMPLICIT")]
    Unknown(Null),
}

#[derive(Sequence)]
struct RevokedInfo {
    at: GeneralizedTime,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    reason: Option<CrlReason>,
}

/// A responder with the certificate that its authority delegated the answers with.
#[derive(Debug, Clone, Copy)]
pub struct Responder<'a> {
    /// Its certificate (DER), which the answers carry.
    pub certificate_der: &'a [u8],
    /// When what it says was known.
    pub this_update: SystemTime,
    /// When more is known at the latest.
    pub next_update: SystemTime,
}

impl Responder<'_> {
    /// Signs the statuses: an OCSPResponse (DER).
    ///
    /// # Errors
    /// [`IssueError::Sign`], [`IssueError::Encoding`].
    pub fn answer(
        &self,
        singles: &[Single],
        nonce: Option<&[u8]>,
        signer: &dyn Signer,
    ) -> Result<Vec<u8>, IssueError> {
        let time = |at| GeneralizedTime::from_system_time(at);
        // The name of a key in OCSP is its SHA-1 (RFC 6960, section 4.2.1), which protects nothing.
        let key = digest(Hash::Sha1, key_id::bits(signer.spki_der())?);
        let responses = singles
            .iter()
            .map(|single| {
                Ok(SingleResponse {
                    id: single.id.clone(),
                    status: match single.status {
                        Status::Good => CertStatus::Good(Null),
                        Status::Unknown => CertStatus::Unknown(Null),
                        Status::Revoked { at, reason } => CertStatus::Revoked(RevokedInfo {
                            at: time(at)?,
                            reason: (reason != CrlReason::Unspecified).then_some(reason),
                        }),
                    },
                    this_update: time(self.this_update)?,
                    next_update: Some(time(self.next_update)?),
                })
            })
            .collect::<Result<Vec<_>, der::Error>>()?;
        let data = ResponseData {
            responder: ResponderId::ByKey(OctetString::new(key.as_ref())?),
            produced_at: time(self.this_update)?,
            responses,
            extensions: nonce
                .map(|nonce| Ok::<_, der::Error>(vec![nonce_extension(nonce)?]))
                .transpose()?,
        };
        let tbs = data.to_der()?;
        let basic = BasicResponse {
            algorithm: Any::from_der(&algorithm::identifier_der(signer.algorithm()))?,
            signature: BitString::from_bytes(&signer.sign(&tbs)?)?,
            tbs: Any::from_der(&tbs)?,
            certificates: Some(vec![Any::from_der(self.certificate_der)?]),
        };
        let response = OcspResponse {
            status: ResponseStatus::Successful,
            bytes: Some(ResponseBytes {
                kind: BASIC,
                response: OctetString::new(basic.to_der()?)?,
            }),
        };
        Ok(response.to_der()?)
    }
}

/// An answer without a status, which nobody signs (RFC 6960, section 2.3).
#[must_use]
pub fn refusal(why: Unanswered) -> Vec<u8> {
    // OCSPResponse ::= SEQUENCE { responseStatus ENUMERATED }
    vec![0x30, 0x03, 0x0a, 0x01, why.code()]
}
