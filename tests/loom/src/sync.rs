//! What the program's files know as `crate::sync`, of loom.

use std::sync::{Arc, LockResult};
use std::time::Duration;

pub(crate) use loom::sync::{Mutex, MutexGuard};
pub(crate) use std::sync::PoisonError;

/// loom's condition, with the waits of the standard library's that loom's has not.
///
/// A wait for a limited time ends by a notification alone, as if the time were long; only where there is none left it ends at once. So whatever
/// depends on the end of a time, where somebody should have notified, is found as a deadlock.
#[derive(Debug)]
pub(crate) struct Condvar(loom::sync::Condvar);

impl Default for Condvar {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether the time was over.
pub(crate) struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    pub(crate) fn timed_out(&self) -> bool {
        self.0
    }
}

impl Condvar {
    pub(crate) fn new() -> Self {
        Self(loom::sync::Condvar::new())
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }

    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        self.0.wait(guard)
    }

    pub(crate) fn wait_while<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<MutexGuard<'a, T>> {
        while condition(&mut guard) {
            guard = self.0.wait(guard)?;
        }
        Ok(guard)
    }

    pub(crate) fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        time: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        if time.is_zero() {
            return Ok((guard, WaitTimeoutResult(true)));
        }
        match self.0.wait(guard) {
            Ok(guard) => Ok((guard, WaitTimeoutResult(false))),
            Err(error) => Err(PoisonError::new((
                error.into_inner(),
                WaitTimeoutResult(false),
            ))),
        }
    }

    pub(crate) fn wait_timeout_while<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        time: Duration,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        while condition(&mut guard) {
            let waited = self.wait_timeout(guard, time)?;
            if waited.1.timed_out() {
                return Ok(waited);
            }
            guard = waited.0;
        }
        Ok((guard, WaitTimeoutResult(false)))
    }
}

struct Slot<T> {
    item: Option<T>,
    /// One of the two ends is gone.
    closed: bool,
}

struct Channel<T> {
    slot: Mutex<Slot<T>>,
    changed: Condvar,
}

impl<T> Channel<T> {
    fn close(&self) {
        self.slot.lock().unwrap().closed = true;
        self.changed.notify_all();
    }
}

/// The end of a channel that puts something in.
pub(crate) struct Sender<T>(Arc<Channel<T>>);

/// The end of a channel that takes it out.
pub(crate) struct Receiver<T>(Arc<Channel<T>>);

/// A channel with one place.
pub(crate) fn sync_channel<T>(places: usize) -> (Sender<T>, Receiver<T>) {
    assert_eq!(places, 1, "the program has no others");
    let channel = Arc::new(Channel {
        slot: Mutex::new(Slot {
            item: None,
            closed: false,
        }),
        changed: Condvar::new(),
    });
    (Sender(Arc::clone(&channel)), Receiver(channel))
}

impl<T> Sender<T> {
    pub(crate) fn send(&self, item: T) -> Result<(), T> {
        let slot = self.0.slot.lock().unwrap();
        let waits = |slot: &mut Slot<T>| slot.item.is_some() && !slot.closed;
        let mut slot = self.0.changed.wait_while(slot, waits).unwrap();
        if slot.closed {
            return Err(item);
        }
        slot.item = Some(item);
        drop(slot);
        self.0.changed.notify_all();
        Ok(())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<T> Receiver<T> {
    pub(crate) fn recv(&self) -> Result<T, ()> {
        let slot = self.0.slot.lock().unwrap();
        let waits = |slot: &mut Slot<T>| slot.item.is_none() && !slot.closed;
        let mut slot = self.0.changed.wait_while(slot, waits).unwrap();
        let item = slot.item.take();
        drop(slot);
        self.0.changed.notify_all();
        item.ok_or(())
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.0.close();
    }
}
