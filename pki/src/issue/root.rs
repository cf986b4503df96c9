//! Certificates that no request stands behind: a root's, and that of an OCSP responder whose key the same holder has.

use super::build::{Parts, sign, validity, whole_seconds};
use super::extensions::Extensions;
use super::{Authority, Certificate, IssueError, refused};
use crate::{Signer, key_id};
use der::Encode;
use std::time::{Duration, SystemTime};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::NameConstraints;
use x509_cert::name::Name;

/// What an authority that is about to be made wants to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorityRequest {
    /// Its subject.
    pub subject: Name,
    /// How many authorities may stand beneath it; none: any number.
    pub path_len: Option<u8>,
    /// What it may issue for.
    pub constraints: Option<NameConstraints>,
}

/// The extensions of a root, or those that a request to an authority above asks for: what an authority is, and its key identifier.
///
/// # Errors
/// [`IssueError::Encoding`].
pub fn root_extensions(
    wanted: &AuthorityRequest,
    spki_der: &[u8],
) -> Result<Vec<Extension>, IssueError> {
    let id = key_id::of(spki_der)?;
    Ok(Extensions::new()
        .authority(wanted.path_len, wanted.constraints.as_ref())?
        .key_ids(&id, None)?
        .into_vec())
}

/// A self-signed certificate (RFC 5280, section 3.2), valid from now on for this long.
///
/// # Errors
/// [`IssueError`].
pub fn root(
    wanted: &AuthorityRequest,
    serial: &[u8],
    lasts: Duration,
    now: SystemTime,
    signer: &dyn Signer,
) -> Result<Certificate, IssueError> {
    if wanted.subject.is_empty() {
        return refused("an authority needs a subject");
    }
    let subject_der = wanted.subject.to_der()?;
    let not_before = whole_seconds(now);
    let not_after = not_before
        .checked_add(lasts.saturating_sub(Duration::from_secs(1)))
        .ok_or_else(|| IssueError::Refused("it would be valid for too long".to_owned()))?;
    let der = sign(
        &Parts {
            serial,
            issuer_der: &subject_der,
            subject_der: &subject_der,
            spki_der: signer.spki_der(),
            not_before,
            not_after,
            extensions: root_extensions(wanted, signer.spki_der())?,
        },
        signer.spki_der(),
        signer,
    )?;
    Ok(Certificate {
        der,
        serial: serial.to_vec(),
        not_after,
    })
}

/// The certificate of a delegated OCSP responder (RFC 6960, section 4.2.2.2): id-kp-OCSPSigning and ocsp-nocheck, so that it should be
/// short-lived.
///
/// # Errors
/// [`IssueError`].
pub fn responder(
    authority: &Authority,
    subject: &Name,
    responder_spki: &[u8],
    serial: &[u8],
    (lasts, now): (Duration, SystemTime),
    signer: &dyn Signer,
) -> Result<Certificate, IssueError> {
    let (not_before, not_after) = validity(authority, lasts, now)?;
    let der = sign(
        &Parts {
            serial,
            issuer_der: authority.subject_der(),
            subject_der: &subject.to_der()?,
            spki_der: responder_spki,
            not_before,
            not_after,
            extensions: Extensions::new()
                .responder()?
                .key_ids(&key_id::of(responder_spki)?, Some(authority.key_id()))?
                .into_vec(),
        },
        authority.spki_der(),
        signer,
    )?;
    Ok(Certificate {
        der,
        serial: serial.to_vec(),
        not_after,
    })
}
