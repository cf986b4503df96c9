//! Verification, on any machine and without a configuration: that a bundle is whole, and which key says so.

use super::folder::Folder;
use super::manifest::{Entry, Manifest, SignedBy};
use super::signature::{Signature, signer_spki};
use super::{BundleError, MANIFEST, SIGNATURE, SIGNER};
use crate::encoding::{hex, public_key_from_pem};
use fips::digest::{Hash, digest};
use hsm::KeyFingerprint;
use std::collections::BTreeSet;
use std::path::Path;

/// The largest manifest.
const MAX_MANIFEST_BYTES: u64 = 16 * 1024;
/// The largest signature file: an RSA-8192 signature in base64, and some words.
const MAX_SIGNATURE_BYTES: u64 = 4 * 1024;
/// The largest document: many times the largest that is written.
pub(super) const MAX_DOCUMENT_BYTES: u64 = 16 * 1024 * 1024;

/// What is known of a bundle that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The number of files that the manifest names.
    pub files: usize,
    /// Their size, in bytes.
    pub bytes: u64,
    /// SHA-256 of the manifest: it names the whole bundle.
    pub manifest_sha256: String,
    /// The signature. `None`: digests only, which whoever changes a file can write anew.
    pub signature: Option<VerifiedSignature>,
}

/// A signature that was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedSignature {
    /// By which key, and how.
    pub by: SignedBy,
    /// Whether it is the key that the caller gave. Otherwise the bundle's own key was used: the bundle is whole, and whether it is
    /// from the right place is known to who compares the fingerprint.
    pub expected: bool,
}

/// Verifies the bundle in `folder`. `expected` is the public key that has to have signed it, as PEM (`BEGIN PUBLIC KEY`).
///
/// # Errors
/// [`BundleError`] with the name of the file that is changed, missing, too much or not in its form.
pub fn verify(folder: &Path, expected: Option<&[u8]>) -> Result<Verified, BundleError> {
    let expected = expected
        .map(|pem| {
            public_key_from_pem(pem).ok_or(BundleError::Malformed {
                name: "the given key",
                reason: "not a public key in PEM (-----BEGIN PUBLIC KEY-----)",
            })
        })
        .transpose()?;
    let folder = Folder::open(folder)?;
    let names = folder.names()?;
    let manifest_bytes = folder.read(MANIFEST, MAX_MANIFEST_BYTES)?;
    let manifest = Manifest::parse(&manifest_bytes)?;
    complete(&manifest, &names)?;
    let mut bytes = 0;
    for (name, entry) in manifest.files() {
        bytes += unchanged(&folder, name, entry)?;
    }
    let signature = match manifest.signed_by() {
        Some(by) => Some(signed(&folder, &manifest_bytes, by, expected.as_deref())?),
        None if expected.is_some() => return Err(BundleError::NotSigned),
        None => None,
    };
    Ok(Verified {
        files: manifest.files().len(),
        bytes,
        manifest_sha256: hex(digest(Hash::Sha256, &manifest_bytes).as_ref()),
        signature,
    })
}

/// Every file that has to be there is, and nothing else.
fn complete(manifest: &Manifest, names: &BTreeSet<String>) -> Result<(), BundleError> {
    let signature = manifest.signed_by().map(|_| SIGNATURE);
    let belongs: BTreeSet<&str> = manifest
        .files()
        .keys()
        .map(String::as_str)
        .chain([MANIFEST])
        .chain(signature)
        .collect();
    if let Some(missing) = belongs.iter().find(|name| !names.contains(**name)) {
        return Err(BundleError::Missing {
            name: (*missing).to_owned(),
        });
    }
    match names.iter().find(|name| !belongs.contains(name.as_str())) {
        Some(unknown) => Err(BundleError::Unknown {
            name: unknown.clone(),
        }),
        None => Ok(()),
    }
}

fn unchanged(folder: &Folder, name: &str, entry: &Entry) -> Result<u64, BundleError> {
    if entry.bytes > MAX_DOCUMENT_BYTES {
        return Err(BundleError::TooLarge {
            name: name.to_owned(),
        });
    }
    let content = folder.read(name, entry.bytes)?;
    if Entry::of(&content) == *entry {
        Ok(entry.bytes)
    } else {
        Err(BundleError::Changed {
            name: name.to_owned(),
        })
    }
}

fn signed(
    folder: &Folder,
    manifest: &[u8],
    by: SignedBy,
    expected: Option<&[u8]>,
) -> Result<VerifiedSignature, BundleError> {
    let signature = Signature::parse(&folder.read(SIGNATURE, MAX_SIGNATURE_BYTES)?)?;
    if signature.by != by {
        return Err(BundleError::Malformed {
            name: SIGNATURE,
            reason: "by another key or algorithm than MANIFEST says",
        });
    }
    let pem = folder.read(SIGNER, MAX_SIGNATURE_BYTES)?;
    let spki = signer_spki(&pem, by.fingerprint)?;
    if let Some(expected) = expected
        && expected != spki
    {
        return Err(BundleError::OtherKey {
            found: by.fingerprint,
            expected: KeyFingerprint::of_spki(expected),
        });
    }
    match fips::sign::verify(by.algorithm, &spki, manifest, &signature.value) {
        Ok(()) => Ok(VerifiedSignature {
            by,
            expected: expected.is_some(),
        }),
        // A module that is out of service has said nothing about the signature.
        Err(error @ fips::Error::ModuleFault { .. }) => Err(error.into()),
        Err(_) => Err(BundleError::WrongSignature),
    }
}
