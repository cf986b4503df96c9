//! The device certificate's path, verified by the custody process itself.
//!
//! What must hold: nothing that the formats process says gets a password encrypted to a key that no anchor vouches for. So its
//! word only names the certificates of the path, and where it claims their parts to lie; both are checked against [`layout`],
//! and every signature, name, date and authority is verified here (RFC 5280 section 6.1).

use super::anchors::Anchor;
use super::layout::{self, CertificateSpans, Layout, MAX_CERTIFICATE_BYTES, PathLength};
use super::revocation::Step;
use super::rules::DeviceRules;
use super::signatures::{self, KeyKind};
use crate::encoding::hex;
use crate::engine::api::{DeviceTarget, FailureCode};
use fips::digest::{Hash, digest};
pub(super) use pki::time::digits;
use serde::{Deserialize, Serialize};

/// Certificates of a path, the device's and the anchor's among them.
pub const MAX_PATH_CERTIFICATES: usize = 5;
/// Intermediate certificates that may come with a device certificate.
pub const MAX_INTERMEDIATES: usize = 8;
/// Sizes of RSA device keys that are accepted, in bits.
pub const RSA_MODULUS_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// What the formats process found about a device certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CheckedDevice {
    /// Where the parts of the device's certificate lie.
    pub leaf: CertificateSpans,
    /// The certificates between it and an anchor, the device's issuer first.
    pub links: Vec<Link>,
}

/// An intermediate certificate on the path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Link {
    /// Its place in [`DeviceTarget::intermediates`].
    pub intermediate: u32,
    /// Where its parts lie.
    pub spans: CertificateSpans,
}

/// Whose device certificates are accepted.
#[derive(Debug, Clone)]
pub enum DeviceTrust {
    /// Those that chain to one of these. With none of them, nothing is accepted.
    Anchors(Vec<Anchor>),
    /// Any: the exception `no-device-anchors`, under which the service decides alone who can read a password.
    Unanchored,
}

/// A device certificate that [`verify`] has accepted: only its recipient can be encrypted to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceIdentity {
    issuer_der: Vec<u8>,
    serial_der: Vec<u8>,
    spki_der: Vec<u8>,
    kind: KeyKind,
    fingerprint: String,
    /// The number of the anchor that vouches for it.
    anchor: Option<usize>,
}

impl DeviceIdentity {
    /// The issuer's Name (DER).
    #[must_use]
    pub fn issuer_der(&self) -> &[u8] {
        &self.issuer_der
    }

    /// The serial number (DER INTEGER).
    #[must_use]
    pub fn serial_der(&self) -> &[u8] {
        &self.serial_der
    }

    /// The public key (DER SubjectPublicKeyInfo).
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// What kind of key it is.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// SHA-256 of the certificate's DER, lower-case hexadecimal, for logs and receipts.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Whether a configured anchor vouches for it; false only under [`DeviceTrust::Unanchored`].
    #[must_use]
    pub fn anchored(&self) -> bool {
        self.anchor.is_some()
    }

    /// The number of that anchor.
    pub(super) fn anchor(&self) -> Option<usize> {
        self.anchor
    }
}

/// Why a device certificate is not encrypted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// A certificate is not one, is too large, or names an algorithm twice and differently.
    #[error("a certificate of the device's path is malformed")]
    Malformed,
    /// What the formats process said does not fit the certificates. An honest one never gets here.
    #[error(
        "the formats process described the device's certificates wrongly; it may be compromised: restart the engine and look at what was sent"
    )]
    Mismatch,
    /// The path is longer than [`MAX_PATH_CERTIFICATES`].
    #[error("the device certificate's path is longer than {MAX_PATH_CERTIFICATES} certificates")]
    TooLong,
    /// A certificate of the path is not valid now.
    #[error("a certificate of the device's path is expired or not yet valid")]
    NotValidNow,
    /// The device's key is of a kind or size, or its certificate for a use, that does not allow encryption.
    #[error("the device's key or its certificate does not allow encryption")]
    NotForEncryption,
    /// An issuer of the path is not an authority, or not for a path this long.
    #[error("a certificate of the device's path was issued by one that is no authority for it")]
    NotAnAuthority,
    /// A critical extension is not understood.
    #[error("a certificate of the device's path has a restriction that is not understood")]
    UnhandledExtension,
    /// A signature does not verify, or its algorithm is not accepted.
    #[error(
        "a signature of the device's path does not verify or is of an algorithm that is not accepted (SHA-1, for one)"
    )]
    Signature,
    /// No configured anchor issued the end of the path.
    #[error(
        "the device certificate does not chain to a configured anchor; if its authority is meant to be trusted, name its certificate in device_anchors"
    )]
    NoAnchor,
    /// The device's key is of a kind or size that the operator's policy leaves out.
    #[error(
        "the device's key is of a kind or size that device_policy does not allow: enrol the device with another one"
    )]
    KeyNotAllowed,
    /// The certificate does not say what its key is for, as the operator's policy demands.
    #[error(
        "the device certificate does not say what its key is for (keyUsage), which device_policy demands"
    )]
    NoKeyUsage,
    /// A revocation list of the issuer names it.
    #[error(
        "{} is revoked: its authority's revocation list names it", whose(*authority)
    )]
    Revoked {
        /// An authority's of the path, not the device's own.
        authority: bool,
    },
    /// The issuer's revocation list is not of this time.
    #[error(
        "the revocation list of the issuer of {} is out of date: fetch the authority's new one into the file of device_policy.crls", whose(*authority)
    )]
    RevocationStale {
        /// An authority's of the path, not the device's own.
        authority: bool,
    },
    /// No list of the issuer, signed by it, is configured.
    #[error(
        "no revocation list among device_policy.crls is about {} and signed by its issuer: add the authority's list", whose(*authority)
    )]
    RevocationUnknown {
        /// An authority's of the path, not the device's own.
        authority: bool,
    },
}

const fn whose(authority: bool) -> &'static str {
    if authority {
        "the certificate of an authority of the device's path"
    } else {
        "the device certificate"
    }
}

impl ChainError {
    /// Stable code for the operator's log.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Malformed => "device_malformed",
            Self::Mismatch => "device_mismatch",
            Self::TooLong => "device_path_too_long",
            Self::NotValidNow => "device_not_valid_now",
            Self::NotForEncryption => "device_not_for_encryption",
            Self::NotAnAuthority => "device_issuer_not_an_authority",
            Self::UnhandledExtension => "device_unhandled_extension",
            Self::Signature => "device_signature",
            Self::NoAnchor => "device_no_anchor",
            Self::KeyNotAllowed => "device_key_not_allowed",
            Self::NoKeyUsage => "device_no_key_usage",
            Self::Revoked { .. } => "device_revoked",
            Self::RevocationStale { .. } => "device_revocation_stale",
            Self::RevocationUnknown { .. } => "device_revocation_unknown",
        }
    }

    /// What the caller of the engine is told.
    #[must_use]
    pub fn failure_code(self) -> FailureCode {
        FailureCode::DeviceCertificateRefused
    }
}

/// Verifies the path that the formats process found, and gives out whom to encrypt to.
///
/// `now_ms` is the time for which every certificate must be valid, in milliseconds since 1970.
///
/// # Errors
/// [`ChainError`] for everything that a correct path of an encryption certificate to an anchor is not.
pub fn verify(
    target: &DeviceTarget,
    checked: &CheckedDevice,
    trust: &DeviceTrust,
    now_ms: i64,
) -> Result<DeviceIdentity, ChainError> {
    verify_under(target, checked, trust, &DeviceRules::default(), now_ms)
}

/// As [`verify`], with what the operator asks for besides.
///
/// # Errors
/// As [`verify`], and what the rules refuse.
pub fn verify_under(
    target: &DeviceTarget,
    checked: &CheckedDevice,
    trust: &DeviceTrust,
    rules: &DeviceRules,
    now_ms: i64,
) -> Result<DeviceIdentity, ChainError> {
    verify_path_with(target, checked, trust, rules, now_ms, Signatures::Verify)
}

/// What is done about the signatures of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signatures {
    /// They are verified.
    Verify,
    /// The very same certificates were verified before in this process, under the same anchors: the one of this number vouched for them,
    /// or none had to.
    Known(Option<usize>),
}

/// As [`verify`], which see.
pub(super) fn verify_path_with(
    target: &DeviceTarget,
    checked: &CheckedDevice,
    trust: &DeviceTrust,
    rules: &DeviceRules,
    now_ms: i64,
    signatures: Signatures,
) -> Result<DeviceIdentity, ChainError> {
    if target.intermediates.len() > MAX_INTERMEDIATES
        || checked.links.len().saturating_add(2) > MAX_PATH_CERTIFICATES
    {
        return Err(ChainError::TooLong);
    }
    let now = digits(now_ms);
    let leaf = Certificate::at(target.certificate.as_slice(), &checked.leaf)?;
    leaf.valid_at(&now)?;
    let kind = recipient_kind(&leaf)?;
    rules.check_key(
        kind,
        leaf.part(leaf.layout.spans.spki)?,
        leaf.layout.key_usage,
    )?;

    let anchor = match trust {
        DeviceTrust::Unanchored => None,
        DeviceTrust::Anchors(anchors) => Some(verify_path(
            target,
            &checked.links,
            &leaf,
            anchors,
            rules,
            &now,
            signatures,
        )?),
    };
    Ok(DeviceIdentity {
        issuer_der: leaf.part(leaf.layout.spans.issuer)?.to_vec(),
        serial_der: leaf.part(leaf.layout.spans.serial)?.to_vec(),
        spki_der: leaf.part(leaf.layout.spans.spki)?.to_vec(),
        kind,
        fingerprint: hex(digest(Hash::Sha256, leaf.der).as_ref()),
        anchor,
    })
}

/// From the device's certificate over each link to an anchor, whose number it gives.
fn verify_path(
    target: &DeviceTarget,
    links: &[Link],
    leaf: &Certificate<'_>,
    anchors: &[Anchor],
    rules: &DeviceRules,
    now: &[u8; 14],
    signatures: Signatures,
) -> Result<usize, ChainError> {
    let issuers = issuers(target, links)?;
    let number = verify_signatures(&issuers, leaf, anchors, now, signatures)?;
    let anchor = anchors.get(number).ok_or(ChainError::NoAnchor)?;
    // Only now is every key on the way known to be an authority's.
    let mut steps = Vec::with_capacity(issuers.len().saturating_add(1));
    let mut subject = leaf;
    for issuer in &issuers {
        let spki = issuer.part(issuer.layout.spans.spki)?;
        steps.push(subject.step(spki, issuer.layout.key_usage)?);
        subject = issuer;
    }
    steps.push(subject.step(anchor.spki(), anchor.key_usage())?);
    rules.check_revocation(&steps, anchors, now)?;
    Ok(number)
}

/// The certificates between the device's and an anchor, each with its parts placed.
fn issuers<'a>(
    target: &'a DeviceTarget,
    links: &[Link],
) -> Result<Vec<Certificate<'a>>, ChainError> {
    links
        .iter()
        .map(|link| {
            let der = usize::try_from(link.intermediate)
                .ok()
                .and_then(|index| target.intermediates.get(index))
                .ok_or(ChainError::Mismatch)?;
            Certificate::at(der.as_slice(), &link.spans)
        })
        .collect()
}

fn verify_signatures(
    issuers: &[Certificate<'_>],
    leaf: &Certificate<'_>,
    anchors: &[Anchor],
    now: &[u8; 14],
    signatures: Signatures,
) -> Result<usize, ChainError> {
    let mut subject = leaf;
    // Authorities between the one looked at and the device that count for its pathLenConstraint (RFC 5280 section 4.2.1.9).
    let mut below: u8 = 0;
    for issuer in issuers {
        issuer.valid_at(now)?;
        issuer.may_issue(below)?;
        subject.issued_by(
            issuer.part(issuer.layout.spans.subject)?,
            issuer.part(issuer.layout.spans.spki)?,
            signatures,
        )?;
        if issuer.part(issuer.layout.spans.subject)? != issuer.part(issuer.layout.spans.issuer)? {
            below = below.saturating_add(1);
        }
        subject = issuer;
    }
    let issuer_name = subject.part(subject.layout.spans.issuer)?;
    let mut last = ChainError::NoAnchor;
    // The key that made a signature which is not verified again.
    let known = match signatures {
        Signatures::Known(number) => Some(
            number
                .and_then(|number| anchors.get(number))
                .ok_or(ChainError::NoAnchor)?
                .spki(),
        ),
        Signatures::Verify => None,
    };
    // Anchors may share a name while an authority changes its key.
    for (number, anchor) in anchors.iter().enumerate().filter(|(_, anchor)| {
        anchor.subject() == issuer_name && known.is_none_or(|known| known == anchor.spki())
    }) {
        match anchor
            .may_issue(below, now)
            .and_then(|()| subject.issued_by(anchor.subject(), anchor.spki(), signatures))
        {
            Ok(()) => return Ok(number),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// A device key that can be encrypted to: RSA 2048 to 8192 bits or EC, of a certificate that is for it and is no authority's.
fn recipient_kind(leaf: &Certificate<'_>) -> Result<KeyKind, ChainError> {
    /// keyEncipherment and keyAgreement among the bits of keyUsage (RFC 5280 section 4.2.1.3).
    const KEY_ENCIPHERMENT: u8 = 0x20;
    const KEY_AGREEMENT: u8 = 0x08;
    if leaf.layout.authority.is_some() {
        return Err(ChainError::NotForEncryption);
    }
    let spki = leaf.part(leaf.layout.spans.spki)?;
    let kind = KeyKind::of(spki).ok_or(ChainError::NotForEncryption)?;
    let needed = match kind {
        KeyKind::Rsa => {
            let key =
                fips::rsa::PublicKey::from_spki(spki).map_err(|_| ChainError::NotForEncryption)?;
            if !RSA_MODULUS_BITS.contains(&key.modulus_bits()) {
                return Err(ChainError::NotForEncryption);
            }
            KEY_ENCIPHERMENT
        }
        KeyKind::P256 | KeyKind::P384 | KeyKind::P521 => {
            // Found out now that it is no point of its curve, not after the custody key was used.
            fips::ec::point_from_spki(spki).map_err(|_| ChainError::NotForEncryption)?;
            KEY_AGREEMENT
        }
        KeyKind::RsaPss => return Err(ChainError::NotForEncryption),
    };
    match leaf.layout.key_usage {
        Some(bits) if bits & needed == 0 => Err(ChainError::NotForEncryption),
        _ => Ok(kind),
    }
}

/// A certificate whose parts have been placed.
#[derive(Clone)]
struct Certificate<'a> {
    der: &'a [u8],
    layout: Layout,
}

impl<'a> Certificate<'a> {
    /// Places the parts, and holds what was claimed against it.
    fn at(der: &'a [u8], claimed: &CertificateSpans) -> Result<Self, ChainError> {
        if der.len() > MAX_CERTIFICATE_BYTES {
            return Err(ChainError::Malformed);
        }
        let layout = layout::read(der).ok_or(ChainError::Malformed)?;
        if layout.spans != *claimed {
            return Err(ChainError::Mismatch);
        }
        if layout.unhandled_extension {
            return Err(ChainError::UnhandledExtension);
        }
        Ok(Self { der, layout })
    }

    fn part(&self, span: layout::Span) -> Result<&'a [u8], ChainError> {
        span.of(self.der).ok_or(ChainError::Malformed)
    }

    /// What a revocation list is asked about it.
    fn step(
        &self,
        issuer_spki: &'a [u8],
        issuer_usage: Option<u8>,
    ) -> Result<Step<'a>, ChainError> {
        let serial = self.part(self.layout.spans.serial)?;
        Ok(Step {
            serial: formats::ber::Element::whole(serial)
                .map_err(|_| ChainError::Malformed)?
                .content,
            issuer: self.part(self.layout.spans.issuer)?,
            issuer_spki,
            issuer_usage,
            authority: self.layout.authority.is_some(),
        })
    }

    fn valid_at(&self, now: &[u8; 14]) -> Result<(), ChainError> {
        if *now < self.layout.not_before || *now > self.layout.not_after {
            return Err(ChainError::NotValidNow);
        }
        Ok(())
    }

    fn may_issue(&self, below: u8) -> Result<(), ChainError> {
        may_issue(&self.layout, below)
    }

    /// Name chaining and signature (RFC 5280 section 6.1.3 (a)).
    fn issued_by(
        &self,
        issuer_name: &[u8],
        issuer_spki: &[u8],
        signatures: Signatures,
    ) -> Result<(), ChainError> {
        let spans = &self.layout.spans;
        if self.part(spans.issuer)? != issuer_name {
            return Err(ChainError::Mismatch);
        }
        if matches!(signatures, Signatures::Known(_)) {
            return Ok(());
        }
        let algorithm = signatures::algorithm(self.part(spans.algorithm)?, issuer_spki)
            .ok_or(ChainError::Signature)?;
        fips::sign::verify(
            algorithm,
            issuer_spki,
            self.part(spans.tbs)?,
            self.part(spans.signature)?,
        )
        .map_err(|_| ChainError::Signature)
    }
}

/// Whether this is an authority with so many further ones below it: basicConstraints and keyCertSign (RFC 5280 section 6.1.4).
pub(crate) fn may_issue(layout: &Layout, below: u8) -> Result<(), ChainError> {
    const KEY_CERT_SIGN: u8 = 0x04;
    let enough = match layout.authority.ok_or(ChainError::NotAnAuthority)? {
        PathLength::Unlimited => true,
        PathLength::AtMost(length) => below <= length,
    };
    let may_sign = layout
        .key_usage
        .is_none_or(|bits| bits & KEY_CERT_SIGN != 0);
    if enough && may_sign {
        Ok(())
    } else {
        Err(ChainError::NotAnAuthority)
    }
}
