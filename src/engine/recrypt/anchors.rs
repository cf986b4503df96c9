//! The authorities whose device certificates are accepted, from the operator's own files.

use super::chain::{ChainError, may_issue};
use super::layout::{self, Layout};
use super::pem;
use crate::encoding::hex;
use der::Decode;
use fips::digest::{Hash, digest};
use std::path::PathBuf;

/// One authority's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    der: Vec<u8>,
    subject: Vec<u8>,
    spki: Vec<u8>,
    layout: Layout,
}

/// A file of the operator's that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It holds something else than what it is configured for.
    #[error("{}: {problem}", path.display())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
}

/// Reads every certificate of these PEM files.
///
/// # Errors
/// [`LoadError`] when a file cannot be read, holds no certificate or one that is not an authority's.
pub fn load(paths: &[PathBuf]) -> Result<Vec<Anchor>, LoadError> {
    let mut anchors = Vec::new();
    for path in paths {
        let text = pem::read_file(path)?;
        let found = Anchor::all_from_pem(&text).map_err(|problem| LoadError::Unusable {
            path: path.clone(),
            problem,
        })?;
        anchors.extend(found);
    }
    Ok(anchors)
}

impl Anchor {
    /// Every certificate of a PEM text, in its order; never none.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn all_from_pem(text: &[u8]) -> Result<Vec<Self>, String> {
        let blocks =
            pem::blocks(text, &["CERTIFICATE"]).ok_or_else(|| "is not whole PEM".to_owned())?;
        if blocks.is_empty() {
            return Err("holds no certificate in PEM (-----BEGIN CERTIFICATE-----)".to_owned());
        }
        blocks
            .into_iter()
            .map(|(_, der)| Self::from_der(der))
            .collect()
    }

    /// One certificate (DER).
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn from_der(der: Vec<u8>) -> Result<Self, String> {
        // The formats process parses it whole for every device: what it cannot read is better known at start.
        let layout = x509_cert::Certificate::from_der(&der)
            .ok()
            .and_then(|_| layout::read(&der))
            .ok_or_else(|| "holds a certificate that is malformed or too large".to_owned())?;
        let (Some(subject), Some(spki)) =
            (layout.spans.subject.of(&der), layout.spans.spki.of(&der))
        else {
            return Err("holds a certificate that is malformed".to_owned());
        };
        if may_issue(&layout, 0).is_err() {
            return Err(
                "holds a certificate that is not an authority's (basicConstraints cA, keyUsage keyCertSign): \
                 name the certificate of the authority that issues to devices"
                    .to_owned(),
            );
        }
        if layout.unhandled_extension {
            return Err("holds a certificate with constraints on names or policies, which are not honoured here".to_owned());
        }
        Ok(Self {
            subject: subject.to_vec(),
            spki: spki.to_vec(),
            der,
            layout,
        })
    }

    /// The certificate (DER).
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Its subject (DER Name).
    #[must_use]
    pub fn subject(&self) -> &[u8] {
        &self.subject
    }

    /// Its public key (DER SubjectPublicKeyInfo).
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The first byte of its keyUsage's bits, where it has any.
    pub(super) fn key_usage(&self) -> Option<u8> {
        self.layout.key_usage
    }

    /// SHA-256 of the certificate's DER, lower-case hexadecimal.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        hex(digest(Hash::Sha256, &self.der).as_ref())
    }

    /// Whether it may issue at this time (`YYYYMMDDHHMMSS`) with so many authorities below it.
    pub(super) fn may_issue(&self, below: u8, now: &[u8; 14]) -> Result<(), ChainError> {
        if *now < self.layout.not_before || *now > self.layout.not_after {
            return Err(ChainError::NotValidNow);
        }
        may_issue(&self.layout, below)
    }
}
