//! Who can approve, and how many of them it takes.

use crate::text::Hash;
use base64ct::{Base64, Encoding};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Approvers at most.
pub const MAX_APPROVERS: usize = 32;
/// The longest name of one.
const MAX_NAME_BYTES: usize = 64;
/// SubjectPublicKeyInfo of an uncompressed point on P-256 (RFC 5480 section 2): everything before X and Y.
const P256_PREFIX: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];
/// The whole of it.
const P256_BYTES: usize = P256_PREFIX.len() + 64;

/// Why approvals cannot be asked for in this way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApproverError {
    /// Not a key that approves.
    #[error("approver {0}: not an EC key on P-256 (SubjectPublicKeyInfo, uncompressed)")]
    Key(String),
    /// A name that cannot be shown.
    #[error(
        "the name of an approver is 1 to {MAX_NAME_BYTES} letters, digits, `-`, `_`, `.` and `@`"
    )]
    Name,
    /// Two with the same key would be one person with two votes.
    #[error("approvers {0} and {1} have the same key: each needs a key of their own")]
    SameKey(String, String),
    /// None are required, or more than there are.
    #[error(
        "{required} approvals of {approvers} approvers cannot be required: at least 1, and no more than there are"
    )]
    Required {
        /// How many are required.
        required: u32,
        /// How many there are.
        approvers: usize,
    },
    /// Too many.
    #[error("there are {0} approvers: {MAX_APPROVERS} at most")]
    TooMany(usize),
}

/// Somebody who can approve; in a log `{"name":"ada","key":"base64 of the SubjectPublicKeyInfo"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Approver {
    name: String,
    spki: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    key: String,
}

impl Approver {
    /// An approver with this public key (DER SubjectPublicKeyInfo).
    ///
    /// # Errors
    /// [`ApproverError::Key`] for anything but EC on P-256, and [`ApproverError::Name`].
    pub fn new(name: &str, spki_der: &[u8]) -> Result<Self, ApproverError> {
        let named = (1..=MAX_NAME_BYTES).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte));
        if !named {
            return Err(ApproverError::Name);
        }
        if !is_p256(spki_der) {
            return Err(ApproverError::Key(name.to_owned()));
        }
        Ok(Self {
            name: name.to_owned(),
            spki: spki_der.to_vec(),
        })
    }

    /// What the configuration calls them.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256 of the public key (SubjectPublicKeyInfo).
    #[must_use]
    pub fn fingerprint(&self) -> Hash {
        Hash::of(&self.spki)
    }

    /// The public key (DER SubjectPublicKeyInfo).
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }
}

/// Whether a SubjectPublicKeyInfo is one of P-256, in its usual form. That the point is on the curve is the module's to check.
pub(super) fn is_p256(spki_der: &[u8]) -> bool {
    spki_der.len() == P256_BYTES && spki_der.starts_with(&P256_PREFIX)
}

impl TryFrom<Written> for Approver {
    type Error = ApproverError;

    fn try_from(written: Written) -> Result<Self, ApproverError> {
        let Ok(spki) = Base64::decode_vec(&written.key) else {
            return Err(ApproverError::Key("of the log".to_owned()));
        };
        Self::new(&written.name, &spki)
    }
}

impl From<Approver> for Written {
    fn from(approver: Approver) -> Self {
        Self {
            key: Base64::encode_string(&approver.spki),
            name: approver.name,
        }
    }
}

/// So many approvals of these people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenQuorum", into = "WrittenQuorum")]
pub struct Quorum {
    required: u32,
    approvers: Vec<Approver>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenQuorum {
    required: u32,
    approvers: Vec<Approver>,
}

impl Quorum {
    /// `required` approvals of distinct ones of these.
    ///
    /// # Errors
    /// [`ApproverError`] when it could never be met, would ask for nobody, or one person would count twice.
    pub fn new(required: u32, approvers: Vec<Approver>) -> Result<Self, ApproverError> {
        if approvers.len() > MAX_APPROVERS {
            return Err(ApproverError::TooMany(approvers.len()));
        }
        let enough = usize::try_from(required).is_ok_and(|required| required <= approvers.len());
        if required == 0 || !enough {
            return Err(ApproverError::Required {
                required,
                approvers: approvers.len(),
            });
        }
        let mut seen = BTreeSet::new();
        for approver in &approvers {
            if !seen.insert(approver.fingerprint()) {
                let first = approvers
                    .iter()
                    .find(|other| other.spki == approver.spki)
                    .map_or("", Approver::name);
                return Err(ApproverError::SameKey(
                    first.to_owned(),
                    approver.name.clone(),
                ));
            }
        }
        Ok(Self {
            required,
            approvers,
        })
    }

    /// How many it takes; at least 1.
    #[must_use]
    pub const fn required(&self) -> u32 {
        self.required
    }

    /// Who can.
    #[must_use]
    pub fn approvers(&self) -> &[Approver] {
        &self.approvers
    }

    /// The approver with this key.
    #[must_use]
    pub fn find(&self, fingerprint: &Hash) -> Option<&Approver> {
        self.approvers
            .iter()
            .find(|approver| approver.fingerprint() == *fingerprint)
    }
}

impl TryFrom<WrittenQuorum> for Quorum {
    type Error = ApproverError;

    fn try_from(written: WrittenQuorum) -> Result<Self, ApproverError> {
        Self::new(written.required, written.approvers)
    }
}

impl From<Quorum> for WrittenQuorum {
    fn from(quorum: Quorum) -> Self {
        Self {
            required: quorum.required,
            approvers: quorum.approvers,
        }
    }
}
