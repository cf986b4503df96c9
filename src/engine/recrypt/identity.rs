//! A key and its certificate out of a PFX, verified by the custody process itself.
//!
//! What must hold: nothing that the formats process says gets anything delivered but the certificate that the record names (its thumbprint
//! is under the importer's signature) and the private key that belongs to it. So the certificate's digest and the key's public half are
//! computed here, from the bytes that go on. Further certificates go on only along a chain of signatures that verify, and names, comments
//! and attributes of the file do not go on at all: they could carry what a formats process in a stranger's hand has seen of another user.
//!
//! What is left to such a process: to refuse a good PFX, and to remember what it has opened. It has no file and no network to tell it by.

use super::layout::{self, Layout};
use super::names;
use super::signatures;
use crate::encoding::hex;
use crate::engine::formats::opening::ClaimedIdentity;
use crate::record::Record;
use der::{Decode, Encode};
use fips::digest::{Hash, digest};
use fips::secret::{PrivateKey, SecretBytes};
use pkcs8::PrivateKeyInfoRef;
use spki::SubjectPublicKeyInfoRef;

/// Certificates above the user's that go on at most.
const MAX_CHAIN: usize = 4;

/// A key and certificate that [`verify`] has accepted: only these are delivered.
pub struct VerifiedIdentity {
    pkcs8: PrivateKey,
    certificate: Vec<u8>,
    layout: Layout,
    chain: Vec<Vec<u8>>,
}

impl VerifiedIdentity {
    /// The private key (DER PrivateKeyInfo, version 1, without attributes).
    #[must_use]
    pub fn pkcs8(&self) -> &PrivateKey {
        &self.pkcs8
    }

    /// The certificate (DER).
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// The certificates above it (DER), each of which signed the one before.
    #[must_use]
    pub fn chain(&self) -> Vec<&[u8]> {
        self.chain.iter().map(Vec::as_slice).collect()
    }

    /// Begin of the certificate's validity as `YYYYMMDDHHMMSS` (UTC).
    #[must_use]
    pub fn not_before(&self) -> [u8; 14] {
        self.layout.not_before
    }

    /// End of the certificate's validity as `YYYYMMDDHHMMSS` (UTC).
    #[must_use]
    pub fn not_after(&self) -> [u8; 14] {
        self.layout.not_after
    }
}

/// Why a key and certificate are not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The certificate is not the record's. An honest formats process does not get here.
    #[error(
        "the formats process gave another certificate than the record names; it may be compromised: restart the engine and look at the PFX"
    )]
    OtherCertificate,
    /// The key is not the certificate's. An honest formats process does not get here.
    #[error(
        "the formats process gave a key that does not belong to the certificate; it may be compromised: restart the engine and look at the PFX"
    )]
    OtherKey,
    /// The certificate's parts cannot be placed.
    #[error(
        "the user's certificate is larger than 16 KiB or breaks RFC 5280: it cannot be verified"
    )]
    Malformed,
    /// The certificate does not name the user.
    #[error(
        "the certificate names no e-mail address or user principal name that is the record's user ({named}): import it for that user, or see `engine.pfx.user_in_certificate`",
        named = if *.any { "it names others" } else { "it names none at all" }
    )]
    OtherUser {
        /// Whether it names anybody.
        any: bool,
    },
}

impl IdentityError {
    /// Stable code for the operator's log.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::OtherCertificate => "pfx_other_certificate",
            Self::OtherKey => "pfx_other_key",
            Self::Malformed => "pfx_certificate_malformed",
            Self::OtherUser { .. } => "pfx_other_user",
        }
    }
}

/// Verifies what the formats process found in a record's PFX. `names_user`: whether the certificate has to name the record's user.
///
/// # Errors
/// [`IdentityError`].
pub fn verify(
    record: &Record,
    claimed: ClaimedIdentity,
    names_user: bool,
) -> Result<VerifiedIdentity, IdentityError> {
    let thumbprint = hex(digest(Hash::Sha1, &claimed.certificate).as_ref());
    if !thumbprint.eq_ignore_ascii_case(&record.thumbprint) {
        return Err(IdentityError::OtherCertificate);
    }
    let layout = layout::read(&claimed.certificate).ok_or(IdentityError::Malformed)?;
    let spki = layout
        .spans
        .spki
        .of(&claimed.certificate)
        .ok_or(IdentityError::Malformed)?;
    // Also what makes the key one that the module knows, whole and consistent.
    let public = fips::pkcs8_public(claimed.pkcs8.expose()).map_err(|_| IdentityError::OtherKey)?;
    match (key_bits(spki), key_bits(&public)) {
        (Some(certified), Some(own)) if certified == own => {}
        _ => return Err(IdentityError::OtherKey),
    }
    if names_user {
        let names = names::of(&claimed.certificate, &layout).ok_or(IdentityError::Malformed)?;
        if !names
            .iter()
            .any(|name| name.eq_ignore_ascii_case(&record.user_principal_name))
        {
            return Err(IdentityError::OtherUser {
                any: !names.is_empty(),
            });
        }
    }
    let chain = chain(&claimed.certificate, &layout, &claimed.others);
    Ok(VerifiedIdentity {
        pkcs8: plain(&claimed.pkcs8).ok_or(IdentityError::OtherKey)?,
        certificate: claimed.certificate,
        layout,
        chain,
    })
}

/// The bits of a public key. The algorithm beside it is left out: a certificate may name the same RSA key for PSS alone.
pub(super) fn key_bits(spki: &[u8]) -> Option<&[u8]> {
    SubjectPublicKeyInfoRef::from_der(spki)
        .ok()?
        .subject_public_key
        .as_bytes()
}

/// The key as version 1 and without attributes (RFC 5958 section 2), which files use for names of key containers and the like.
fn plain(pkcs8: &PrivateKey) -> Option<PrivateKey> {
    let parsed = PrivateKeyInfoRef::from_der(pkcs8.expose()).ok()?;
    let plain = PrivateKeyInfoRef {
        public_key: None,
        ..parsed
    };
    let der = plain.to_der().ok().map(SecretBytes::from_vec)?;
    Some(PrivateKey::new(der))
}

/// Of the other certificates those that signed the user's, or the one before them.
pub(super) fn chain(leaf: &[u8], leaf_layout: &Layout, others: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut chain: Vec<Vec<u8>> = Vec::new();
    let mut subject = (leaf, leaf_layout.clone());
    while chain.len() < MAX_CHAIN {
        let issuer = others.iter().find_map(|other| {
            let is_new = other != subject.0 && !chain.contains(other);
            let layout = layout::read(other).filter(|_| is_new)?;
            signed(subject.0, &subject.1, other, &layout)?;
            Some((other.as_slice(), layout))
        });
        let Some(issuer) = issuer else { break };
        chain.push(issuer.0.to_vec());
        subject = issuer;
    }
    chain
}

/// Whether an authority's key made the signature of a certificate that names it as its issuer.
pub(crate) fn signed(
    subject: &[u8],
    of_subject: &Layout,
    issuer: &[u8],
    of_issuer: &Layout,
) -> Option<()> {
    of_issuer.authority?;
    let spans = &of_subject.spans;
    if spans.issuer.of(subject)? != of_issuer.spans.subject.of(issuer)? {
        return None;
    }
    let spki = of_issuer.spans.spki.of(issuer)?;
    let algorithm = signatures::algorithm(spans.algorithm.of(subject)?, spki)?;
    fips::sign::verify(
        algorithm,
        spki,
        spans.tbs.of(subject)?,
        spans.signature.of(subject)?,
    )
    .ok()
}
