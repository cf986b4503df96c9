//! What a running service knows of ends, and what of that it has told.

use super::{Calendar, Dated, Entry, Kind, Level};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Names whose levels are remembered: a calendar has no more at once.
const MAX_TOLD: usize = 4 * super::MAX_ENTRIES;

/// Where ends come from. Each source replaces what it said before, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The files of the configuration, as they were read.
    Files,
    /// The connector's identity where its key is the engine's: whoever enrols and renews it enters the certificate that is in use here,
    /// as [`Kind::ConnectorCertificate`].
    Identity,
    /// The other end of the connection: the gateway's certificate.
    Peer,
    /// What the engine says.
    Engine,
    /// What the authorities say.
    Authorities,
    /// The gateway's database.
    Store,
}

/// A change that somebody has to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// It came nearer to its end than it was when it was last told.
    Nearer(Entry),
    /// It was told, and is fine again: it was renewed.
    Renewed(Entry),
}

/// What is known, and what was told.
#[derive(Debug, Default)]
pub struct Book(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    known: BTreeMap<Source, Vec<Dated>>,
    told: HashMap<(Kind, String), (i64, Level)>,
}

impl Book {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a source says now. Who has no answer says nothing, and what it said before stands.
    pub fn set(&self, source: Source, dated: Vec<Dated>) {
        self.inner().known.insert(source, dated);
    }

    /// What a source said last.
    #[must_use]
    pub fn of(&self, source: Source) -> Vec<Dated> {
        self.inner().known.get(&source).cloned().unwrap_or_default()
    }

    /// The calendar at this time (milliseconds since 1970).
    #[must_use]
    pub fn calendar(&self, now_ms: i64) -> Calendar {
        Calendar::of(self.inner().known.values().flatten(), now_ms)
    }

    /// What somebody has to be told at this time, once for each level of each end. A start tells anew.
    pub fn due(&self, now_ms: i64) -> Vec<Turn> {
        let calendar = self.calendar(now_ms);
        let mut inner = self.inner();
        let mut turns = Vec::new();
        for entry in calendar.entries {
            let key = (entry.kind, entry.name.clone());
            let before = inner.told.get(&key).copied();
            if entry.calls() {
                let is_new = before
                    .is_none_or(|(end, level)| end != entry.not_after_ms || entry.level > level);
                if is_new && (before.is_some() || inner.told.len() < MAX_TOLD) {
                    inner.told.insert(key, (entry.not_after_ms, entry.level));
                    turns.push(Turn::Nearer(entry));
                }
            } else if before.is_some() {
                inner.told.remove(&key);
                // A clock that was set back renews nothing.
                if before.is_some_and(|(end, _)| entry.not_after_ms > end) {
                    turns.push(Turn::Renewed(entry));
                }
            }
        }
        turns
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, missing_docs)]
    use super::*;
    use crate::calendar::{DAY_MS, Effect};
    use crate::clock::{Clock, ManualClock};

    fn certificate(begins_ms: i64, days: i64) -> Dated {
        Dated {
            kind: Kind::ConnectorCertificate,
            name: "connector.certificate".to_owned(),
            subject: "CN=one".to_owned(),
            begins_ms: Some(begins_ms),
            ends_ms: begins_ms + days * DAY_MS,
            effect: Effect::Stops,
        }
    }

    /// Levels that are told now, and `Fine` for what was renewed.
    fn told(book: &Book, clock: &ManualClock) -> Vec<Level> {
        book.due(clock.now_ms())
            .into_iter()
            .map(|turn| match turn {
                Turn::Nearer(entry) => entry.level,
                Turn::Renewed(_) => Level::Fine,
            })
            .collect()
    }

    #[test]
    fn each_level_is_told_once_and_a_renewal_once() {
        let clock = ManualClock::at(0);
        let book = Book::default();
        book.set(Source::Files, vec![certificate(0, 365)]);
        let mut days = Vec::new();
        for day in 0..=370 {
            days.extend(told(&book, &clock).into_iter().map(|level| (day, level)));
            clock.advance_ms(DAY_MS);
        }
        assert_eq!(
            days,
            [
                (336, Level::Soon),
                (359, Level::Urgent),
                (365, Level::Expired)
            ]
        );
        book.set(Source::Files, vec![certificate(clock.now_ms(), 365)]);
        assert_eq!(told(&book, &clock), [Level::Fine]);
        assert!(told(&book, &clock).is_empty());
    }

    #[test]
    fn a_source_replaces_what_it_said_and_nothing_else() {
        let book = Book::default();
        book.set(Source::Files, vec![certificate(0, 10)]);
        book.set(Source::Identity, vec![certificate(0, 20)]);
        book.set(Source::Identity, vec![certificate(0, 30)]);
        let ends: Vec<_> = book
            .calendar(0)
            .entries
            .iter()
            .map(|one| one.days_left)
            .collect();
        assert_eq!(ends, [10, 30]);
        assert_eq!(book.of(Source::Identity).len(), 1);
    }

    #[test]
    fn a_second_certificate_that_is_as_old_is_told_as_well_and_a_clock_set_back_renews_nothing() {
        let clock = ManualClock::at(360 * DAY_MS);
        let book = Book::default();
        book.set(Source::Files, vec![certificate(0, 365)]);
        assert_eq!(told(&book, &clock), [Level::Urgent]);
        book.set(Source::Files, vec![certificate(DAY_MS, 365)]);
        assert_eq!(told(&book, &clock), [Level::Urgent]);
        clock.advance_ms(-100 * DAY_MS);
        assert!(told(&book, &clock).is_empty());
    }
}
