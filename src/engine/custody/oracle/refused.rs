//! Requests that were refused without a use of the key, told so seldom that nobody can fill a disk with them.

use audit::Hash;
use audit::event::{Caller, Event, Refused};
use audit::ledger::Asked;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The first of its kind is told at once, all others of so long together.
const TOGETHER: Duration = Duration::from_secs(60);
/// Kinds that are told apart.
const MOST_KINDS: usize = 256;
/// Of them of one caller (user id), whatever it states of itself and whosever records it asks for: nobody can take the room of others.
const MOST_KINDS_OF_ONE: usize = 32;

/// What is told apart: why, whose record, who asks. Of too many of one caller, only why and its user id; of too many callers, only why.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    why: &'static str,
    of: Option<(Option<Hash>, Caller)>,
}

#[derive(Debug)]
struct Counted {
    told: Instant,
    since: Option<Refused>,
}

/// What was refused and is not told yet.
#[derive(Debug, Default)]
pub(super) struct RefusedRequests(Mutex<HashMap<Kind, Counted>>);

impl RefusedRequests {
    /// One more.
    pub(super) fn count(
        &self,
        why: &'static str,
        asked: &Asked,
        request_id: &str,
        caller: &Caller,
        tell: impl FnOnce(Event),
    ) {
        let mut refused = Refused {
            why: why.to_owned(),
            caller: caller.clone(),
            importer: asked.importer,
            ciphertext: Some(asked.ciphertext),
            request: request_id.to_owned(),
            count: 1,
        };
        let mut kind = Kind {
            why,
            of: Some((asked.importer, caller.clone())),
        };
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !kinds.contains_key(&kind) {
            let of_caller =
                |known: &&Kind| matches!(&known.of, Some((_, known)) if known.uid == caller.uid);
            if kinds.len() >= MOST_KINDS {
                kind.of = None;
                refused.importer = None;
                refused.caller = Caller::default();
            } else if kinds.keys().filter(of_caller).count() >= MOST_KINDS_OF_ONE {
                let caller = Caller {
                    uid: caller.uid,
                    connector: None,
                };
                kind.of = Some((None, caller.clone()));
                refused.importer = None;
                refused.caller = caller;
            }
        }
        let now = Instant::now();
        match kinds.get_mut(&kind) {
            None => {
                kinds.insert(
                    kind,
                    Counted {
                        told: now,
                        since: None,
                    },
                );
                drop(kinds);
                tell(Event::Refused(Box::new(refused)));
            }
            Some(counted) => match &mut counted.since {
                Some(since) => since.count = since.count.saturating_add(1),
                None => counted.since = Some(refused),
            },
        }
    }

    /// Tells what has been counted for long enough.
    pub(super) fn flush(&self, mut tell: impl FnMut(Event)) {
        let mut due = Vec::new();
        let now = Instant::now();
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|_, counted| {
                if now.saturating_duration_since(counted.told) < TOGETHER {
                    return true;
                }
                counted.told = now;
                match counted.since.take() {
                    Some(since) => due.push(since),
                    None => return false,
                }
                true
            });
        for refused in due {
            tell(Event::Refused(Box::new(refused)));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;

    #[test]
    fn a_flood_is_one_entry_at_once_and_its_rest_later() {
        let refused = RefusedRequests::default();
        let mut told = Vec::new();
        let asked = Asked {
            importer: None,
            caller: None,
            key: Hash::NONE,
            padding: String::new(),
            ciphertext: Hash::NONE,
            opens: None,
            sealed: None,
            device: None,
        };
        for number in 0..1000 {
            let caller = Caller {
                uid: Some(number % 2),
                connector: None,
            };
            refused.count("quarantined", &asked, "r", &caller, |event| {
                told.push(event)
            });
        }
        assert_eq!(told.len(), 2);
        refused.flush(|event| told.push(event));
        assert_eq!(told.len(), 2, "not yet");
        for counted in refused
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values_mut()
        {
            counted.told = counted.told.checked_sub(TOGETHER).unwrap_or(counted.told);
        }
        refused.flush(|event| told.push(event));
        let counts: Vec<_> = told
            .iter()
            .filter_map(|event| match event {
                Event::Refused(refused) => Some(refused.count),
                _ => None,
            })
            .collect();
        assert_eq!(counts, [1, 1, 499, 499]);
    }

    #[test]
    fn one_caller_takes_no_more_than_its_room_whatever_it_says_of_itself() {
        let refused = RefusedRequests::default();
        let mut told = Vec::new();
        let mut count = |uid, importer: u8, connector: u8| {
            let asked = Asked {
                importer: Some(Hash::from_bytes([importer; 32])),
                caller: Some(uid),
                key: Hash::NONE,
                padding: String::new(),
                ciphertext: Hash::NONE,
                opens: None,
                sealed: None,
                device: None,
            };
            let caller = Caller {
                uid: Some(uid),
                connector: Some(Hash::from_bytes([connector; 32])),
            };
            refused.count("quarantined", &asked, "r", &caller, |event| {
                told.push(event)
            });
        };
        for number in 0..200 {
            count(1000, number, number);
        }
        count(1001, 7, 7);
        let callers: Vec<_> = told
            .iter()
            .filter_map(|event| match event {
                Event::Refused(refused) => Some((refused.caller.uid, refused.importer.is_some())),
                _ => None,
            })
            .collect();
        let (own, other) = callers.split_at(callers.len() - 1);
        assert_eq!(own.len(), MOST_KINDS_OF_ONE + 1);
        assert_eq!(own.last(), Some(&(Some(1000), false)), "the rest together");
        assert_eq!(other, [(Some(1001), true)], "others are told apart");
    }
}
