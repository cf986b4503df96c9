//! What a log says of itself. Nothing in it is secret.

use crate::text::{Hash, Timestamp};
use serde::{Deserialize, Serialize};

/// A log that is younger than this has no past to speak of: somebody should know why.
const YOUNG_MS: i64 = 7 * 24 * 3600 * 1000;

impl Status {
    /// When the log began, if that is less than seven days before `now_ms`.
    #[must_use]
    pub fn without_past(&self, now_ms: i64) -> Option<Timestamp> {
        self.begins
            .filter(|begins| now_ms.saturating_sub(begins.as_ms()) < YOUNG_MS)
    }
}

/// The state of a log that is open for writing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    /// Why it cannot be written; none while it can. Nothing leaves custody meanwhile.
    pub problem: Option<String>,
    /// The log's name.
    pub log: String,
    /// When its first entry was made: before that, nothing is known of uses, failures, policies and approvals. None where its first files are
    /// kept elsewhere.
    pub begins: Option<Timestamp>,
    /// The file that is written.
    pub file: String,
    /// Number of the last durable entry.
    pub seq: u64,
    /// Hash of its line.
    pub head: Option<Hash>,
    /// Number of the last entry under a seal.
    pub sealed_upto: u64,
    /// Why there is no seal of late; none while there is.
    pub seal_problem: Option<String>,
    /// Fingerprint of the audit key; none before the first seal.
    pub key: Option<Hash>,
    /// Why the anchor file is not written; none while it is.
    pub anchor_problem: Option<String>,
    /// Why the next file could not be begun; the old one grows on.
    pub rotation_problem: Option<String>,
    /// Entries made durable since the start.
    pub entries: u64,
    /// How often the disk was asked to make them durable.
    pub commits: u64,
    /// The most entries that were made durable at once.
    pub largest_commit: u64,
    /// Microseconds that all of that took.
    pub commit_us: u64,
    /// Entries that were given up because too many waited.
    pub lost: u64,
}
