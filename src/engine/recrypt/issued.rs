//! A certificate that an authority issued, held against the request that it was issued for, by the custody process itself.
//!
//! What must hold: a key that the engine made is put into a PFX with no certificate but one for this very key that names whom the request
//! named, and nobody else. An authority (or whoever answers in its place) may add where somebody belongs - organization, country and the
//! like - because most authorities do; who it is has to be what was asked for, completely.

use super::chain::digits;
use super::identity::{chain, key_bits};
use super::layout;
use super::names::{self, Name};
use super::request;
use crate::encoding::printable;

/// How far an authority's clock may be ahead of ours: as much as the connector allows.
const CLOCKS_MS: i64 = 10 * 60 * 1000;

/// A certificate that [`verify`] has accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedCertificate {
    der: Vec<u8>,
    spki: Vec<u8>,
    validity: [[u8; 14]; 2],
    chain: Vec<Vec<u8>>,
}

impl IssuedCertificate {
    /// The certificate (DER).
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// First and last moment of its validity, each as `YYYYMMDDHHMMSS` (UTC).
    #[must_use]
    pub fn validity(&self) -> [[u8; 14]; 2] {
        self.validity
    }

    /// The certificates above it (DER), each of which signed the one before.
    #[must_use]
    pub fn chain(&self) -> Vec<&[u8]> {
        self.chain.iter().map(Vec::as_slice).collect()
    }

    /// Whether its public key is the one of this private key (DER PrivateKeyInfo).
    #[must_use]
    pub fn is_of(&self, pkcs8: &[u8]) -> bool {
        let Ok(public) = fips::pkcs8_public(pkcs8) else {
            return false;
        };
        same_key(&self.spki, &public)
    }
}

/// Why a certificate is not delivered for a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IssuedError {
    /// The CSR's parts cannot be placed.
    #[error("the CSR is larger than 16 KiB or breaks RFC 2986: it is not one that an engine made")]
    Csr,
    /// The certificate's parts cannot be placed.
    #[error(
        "the issued certificate is larger than 16 KiB or breaks RFC 5280: it cannot be verified"
    )]
    Malformed,
    /// It is for another key.
    #[error("the issued certificate has another public key than its request")]
    OtherKey,
    /// It has ended, or not begun.
    #[error(
        "the issued certificate is not valid now ({not_before} to {not_after}, UTC): ask the authority for another, or set the clock"
    )]
    NotValidNow {
        /// `YYYYMMDDHHMMSS`.
        not_before: String,
        /// `YYYYMMDDHHMMSS`.
        not_after: String,
    },
    /// It makes the key an authority.
    #[error(
        "the issued certificate is an authority's (basicConstraints), which no request of this engine asks for"
    )]
    Authority,
    /// It names somebody or something that was not asked for.
    #[error("the issued certificate names the {kind} {name:?}, for which its request did not ask")]
    NotAskedFor {
        /// Of which kind.
        kind: &'static str,
        /// What it says, printable.
        name: String,
    },
    /// It does not name somebody or something that was asked for.
    #[error("the issued certificate lacks the {kind} {name:?}, for which its request asked")]
    Lacks {
        /// Of which kind.
        kind: &'static str,
        /// What was asked for, printable.
        name: String,
    },
}

impl IssuedError {
    /// Stable code for the operator's log.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Csr => "csr_malformed",
            Self::Malformed => "issued_malformed",
            Self::OtherKey => "issued_other_key",
            Self::NotValidNow { .. } => "issued_not_valid_now",
            Self::Authority => "issued_authority",
            Self::NotAskedFor { .. } => "issued_not_asked_for",
            Self::Lacks { .. } => "issued_lacks",
        }
    }
}

/// Verifies a certificate (DER) against the CSR (DER) that it was issued for, at `now_ms` (milliseconds since 1970). Of `others` (DER) those
/// go on as its chain that signed it, or the one before them; the names and times of those are whoever's who trusts them.
///
/// # Errors
/// [`IssuedError`].
pub fn verify(
    csr: &[u8],
    certificate: &[u8],
    others: &[Vec<u8>],
    now_ms: i64,
) -> Result<IssuedCertificate, IssuedError> {
    let request = request::read(csr).ok_or(IssuedError::Csr)?;
    let asked_spki = request.spki.of(csr).ok_or(IssuedError::Csr)?;
    let layout = layout::read(certificate).ok_or(IssuedError::Malformed)?;
    let spki = layout
        .spans
        .spki
        .of(certificate)
        .ok_or(IssuedError::Malformed)?;
    if !same_key(spki, asked_spki) {
        return Err(IssuedError::OtherKey);
    }
    let soon = digits(now_ms.saturating_add(CLOCKS_MS));
    if soon < layout.not_before || digits(now_ms) > layout.not_after {
        let shown = |digits: [u8; 14]| String::from_utf8_lossy(&digits).into_owned();
        return Err(IssuedError::NotValidNow {
            not_before: shown(layout.not_before),
            not_after: shown(layout.not_after),
        });
    }
    if layout.authority.is_some() {
        return Err(IssuedError::Authority);
    }
    let asked = names_in(csr, request.subject, request.subject_alt_name).ok_or(IssuedError::Csr)?;
    let issued = names_in(certificate, layout.spans.subject, layout.subject_alt_name)
        .ok_or(IssuedError::Malformed)?;
    if let Some(name) = first_missing(&issued, &asked) {
        return Err(IssuedError::NotAskedFor {
            kind: name.kind.title(),
            name: shown(name),
        });
    }
    if let Some(name) = first_missing(&asked, &issued) {
        return Err(IssuedError::Lacks {
            kind: name.kind.title(),
            name: shown(name),
        });
    }
    Ok(IssuedCertificate {
        spki: spki.to_vec(),
        validity: [layout.not_before, layout.not_after],
        chain: chain(certificate, &layout, others),
        der: certificate.to_vec(),
    })
}

fn names_in(
    der: &[u8],
    subject: layout::Span,
    alternative: Option<layout::Span>,
) -> Option<Vec<Name>> {
    let alternative = match alternative {
        Some(span) => Some(span.of(der)?),
        None => None,
    };
    names::named(subject.of(der)?, alternative)
}

/// The first of `these` that is not among `those`.
fn first_missing<'a>(these: &'a [Name], those: &[Name]) -> Option<&'a Name> {
    these
        .iter()
        .find(|name| !those.iter().any(|other| other.is(name)))
}

fn same_key(one: &[u8], other: &[u8]) -> bool {
    matches!((key_bits(one), key_bits(other)), (Some(one), Some(other)) if one == other)
}

/// Short and printable: it comes from a stranger.
fn shown(name: &Name) -> String {
    const MOST: usize = 100;
    printable(&name.text).chars().take(MOST).collect()
}

#[cfg(test)]
mod tests;
