//! Certificates, from what was allowed to the signature.

use super::extensions::{self, Extensions};
use super::{Authority, IssueError, KeyRule, Profile, Publication, Purpose, Request, refused};
use super::{constraints, names};
use crate::algorithm::{self, KeyKind};
use crate::{Signer, key_id};
use der::asn1::{Any, BitString, ObjectIdentifier, Uint};
use der::{Decode, Encode, Sequence};
use fips::ec::Curve;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use x509_cert::ext::Extension;
use x509_cert::time::Time;

/// Random octets of a serial number.
const RANDOM_BYTES: usize = 16;
/// A certificate that could be valid for less than this is not issued.
const SHORTEST: Duration = Duration::from_secs(3600);

/// A certificate that was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The certificate (DER).
    pub der: Vec<u8>,
    /// Its serial number: the content octets of its INTEGER.
    pub serial: Vec<u8>,
    /// The end of its validity.
    pub not_after: SystemTime,
}

/// A new serial number: 17 octets, of which 16 are random from the module. The first is 1, so that it is positive, never zero, always as
/// long, and below the 20 octets of RFC 5280 (section 4.1.2.2).
///
/// # Errors
/// [`IssueError::Module`].
pub fn new_serial() -> Result<Vec<u8>, IssueError> {
    let random: [u8; RANDOM_BYTES] = fips::random::array()?;
    let mut serial = vec![1];
    serial.extend(random);
    Ok(serial)
}

/// Issues what the request asks for, if the profile and the authority's own certificate allow it. `serial`: of [`new_serial`].
///
/// # Errors
/// [`IssueError`].
pub fn issue(
    authority: &Authority,
    profile: &Profile,
    published: &Publication,
    request: &Request,
    serial: &[u8],
    now: SystemTime,
    signer: &dyn Signer,
) -> Result<Certificate, IssueError> {
    let key = admit_key(profile, &request.spki_der)?;
    names::admit(profile, request)?;
    admit_usages(profile, request, key)?;
    let is_leaf = profile.purpose != Purpose::SubordinateAuthority;
    constraints::hold(authority.constraints(), request, is_leaf)?;
    let subject_key_id = key_id::of(&request.spki_der)?;
    let subject_der = request.subject.to_der()?;
    let made = if profile.purpose == Purpose::SubordinateAuthority {
        if request.subject.is_empty() {
            return refused("an authority needs a subject");
        }
        if authority
            .path_len()
            .is_some_and(|above| profile.path_len >= above)
        {
            return Err(IssueError::Authority(format!(
                "its certificate allows no authority beneath it with a path length of {}",
                profile.path_len
            )));
        }
        Extensions::new().authority(Some(profile.path_len), profile.constraints.as_ref())?
    } else {
        Extensions::new().end_entity(profile.purpose, key)?
    };
    let extensions = made
        .names(&request.names, request.subject.is_empty())?
        .policies(&profile.policies)?
        .key_ids(&subject_key_id, Some(authority.key_id()))?
        .published(published)?
        .sid(request.sid.as_deref())?
        .into_vec();
    let (not_before, not_after) = validity(authority, profile.validity, now)?;
    let der = sign(
        &Parts {
            serial,
            issuer_der: authority.subject_der(),
            subject_der: &subject_der,
            spki_der: &request.spki_der,
            not_before,
            not_after,
            extensions,
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

/// From now on, as long as asked, but not beyond the authority's own end.
pub(super) fn validity(
    authority: &Authority,
    wanted: Duration,
    now: SystemTime,
) -> Result<(SystemTime, SystemTime), IssueError> {
    if now < authority.not_before() {
        return Err(IssueError::Authority(
            "its certificate is not valid yet".to_owned(),
        ));
    }
    let begin = whole_seconds(now);
    // Both ends are in it (RFC 5280, section 4.1.2.5).
    let end = begin
        .checked_add(wanted.saturating_sub(Duration::from_secs(1)))
        .unwrap_or(authority.not_after())
        .min(authority.not_after());
    match end.duration_since(begin) {
        Ok(left) if left >= SHORTEST => Ok((begin, end)),
        _ => Err(IssueError::Authority(
            "its certificate ends within the hour or has ended: renew it".to_owned(),
        )),
    }
}

pub(super) fn whole_seconds(time: SystemTime) -> SystemTime {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    UNIX_EPOCH
        .checked_add(Duration::from_secs(since.as_secs()))
        .unwrap_or(UNIX_EPOCH)
}

fn admit_key(profile: &Profile, spki_der: &[u8]) -> Result<KeyKind, IssueError> {
    let kind = KeyKind::of(spki_der);
    let rule = match kind {
        Some(KeyKind::Rsa) => fips::rsa::PublicKey::from_spki(spki_der)
            .ok()
            .map(|key| KeyRule::Rsa(key.modulus_bits())),
        Some(KeyKind::P256) => Some(KeyRule::Ec(Curve::P256)),
        Some(KeyKind::P384) => Some(KeyRule::Ec(Curve::P384)),
        Some(KeyKind::P521) => Some(KeyRule::Ec(Curve::P521)),
        Some(KeyKind::RsaPss) | None => None,
    };
    match (kind, rule) {
        (Some(kind), Some(rule)) if profile.keys.contains(&rule) => Ok(kind),
        (_, Some(rule)) => refused(format!(
            "the profile `{}` certifies no key of the kind {rule:?}",
            profile.name
        )),
        _ => refused("its key is neither RSA nor EC on P-256, P-384 or P-521"),
    }
}

/// What a request asks for has to be what the profile gives.
fn admit_usages(profile: &Profile, request: &Request, key: KeyKind) -> Result<(), IssueError> {
    let is_authority = profile.purpose == Purpose::SubordinateAuthority;
    if request.asks_for_authority && !is_authority {
        return refused("it asks to be an authority (basicConstraints with cA)");
    }
    let fits = request.key_usage.is_none_or(|asked| {
        let mut given: der::flagset::FlagSet<_> =
            extensions::key_usage(profile.purpose, key).into();
        if is_authority {
            given |= x509_cert::ext::pkix::KeyUsages::CRLSign;
        }
        (asked.0 - given).is_empty()
    });
    if !fits {
        return refused(format!(
            "it asks for key usages that the profile `{}` does not give",
            profile.name
        ));
    }
    let given = extensions::extended_key_usage(profile.purpose);
    let asked = request.extended_key_usage.iter().flat_map(|asked| &asked.0);
    if let Some(other) = asked.into_iter().find(|oid| Some(**oid) != given) {
        return refused(format!(
            "it asks for the extended key usage {other}, which the profile `{}` does not give",
            profile.name
        ));
    }
    Ok(())
}

/// Everything of a certificate but algorithm and signature.
pub(super) struct Parts<'a> {
    pub(super) serial: &'a [u8],
    pub(super) issuer_der: &'a [u8],
    pub(super) subject_der: &'a [u8],
    pub(super) spki_der: &'a [u8],
    pub(super) not_before: SystemTime,
    pub(super) not_after: SystemTime,
    pub(super) extensions: Vec<Extension>,
}

/// ```text
/// TBSCertificate  ::=  SEQUENCE  {
///     version [0] EXPLICIT Version, serialNumber, signature AlgorithmIdentifier, issuer Name, validity, subject Name,
///     subjectPublicKeyInfo, extensions [3] EXPLICIT Extensions }      (RFC 5280, section 4.1)
/// ```
#[derive(Sequence)]
struct TbsCertificate {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    version: u8,
    serial: Uint,
    signature: Any,
    issuer: Any,
    validity: Validity,
    subject: Any,
    spki: Any,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT")]
    extensions: Vec<Extension>,
}

#[derive(Sequence)]
struct Validity {
    not_before: Time,
    not_after: Time,
}

/// A to-be-signed structure with its algorithm and signature: certificates and lists are this.
#[derive(Sequence)]
struct Signed {
    tbs: Any,
    algorithm: Any,
    signature: BitString,
}

/// v3.
const VERSION: u8 = 2;

pub(super) fn sign(
    parts: &Parts<'_>,
    issuer_spki: &[u8],
    signer: &dyn Signer,
) -> Result<Vec<u8>, IssueError> {
    let tbs = TbsCertificate {
        version: VERSION,
        serial: Uint::new(parts.serial)?,
        signature: Any::from_der(&algorithm::identifier_der(signer.algorithm()))?,
        issuer: Any::from_der(parts.issuer_der)?,
        validity: Validity {
            not_before: Time::try_from(parts.not_before)?,
            not_after: Time::try_from(parts.not_after)?,
        },
        subject: Any::from_der(parts.subject_der)?,
        spki: Any::from_der(parts.spki_der)?,
        extensions: parts.extensions.clone(),
    };
    sign_der(&tbs.to_der()?, issuer_spki, signer)
}

/// Puts a signature under a to-be-signed structure (DER).
///
/// # Errors
/// [`IssueError::Authority`] when the signer is another than the issuer.
pub(crate) fn sign_der(
    tbs_der: &[u8],
    issuer_spki: &[u8],
    signer: &dyn Signer,
) -> Result<Vec<u8>, IssueError> {
    if signer.spki_der() != issuer_spki {
        return Err(IssueError::Authority(
            "the signing key is not the one of its certificate".to_owned(),
        ));
    }
    let signed = Signed {
        tbs: Any::from_der(tbs_der)?,
        algorithm: Any::from_der(&algorithm::identifier_der(signer.algorithm()))?,
        signature: BitString::from_bytes(&signer.sign(tbs_der)?)?,
    };
    Ok(signed.to_der()?)
}

/// For callers that name policies by text.
impl Profile {
    /// Reads an object identifier such as `2.23.140.1.5.1.2`.
    #[must_use]
    pub fn policy(text: &str) -> Option<ObjectIdentifier> {
        ObjectIdentifier::new(text).ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn serial_numbers_are_positive_never_the_same_and_of_one_length() {
        fips::start(fips::policy::Policy::STRICT).unwrap();
        let serials: BTreeSet<_> = (0..1000).map(|_| new_serial().unwrap()).collect();
        assert_eq!(serials.len(), 1000);
        for serial in serials {
            // RFC 5280, section 4.1.2.2: a positive integer of at most 20 octets; the first bit is the sign (X.690, section 8.3.3).
            assert_eq!(serial.len(), RANDOM_BYTES + 1);
            assert!(serial.len() <= 20);
            assert!(
                serial
                    .first()
                    .is_some_and(|first| (1..0x80).contains(first))
            );
        }
    }
}
