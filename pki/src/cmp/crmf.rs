//! Requests for certificates in the form of RFC 4211, for keys that sign here.

use super::asn1::{self, SEQUENCE, constructed, element, encoded, sequence};
use super::body::{Kind, Request};
use super::certificate::read;
use super::revocation::cert_id;
use super::{CmpError, oid};
use crate::{Signer, algorithm};
use der::Decode;
use der::asn1::AnyRef;

/// Which request is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestKind {
    /// ir: the first certificate of somebody.
    Initial,
    /// cr: a further one.
    Further,
    /// kur: one that replaces another.
    Update,
}

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CertificateRequest {
    /// The subject (Name, DER).
    pub subject_der: Vec<u8>,
    /// Extensions (DER, SEQUENCE OF Extension), where any are wanted.
    pub extensions_der: Option<Vec<u8>>,
    /// The certificate (DER) that is replaced: of [`RequestKind::Update`].
    pub replaces: Option<Vec<u8>>,
}

/// The number of the one request of a message (RFC 9483, section 4.1.1).
pub const CERT_REQ_ID: i32 = 0;

/// ir, cr or kur for the key of `signer`, which proves that it is there by a signature. There is no raVerified: what is asked for here is
/// asked for by the key's holder.
///
/// ```text
/// CertReqMessages ::= SEQUENCE SIZE (1..MAX) OF CertReqMsg
/// CertReqMsg ::= SEQUENCE { certReq CertRequest, popo ProofOfPossession OPTIONAL, regInfo ... OPTIONAL }
/// CertRequest ::= SEQUENCE { certReqId INTEGER, certTemplate CertTemplate, controls Controls OPTIONAL }
/// CertTemplate ::= SEQUENCE { ..., subject [5] Name, publicKey [6] SubjectPublicKeyInfo, extensions [9] Extensions, ... }
/// ProofOfPossession ::= CHOICE { raVerified [0] NULL, signature [1] POPOSigningKey, ... }
/// POPOSigningKey ::= SEQUENCE { ..., algorithmIdentifier AlgorithmIdentifier, signature BIT STRING }     (RFC 4211, IMPLICIT tags)
/// ```
///
/// # Errors
/// [`CmpError::Sign`]; [`CmpError::Malformed`] for parts that are no DER, or an update that says not of what.
pub fn request(
    kind: RequestKind,
    request: &CertificateRequest,
    signer: &dyn Signer,
) -> Result<Request, CmpError> {
    let extensions = match &request.extensions_der {
        Some(extensions) => retagged(9, extensions, "the extensions")?,
        None => Vec::new(),
    };
    let template = sequence(&[
        &element(constructed(5), &[&request.subject_der]),
        &retagged(6, signer.spki_der(), "the public key")?,
        &extensions,
    ]);
    let controls = match (&request.replaces, kind) {
        (Some(old), RequestKind::Update) => {
            let old = read(old)?;
            let id = cert_id(old.issuer_der(), old.serial());
            sequence(&[&sequence(&[&encoded(&oid::OLD_CERT_ID)?, &id])])
        }
        (None, RequestKind::Initial | RequestKind::Further) => Vec::new(),
        _ => {
            return Err(CmpError::malformed(
                "the request: an update, and nothing else, names the certificate that it replaces: it",
            ));
        }
    };
    let asked = sequence(&[&encoded(&CERT_REQ_ID)?, &template, &controls]);
    let signature = signer.sign(&asked)?;
    let proof = element(
        constructed(1),
        &[
            &algorithm::identifier_der(signer.algorithm()),
            &asn1::bit_string(&signature),
        ],
    );
    let kind = match kind {
        RequestKind::Initial => Kind::Ir,
        RequestKind::Further => Kind::Cr,
        RequestKind::Update => Kind::Kur,
    };
    let message = sequence(&[&asked, &proof]);
    Ok(Request::new(kind, &sequence(&[&message])))
}

/// A SEQUENCE (DER) under an IMPLICIT tag.
fn retagged(number: u8, der: &[u8], what: &'static str) -> Result<Vec<u8>, CmpError> {
    let inner = AnyRef::from_der(der).map_err(CmpError::at(what))?;
    if der.first() != Some(&SEQUENCE) {
        return Err(CmpError::malformed(what));
    }
    Ok(element(constructed(number), &[inner.value()]))
}
