//! Counters of a custody, and what each worker is busy with. Read without asking the token or waiting for anybody.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use crate::Load;
use crate::custody::{Health, Operation};

/// More than there are operations.
const CODES: u64 = 8;

/// What a worker is busy with: zero when idle, else (milliseconds since the start + 1) * [`CODES`] + operation.
#[derive(Default)]
struct Busy(AtomicU64);

/// What [`Health`] shows and is not counted here.
#[derive(Clone, Copy, Default)]
pub(super) struct Known {
    /// Generation of the key handles.
    pub(super) handles: u64,
    /// Generation of the library's state.
    pub(super) module: u64,
    pub(super) pin_kept: bool,
}

/// All orderings are relaxed: each number stands for itself.
pub(super) struct Counters {
    start: Instant,
    busy: Vec<Busy>,
    pub(super) decrypts: AtomicU64,
    pub(super) encrypts: AtomicU64,
    pub(super) public_keys_created: AtomicU64,
    pub(super) public_keys_reused: AtomicU64,
    pub(super) signatures: AtomicU64,
    pub(super) bad_inputs: AtomicU64,
    pub(super) token_failures: AtomicU64,
    pub(super) reconnects: AtomicU64,
    pub(super) sessions_replaced: AtomicU64,
    pub(super) logins: AtomicU64,
    pub(super) canaries_run: AtomicU64,
    pub(super) canaries_shared: AtomicU64,
    needs_restart: AtomicBool,
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Counters {
    pub(super) fn new(threads: usize) -> Self {
        Self {
            start: Instant::now(),
            busy: (0..threads).map(|_| Busy::default()).collect(),
            decrypts: AtomicU64::new(0),
            encrypts: AtomicU64::new(0),
            public_keys_created: AtomicU64::new(0),
            public_keys_reused: AtomicU64::new(0),
            signatures: AtomicU64::new(0),
            bad_inputs: AtomicU64::new(0),
            token_failures: AtomicU64::new(0),
            reconnects: AtomicU64::new(0),
            sessions_replaced: AtomicU64::new(0),
            logins: AtomicU64::new(0),
            canaries_run: AtomicU64::new(0),
            canaries_shared: AtomicU64::new(0),
            needs_restart: AtomicBool::new(false),
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Worker `index` begins with `operation`; it ends when the guard is dropped.
    pub(super) fn begin(&self, index: usize, operation: Operation) -> impl Drop + use<'_> {
        struct End<'a>(Option<&'a Busy>);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                if let Some(busy) = self.0 {
                    busy.0.store(0, Ordering::Relaxed);
                }
            }
        }
        let code = (0..CODES)
            .zip(Operation::ALL)
            .find_map(|(code, known)| (known == operation).then_some(code))
            .unwrap_or_default();
        let busy = self.busy.get(index);
        if let Some(busy) = busy {
            let started = self.now_ms().saturating_add(1).saturating_mul(CODES);
            busy.0.store(started + code, Ordering::Relaxed);
        }
        End(busy)
    }

    /// Worker `index` begins another call of what it is busy with: its age counts from now.
    pub(super) fn goes_on(&self, index: usize) {
        if let Some(busy) = self.busy.get(index) {
            // Written by this worker alone.
            let code = match busy.0.load(Ordering::Relaxed) {
                0 => return,
                started => started % CODES,
            };
            let now = self.now_ms().saturating_add(1).saturating_mul(CODES);
            busy.0.store(now + code, Ordering::Relaxed);
        }
    }

    pub(super) fn set_needs_restart(&self, needs_restart: bool) {
        self.needs_restart.store(needs_restart, Ordering::Relaxed);
    }

    /// True while a worker generates a key, which may take minutes and must not be cut off.
    pub(super) fn is_generating(&self) -> bool {
        let generate = (0..CODES)
            .zip(Operation::ALL)
            .find_map(|(code, known)| (known == Operation::Generate).then_some(code));
        self.busy.iter().any(|busy| {
            let busy = busy.0.load(Ordering::Relaxed);
            busy != 0 && Some(busy % CODES) == generate
        })
    }

    /// What is counted, together with what others know.
    pub(super) fn health(&self, known: Known) -> Health {
        let oldest = self
            .busy
            .iter()
            .map(|busy| busy.0.load(Ordering::Relaxed))
            .filter(|busy| *busy != 0)
            .min();
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Health {
            threads: self.busy.len(),
            decrypts: get(&self.decrypts),
            encrypts: get(&self.encrypts),
            public_keys_created: get(&self.public_keys_created),
            public_keys_reused: get(&self.public_keys_reused),
            signatures: get(&self.signatures),
            bad_inputs: get(&self.bad_inputs),
            token_failures: get(&self.token_failures),
            reconnects: get(&self.reconnects),
            sessions_replaced: get(&self.sessions_replaced),
            logins: get(&self.logins),
            module_generation: known.module,
            generation: known.handles,
            canaries_run: get(&self.canaries_run),
            canaries_shared: get(&self.canaries_shared),
            pin_kept: known.pin_kept,
            // The queue knows.
            in_flight: 0,
            load: Load::default(),
            oldest_call_ms: oldest.map(|busy| (self.now_ms() + 1).saturating_sub(busy / CODES)),
            oldest_call: oldest.and_then(|busy| {
                let code = usize::try_from(busy % CODES).ok()?;
                Operation::ALL.get(code).copied()
            }),
            needs_restart: self.needs_restart.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;

    #[test]
    fn the_oldest_of_the_running_calls_is_shown_until_it_ends() {
        let counters = Counters::new(3);
        assert_eq!(counters.health(Known::default()).oldest_call_ms, None);
        let first = counters.begin(2, Operation::Generate);
        let second = counters.begin(0, Operation::Generate);
        assert!(counters.is_generating());
        let health = counters.health(Known::default());
        assert_eq!(health.oldest_call, Some(Operation::Generate));
        assert!(health.oldest_call_ms.is_some());
        drop(first);
        drop(second);
        assert_eq!(counters.health(Known::default()).oldest_call, None);
    }

    #[test]
    fn the_age_is_that_of_a_call_and_not_of_all_that_a_request_takes() {
        let counters = Counters::new(1);
        counters.goes_on(0);
        assert_eq!(counters.health(Known::default()).oldest_call_ms, None);
        let request = counters.begin(0, Operation::Sign);
        let age = || counters.health(Known::default()).oldest_call_ms;
        while age().is_none_or(|age| age < 20) {
            std::thread::yield_now();
        }
        let before = counters.now_ms();
        counters.goes_on(0);
        let call = counters.health(Known::default());
        assert!(
            call.oldest_call_ms
                .is_some_and(|age| age <= counters.now_ms() - before)
        );
        assert_eq!(call.oldest_call, Some(Operation::Sign));
        drop(request);
        counters.goes_on(0);
        assert_eq!(age(), None);
    }

    #[test]
    fn every_operation_is_shown_as_what_it_is() {
        let counters = Counters::new(1);
        assert!(u64::try_from(Operation::ALL.len()).is_ok_and(|len| len <= CODES));
        for operation in Operation::ALL {
            let call = counters.begin(0, operation);
            assert_eq!(
                counters.health(Known::default()).oldest_call,
                Some(operation)
            );
            assert_eq!(counters.is_generating(), operation == Operation::Generate);
            drop(call);
        }
    }
}
