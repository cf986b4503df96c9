//! What happens to a key between its generation and its end: where it came from, how it is copied to another token, sealed, and destroyed.

use serde::Serialize;

use crate::error::Refusal;
use crate::{KeyAttributes, KeyFingerprint, KeyInfo, Padding};

/// Where the key on a token came from, as far as CKA_LOCAL and CKA_NEVER_EXTRACTABLE tell (PKCS#11, section 4.8 and 4.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum KeyOrigin {
    /// Generated on this token, and never extractable: no other token can have it.
    GeneratedHere,
    /// Generated on this token, and extractable at some time: copies may be on other tokens.
    GeneratedHereReplicable,
    /// Brought to this token from outside: a copy.
    UnwrappedHere,
    /// The token does not tell, or contradicts itself.
    Unknown,
}

impl KeyOrigin {
    /// In words, for people.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::GeneratedHere => "generated here, never extractable: the only one there can be",
            Self::GeneratedHereReplicable => {
                "generated here, and extractable at some time: copies may be on other tokens"
            }
            Self::UnwrappedHere => "a copy: unwrapped here",
            Self::Unknown => "unknown: the token does not tell",
        }
    }
}

impl KeyAttributes {
    /// Where the key came from.
    #[must_use]
    pub const fn origin(&self) -> KeyOrigin {
        match (self.local, self.never_extractable) {
            (Some(true), Some(true)) => KeyOrigin::GeneratedHere,
            (Some(true), Some(false)) => KeyOrigin::GeneratedHereReplicable,
            // Unwrapped keys were outside of the token, so the standard has CKA_NEVER_EXTRACTABLE false for them.
            (Some(false), Some(false) | None) => KeyOrigin::UnwrappedHere,
            (Some(false), Some(true)) | (Some(true), None) | (None, _) => KeyOrigin::Unknown,
        }
    }
}

/// The value of an attribute, in a form for reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum AuditValue {
    /// A CK_BBOOL.
    Flag(bool),
    /// A date as `YYYY-MM-DD`, mechanisms by the names of the standard (their numbers, where the name is not known here), or how many
    /// attributes a template has.
    Text(String),
}

/// An attribute and what the token says about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditedAttribute {
    /// The name of the standard, for example `CKA_SENSITIVE`.
    pub name: &'static str,
    /// Its name in JSON, for example `sensitive`.
    pub json: &'static str,
    /// `None`: the object has no such attribute, the value is empty, or the token does not tell.
    pub value: Option<AuditValue>,
}

/// One secret or private key object of a token, of whatever type, with everything that it tells about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyAudit {
    /// `CKO_PRIVATE_KEY` or `CKO_SECRET_KEY`.
    pub class: &'static str,
    /// CKA_KEY_TYPE by the name of the standard, or its number.
    pub key_type: String,
    /// Length of the modulus (RSA) or of the value (secret keys) in bits; `None` for other types.
    pub bits: Option<u64>,
    /// CKA_LABEL, with what is not UTF-8 replaced.
    pub label: String,
    /// CKA_ID.
    pub id: Vec<u8>,
    /// Of RSA keys whose public half the token shows.
    pub fingerprint: Option<KeyFingerprint>,
    /// The attributes, in the order of the standard.
    pub attributes: Vec<AuditedAttribute>,
}

/// A certificate object of a token: some tokens keep their vendor's attestation of keys in such objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenCertificate {
    /// CKA_LABEL, with what is not UTF-8 replaced.
    pub label: String,
    /// CKA_ID.
    pub id: Vec<u8>,
    /// CKA_VALUE as it is: nothing of it is checked.
    pub der: Vec<u8>,
}

/// A key pair that a token made to receive one key: it unwraps and does nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportKey {
    /// Names it. To be compared by another way than the one by which the public half travels.
    pub fingerprint: KeyFingerprint,
    /// CKA_LABEL of both halves.
    pub label: String,
    /// The public half: DER SubjectPublicKeyInfo.
    pub spki_der: Vec<u8>,
    /// Length of the modulus.
    pub modulus_bits: u32,
    /// The paddings with which the token was seen to unwrap with it, by doing so. Never empty.
    pub paddings: Vec<Padding>,
}

/// A private key on its way between two tokens: `key` under a fresh AES-256 key, and that under the transport key of the receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedKey {
    /// How the AES key is wrapped: RSAES-OAEP (SP 800-56B).
    pub padding: Padding,
    /// The wrapped AES-256 key.
    pub wrapped_kek: Vec<u8>,
    /// The wrapped private key: PrivateKeyInfo (RFC 5208) under AES-KWP (RFC 5649, SP 800-38F).
    pub wrapped_key: Vec<u8>,
}

/// What sealing a key found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The key, read again afterwards.
    pub key: KeyInfo,
    /// It was not extractable before.
    pub already: bool,
}

/// What was destroyed, and is not found any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Destroyed {
    /// Private key objects: one.
    pub private_halves: usize,
    /// Public key objects with its modulus.
    pub public_halves: usize,
}

/// Why a key is not copied, sealed or destroyed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyLifeProblem {
    /// The key is not extractable, so that it can never leave its token.
    #[error("the key {0} is not extractable: it never leaves its token")]
    NotReplicable(KeyFingerprint),
    /// The token has the key already.
    #[error("the token has the key {0} already")]
    AlreadyThere(KeyFingerprint),
    /// More than one private key object with this fingerprint is on the token.
    #[error("{count} private keys on the token have the fingerprint {fingerprint}")]
    Ambiguous {
        /// Which.
        fingerprint: KeyFingerprint,
        /// How many.
        count: usize,
    },
    /// The token has not the transport key for which a key was wrapped.
    #[error("the token has no transport key {0}")]
    NoTransportKey(KeyFingerprint),
    /// The key named as a transport key may do more than unwrap.
    #[error("the key {0} is no transport key: it is not for unwrapping alone")]
    NotATransportKey(KeyFingerprint),
    /// The transport key is weaker than what it is to carry.
    #[error("a transport key of {transport} bits does not carry a key of {key} bits")]
    WeakTransport {
        /// Modulus of the transport key in bits.
        transport: u32,
        /// Modulus of the key in bits.
        key: u32,
    },
    /// The two tokens have no way to wrap in common, or one of them has none at all.
    #[error("the token cannot {0}")]
    NoMechanism(&'static str),
    /// The token refuses a step.
    #[error("the token refuses to {step}: {refusal}")]
    Refused {
        /// What.
        step: &'static str,
        /// What it said.
        refusal: RefusalText,
    },
    /// What came out of the bundle is another key than was expected. It was destroyed, if this is not in a [`LeftBehind`](Self::LeftBehind).
    #[error("the key that came out is {found}, not {expected}")]
    OtherKey {
        /// What was expected.
        expected: KeyFingerprint,
        /// What came out.
        found: KeyFingerprint,
    },
    /// What came out cannot be used. It was destroyed, if this is not in a [`LeftBehind`](Self::LeftBehind).
    #[error("the key that came out {0}")]
    Unusable(String),
    /// Something was wrong with what came out, and the token does not destroy it.
    #[error("{0}; the token does not destroy the key that came out, which is still there")]
    LeftBehind(String),
    /// The copy is there and works, and the token does not destroy the transport key.
    #[error("the copy is there and works, but the token does not destroy the transport key {0}")]
    TransportLeft(KeyFingerprint),
    /// The token says yes and does it not.
    #[error("the token says that the key {0} is still extractable")]
    NotSealed(KeyFingerprint),
    /// The token says yes and has the key still.
    #[error("the token still shows the key {0}")]
    StillThere(KeyFingerprint),
}

/// A refusal by the token as text: function and return value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusalText(String);

impl From<Refusal> for RefusalText {
    fn from(refusal: Refusal) -> Self {
        Self(refusal.to_string())
    }
}

impl std::fmt::Display for RefusalText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl KeyLifeProblem {
    /// The stable name, for logs and JSON.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotReplicable(_) => "key_not_replicable",
            Self::AlreadyThere(_) => "key_already_there",
            Self::Ambiguous { .. } => "key_ambiguous",
            Self::NoTransportKey(_) => "transport_key_not_found",
            Self::NotATransportKey(_) => "transport_key_refused",
            Self::WeakTransport { .. } => "transport_key_weak",
            Self::NoMechanism(_) => "key_wrap_not_supported",
            Self::Refused { .. } => "token_refused",
            Self::OtherKey { .. } => "other_key",
            Self::Unusable(_) => "copy_unusable",
            Self::LeftBehind(_) => "copy_left_behind",
            Self::TransportLeft(_) => "transport_key_left",
            Self::NotSealed(_) => "key_not_sealed",
            Self::StillThere(_) => "key_not_destroyed",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::NotReplicable(_) => {
                "only a key made with `key generate --replicable` that is not sealed yet can be copied; make a new one and re-encrypt to it"
            }
            Self::AlreadyThere(_) => {
                "`key show` says where it came from; a transport key that was made for it (`key list`) is to be destroyed (`key destroy`)"
            }
            Self::Ambiguous { .. } => {
                "remove the surplus object by the vendor's tool: here nothing is done to keys that cannot be told apart"
            }
            Self::NoTransportKey(_) | Self::NotATransportKey(_) => {
                "begin again with `key replicate request` on the receiving token: a transport key is used once"
            }
            Self::WeakTransport { .. } => {
                "make the request again with a longer transport key (`--bits`)"
            }
            Self::NoMechanism(_) => {
                "needed are RSAES-OAEP and AES key wrap with padding (RFC 5649) for C_WrapKey and C_UnwrapKey; use the vendor's own way to copy keys"
            }
            Self::Refused { .. } => {
                "check what the token allows (its policy, write protection, attributes of the key), and that the bundle is whole and for this token"
            }
            Self::OtherKey { .. } | Self::Unusable(_) => {
                "nothing of it was left on the token. The bundle is not what it was said to be: make it again, and compare the fingerprints of every step"
            }
            Self::LeftBehind(_) => {
                "destroy it by `key destroy` or the vendor's tool before anything else (`key list` shows it)"
            }
            Self::TransportLeft(_) => {
                "destroy it by `key destroy` or the vendor's tool: until then whoever has the PIN and the bundle can unwrap the key again, readably"
            }
            Self::NotSealed(_) => "do not use the key; destroy it, or have the token looked at",
            Self::StillThere(_) => "destroy it by the vendor's tool, and have the token looked at",
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;

    #[test]
    fn the_origin_is_what_local_and_never_extractable_prove_and_no_more() {
        for (local, never_extractable, expected) in [
            (Some(true), Some(true), KeyOrigin::GeneratedHere),
            (Some(true), Some(false), KeyOrigin::GeneratedHereReplicable),
            (Some(false), Some(false), KeyOrigin::UnwrappedHere),
            (Some(false), None, KeyOrigin::UnwrappedHere),
            // Reported by modules that do not keep CKA_LOCAL: proves nothing.
            (Some(false), Some(true), KeyOrigin::Unknown),
            (Some(true), None, KeyOrigin::Unknown),
            (None, Some(true), KeyOrigin::Unknown),
            (None, None, KeyOrigin::Unknown),
        ] {
            let attributes = KeyAttributes {
                local,
                never_extractable,
                ..KeyAttributes::default()
            };
            assert_eq!(
                attributes.origin(),
                expected,
                "{local:?} {never_extractable:?}"
            );
        }
    }
}
