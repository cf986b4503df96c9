//! What the journal remembers of one request.

use serde::{Deserialize, Serialize};

/// How far a request got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Leased, nothing to show yet.
    Leased,
    /// Given back to the queue.
    Released,
    /// The result or final failure is known and may have reached the gateway.
    Outcome,
    /// The gateway gave the request to somebody else.
    Superseded,
    /// The gateway accepted the outcome from here; its Admin event is not known to be in the log.
    Settled,
    /// Its Admin event is in the log.
    Reported,
}

impl State {
    /// The number that the database holds.
    #[must_use]
    pub fn code(self) -> i64 {
        match self {
            Self::Leased => 0,
            Self::Released => 1,
            Self::Outcome => 2,
            Self::Superseded => 3,
            Self::Settled => 4,
            Self::Reported => 5,
        }
    }

    /// The state of a number; `None` for a number that is none.
    #[must_use]
    pub fn from_code(code: i64) -> Option<Self> {
        [
            Self::Leased,
            Self::Released,
            Self::Outcome,
            Self::Superseded,
            Self::Settled,
            Self::Reported,
        ]
        .into_iter()
        .find(|state| state.code() == code)
    }
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// With a result.
    Completed {
        /// The result as the journal keeps it (CMS EnvelopedData to the device in DER, for a password); `None` once it was dropped to make
        /// room.
        cms: Option<Vec<u8>>,
        /// SHA-256 of it, lower-case hexadecimal.
        digest: String,
    },
    /// With a final failure.
    Failed {
        /// Stable code.
        code: String,
        /// In words.
        message: String,
    },
}

impl Outcome {
    /// A result.
    #[must_use]
    pub fn completed(cms: Vec<u8>) -> Self {
        let digest = fips::digest::digest(fips::digest::Hash::Sha256, &cms);
        Self::Completed {
            digest: crate::encoding::hex(digest.as_ref()),
            cms: Some(cms),
        }
    }
}

/// What kind of work a request is: its events have numbers of their own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A stored PFX for a device (2000).
    #[default]
    Import,
    /// A certificate to be issued (1000).
    Pkcs,
    /// A certificate to be revoked (3000).
    Revocation,
}

impl Kind {
    /// The number that the database holds.
    #[must_use]
    pub fn code(self) -> i64 {
        match self {
            Self::Import => 0,
            Self::Pkcs => 1,
            Self::Revocation => 2,
        }
    }

    /// The kind of a number; `None` for a number that is none.
    #[must_use]
    pub fn from_code(code: i64) -> Option<Self> {
        [Self::Import, Self::Pkcs, Self::Revocation]
            .into_iter()
            .find(|kind| kind.code() == code)
    }
}

/// Whose certificate goes where: for the Admin event. Of a revocation: the issuer, the serial number, and the device that it is of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// The user's principal name; of a revocation the issuer (RFC 4514).
    pub user: String,
    /// SHA-1 of the certificate; of a revocation its serial number, hexadecimal.
    pub thumbprint: String,
    /// The MDM's name of the device.
    pub device_id: String,
    /// What the device runs, of a certificate that is to be issued; otherwise empty, as where an older release noted it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub platform: String,
}

/// A request that the gateway offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Name of the request.
    pub request_id: String,
    /// What kind of work it is.
    pub kind: Kind,
    /// Fence of the lease.
    pub fence: u64,
    /// How often it was leased by anybody.
    pub attempt: u32,
    /// Digest of what there is to do: a request keeps its name when its record is changed.
    pub content: String,
    /// Whose it is.
    pub subject: Subject,
}

/// What to do with an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// Work on it; so many attempts failed before.
    Work {
        /// Failed attempts that are this request's own fault, here or (at least) elsewhere.
        failures: u32,
    },
    /// It was finished before.
    Finished(Box<Entry>),
}

/// What the journal remembers of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name of the request.
    pub request_id: String,
    /// What kind of work it is.
    pub kind: Kind,
    /// How far it got.
    pub state: State,
    /// Fence of its last lease.
    pub fence: u64,
    /// How often it was leased by anybody, as the gateway last said.
    pub attempt: u32,
    /// Failed attempts.
    pub failures: u32,
    /// How often it was offered after it was finished.
    pub offered_again: u32,
    /// Digest of what its outcome is made from.
    pub content: String,
    /// Whose it is.
    pub subject: Subject,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// When it was first leased, in milliseconds since 1970.
    pub leased_at_ms: i64,
}

/// How the journal stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JournalFigures {
    /// Bytes in use.
    pub bytes: u64,
    /// The limit.
    pub max_bytes: u64,
    /// Requests whose outcome waits to be uploaded.
    pub outcomes: u64,
    /// Requests whose Admin event waits to be written.
    pub unreported: u64,
    /// All that are remembered.
    pub remembered: u64,
}
