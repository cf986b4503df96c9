//! The log's entries as the ledger takes them in.

use super::{Alarm, Asked, Ended, Ledger, Release};
use crate::entry::Entry;
use crate::event::{self, Event};
use crate::fold::Fold;
use serde_json::Value;

impl Ledger {
    /// Folds an entry in; most say nothing to the ledger.
    pub fn apply(&mut self, entry: &Entry) {
        let time_ms = entry.time.as_ms();
        self.latest_ms = time_ms;
        match &entry.event {
            Event::KeyUse(used) => {
                self.used(
                    time_ms,
                    &Asked::from(&**used),
                    Ended::from(used.result),
                    true,
                );
            }
            Event::Shared(used) => {
                self.used(
                    time_ms,
                    &Asked::from(&**used),
                    Ended::from(used.result),
                    false,
                );
            }
            Event::Released(released) => {
                if let Some(release) = &released.release {
                    self.released(release);
                }
            }
            Event::Alarm(alarm) => {
                if let Some(alarm) = told(alarm) {
                    self.alarmed(time_ms, &alarm);
                }
            }
            _ => {}
        }
    }
}

/// The names of alarms in the log.
const IMPORTER_SUSPENDED: &str = "importerSuspended";
const CALLER_SUSPENDED: &str = "callerSuspended";
const QUARANTINE_SHARE_FULL: &str = "quarantineShareFull";
const QUARANTINE_FULL: &str = "quarantineFull";

/// Which alarm of the ledger's it is, if it is one.
fn told(alarm: &event::Alarm) -> Option<Alarm> {
    match alarm.what.as_str() {
        IMPORTER_SUSPENDED => Some(Alarm::ImporterSuspended {
            importer: alarm.importer,
        }),
        CALLER_SUSPENDED => Some(Alarm::CallerSuspended {
            caller: alarm.caller.as_ref().and_then(|caller| caller.uid),
        }),
        QUARANTINE_SHARE_FULL => Some(Alarm::QuarantineShareFull {
            importer: alarm.importer,
        }),
        QUARANTINE_FULL => Some(Alarm::QuarantineFull),
        _ => None,
    }
}

impl Alarm {
    /// The entry that tells it.
    #[must_use]
    pub fn entry(&self) -> Event {
        let (what, importer, caller, detail) = match self {
            Self::ImporterSuspended { importer } => (
                IMPORTER_SUSPENDED,
                *importer,
                None,
                "too many of its ciphertexts failed: its records are refused until the failures are older than its budgets' hour and day",
            ),
            Self::CallerSuspended { caller } => (
                CALLER_SUSPENDED,
                None,
                Some(event::Caller {
                    uid: *caller,
                    connector: None,
                }),
                "too many ciphertexts that it asked for failed: its requests are refused until the failures are older than an hour",
            ),
            Self::QuarantineShareFull { importer } => (
                QUARANTINE_SHARE_FULL,
                *importer,
                None,
                "its share of the quarantine is full: no record of it is decrypted that was not decrypted before, until ciphertexts are released",
            ),
            Self::QuarantineFull => (
                QUARANTINE_FULL,
                None,
                None,
                "what everybody may have of the quarantine is full: an importer with 32 ciphertexts in it has no record decrypted that was not decrypted before, until ciphertexts are released",
            ),
        };
        Event::Alarm(event::Alarm {
            what: what.to_owned(),
            importer,
            caller,
            ciphertext: None,
            detail: detail.to_owned(),
        })
    }
}

impl Release {
    /// The entry that tells it.
    #[must_use]
    pub fn entry(&self, uid: Option<u32>) -> Event {
        Event::Released(event::Released {
            release: Some(*self),
            uid,
        })
    }
}

impl Fold for Ledger {
    fn apply(&mut self, entry: &Entry) {
        Self::apply(self, entry);
    }

    fn snapshot(&self) -> Value {
        // Numbers, texts and lists: there is a JSON form.
        serde_json::to_value(Self::snapshot(self, self.latest_ms)).unwrap_or_default()
    }

    fn restore(&mut self, snapshot: &Value) -> Result<(), String> {
        let snapshot =
            serde_json::from_value(snapshot.clone()).map_err(|error| error.to_string())?;
        let flights = std::mem::take(&mut self.flights);
        *self = Self::restore(snapshot).map_err(|error| error.to_string())?;
        self.flights = flights;
        Ok(())
    }
}
