//! The parts of a certificate that the protocol needs, read from its DER once.

use super::asn1::encoded;
use super::{CmpError, oid};
use crate::algorithm;
use der::asn1::{AnyRef, BitStringRef, GeneralizedTime, ObjectIdentifier, OctetStringRef, UtcTime};
use der::{Decode, Sequence, Tag, Tagged};
use fips::digest::Hash;
use fips::sign::SignatureAlgorithm;
use std::time::SystemTime;

/// Largest certificate that is read, in bytes.
pub(super) const MAX_CERTIFICATE_BYTES: usize = 64 * 1024;

const WHAT: &str = "a certificate";

/// ```text
/// Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue BIT STRING }   (RFC 5280, section 4.1)
/// ```
#[derive(Sequence)]
struct Outer<'a> {
    tbs: AnyRef<'a>,
    algorithm: AnyRef<'a>,
    signature: BitStringRef<'a>,
}

/// ```text
/// TBSCertificate ::= SEQUENCE {
///     version         [0] EXPLICIT Version DEFAULT v1,
///     serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo,
///     issuerUniqueID  [1] IMPLICIT, subjectUniqueID [2] IMPLICIT,
///     extensions      [3] EXPLICIT Extensions OPTIONAL
/// }
/// ```
#[derive(Sequence)]
struct Tbs<'a> {
    #[asn1(context_specific = "0", optional = "true")]
    version: Option<u8>,
    serial: AnyRef<'a>,
    algorithm: AnyRef<'a>,
    issuer: AnyRef<'a>,
    validity: Validity<'a>,
    subject: AnyRef<'a>,
    spki: AnyRef<'a>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    issuer_unique_id: Option<BitStringRef<'a>>,
    #[asn1(context_specific = "2", tag_mode = "IMPLICIT", optional = "true")]
    subject_unique_id: Option<BitStringRef<'a>>,
    #[asn1(context_specific = "3", optional = "true")]
    extensions: Option<Vec<Extension<'a>>>,
}

#[derive(Sequence)]
struct Validity<'a> {
    not_before: AnyRef<'a>,
    not_after: AnyRef<'a>,
}

#[derive(Sequence)]
struct Extension<'a> {
    id: ObjectIdentifier,
    #[asn1(default = "Default::default")]
    critical: bool,
    value: &'a OctetStringRef,
}

#[derive(Sequence)]
struct BasicConstraints {
    #[asn1(default = "Default::default")]
    authority: bool,
    path_length: Option<u8>,
}

#[derive(Sequence)]
struct SubjectPublicKeyInfo<'a> {
    algorithm: AnyRef<'a>,
    key: BitStringRef<'a>,
}

#[derive(Sequence)]
struct AlgorithmIdentifier<'a> {
    id: ObjectIdentifier,
    parameters: Option<AnyRef<'a>>,
}

/// A certificate with its parts.
#[derive(Debug, Clone)]
pub(super) struct Certificate {
    pub(super) der: Vec<u8>,
    tbs: Vec<u8>,
    algorithm: Vec<u8>,
    signature: Vec<u8>,
    /// Content octets.
    pub(super) serial: Vec<u8>,
    pub(super) issuer: Vec<u8>,
    pub(super) subject: Vec<u8>,
    pub(super) spki: Vec<u8>,
    pub(super) not_before: SystemTime,
    pub(super) not_after: SystemTime,
    /// `None`: no authority. Otherwise its pathLenConstraint, 255 where there is none.
    pub(super) authority: Option<u8>,
    /// The first octet of keyUsage.
    pub(super) key_usage: Option<u8>,
    pub(super) extended_key_usage: Option<Vec<ObjectIdentifier>>,
    pub(super) key_id: Option<Vec<u8>>,
    /// A critical extension that is not understood here.
    pub(super) unhandled: bool,
}

impl Certificate {
    pub(super) fn read(der: &[u8]) -> Result<Self, CmpError> {
        if der.len() > MAX_CERTIFICATE_BYTES {
            return Err(CmpError::malformed(WHAT));
        }
        let malformed = CmpError::at(WHAT);
        let outer = Outer::from_der(der).map_err(&malformed)?;
        let tbs: Tbs<'_> = outer.tbs.decode_as().map_err(&malformed)?;
        let algorithm = encoded(&outer.algorithm)?;
        // RFC 5280, section 4.1.1.2: both say the same.
        if encoded(&tbs.algorithm)? != algorithm || tbs.serial.tag() != Tag::Integer {
            return Err(CmpError::malformed(WHAT));
        }
        let _ = (tbs.version, tbs.issuer_unique_id, tbs.subject_unique_id);
        let mut certificate = Self {
            der: der.to_vec(),
            tbs: encoded(&outer.tbs)?,
            algorithm,
            signature: outer
                .signature
                .as_bytes()
                .ok_or(CmpError::malformed(WHAT))?
                .to_vec(),
            serial: tbs.serial.value().to_vec(),
            issuer: encoded(&tbs.issuer)?,
            subject: encoded(&tbs.subject)?,
            spki: encoded(&tbs.spki)?,
            not_before: time(tbs.validity.not_before)?,
            not_after: time(tbs.validity.not_after)?,
            authority: None,
            key_usage: None,
            extended_key_usage: None,
            key_id: None,
            unhandled: false,
        };
        for extension in tbs.extensions.unwrap_or_default() {
            certificate.extension(&extension).map_err(&malformed)?;
        }
        Ok(certificate)
    }

    fn extension(&mut self, extension: &Extension<'_>) -> Result<(), der::Error> {
        let value = extension.value.as_bytes();
        match extension.id {
            oid::BASIC_CONSTRAINTS => {
                let constraints = BasicConstraints::from_der(value)?;
                if constraints.authority {
                    self.authority = Some(constraints.path_length.unwrap_or(u8::MAX));
                }
            }
            oid::KEY_USAGE => {
                let bits = BitStringRef::from_der(value)?;
                self.key_usage = Some(bits.raw_bytes().first().copied().unwrap_or_default());
            }
            oid::EXTENDED_KEY_USAGE => {
                self.extended_key_usage = Some(Vec::<ObjectIdentifier>::from_der(value)?);
            }
            oid::SUBJECT_KEY_ID => {
                let id = <&OctetStringRef>::from_der(value)?;
                self.key_id = Some(id.as_bytes().to_vec());
            }
            // Names and policies do not decide who signs messages; what restricts names is not understood, so refused.
            oid::SUBJECT_ALT_NAME | oid::CERTIFICATE_POLICIES => {}
            _ => self.unhandled |= extension.critical,
        }
        Ok(())
    }

    pub(super) fn valid_at(&self, now: SystemTime) -> bool {
        self.not_before <= now && now <= self.not_after
    }

    /// Whether this key signed it, and this name issued it.
    pub(super) fn issued_by(&self, name: &[u8], spki: &[u8]) -> bool {
        self.issuer == name
            && algorithm::verify(&self.algorithm, spki, &self.tbs, &self.signature).is_ok()
    }

    /// The hash of its signature, where the algorithm is one that is known here.
    fn signature_hash(&self) -> Option<Hash> {
        SignatureAlgorithm::ALL
            .into_iter()
            .find(|known| algorithm::identifier_der(*known) == self.algorithm)
            .map(SignatureAlgorithm::hash)
    }

    /// certHash of a confirmation, and hashAlg (DER) where the signature's algorithm does not say the hash (RFC 9810, section 5.3.18).
    pub(super) fn hash(&self) -> Result<(Vec<u8>, Option<Vec<u8>>), CmpError> {
        let (hash, named) = match self.signature_hash() {
            Some(hash) => (hash, None),
            None => {
                let sha256 = encoded(&oid::SHA256)?;
                (Hash::Sha256, Some(super::asn1::sequence(&[&sha256])))
            }
        };
        let digest = fips::digest::digest(hash, &self.der);
        Ok((digest.as_ref().to_vec(), named))
    }
}

/// ```text
/// CertificationRequest ::= SEQUENCE { certificationRequestInfo, signatureAlgorithm, signature BIT STRING }
/// CertificationRequestInfo ::= SEQUENCE { version, subject, subjectPKInfo, attributes [0] IMPLICIT }     (RFC 2986, section 4)
/// ```
#[derive(Sequence)]
struct RequestInfo<'a> {
    version: u8,
    subject: AnyRef<'a>,
    spki: AnyRef<'a>,
    attributes: AnyRef<'a>,
}

/// The public key (DER SubjectPublicKeyInfo) that a request of PKCS#10 (DER) is for. Nothing is verified.
///
/// # Errors
/// [`CmpError::Malformed`] when it is none.
pub fn key_of_request(csr_der: &[u8]) -> Result<Vec<u8>, CmpError> {
    let malformed = CmpError::at("the request (PKCS#10)");
    let outer = Outer::from_der(csr_der).map_err(&malformed)?;
    let info: RequestInfo<'_> = outer.tbs.decode_as().map_err(&malformed)?;
    let _ = (info.version, info.subject, info.attributes);
    encoded(&info.spki)
}

/// The end of a certificate's (DER) validity.
///
/// # Errors
/// [`CmpError::Malformed`] when it is none.
pub fn valid_until(certificate_der: &[u8]) -> Result<SystemTime, CmpError> {
    Ok(Certificate::read(certificate_der)?.not_after)
}

/// Whether two public keys (DER SubjectPublicKeyInfo) are the same: the kind, the curve and the bits. Absent parameters and NULL are.
pub(super) fn same_key(a: &[u8], b: &[u8]) -> bool {
    fn parts(spki: &[u8]) -> Option<(ObjectIdentifier, Option<Vec<u8>>, Vec<u8>)> {
        let spki = SubjectPublicKeyInfo::from_der(spki).ok()?;
        let algorithm: AlgorithmIdentifier<'_> = spki.algorithm.decode_as().ok()?;
        let parameters = algorithm
            .parameters
            .filter(|parameters| !parameters.is_null());
        let parameters = match parameters {
            Some(parameters) => Some(encoded(&parameters).ok()?),
            None => None,
        };
        Some((algorithm.id, parameters, spki.key.as_bytes()?.to_vec()))
    }
    parts(a).is_some_and(|a| parts(b) == Some(a))
}

/// UTCTime or GeneralizedTime.
fn time(time: AnyRef<'_>) -> Result<SystemTime, CmpError> {
    let time = match time.tag() {
        Tag::UtcTime => time.decode_as::<UtcTime>().map(|t| t.to_system_time()),
        _ => time
            .decode_as::<GeneralizedTime>()
            .map(|t| t.to_system_time()),
    };
    time.map_err(CmpError::at("a time of a certificate"))
}
