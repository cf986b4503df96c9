//! The watchdog of an asynchronous service: fed by its own loop, and only while what it looks after answers.

use super::Notifier;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Beats in one period of the watchdog, so that one that comes late does no harm.
const BEATS_A_PERIOD: u32 = 4;
/// How often the status is looked at where nobody watches.
pub(super) const UNWATCHED: Duration = Duration::from_secs(15);

/// For the loop that does a service's work: it waits for [`due`](Self::due) among other things, and then calls [`beat`](Self::beat).
/// A loop that hangs feeds nobody, and neither does one whose probe does not come back.
#[derive(Debug)]
pub struct Beats {
    notifier: Arc<Notifier>,
    due: Option<Interval>,
    probe: Option<JoinHandle<()>>,
}

impl Beats {
    /// For one service; inside of a runtime.
    #[must_use]
    pub fn new(notifier: Arc<Notifier>) -> Self {
        let period = notifier.watchdog().map_or(UNWATCHED, |watchdog| {
            (watchdog / BEATS_A_PERIOD).max(Duration::from_millis(1))
        });
        let due = notifier.is_heard().then(|| {
            let mut due = interval(period);
            due.set_missed_tick_behavior(MissedTickBehavior::Delay);
            due
        });
        Self {
            notifier,
            due,
            probe: None,
        }
    }

    /// The time between two beats, if there is anybody to be told.
    #[cfg(test)]
    pub(super) fn period(&self) -> Option<Duration> {
        self.due.as_ref().map(Interval::period)
    }

    /// Returns when the next beat is due; never where there is no service manager. May be dropped at any time.
    pub async fn due(&mut self) {
        match &mut self.due {
            Some(due) => {
                due.tick().await;
            }
            None => std::future::pending().await,
        }
    }

    /// Feeds the watchdog if the last probe has come to its end, and then sends the next one out. What a probe finds does not matter,
    /// only that it ends: a full disk is answered with an error, and no restart helps against it.
    pub fn beat(&mut self, probe: impl Future<Output = ()> + Send + 'static) {
        if self.notifier.watchdog().is_none() {
            return;
        }
        if self.probe.as_ref().is_none_or(JoinHandle::is_finished) {
            self.notifier.beat();
            self.probe = Some(tokio::spawn(probe));
        }
    }
}

impl Drop for Beats {
    fn drop(&mut self) {
        if let Some(probe) = &self.probe {
            probe.abort();
        }
    }
}
