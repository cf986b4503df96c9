//! Requests that have not been answered: their bytes, whose they are, and how many parts died over them.

use crate::engine::ipc::{Caller, Frame, Payload};
use audit::Verb;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Bytes of requests that are kept at once, so that few large ones cannot take all memory.
const MAX_KEPT_BYTES: usize = 256 * 1024 * 1024;
/// The longest time that is granted to a request, and what one gets that names none.
const LONGEST: Duration = Duration::from_secs(600);

/// A request that has not been answered.
#[derive(Debug)]
pub(super) struct Pending {
    /// The connection that it came over.
    pub(super) caller: u64,
    /// Who asks, as custody is told.
    pub(super) asker: Caller,
    pub(super) frame_id: u64,
    /// What is asked for.
    pub(super) verb: Option<Verb>,
    pub(super) payload: Payload,
    pub(super) deadline: Instant,
    /// Parts that died while they had it in hand.
    pub(super) crashes: u32,
}

/// All of them, by an id of the supervisor's own.
#[derive(Debug)]
pub(super) struct Requests {
    pending: HashMap<u64, Pending>,
    next_id: u64,
    kept_bytes: usize,
    max_in_flight: usize,
}

impl Requests {
    pub(super) fn new(max_in_flight: usize) -> Self {
        Self {
            pending: HashMap::new(),
            next_id: 1,
            kept_bytes: 0,
            max_in_flight: max_in_flight.max(1),
        }
    }

    /// Keeps a request of the user `uid`; `None` when too much is in flight.
    pub(super) fn insert(
        &mut self,
        caller: u64,
        uid: u32,
        frame: Frame,
        now: Instant,
    ) -> Option<u64> {
        let kept = self.kept_bytes.saturating_add(frame.payload.len());
        if self.pending.len() >= self.max_in_flight || kept > MAX_KEPT_BYTES {
            return None;
        }
        let granted = match frame.time_left_ms {
            0 => LONGEST,
            ms => Duration::from_millis(u64::from(ms)).min(LONGEST),
        };
        let id = self.next_id;
        self.next_id = self.next_id.saturating_add(1);
        self.kept_bytes = kept;
        let deadline = now + granted;
        self.pending.insert(
            id,
            Pending {
                caller,
                // Of what came, only the certificate is the caller's to say.
                asker: Caller {
                    uid: Some(uid),
                    ..frame.caller
                },
                frame_id: frame.id,
                verb: frame.verb,
                payload: frame.payload,
                deadline,
                crashes: 0,
            },
        );
        Some(id)
    }

    pub(super) fn get(&self, id: u64) -> Option<&Pending> {
        self.pending.get(&id)
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Pending> {
        let gone = self.pending.remove(&id)?;
        self.kept_bytes = self.kept_bytes.saturating_sub(gone.payload.len());
        Some(gone)
    }

    /// A part died with it in hand; how many there were by now, `None` when nobody waits for it any more.
    pub(super) fn crashed(&mut self, id: u64) -> Option<u32> {
        let pending = self.pending.get_mut(&id)?;
        pending.crashes = pending.crashes.saturating_add(1);
        Some(pending.crashes)
    }

    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.pending.values().map(|pending| pending.deadline).min()
    }

    pub(super) fn ids(&self, wanted: impl Fn(&Pending) -> bool) -> Vec<u64> {
        self.pending
            .iter()
            .filter(|(_, pending)| wanted(pending))
            .map(|(id, _)| *id)
            .collect()
    }
}
