//! What an OCSP client asks.

use super::{MAX_ASKED, MAX_NONCE_BYTES, MAX_REQUEST_BYTES, NONCE};
use crate::key_id;
use der::asn1::{Any, Int, ObjectIdentifier, OctetString};
use der::{Decode, Encode, Sequence};
use fips::digest::{Hash, digest};
use spki::AlgorithmIdentifierOwned;
use x509_cert::ext::Extension;

/// A hash by which a client names an issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IdHash {
    /// SHA-1: what most clients send (RFC 5019). It names an issuer here and protects nothing.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl IdHash {
    const fn oid(self) -> ObjectIdentifier {
        ObjectIdentifier::new_unwrap(match self {
            Self::Sha1 => "1.3.14.3.2.26",
            Self::Sha256 => "2.16.840.1.101.3.4.2.1",
        })
    }

    const fn hash(self) -> Hash {
        match self {
            Self::Sha1 => Hash::Sha1,
            Self::Sha256 => Hash::Sha256,
        }
    }
}

/// ```text
/// CertID ::= SEQUENCE { hashAlgorithm AlgorithmIdentifier, issuerNameHash OCTET STRING, issuerKeyHash OCTET STRING,
///                       serialNumber CertificateSerialNumber }        (RFC 6960, section 4.1.1)
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Sequence)]
pub struct CertId {
    hash_algorithm: AlgorithmIdentifierOwned,
    issuer_name_hash: OctetString,
    issuer_key_hash: OctetString,
    serial_number: Int,
}

impl CertId {
    /// Names a certificate of this issuer (DER Name and SubjectPublicKeyInfo) by the content octets of its serial number.
    ///
    /// # Errors
    /// When the issuer's key is none.
    pub fn of(
        hash: IdHash,
        issuer_der: &[u8],
        issuer_spki: &[u8],
        serial: &[u8],
    ) -> Result<Self, der::Error> {
        Ok(Self {
            hash_algorithm: AlgorithmIdentifierOwned {
                oid: hash.oid(),
                parameters: Some(Any::null()),
            },
            issuer_name_hash: OctetString::new(digest(hash.hash(), issuer_der).as_ref())?,
            issuer_key_hash: OctetString::new(
                digest(hash.hash(), key_id::bits(issuer_spki)?).as_ref(),
            )?,
            serial_number: Int::new(serial)?,
        })
    }
}

#[derive(Sequence)]
struct OcspRequest {
    tbs_request: TbsRequest,
    /// Not verified: everybody may ask (RFC 6960, section 4.1.2).
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    signature: Option<Any>,
}

#[derive(Sequence)]
struct TbsRequest {
    #[asn1(
        context_specific = "0",
        tag_mode = "EXPLICIT",
        default = "Default::default"
    )]
    version: u8,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    requestor_name: Option<Any>,
    requests: Vec<OneRequest>,
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT", optional = "true")]
    extensions: Option<Vec<Extension>>,
}

#[derive(Sequence)]
struct OneRequest {
    id: CertId,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    extensions: Option<Vec<Extension>>,
}

/// A certificate that is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestedId {
    /// The hash that it is named with; none: one that is not known here.
    pub hash: Option<IdHash>,
    /// The content octets of its serial number.
    pub serial: Vec<u8>,
    id: CertId,
}

impl RequestedId {
    /// Whether it is about a certificate of this issuer (DER Name and SubjectPublicKeyInfo).
    #[must_use]
    pub fn is_of(&self, issuer_der: &[u8], issuer_spki: &[u8]) -> bool {
        let Some(hash) = self.hash else {
            return false;
        };
        CertId::of(hash, issuer_der, issuer_spki, &self.serial).is_ok_and(|own| {
            own.issuer_name_hash == self.id.issuer_name_hash
                && own.issuer_key_hash == self.id.issuer_key_hash
        })
    }
}

/// A request that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// What is asked about: 1 to [`MAX_ASKED`].
    pub asked: Vec<RequestedId>,
    /// The nonce: 1 to [`MAX_NONCE_BYTES`] octets.
    pub nonce: Option<Vec<u8>>,
}

/// It is no request that is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed OCSP request")]
pub struct QueryError;

impl Query {
    /// Reads a request (DER).
    ///
    /// # Errors
    /// [`QueryError`]: malformed, over a limit, or with a critical extension that is not known here.
    pub fn read(der: &[u8]) -> Result<Self, QueryError> {
        if der.len() > MAX_REQUEST_BYTES {
            return Err(QueryError);
        }
        let request = OcspRequest::from_der(der)
            .map_err(|_| QueryError)?
            .tbs_request;
        if request.version != 0 || request.requests.is_empty() || request.requests.len() > MAX_ASKED
        {
            return Err(QueryError);
        }
        let mut nonce = None;
        for extension in request.extensions.iter().flatten() {
            if extension.extn_id == NONCE {
                nonce = Some(nonce_of(extension, nonce.is_some())?);
            } else if extension.critical {
                return Err(QueryError);
            }
        }
        let mut asked = Vec::new();
        for one in request.requests {
            if one.extensions.iter().flatten().any(|one| one.critical) {
                return Err(QueryError);
            }
            let hash = [IdHash::Sha1, IdHash::Sha256]
                .into_iter()
                .find(|hash| hash.oid() == one.id.hash_algorithm.oid);
            asked.push(RequestedId {
                hash,
                serial: one.id.serial_number.as_bytes().to_vec(),
                id: one.id,
            });
        }
        Ok(Self { asked, nonce })
    }

    /// Whether an answer that was given before is as good: no nonce, and one certificate (RFC 5019, section 2.1.1).
    #[must_use]
    pub fn is_cacheable(&self) -> bool {
        self.nonce.is_none() && self.asked.len() == 1
    }
}

fn nonce_of(extension: &Extension, again: bool) -> Result<Vec<u8>, QueryError> {
    let value = OctetString::from_der(extension.extn_value.as_bytes()).map_err(|_| QueryError)?;
    let value = value.as_bytes();
    if again || value.is_empty() || value.len() > MAX_NONCE_BYTES {
        return Err(QueryError);
    }
    Ok(value.to_vec())
}

/// The value of the nonce's extension.
pub(super) fn nonce_extension(nonce: &[u8]) -> Result<Extension, der::Error> {
    Ok(Extension {
        extn_id: NONCE,
        critical: false,
        extn_value: OctetString::new(OctetString::new(nonce)?.to_der()?)?,
    })
}
