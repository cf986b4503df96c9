//! What exactly is approved.

use super::joined;
use crate::text::Hash;
use crate::verb::Verb;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Separates these digests from every other one; ends in the format's version.
const CONTEXT: &[u8] = b"pfx-connector approval subject v1";
/// The longest serial number of a token: CK_TOKEN_INFO has 16 bytes for it; some modules' own tools show more.
const MAX_SERIAL_BYTES: usize = 64;

/// Whose suspension is lifted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Suspended {
    /// A ciphertext, by its SHA-256: it may be decrypted again.
    Ciphertext,
    /// An importer, by the fingerprint of the key: the budget begins anew.
    Importer,
    /// A connector, by the SHA-256 of the certificate that it states: the budget begins anew.
    Connector,
}

impl Suspended {
    const fn name(self) -> &'static str {
        match self {
            Self::Ciphertext => "ciphertext",
            Self::Importer => "importer",
            Self::Connector => "connector",
        }
    }
}

/// A dangerous step with everything that it depends on; in a file `{"verb":"keyDestroy", ...}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
        /// Of what.
        what: Suspended,
        /// Of which.
        which: Hash,
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
            Self::OracleRelease { what, which } => {
                joined([CONTEXT, verb, what.name().as_bytes(), which.as_bytes()])
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
            Self::OracleRelease { what, which } => match what {
                Suspended::Ciphertext => {
                    write!(
                        f,
                        "let the quarantined ciphertext {which} be decrypted again"
                    )
                }
                Suspended::Importer => write!(f, "lift the suspension of the importer {which}"),
                Suspended::Connector => write!(f, "lift the suspension of the connector {which}"),
            },
            Self::PolicyChange { from, to } => {
                write!(
                    f,
                    "let the engine start with the policy {to} instead of {from}"
                )
            }
        }
    }
}
