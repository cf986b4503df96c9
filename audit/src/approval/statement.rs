//! The files: a request that people read, and the approvals that they make of it.

use super::approver::is_p256;
use super::joined;
use super::policy_text::{Change, PolicyText};
use super::subject::Subject;
use crate::text::{Hash, Timestamp};
use base64ct::{Base64, Encoding};
use fips::sign::{SignatureAlgorithm, SigningKey};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// The version of both files.
const VERSION: u32 = 1;
/// Separates these signatures from every other use of the same key; ends in the format's version.
const CONTEXT: &[u8] = b"pfx-connector approval v1";
/// An approval is good for seven days at most, in milliseconds.
pub const MAX_LIFETIME_MS: i64 = 7 * 24 * 3600 * 1000;
/// The longest approval that is read: several times what one has.
pub const MAX_APPROVAL_BYTES: usize = 16 * 1024;
/// The longest request that is read: it may hold two policies.
pub const MAX_REQUEST_BYTES: usize = 1024 * 1024;
/// The longest note.
const MAX_NOTE_BYTES: usize = 500;

/// 16 random bytes that stand for one decision; 32 lower-case hexadecimal digits as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nonce([u8; 16]);

impl Nonce {
    /// A new one.
    ///
    /// # Errors
    /// The module's, when it has no random bytes.
    pub fn random() -> Result<Self, fips::Error> {
        fips::random::array().map(Self)
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base16ct::lower::encode_string(&self.0))
    }
}

impl FromStr for Nonce {
    type Err = ApprovalFileError;

    fn from_str(text: &str) -> Result<Self, ApprovalFileError> {
        let mut nonce = Self([0; 16]);
        match base16ct::lower::decode(text, &mut nonce.0) {
            Ok(decoded) if decoded.len() == 16 => Ok(nonce),
            _ => Err(ApprovalFileError::Nonce),
        }
    }
}

impl Serialize for Nonce {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Nonce {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// Why a file is none of an approval or a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApprovalFileError {
    /// Larger than such a file is.
    #[error("larger than {0} bytes")]
    TooLarge(usize),
    /// Not its JSON.
    #[error("not an approval's or a request's JSON of this release: {0}")]
    Json(String),
    /// Another version.
    #[error("version {0}; this release reads {VERSION}")]
    Version(u32),
    /// Not a nonce.
    #[error("the nonce is not 32 lower-case hexadecimal digits")]
    Nonce,
    /// It would be good for too long, or never.
    #[error("it is not good for between no time and seven days")]
    Lifetime,
    /// The subject has a text that it cannot have.
    #[error("the serial number of the token is not 1 to 64 printable characters")]
    Subject,
    /// The note is too long, or has what is not seen.
    #[error("the note is longer than {MAX_NOTE_BYTES} bytes, or has control characters")]
    Note,
    /// The policies in a request are not those that it is about.
    #[error("the policies in the request are not those that it asks approval for")]
    OtherPolicies,
    /// The key does not approve.
    #[error("approvals are signed with an EC key on P-256")]
    Key,
    /// The module's word.
    #[error("{0}")]
    Module(String),
}

/// What is approved, and within which time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Statement {
    /// What.
    pub subject: Subject,
    /// From when on.
    pub not_before: Timestamp,
    /// Until when.
    pub expires: Timestamp,
    /// Which decision this is.
    pub nonce: Nonce,
    /// Why, in words of who asks. Nothing is decided by it.
    #[serde(default)]
    pub note: String,
}

impl Statement {
    /// A new decision about `subject`, good for `lifetime_ms` from `not_before` on.
    ///
    /// # Errors
    /// [`ApprovalFileError::Lifetime`], [`ApprovalFileError::Subject`], [`ApprovalFileError::Note`], and the module's.
    pub fn new(
        subject: Subject,
        not_before: Timestamp,
        lifetime_ms: i64,
        note: &str,
    ) -> Result<Self, ApprovalFileError> {
        let nonce =
            Nonce::random().map_err(|error| ApprovalFileError::Module(error.to_string()))?;
        let statement = Self {
            subject,
            not_before,
            expires: Timestamp::from_ms(not_before.as_ms().saturating_add(lifetime_ms)),
            nonce,
            note: note.to_owned(),
        };
        statement.check()?;
        Ok(statement)
    }

    fn check(&self) -> Result<(), ApprovalFileError> {
        let lifetime = self.expires.as_ms().saturating_sub(self.not_before.as_ms());
        if !(1..=MAX_LIFETIME_MS).contains(&lifetime) {
            return Err(ApprovalFileError::Lifetime);
        }
        if !self.subject.is_well_formed() {
            return Err(ApprovalFileError::Subject);
        }
        if self.note.len() > MAX_NOTE_BYTES || self.note.chars().any(char::is_control) {
            return Err(ApprovalFileError::Note);
        }
        Ok(())
    }

    /// The bytes that an approver signs: the context, then verb, digest of the subject, both times (milliseconds since 1970, 64 bits,
    /// big-endian), nonce and note, each with its length as a 32-bit big-endian number before it.
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        joined([
            CONTEXT,
            self.subject.verb().name().as_bytes(),
            self.subject.digest().as_bytes(),
            &self.not_before.as_ms().to_be_bytes(),
            &self.expires.as_ms().to_be_bytes(),
            &self.nonce.0,
            self.note.as_bytes(),
        ])
    }
}

/// A request file: the statement, and for a change of policy both policies, so that who approves sees what changes without asking anybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Request {
    pfx_connector_approval_request: u32,
    /// What is to be approved.
    pub statement: Statement,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<PolicyText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<PolicyText>,
}

impl Request {
    /// A request for anything but a change of policy.
    #[must_use]
    pub fn new(statement: Statement) -> Self {
        Self {
            pfx_connector_approval_request: VERSION,
            statement,
            before: None,
            after: None,
        }
    }

    /// A request for a change of policy.
    ///
    /// # Errors
    /// As [`Statement::new`].
    pub fn policy_change(
        before: PolicyText,
        after: PolicyText,
        not_before: Timestamp,
        lifetime_ms: i64,
        note: &str,
    ) -> Result<Self, ApprovalFileError> {
        let subject = Subject::PolicyChange {
            from: before.digest(),
            to: after.digest(),
        };
        let statement = Statement::new(subject, not_before, lifetime_ms, note)?;
        Ok(Self {
            before: Some(before),
            after: Some(after),
            ..Self::new(statement)
        })
    }

    /// Reads a file. The policies in one have the digests that its statement names, or it is refused: what is shown is what is signed.
    ///
    /// # Errors
    /// [`ApprovalFileError`].
    pub fn read(bytes: &[u8]) -> Result<Self, ApprovalFileError> {
        if bytes.len() > MAX_REQUEST_BYTES {
            return Err(ApprovalFileError::TooLarge(MAX_REQUEST_BYTES));
        }
        let request: Self = json(bytes)?;
        if request.pfx_connector_approval_request != VERSION {
            return Err(ApprovalFileError::Version(
                request.pfx_connector_approval_request,
            ));
        }
        request.statement.check()?;
        let fit = match (&request.statement.subject, &request.before, &request.after) {
            (Subject::PolicyChange { from, to }, Some(before), Some(after)) => {
                before.digest() == *from && after.digest() == *to
            }
            (Subject::PolicyChange { .. }, _, _) => false,
            (_, before, after) => before.is_none() && after.is_none(),
        };
        if fit {
            Ok(request)
        } else {
            Err(ApprovalFileError::OtherPolicies)
        }
    }

    /// What changes, for a change of policy.
    #[must_use]
    pub fn changes(&self) -> Vec<Change> {
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => before.changes(after),
            _ => Vec::new(),
        }
    }

    /// The file, for people to read too.
    ///
    /// # Errors
    /// [`ApprovalFileError::Json`] for what has no JSON form, which nothing here is.
    pub fn to_file(&self) -> Result<Vec<u8>, ApprovalFileError> {
        pretty(self)
    }
}

/// An approval: one person's signature on a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Approval {
    pfx_connector_approval: u32,
    /// What is approved.
    pub statement: Statement,
    /// Whose signature it is: SHA-256 of the public key (SubjectPublicKeyInfo).
    pub approver: Hash,
    /// ECDSA-Sig-Value (DER) with SHA-256 over [`Statement::signed_bytes`], in base64.
    signature: String,
}

impl Approval {
    /// Signs a statement.
    ///
    /// # Errors
    /// [`ApprovalFileError::Key`] for another key than EC on P-256, and the module's.
    pub fn sign(statement: Statement, key: &SigningKey) -> Result<Self, ApprovalFileError> {
        if !is_p256(key.spki_der()) {
            return Err(ApprovalFileError::Key);
        }
        statement.check()?;
        let signature = key
            .sign_with(
                SignatureAlgorithm::EcdsaP256Sha256,
                &statement.signed_bytes(),
            )
            .map_err(|error| ApprovalFileError::Module(error.to_string()))?;
        Ok(Self {
            pfx_connector_approval: VERSION,
            statement,
            approver: Hash::of(key.spki_der()),
            signature: Base64::encode_string(&signature),
        })
    }

    /// Reads a file; the signature is not looked at yet.
    ///
    /// # Errors
    /// [`ApprovalFileError`].
    pub fn read(bytes: &[u8]) -> Result<Self, ApprovalFileError> {
        if bytes.len() > MAX_APPROVAL_BYTES {
            return Err(ApprovalFileError::TooLarge(MAX_APPROVAL_BYTES));
        }
        let approval: Self = json(bytes)?;
        if approval.pfx_connector_approval != VERSION {
            return Err(ApprovalFileError::Version(approval.pfx_connector_approval));
        }
        approval.statement.check()?;
        Ok(approval)
    }

    /// Whether this key made the signature.
    #[must_use]
    pub fn is_signed_by(&self, spki_der: &[u8]) -> bool {
        let Ok(signature) = Base64::decode_vec(&self.signature) else {
            return false;
        };
        fips::sign::verify(
            SignatureAlgorithm::EcdsaP256Sha256,
            spki_der,
            &self.statement.signed_bytes(),
            &signature,
        )
        .is_ok()
    }

    /// The file.
    ///
    /// # Errors
    /// [`ApprovalFileError::Json`] for what has no JSON form, which nothing here is.
    pub fn to_file(&self) -> Result<Vec<u8>, ApprovalFileError> {
        pretty(self)
    }
}

fn json<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, ApprovalFileError> {
    serde_json::from_slice(bytes).map_err(|error| {
        // It may quote the input, which is a stranger's.
        let said: String = error
            .to_string()
            .chars()
            .filter(|c| !c.is_control())
            .take(200)
            .collect();
        ApprovalFileError::Json(said)
    })
}

fn pretty<T: Serialize>(value: &T) -> Result<Vec<u8>, ApprovalFileError> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|error| ApprovalFileError::Json(error.to_string()))?;
    bytes.push(b'\n');
    Ok(bytes)
}
