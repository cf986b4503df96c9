//! `MANIFEST`: who signed, and name, size and digest of every other file, in one form for one content.
//!
//! ```text
//! pfx-connector evidence bundle, version 1
//! signed by <SHA-256 of the public key> with <algorithm>        or: not signed, digests only
//! <SHA-256>  <size in bytes>  <name>                            one line a file, sorted by name
//! ```

use super::{BundleError, DOCUMENTS, FORMAT, MANIFEST, SIGNER};
use crate::encoding::hex;
use fips::digest::{Hash, digest};
use fips::sign::SignatureAlgorithm;
use hsm::KeyFingerprint;
use std::collections::BTreeMap;
use std::fmt::Write;

/// What says that nothing is signed.
const NOT_SIGNED: &str = "not signed, digests only";

/// Which key signed, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedBy {
    /// SHA-256 of the public key (DER SubjectPublicKeyInfo).
    pub fingerprint: KeyFingerprint,
    /// The algorithm.
    pub algorithm: SignatureAlgorithm,
}

/// Size and digest of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) sha256: String,
    pub(super) bytes: u64,
}

impl Entry {
    pub(super) fn of(content: &[u8]) -> Self {
        Self {
            sha256: hex(digest(Hash::Sha256, content).as_ref()),
            bytes: content.len() as u64,
        }
    }
}

/// The manifest of a bundle. It names exactly the files of [`DOCUMENTS`], and the public key if it is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    signed_by: Option<SignedBy>,
    files: BTreeMap<String, Entry>,
}

impl Manifest {
    /// The manifest of these files.
    ///
    /// # Errors
    /// [`BundleError::Incomplete`] when they are not those of a bundle.
    pub(super) fn new(
        signed_by: Option<SignedBy>,
        files: BTreeMap<String, Entry>,
    ) -> Result<Self, BundleError> {
        let manifest = Self { signed_by, files };
        match manifest.misfit() {
            Some(name) => Err(BundleError::Incomplete { name }),
            None => Ok(manifest),
        }
    }

    /// Which key signed it, if one did.
    #[must_use]
    pub fn signed_by(&self) -> Option<SignedBy> {
        self.signed_by
    }

    /// The files with their digests, by name.
    pub(super) fn files(&self) -> &BTreeMap<String, Entry> {
        &self.files
    }

    /// A name that is missing, or one too many.
    fn misfit(&self) -> Option<String> {
        let signer = self.signed_by.map(|_| SIGNER);
        let expected = || DOCUMENTS.iter().map(|document| document.name).chain(signer);
        let missing = expected()
            .find(|name| !self.files.contains_key(*name))
            .map(str::to_owned);
        let unknown = self
            .files
            .keys()
            .find(|name| !expected().any(|expected| expected == name.as_str()));
        missing.or_else(|| unknown.cloned())
    }

    /// Its one form.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = format!("pfx-connector evidence bundle, version {FORMAT}\n");
        match self.signed_by {
            Some(by) => {
                let _ = writeln!(
                    text,
                    "signed by {} with {}",
                    by.fingerprint,
                    by.algorithm.name()
                );
            }
            None => {
                let _ = writeln!(text, "{NOT_SIGNED}");
            }
        }
        for (name, entry) in &self.files {
            let _ = writeln!(text, "{}  {}  {name}", entry.sha256, entry.bytes);
        }
        text
    }

    /// Reads a manifest in its one form.
    ///
    /// # Errors
    /// [`BundleError::Malformed`] for everything else.
    pub fn parse(bytes: &[u8]) -> Result<Self, BundleError> {
        let malformed = |reason| BundleError::Malformed {
            name: MANIFEST,
            reason,
        };
        let text = std::str::from_utf8(bytes).map_err(|_| malformed("not text"))?;
        let mut lines = text.lines();
        if lines.next() != Some(format!("pfx-connector evidence bundle, version {FORMAT}").as_str())
        {
            return Err(malformed("not the manifest of a bundle of this version"));
        }
        let signed_by = match lines.next() {
            Some(NOT_SIGNED) => None,
            Some(line) => {
                Some(signed_by(line).ok_or_else(|| malformed("does not say who signed"))?)
            }
            None => return Err(malformed("does not say who signed")),
        };
        let mut files = BTreeMap::new();
        for line in lines {
            let (name, entry) = file(line).ok_or_else(|| malformed("a line names no file"))?;
            files.insert(name, entry);
        }
        let manifest = Self { signed_by, files };
        if manifest.misfit().is_some() {
            return Err(malformed("does not name exactly the files of a bundle"));
        }
        // Whatever was read leniently above, a content has one form.
        if manifest.render().as_bytes() != bytes {
            return Err(malformed("not in its one form"));
        }
        Ok(manifest)
    }
}

fn signed_by(line: &str) -> Option<SignedBy> {
    let (fingerprint, algorithm) = line.strip_prefix("signed by ")?.split_once(" with ")?;
    Some(SignedBy {
        fingerprint: fingerprint.parse().ok()?,
        algorithm: super::signature::algorithm(algorithm)?,
    })
}

fn file(line: &str) -> Option<(String, Entry)> {
    let mut parts = line.split("  ");
    let (sha256, bytes, name) = (parts.next()?, parts.next()?, parts.next()?);
    let hexadecimal = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    if parts.next().is_some() || sha256.len() != 64 || !sha256.chars().all(hexadecimal) {
        return None;
    }
    let entry = Entry {
        sha256: sha256.to_owned(),
        bytes: bytes.parse().ok()?,
    };
    Some((name.to_owned(), entry))
}
