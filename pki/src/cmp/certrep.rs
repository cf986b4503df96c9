//! Answers to requests for certificates, and their confirmation.

use super::asn1::{self, OCTET_STRING, constructed, element, encoded, sequence};
use super::body::{Kind, Request};
use super::certificate::{hash, read};
use super::message::{certificate, certificates};
use super::status::{PkiStatusInfo, StatusInfo};
use super::{CmpError, MAX_RESPONSES};
use der::asn1::{AnyRef, OctetStringRef};
use der::{Decode, Encode, Sequence};

/// ```text
/// CertRepMessage ::= SEQUENCE {
///     caPubs    [1] SEQUENCE SIZE (1..MAX) OF CMPCertificate OPTIONAL,
///     response      SEQUENCE OF CertResponse
/// }                                                                  (RFC 9810, section 5.3.4)
/// ```
#[derive(Sequence)]
struct CertRepMessage<'a> {
    #[asn1(context_specific = "1", optional = "true")]
    ca_pubs: Option<Vec<AnyRef<'a>>>,
    response: Vec<CertResponse<'a>>,
}

/// ```text
/// CertResponse ::= SEQUENCE {
///     certReqId         INTEGER,
///     status            PKIStatusInfo,
///     certifiedKeyPair  CertifiedKeyPair OPTIONAL,
///     rspInfo           OCTET STRING     OPTIONAL
/// }
/// ```
#[derive(Sequence)]
struct CertResponse<'a> {
    cert_req_id: i32,
    status: PkiStatusInfo<'a>,
    certified_key_pair: Option<CertifiedKeyPair<'a>>,
    rsp_info: Option<&'a OctetStringRef>,
}

/// ```text
/// CertifiedKeyPair ::= SEQUENCE {
///     certOrEncCert        CertOrEncCert,
///     privateKey       [0] EncryptedKey        OPTIONAL,
///     publicationInfo  [1] PKIPublicationInfo  OPTIONAL
/// }
/// CertOrEncCert ::= CHOICE { certificate [0] CMPCertificate, encryptedCert [1] EncryptedKey }
/// ```
#[derive(Sequence)]
struct CertifiedKeyPair<'a> {
    cert_or_enc_cert: AnyRef<'a>,
    #[asn1(context_specific = "0", optional = "true")]
    private_key: Option<AnyRef<'a>>,
    #[asn1(context_specific = "1", optional = "true")]
    publication_info: Option<AnyRef<'a>>,
}

/// The answer to requests for certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertRep {
    /// caPubs (DER): what the authority calls its own. Whether anybody believes it is not decided here.
    pub ca_pubs: Vec<Vec<u8>>,
    /// The answer to each request.
    pub responses: Vec<Response>,
}

/// The answer to one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Which request.
    pub request: i32,
    /// How it stands.
    pub status: StatusInfo,
    /// The certificate (DER).
    pub certificate: Option<Vec<u8>>,
}

impl CertRep {
    pub(super) fn read(content: AnyRef<'_>) -> Result<Self, CmpError> {
        const WHAT: &str = "the answer to a request";
        let message: CertRepMessage<'_> = content.decode_as().map_err(CmpError::at(WHAT))?;
        if message.response.len() > MAX_RESPONSES {
            return Err(CmpError::TooMany {
                what: "answers to requests",
                limit: MAX_RESPONSES,
            });
        }
        let responses = message.response.into_iter().map(|response| {
            let _ = response.rsp_info;
            Ok(Response {
                request: response.cert_req_id,
                status: StatusInfo::read(response.status)?,
                certificate: response.certified_key_pair.map(issued).transpose()?,
            })
        });
        Ok(Self {
            ca_pubs: certificates(message.ca_pubs.unwrap_or_default())?,
            responses: responses.collect::<Result<_, CmpError>>()?,
        })
    }
}

fn issued(pair: CertifiedKeyPair<'_>) -> Result<Vec<u8>, CmpError> {
    if pair.private_key.is_some() {
        return Err(CmpError::malformed(
            "the answer to a request: it has a private key, and our keys are made here: it",
        ));
    }
    let _ = pair.publication_info;
    let choice = encoded(&pair.cert_or_enc_cert)?;
    if choice.first() != Some(&constructed(0)) {
        return Err(CmpError::malformed(
            "the answer to a request: its certificate is encrypted, which was not asked for: it",
        ));
    }
    let inner = AnyRef::from_der(pair.cert_or_enc_cert.value())
        .map_err(CmpError::at("an issued certificate"))?;
    certificate(inner)
}

/// A confirmation, and whether it needs version 3 of the protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// The body.
    pub request: Request,
    /// It names its hash, which only cmp2021 (3) has.
    pub names_hash: bool,
}

/// certConf: that an issued certificate (DER) is taken, or why it is not.
///
/// ```text
/// CertConfirmContent ::= SEQUENCE OF CertStatus
/// CertStatus ::= SEQUENCE {
///     certHash        OCTET STRING,
///     certReqId       INTEGER,
///     statusInfo      PKIStatusInfo OPTIONAL,
///     hashAlg     [0] AlgorithmIdentifier{DIGEST-ALGORITHM, {...}} OPTIONAL
/// }                                                                  (RFC 9810, section 5.3.18)
/// ```
///
/// # Errors
/// [`CmpError::Malformed`] when it is no certificate.
pub fn confirm(
    certificate_der: &[u8],
    request: i32,
    refused: Option<&StatusInfo>,
) -> Result<Confirmation, CmpError> {
    let (hash, named) = hash(&read(certificate_der)?)?;
    let status = match refused {
        Some(status) => status.encode()?,
        None => Vec::new(),
    };
    let names_hash = named.is_some();
    let status = sequence(&[
        &element(OCTET_STRING, &[&hash]),
        &request.to_der().map_err(CmpError::at("a number"))?,
        &status,
        &asn1::optional(0, named),
    ]);
    Ok(Confirmation {
        request: Request::new(Kind::CertConf, &sequence(&[&status])),
        names_hash,
    })
}
