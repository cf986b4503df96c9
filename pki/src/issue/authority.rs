//! An authority, by its certificate.

use super::IssueError;
use crate::key_id;
use der::{Decode, Encode};
use std::time::SystemTime;
use x509_cert::Certificate;
use x509_cert::ext::pkix::{
    BasicConstraints, KeyUsage, KeyUsages, NameConstraints, SubjectKeyIdentifier,
};

/// What an authority's certificate says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    certificate_der: Vec<u8>,
    subject_der: Vec<u8>,
    spki_der: Vec<u8>,
    key_id: Vec<u8>,
    not_before: SystemTime,
    not_after: SystemTime,
    path_len: Option<u8>,
    constraints: Option<NameConstraints>,
}

impl Authority {
    /// Reads the certificate (DER) and checks that it is one of an authority: cA, keyCertSign and cRLSign.
    ///
    /// # Errors
    /// [`IssueError::Authority`] that says what is missing.
    pub fn read(certificate_der: &[u8]) -> Result<Self, IssueError> {
        let fail = |why: &str| IssueError::Authority(why.to_owned());
        let malformed = |_| fail("its certificate is malformed");
        let certificate = Certificate::from_der(certificate_der).map_err(malformed)?;
        let tbs = certificate.tbs_certificate();
        let basic = tbs
            .get_extension::<BasicConstraints>()
            .map_err(malformed)?
            .filter(|(_, basic)| basic.ca)
            .ok_or_else(|| fail("its certificate is none of an authority (basicConstraints)"))?
            .1;
        let usage = tbs.get_extension::<KeyUsage>().map_err(malformed)?;
        let may = |usage: &KeyUsage| {
            usage.0.contains(KeyUsages::KeyCertSign) && usage.0.contains(KeyUsages::CRLSign)
        };
        if !usage.is_some_and(|(_, usage)| may(&usage)) {
            return Err(fail(
                "its certificate lacks keyCertSign or cRLSign (keyUsage)",
            ));
        }
        let spki_der = tbs.subject_public_key_info().to_der().map_err(malformed)?;
        let key_id = match tbs
            .get_extension::<SubjectKeyIdentifier>()
            .map_err(malformed)?
        {
            Some((_, id)) => id.0.as_bytes().to_vec(),
            None => key_id::of(&spki_der).map_err(malformed)?,
        };
        if tbs.subject().is_empty() {
            return Err(fail("its certificate has no subject"));
        }
        Ok(Self {
            subject_der: tbs.subject().to_der().map_err(malformed)?,
            spki_der,
            key_id,
            not_before: tbs.validity().not_before.to_system_time(),
            not_after: tbs.validity().not_after.to_system_time(),
            path_len: basic.path_len_constraint,
            constraints: tbs
                .get_extension::<NameConstraints>()
                .map_err(malformed)?
                .map(|(_, constraints)| constraints),
            certificate_der: certificate_der.to_vec(),
        })
    }

    /// The certificate (DER).
    #[must_use]
    pub fn certificate_der(&self) -> &[u8] {
        &self.certificate_der
    }

    /// Its subject (DER Name): the issuer of what it issues.
    #[must_use]
    pub fn subject_der(&self) -> &[u8] {
        &self.subject_der
    }

    /// Its public key (DER SubjectPublicKeyInfo).
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// Its subjectKeyIdentifier.
    #[must_use]
    pub fn key_id(&self) -> &[u8] {
        &self.key_id
    }

    /// The begin of its validity.
    #[must_use]
    pub const fn not_before(&self) -> SystemTime {
        self.not_before
    }

    /// The end of its validity.
    #[must_use]
    pub const fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// How many authorities may stand beneath it; none: as many as there are.
    #[must_use]
    pub const fn path_len(&self) -> Option<u8> {
        self.path_len
    }

    /// What it may issue for.
    pub(super) const fn constraints(&self) -> Option<&NameConstraints> {
        self.constraints.as_ref()
    }
}
