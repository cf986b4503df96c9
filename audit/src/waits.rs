//! What the log waits for, and since when. Who hangs does not say so: whoever asks for the status is told by these times.

use crate::status::Status;
use std::time::{Duration, Instant};

/// A seal that was asked for.
struct Asked {
    /// The last entry that it is about.
    upto: u64,
    /// Since when there is none, although one was asked for.
    since: Instant,
}

#[derive(Default)]
pub(crate) struct Waits {
    seal: Option<Asked>,
    anchor: Option<(String, Instant)>,
}

impl Waits {
    pub(crate) fn seal_asked(&mut self, upto: u64, now: Instant) {
        let since = self.seal.as_ref().map_or(now, |asked| asked.since);
        self.seal = Some(Asked { upto, since });
    }

    pub(crate) fn sealed(&mut self, upto: u64, now: Instant) {
        if let Some(asked) = &mut self.seal {
            if asked.upto <= upto {
                self.seal = None;
            } else {
                // One came, and the next is under way.
                asked.since = now;
            }
        }
    }

    pub(crate) fn anchor_begun(&mut self, name: &str, now: Instant) {
        self.anchor = Some((name.to_owned(), now));
    }

    pub(crate) fn anchor_ended(&mut self) {
        self.anchor = None;
    }

    /// Adds what takes longer than `patience` to a status that says nothing of it.
    pub(crate) fn tell(&self, status: &mut Status, patience: Duration, now: Instant) {
        if let Some(asked) = &self.seal {
            let waited = now.saturating_duration_since(asked.since);
            status.seal_waited_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
            status.seal_overdue = waited >= patience;
            if status.seal_overdue {
                status.seal_problem.get_or_insert_with(|| {
                    format!(
                        "for {} s no seal was made: the audit key does not answer",
                        waited.as_secs()
                    )
                });
            }
        }
        if let Some((name, since)) = &self.anchor {
            let waited = now.saturating_duration_since(*since);
            if waited >= patience {
                status.anchor_problem.get_or_insert_with(|| {
                    format!(
                        "{name}: for {} s the write has not come back",
                        waited.as_secs()
                    )
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn told(waits: &Waits, now: Instant) -> Status {
        let mut status = Status::default();
        waits.tell(&mut status, PATIENCE, now);
        status
    }

    #[test]
    fn a_seal_that_does_not_come_is_told_and_newer_wishes_do_not_hide_it() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut waits = Waits::default();
        for second in 0..30 {
            waits.seal_asked(second + 1, at(second));
            assert_eq!(told(&waits, at(second)).seal_problem, None);
        }
        let status = told(&waits, at(30));
        assert_eq!(status.seal_waited_ms, 30_000);
        assert!(status.seal_overdue);
        assert!(status.seal_problem.unwrap().starts_with("for 30 s no seal"));
        // One of them comes, and the next one is not late yet.
        waits.sealed(3, at(31));
        assert_eq!(told(&waits, at(60)).seal_problem, None);
        assert!(told(&waits, at(61)).seal_problem.is_some());
        waits.sealed(30, at(62));
        assert_eq!(told(&waits, at(1000)), Status::default());
    }

    #[test]
    fn what_is_known_better_is_not_written_over() {
        let start = Instant::now();
        let mut waits = Waits::default();
        waits.seal_asked(1, start);
        let mut status = Status {
            seal_problem: Some("no token is open".to_owned()),
            ..Status::default()
        };
        waits.tell(&mut status, PATIENCE, start + PATIENCE);
        assert_eq!(status.seal_problem.as_deref(), Some("no token is open"));
        assert!(status.seal_overdue);
    }
}
