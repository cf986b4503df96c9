//! Seals: signatures of the audit key over the chain, and anchors: the same, kept elsewhere.
//!
//! What is signed is a text of six lines, each with its newline, so that anybody can make it again by `printf`:
//!
//! ```text
//! pfx-connector audit seal v1
//! <log>     its name: 32 hexadecimal digits
//! <upto>    number of the last entry that is sealed
//! <head>    SHA-256 of that entry's line, 64 hexadecimal digits
//! <time>    when it was sealed; `time` of the seal's own line
//! <boot>    `boot` of the seal's own line
//! ```

mod key;

pub use key::{AuditKey, KeyError};

use crate::entry::Entry;
use crate::event::Seal;
use crate::text::{Hash, Timestamp};
use base64ct::{Base64, Encoding};
use fips::sign::SignatureAlgorithm;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A signature with the key that made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The public key: DER SubjectPublicKeyInfo, EC on P-256.
    pub spki_der: Vec<u8>,
    /// ECDSA-Sig-Value (DER) with SHA-256.
    pub signature: Vec<u8>,
}

/// Why there is no signature, in words for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignerError(pub String);

impl fmt::Display for SignerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SignerError {}

/// The audit key: in a file, or on a token. Called by a thread that no request waits for.
pub trait Signer: Send + Sync {
    /// ECDSA on P-256 with SHA-256 over `message`.
    ///
    /// # Errors
    /// [`SignerError`]: it is tried again later, and the log says in its status that it is not sealed.
    fn sign(&self, message: &[u8]) -> Result<Signed, SignerError>;
}

/// Entries between the one that a seal names and the seal itself, about and at most: a reader remembers so many hashes.
pub(crate) const MAX_SEAL_DISTANCE: u64 = 32 * 1024;

/// What a seal is about; with a signature, an anchor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) log: String,
    pub(crate) upto: u64,
    pub(crate) head: Hash,
    pub(crate) time: Timestamp,
    pub(crate) boot: String,
}

impl Statement {
    /// The one that a seal in the log is about.
    pub(crate) fn of(log: &str, entry: &Entry, seal: &Seal) -> Self {
        Self {
            log: log.to_owned(),
            upto: seal.upto,
            head: seal.head,
            time: entry.time,
            boot: entry.boot.clone(),
        }
    }

    /// What is signed.
    pub(crate) fn message(&self) -> String {
        let Self {
            log,
            upto,
            head,
            time,
            boot,
        } = self;
        format!("pfx-connector audit seal v1\n{log}\n{upto}\n{head}\n{time}\n{boot}\n")
    }

    /// The anchor of this statement; `seal` is what was made of it.
    pub(crate) fn anchor(self, seal: &Seal) -> Anchor {
        Anchor {
            v: crate::FORMAT_VERSION,
            log: self.log,
            upto: self.upto,
            head: self.head,
            time: self.time,
            boot: self.boot,
            key: seal.key,
            signature: seal.signature.clone(),
        }
    }

    /// Has it signed.
    pub(crate) fn sealed(&self, signer: &dyn Signer) -> Result<Seal, SignerError> {
        let signed = signer.sign(self.message().as_bytes())?;
        let seal = Seal {
            upto: self.upto,
            head: self.head,
            key: Hash::of(&signed.spki_der),
            signature: Base64::encode_string(&signed.signature),
        };
        // A signature that does not verify would be found by an auditor in a year.
        if self.is_signed_by(&signed.spki_der, &seal.signature) {
            Ok(seal)
        } else {
            Err(SignerError(
                "the audit key's signature does not verify: it has to be an EC key on P-256"
                    .to_owned(),
            ))
        }
    }

    pub(crate) fn is_signed_by(&self, spki_der: &[u8], signature: &str) -> bool {
        Base64::decode_vec(signature).is_ok_and(|signature| {
            fips::sign::verify(
                SignatureAlgorithm::EcdsaP256Sha256,
                spki_der,
                self.message().as_bytes(),
                &signature,
            )
            .is_ok()
        })
    }
}

/// A seal on a line of its own, to be kept where the writer of the log cannot change it: a log that was cut off before it is found out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Anchor {
    /// Version of the format.
    pub v: u32,
    /// The log's name.
    pub log: String,
    /// Number of the last entry that is sealed.
    pub upto: u64,
    /// SHA-256 of its line.
    pub head: Hash,
    /// When it was sealed.
    pub time: Timestamp,
    /// In which start of the machine.
    pub boot: String,
    /// Fingerprint of the audit key.
    pub key: Hash,
    /// ECDSA-Sig-Value (DER) in base64.
    pub signature: String,
}

/// The line is no anchor of this release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an anchor: {0}")]
pub struct NotAnAnchor(String);

impl Anchor {
    /// One line of JSON, without a newline.
    #[must_use]
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads a line.
    ///
    /// # Errors
    /// [`NotAnAnchor`].
    pub fn from_line(line: &str) -> Result<Self, NotAnAnchor> {
        let anchor: Self =
            serde_json::from_str(line.trim()).map_err(|error| NotAnAnchor(error.to_string()))?;
        if anchor.v == crate::FORMAT_VERSION {
            Ok(anchor)
        } else {
            Err(NotAnAnchor(format!("its version is {}", anchor.v)))
        }
    }

    /// Whether the audit key has signed it.
    #[must_use]
    pub fn is_signed_by(&self, spki_der: &[u8]) -> bool {
        let statement = Statement {
            log: self.log.clone(),
            upto: self.upto,
            head: self.head,
            time: self.time,
            boot: self.boot.clone(),
        };
        self.key == Hash::of(spki_der) && statement.is_signed_by(spki_der, &self.signature)
    }
}
