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

/// What is not as it should be although entries are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trouble {
    /// There are no seals: whoever can write to the folder can replace what was written since the last one.
    Unsealed,
    /// There are no anchors elsewhere: that the log was cut off after the last one would not be found.
    Unanchored,
    /// No next file can be begun; the newest one grows on, and is read whole by a start.
    NotRotated,
    /// Entries were given up.
    Lost,
}

impl Trouble {
    /// Every kind.
    pub const ALL: [Self; 4] = [
        Self::Unsealed,
        Self::Unanchored,
        Self::NotRotated,
        Self::Lost,
    ];

    /// Stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unsealed => "unsealed",
            Self::Unanchored => "unanchored",
            Self::NotRotated => "notRotated",
            Self::Lost => "lost",
        }
    }

    /// That it is over.
    #[must_use]
    pub const fn over(self) -> &'static str {
        match self {
            Self::Unsealed => "the audit log is sealed again",
            Self::Unanchored => "the audit log's anchors are written again",
            Self::NotRotated => "the next file of the audit log was begun",
            Self::Lost => "no entry of the audit log was lost since the engine's custody started",
        }
    }

    /// What to do.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Unsealed => {
                "see that the audit key's token answers, or that the machine is not standing still; seals are made again by themselves then"
            }
            Self::Unanchored => {
                "see that the place of `engine.audit.anchor_file` is there, is the engine's user's own and can be written; keep what `audit anchor` says of the log meanwhile"
            }
            Self::NotRotated => {
                "make room on the log's disk, and see that the engine's user may make files in the log's folder"
            }
            Self::Lost => {
                "find out why the log's disk stood still; the count begins anew when the engine is restarted"
            }
        }
    }

    /// What an operator has to know, with what is known of the reason.
    #[must_use]
    pub fn words(self, status: &Status) -> String {
        let why = |problem: &Option<String>| problem.clone().unwrap_or_default();
        match self {
            Self::Unsealed => format!(
                "the audit log is NOT SEALED, entries after {} could be replaced unseen: {}",
                status.sealed_upto,
                why(&status.seal_problem)
            ),
            Self::Unanchored => format!(
                "the audit log's anchors are NOT WRITTEN elsewhere: {}",
                why(&status.anchor_problem)
            ),
            Self::NotRotated => format!(
                "no next file of the audit log can be begun, the newest one grows on: {}",
                why(&status.rotation_problem)
            ),
            Self::Lost => format!(
                "{} entries of the audit log were LOST since the engine's custody started, because too many waited: its disk is too slow or stood still",
                status.lost
            ),
        }
    }
}

impl Status {
    /// What is not as it should be although entries are written; that they cannot be is [`Status::problem`]. Destructured, so that a new
    /// field does not compile before somebody has decided whether it is trouble.
    #[must_use]
    pub fn troubles(&self) -> Vec<Trouble> {
        let Self {
            problem: _,
            log: _,
            begins: _,
            file: _,
            seq: _,
            head: _,
            sealed_upto: _,
            seal_problem: _,
            seal_waited_ms: _,
            seal_overdue,
            key: _,
            anchor_problem,
            rotation_problem,
            entries: _,
            commits: _,
            largest_commit: _,
            commit_us: _,
            lost,
        } = self;
        let is = |trouble: &Trouble| match trouble {
            Trouble::Unsealed => *seal_overdue,
            Trouble::Unanchored => anchor_problem.is_some(),
            Trouble::NotRotated => rotation_problem.is_some(),
            Trouble::Lost => *lost > 0,
        };
        Trouble::ALL.into_iter().filter(is).collect()
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
    /// For how many milliseconds a seal has been waited for; 0 while none is.
    pub seal_waited_ms: u64,
    /// Whether that is longer than it should take. A token that is being opened is not.
    pub seal_overdue: bool,
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

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;

    #[test]
    fn each_thing_that_is_wrong_is_named_with_its_reason() {
        let wrong = Status {
            seal_problem: Some("no token is open".to_owned()),
            seal_overdue: true,
            anchor_problem: Some("/mnt/gone: it hangs".to_owned()),
            rotation_problem: Some("no space left".to_owned()),
            lost: 7,
            ..Status::default()
        };
        assert_eq!(wrong.troubles(), Trouble::ALL);
        for (trouble, reason) in Trouble::ALL.into_iter().zip([
            "no token is open",
            "/mnt/gone: it hangs",
            "no space left",
            "7 entries",
        ]) {
            let words = trouble.words(&wrong);
            assert!(words.contains(reason), "{words}");
        }
        assert_eq!(Status::default().troubles(), []);
    }
}
