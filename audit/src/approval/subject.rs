//! What exactly is approved.

use super::joined;
use crate::ledger::Release;
use crate::text::Hash;
use crate::verb::Verb;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Separates these digests from every other one; ends in the format's version.
const CONTEXT: &[u8] = b"pfx-connector approval subject v1";
/// The longest serial number of a token: CK_TOKEN_INFO has 16 bytes for it; some modules' own tools show more.
const MAX_SERIAL_BYTES: usize = 64;

/// A dangerous step with everything that it depends on; in a file `{"verb":"keyDestroy", ...}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "verb",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum Subject {
    /// One custody key on one token is destroyed.
    KeyDestroy {
        /// Fingerprint of the key: SHA-256 of its SubjectPublicKeyInfo.
        key: Hash,
        /// Serial number of the token, as it says itself.
        token_serial: String,
        /// Whether it may be the last copy that is known.
        last_copy: bool,
    },
    /// A quarantine or a suspension is lifted.
    OracleRelease {
        /// Whose or of what.
        release: Release,
    },
    /// The engine may start with another policy than it last had.
    PolicyChange {
        /// Digest of the one that it last had.
        from: Hash,
        /// Digest of the one that it may start with.
        to: Hash,
    },
}

impl Subject {
    /// The verb that it is about.
    #[must_use]
    pub const fn verb(&self) -> Verb {
        match self {
            Self::KeyDestroy { .. } => Verb::KeyDestroy,
            Self::OracleRelease { .. } => Verb::OracleRelease,
            Self::PolicyChange { .. } => Verb::PolicyChange,
        }
    }

    /// SHA-256 over the verb and everything that it depends on, as receipts name it.
    #[must_use]
    pub fn digest(&self) -> Hash {
        let verb = self.verb().name().as_bytes();
        let bytes = match self {
            Self::KeyDestroy {
                key,
                token_serial,
                last_copy,
            } => joined([
                CONTEXT,
                verb,
                key.as_bytes(),
                token_serial.as_bytes(),
                &[u8::from(*last_copy)],
            ]),
            Self::OracleRelease { release } => {
                let (what, which) = named(release);
                joined([CONTEXT, verb, what.as_bytes(), which.as_bytes()])
            }
            Self::PolicyChange { from, to } => {
                joined([CONTEXT, verb, from.as_bytes(), to.as_bytes()])
            }
        };
        Hash::of(&bytes)
    }

    /// Whether its texts are what they can be: short, and printable ASCII.
    pub(super) fn is_well_formed(&self) -> bool {
        match self {
            Self::KeyDestroy { token_serial, .. } => {
                (1..=MAX_SERIAL_BYTES).contains(&token_serial.len())
                    && token_serial
                        .bytes()
                        .all(|byte| byte.is_ascii_graphic() || byte == b' ')
            }
            Self::OracleRelease { .. } | Self::PolicyChange { .. } => true,
        }
    }
}

/// What is let go, and which of it: two releases that are not the same never have the same names.
fn named(release: &Release) -> (&'static str, String) {
    const NOBODY: &str = "(none)";
    match release {
        Release::Ciphertext { ciphertext } => ("ciphertext", ciphertext.to_string()),
        Release::Importer {
            importer,
            quarantine,
        } => {
            let what = if *quarantine {
                "importer with all of its ciphertexts"
            } else {
                "importer"
            };
            let importer = importer.map(|importer| importer.to_string());
            (what, importer.unwrap_or_else(|| NOBODY.to_owned()))
        }
        Release::Caller { caller } => {
            let caller = caller.map(|caller| caller.to_string());
            ("caller", caller.unwrap_or_else(|| NOBODY.to_owned()))
        }
        Release::Uses { importer } => {
            let importer = importer.map(|importer| importer.to_string());
            (
                "counts of uses of the importer",
                importer.unwrap_or_else(|| NOBODY.to_owned()),
            )
        }
    }
}

impl fmt::Display for Subject {
    /// In one sentence, for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyDestroy {
                key,
                token_serial,
                last_copy,
            } => {
                let copies = if *last_copy {
                    ", even if it is the LAST COPY that is known"
                } else {
                    "; another token keeps a copy"
                };
                write!(
                    f,
                    "destroy the custody key {key} on the token with the serial number {token_serial}{copies}"
                )
            }
            Self::OracleRelease { release } => {
                let (what, which) = named(release);
                let lifted = match release {
                    Release::Uses { .. } => "forget the",
                    _ => "lift the quarantine or suspension of the",
                };
                write!(f, "{lifted} {what} {which}")
            }
            Self::PolicyChange { from, to } => {
                write!(
                    f,
                    "let the engine start with the policy {to} instead of {from}"
                )
            }
        }
    }
}
