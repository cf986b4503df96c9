//! What the protocol asks of a certificate besides what [`crate::path`] reads: its hash, its key, its validity.

use super::asn1::{encoded, sequence};
use super::{CmpError, oid};
use crate::algorithm;
use crate::path::Certificate;
use crate::time::digits;
use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier};
use der::{Decode, Sequence};
use fips::digest::Hash;
use fips::sign::SignatureAlgorithm;
use std::time::SystemTime;

/// A certificate (DER).
pub(super) fn read(der: &[u8]) -> Result<Certificate, CmpError> {
    Certificate::read(der).map_err(CmpError::at("a certificate"))
}

/// A time as certificates have it.
pub(super) fn at(now: SystemTime) -> [u8; 14] {
    let since = now.duration_since(SystemTime::UNIX_EPOCH);
    digits(since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }))
}

pub(super) fn valid_at(certificate: &Certificate, now: SystemTime) -> bool {
    let now = at(now);
    *certificate.not_before() <= now && now <= *certificate.not_after()
}

/// Whether this name and key issued it.
pub(super) fn issued_by(certificate: &Certificate, name_der: &[u8], spki_der: &[u8]) -> bool {
    certificate.issuer_der() == name_der && certificate.is_signed_by(spki_der).is_ok()
}

/// certHash of a confirmation, and hashAlg (DER) where the signature's algorithm is none that is known to say its hash (RFC 9810, section
/// 5.3.18).
pub(super) fn hash(certificate: &Certificate) -> Result<(Vec<u8>, Option<Vec<u8>>), CmpError> {
    let known = SignatureAlgorithm::ALL
        .into_iter()
        .find(|known| algorithm::identifier_der(*known) == certificate.signature_algorithm());
    let (hash, named) = match known {
        Some(algorithm) => (algorithm.hash(), None),
        None => (Hash::Sha256, Some(sequence(&[&encoded(&oid::SHA256)?]))),
    };
    let digest = fips::digest::digest(hash, certificate.der());
    Ok((digest.as_ref().to_vec(), named))
}

#[derive(Sequence)]
struct SubjectPublicKeyInfo<'a> {
    algorithm: AlgorithmIdentifier<'a>,
    key: BitStringRef<'a>,
}

#[derive(Sequence)]
struct AlgorithmIdentifier<'a> {
    id: ObjectIdentifier,
    parameters: Option<AnyRef<'a>>,
}

/// Whether two public keys (DER SubjectPublicKeyInfo) are the same: the kind, the curve and the bits. Absent parameters and NULL are.
pub(super) fn same_key(a: &[u8], b: &[u8]) -> bool {
    let (Ok(a), Ok(b)) = (
        SubjectPublicKeyInfo::from_der(a),
        SubjectPublicKeyInfo::from_der(b),
    ) else {
        return false;
    };
    let parameters = |key: &SubjectPublicKeyInfo<'_>| {
        let parameters = key.algorithm.parameters.filter(|one| !one.is_null());
        parameters.map(|one| (one.header(), one.value().to_vec()))
    };
    a.algorithm.id == b.algorithm.id
        && parameters(&a) == parameters(&b)
        && a.key.as_bytes().is_some()
        && a.key.as_bytes() == b.key.as_bytes()
}

/// Whether a certificate (DER) is for this public key (DER SubjectPublicKeyInfo).
///
/// # Errors
/// [`CmpError::Malformed`] when it is no certificate.
pub fn is_for_key(certificate_der: &[u8], spki_der: &[u8]) -> Result<bool, CmpError> {
    Ok(same_key(read(certificate_der)?.spki_der(), spki_der))
}

/// Whether a certificate (DER) is valid at a time.
///
/// # Errors
/// [`CmpError::Malformed`] when it is none.
pub fn is_valid_at(certificate_der: &[u8], now: SystemTime) -> Result<bool, CmpError> {
    Ok(valid_at(&read(certificate_der)?, now))
}

/// The end of a certificate's (DER) validity.
///
/// # Errors
/// [`CmpError::Malformed`] when it is none.
pub fn valid_until(certificate_der: &[u8]) -> Result<SystemTime, CmpError> {
    let certificate = read(certificate_der)?;
    let end = certificate.parsed().tbs_certificate().validity().not_after;
    Ok(end.to_system_time())
}
