//! Calls from custody to the formats part: which wait, which it has in hand, and what became of those whose asker is gone.
//!
//! Quick ones (a certificate is looked at) and long ones (a key is derived from a password) each have threads of their own there, and so
//! lanes of their own here: nobody waits for a certificate because a PFX takes long.

use super::lane::Lane;
use crate::engine::formats_process::{LONG_THREADS, THREADS};
use crate::engine::ipc::{Kind, Payload};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long a long call may take. Iterations are bounded before they begin, so that an honest one needs a small part of this.
const LONG_CALL_LIMIT: Duration = Duration::from_secs(60);

/// A call that has not been answered.
#[derive(Debug)]
struct Call {
    request: u64,
    kind: Kind,
    payload: Payload,
    /// Whether the custody process that asked is still there to get the answer.
    wanted: bool,
    /// Processes that died with it in hand.
    crashes: u32,
}

/// A call that the dead part had in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) id: u64,
    /// The request that wants it, if any does.
    pub(super) request: Option<u64>,
    /// Processes that have died with it in hand by now.
    pub(super) crashes: u32,
}

/// All of them, by an id of the supervisor's own.
#[derive(Debug)]
pub(super) struct Calls {
    calls: HashMap<u64, Call>,
    quick: Lane,
    long: Lane,
    next: u64,
}

impl Calls {
    pub(super) fn new() -> Self {
        Self {
            calls: HashMap::new(),
            quick: Lane::new(THREADS),
            long: Lane::new(LONG_THREADS),
            next: 1,
        }
    }

    fn lane(&mut self, kind: Kind) -> &mut Lane {
        match kind {
            Kind::LongCall => &mut self.long,
            _ => &mut self.quick,
        }
    }

    /// A call of this kind for this request.
    pub(super) fn push(&mut self, request: u64, kind: Kind, payload: Payload) {
        let id = self.next;
        self.next = self.next.saturating_add(1);
        self.lane(kind).push(id);
        self.calls.insert(
            id,
            Call {
                request,
                kind,
                payload,
                wanted: true,
                crashes: 0,
            },
        );
    }

    /// The part has answered: the request that the answer is for, if anybody wants it.
    pub(super) fn done(&mut self, id: u64) -> Option<u64> {
        if !self.quick.done(id) && !self.long.done(id) {
            return None;
        }
        self.calls
            .remove(&id)
            .filter(|call| call.wanted)
            .map(|call| call.request)
    }

    /// Custody is dead, and its calls with it: those that formats has begun come back to nobody.
    pub(super) fn custody_lost(&mut self) {
        let ids: Vec<u64> = self.calls.keys().copied().collect();
        ids.into_iter().for_each(|id| self.forget(id));
    }

    /// Nobody waits for this request any more. What custody asks about a use of the key goes on: it has to be counted.
    pub(super) fn abandon(&mut self, request: u64) {
        let ids: Vec<u64> = self
            .calls
            .iter()
            .filter(|(_, call)| call.request == request && call.kind != Kind::LongCall)
            .map(|(id, _)| *id)
            .collect();
        ids.into_iter().for_each(|id| self.forget(id));
    }

    fn forget(&mut self, id: u64) {
        let in_hand = self.quick.forget(id) | self.long.forget(id);
        match self.calls.get_mut(&id) {
            // Only when it is answered is a thread known to be free.
            Some(call) if in_hand => call.wanted = false,
            _ => drop(self.calls.remove(&id)),
        }
    }

    /// The formats part is dead: what it had in hand, newest first.
    pub(super) fn formats_lost(&mut self) -> Vec<Lost> {
        let mut lost = self.quick.lost();
        lost.extend(self.long.lost());
        lost.sort_unstable_by(|one, other| other.cmp(one));
        lost.into_iter()
            .map(|id| match self.calls.get_mut(&id) {
                Some(call) => {
                    call.crashes = call.crashes.saturating_add(1);
                    Lost {
                        id,
                        request: call.wanted.then_some(call.request),
                        crashes: call.crashes,
                    }
                }
                None => Lost {
                    id,
                    request: None,
                    crashes: 0,
                },
            })
            .collect()
    }

    /// A call that the dead part had in hand goes to its successor, before everything else.
    pub(super) fn give_back(&mut self, id: u64) {
        if let Some(kind) = self.calls.get(&id).map(|call| call.kind) {
            self.lane(kind).give_back(id);
        }
    }

    /// A call that the dead part had in hand is over.
    pub(super) fn remove(&mut self, id: u64) {
        self.calls.remove(&id);
    }

    /// The next call for the part, taken into its hand. `last_chance` tells of a request, and of the deaths over the call: then the call is
    /// in hand alone.
    pub(super) fn next(
        &mut self,
        now: Instant,
        last_chance: impl Fn(u64, u32) -> bool,
    ) -> Option<(u64, Kind, Payload)> {
        let calls = &self.calls;
        let suspect = |id: u64| {
            calls
                .get(&id)
                .is_some_and(|call| last_chance(call.request, call.crashes))
        };
        let (quick, long) = (&mut self.quick, &mut self.long);
        // A suspect is alone in the part, not only in its lane: while one waits in front, both lanes run empty.
        let alone = [&*quick, &*long]
            .into_iter()
            .any(|lane| lane.has_in_front_or_in_hand(suspect));
        let is_idle = quick.oldest().is_none() && long.oldest().is_none();
        let id = if !alone {
            quick
                .next(now, suspect)
                .or_else(|| long.next(now, suspect))?
        } else if is_idle && quick.front().is_some_and(suspect) {
            quick.next(now, suspect)?
        } else if is_idle {
            long.next(now, suspect)?
        } else {
            return None;
        };
        let call = calls.get(&id)?;
        Some((id, call.kind, call.payload.clone()))
    }

    /// When a call that the part has in hand will have taken too long, at the earliest.
    pub(super) fn overdue_at(&self, quick_limit: Duration) -> Option<Instant> {
        let quick = self.quick.oldest().map(|since| since + quick_limit);
        let long = self
            .long
            .oldest()
            .map(|since| since + LONG_CALL_LIMIT.max(quick_limit));
        quick.into_iter().chain(long).min()
    }

    /// Whether custody waits for the answer to any.
    pub(super) fn is_any_wanted(&self) -> bool {
        self.calls.values().any(|call| call.wanted)
    }

    /// What the part has in hand, in the order of the ids.
    #[cfg(test)]
    pub(super) fn in_hand(&self) -> Vec<u64> {
        let mut ids = self.quick.in_hand();
        ids.extend(self.long.in_hand());
        ids.sort_unstable();
        ids
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    #[cfg(test)]
    pub(super) fn is_wanted(&self, id: u64) -> bool {
        self.calls.get(&id).is_some_and(|call| call.wanted)
    }
}
