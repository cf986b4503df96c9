//! Why a bundle is not written, or not accepted.

use hsm::KeyFingerprint;
use std::io;
use std::path::PathBuf;

/// Why a bundle is not written, or not accepted. Each names the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// A file or the folder cannot be read.
    #[error("{path}: cannot be read: {source}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is a link, a folder, a pipe or a device.
    #[error("{name}: not a regular file")]
    NotAFile {
        /// The file.
        name: String,
    },
    /// More files than any bundle has.
    #[error("{path}: more files than a bundle has")]
    TooManyFiles {
        /// The folder.
        path: PathBuf,
    },
    /// A file is larger than any in a bundle, or than it was when the bundle was made.
    #[error("{name}: larger than it may be")]
    TooLarge {
        /// The file.
        name: String,
    },
    /// A file of the bundle is not there.
    #[error("{name}: missing")]
    Missing {
        /// The file.
        name: String,
    },
    /// A file that is none of the bundle's.
    #[error("{name}: does not belong to the bundle")]
    Unknown {
        /// The file, with what cannot be printed replaced.
        name: String,
    },
    /// A file is not what it was when the bundle was made.
    #[error("{name}: changed: its digest is not the one in MANIFEST")]
    Changed {
        /// The file.
        name: String,
    },
    /// A file is not in its one form.
    #[error("{name}: {reason}")]
    Malformed {
        /// The file.
        name: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The signature is not the key's.
    #[error("MANIFEST.sig: the signature over MANIFEST is wrong")]
    WrongSignature,
    /// The key that signed is not the one that was expected.
    #[error("SIGNER.pem: signed by key {found}, not by the given key {expected}")]
    OtherKey {
        /// The key that signed.
        found: KeyFingerprint,
        /// The key that was given.
        expected: KeyFingerprint,
    },
    /// A key was given, and nothing is signed.
    #[error(
        "MANIFEST: the bundle is not signed: it holds digests only, and the given key says nothing about it"
    )]
    NotSigned,
    /// The folder is there and not empty, or no folder.
    #[error("{path}: exists already and is not an empty folder; nothing is overwritten")]
    PlaceTaken {
        /// The folder.
        path: PathBuf,
    },
    /// The bundle cannot be written.
    #[error("{path}: cannot be written: {source}")]
    Unwritable {
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A document of the bundle was not made, or one too many: a defect of this program.
    #[error("{name}: the bundle was not put together rightly")]
    Incomplete {
        /// The document.
        name: String,
    },
    /// The module refused.
    #[error(transparent)]
    Module(#[from] fips::Error),
    /// The token did not sign.
    #[error(transparent)]
    Token(#[from] hsm::Error),
}

impl BundleError {
    /// Stable code for machines.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "bundle_unreadable",
            Self::NotAFile { .. } => "bundle_not_a_file",
            Self::TooManyFiles { .. } => "bundle_too_many_files",
            Self::TooLarge { .. } => "bundle_file_too_large",
            Self::Missing { .. } => "bundle_file_missing",
            Self::Unknown { .. } => "bundle_file_unknown",
            Self::Changed { .. } => "bundle_file_changed",
            Self::Malformed { .. } => "bundle_malformed",
            Self::WrongSignature => "bundle_wrong_signature",
            Self::OtherKey { .. } => "bundle_other_key",
            Self::NotSigned => "bundle_not_signed",
            Self::PlaceTaken { .. } => "bundle_place_taken",
            Self::Unwritable { .. } => "bundle_unwritable",
            Self::Incomplete { .. } => "bundle_incomplete",
            Self::Module(error) => error.code(),
            Self::Token(error) => error.code(),
        }
    }
}
