//! What may still be done with the custody key: a fold over the log of what was done.
//!
//! ```text
//! log, entry by entry ---> Ledger::used, released, alarmed ---> who has failed how often, what is quarantined, what was used how often
//! before a token is touched:  Ledger::admit(asked, limits) ---> Admission, or why not
//! ```
//!
//! A decryption that fails tells whoever sees it fail something about the key's answer; ten thousand of them can tell a password. So
//! failures are counted, where they are known to be the input's fault:
//!
//! - a ciphertext that failed is quarantined: it is not decrypted again before an operator says so;
//! - an importer has a budget of distinct failing ciphertexts within an hour and within a day, a caller one within an hour: who has used
//!   it up is suspended until older failures are an hour or a day old, and nobody else is;
//! - one ciphertext is decrypted so often, and for so many devices, within a day of its first use.
//!
//! What is in flight counts as if it failed: parallel requests cannot pass a budget together. A ciphertext that is known to decrypt needs
//! no such reservation.
//!
//! **Memory** is bounded, and what bounds it never lets anybody go: the failures of one subject are as many as the largest budget, an
//! importer whose share of the quarantine is full has nothing admitted that has not decrypted before (nobody else's share is touched), more subjects than there is room for share one account, and the numbers of
//! [`uses`] can only be too high, by what the same importer did. **Time** is that of the entries, in milliseconds since 1970. A clock that was set back makes failures
//! count for longer, by as much; one that was set forward is believed.

mod apply;
mod asked;
mod failures;
mod flights;
mod floor;
mod limits;
mod quarantine;
mod short;
mod snapshot;
mod subjects;
#[cfg(test)]
mod tests;
mod uses;

pub use asked::{Asked, CiphertextId, Ended, sealed_keys_of};
pub use limits::{DAY, HOUR, LARGEST_BUDGET, Limits};
pub use quarantine::{QUARANTINE_CAPACITY, QUARANTINE_KEPT_EACH, QUARANTINE_SHARE, Quarantined};
pub use snapshot::{LedgerSnapshot, NewerSnapshot};

use crate::text::Hash;
use flights::Flights;
use quarantine::{Quarantine, Room};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use subjects::Subjects;
use uses::{OneUse, Uses};

/// Devices that are remembered of one ciphertext; beyond them they are only counted.
const MOST_DEVICES: usize = 1000;

/// Why a use is not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Denied {
    /// The ciphertext has failed before. What the caller is told is what it was told then.
    Quarantined,
    /// The importer of the record has used up its budget.
    ImporterSuspended {
        /// Until when, in milliseconds since 1970.
        until_ms: i64,
    },
    /// The caller has used up its budget.
    CallerSuspended {
        /// Until when, in milliseconds since 1970.
        until_ms: i64,
    },
    /// The importer's share of the quarantine has no room for a ciphertext that might fail.
    QuarantineShareFull,
    /// The quarantine has no room for a ciphertext that might fail.
    QuarantineFull,
    /// The ciphertext was decrypted as often as it may be.
    UsedTooOften,
    /// The password of the ciphertext went to as many devices as it may.
    TooManyDevices,
    /// What is in flight would use the budget up if all of it failed: once some of it has ended there may be room.
    InFlight,
}

impl Denied {
    /// A stable name, for logs and receipts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Quarantined => "quarantined",
            Self::ImporterSuspended { .. } => "importerSuspended",
            Self::CallerSuspended { .. } => "callerSuspended",
            Self::QuarantineShareFull => "quarantineShareFull",
            Self::QuarantineFull => "quarantineFull",
            Self::UsedTooOften => "usedTooOften",
            Self::TooManyDevices => "tooManyDevices",
            Self::InFlight => "inFlight",
        }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quarantined => "the ciphertext failed before and is quarantined",
            Self::ImporterSuspended { .. } => {
                "the importer is suspended: too many of its ciphertexts failed"
            }
            Self::CallerSuspended { .. } => {
                "the caller is suspended: too many ciphertexts that it asked for failed"
            }
            Self::QuarantineShareFull => "the importer's share of the quarantine is full",
            Self::QuarantineFull => "the quarantine is full",
            Self::UsedTooOften => "the ciphertext was decrypted as often as it may be in a day",
            Self::TooManyDevices => "the password went to as many devices as it may in a day",
            Self::InFlight => "too many ciphertexts that might fail are in flight",
        })
    }
}

/// What an operator has to hear of, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alarm {
    /// An importer has used up its budget.
    ImporterSuspended {
        /// Fingerprint of its key; `None`: the records that nobody signed.
        importer: Option<Hash>,
    },
    /// A caller has used up its budget.
    CallerSuspended {
        /// Its user id.
        caller: Option<u32>,
    },
    /// An importer's share of the quarantine is full.
    QuarantineShareFull {
        /// Fingerprint of its key; `None`: the records that nobody signed.
        importer: Option<Hash>,
    },
    /// What everybody may have of the quarantine is full.
    QuarantineFull,
}

/// What an operator lets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "camelCase", deny_unknown_fields)]
pub enum Release {
    /// A ciphertext leaves the quarantine, whoever imported it. Its failure still counts.
    Ciphertext {
        /// SHA-256 of the ciphertext.
        ciphertext: Hash,
    },
    /// An importer's failures are forgotten; with `quarantine` its ciphertexts leave the quarantine too.
    Importer {
        /// Fingerprint of its key; null: the records that nobody signed.
        importer: Option<Hash>,
        /// Whether its ciphertexts leave the quarantine.
        quarantine: bool,
    },
    /// A caller's failures are forgotten.
    Caller {
        /// Its user id; null: those of whom it is not known.
        caller: Option<u32>,
    },
    /// How often an importer's ciphertexts were decrypted, and for how many devices, is forgotten, and what is taken of those that are not
    /// known any more. Its failures and its quarantine are as they were.
    Uses {
        /// Fingerprint of its key; null: the records that nobody signed.
        importer: Option<Hash>,
    },
}

/// How an importer or a caller stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Standing {
    /// The importer's fingerprint, or the caller's user id; null for records that nobody signed, or callers of whom it is not known.
    pub name: Option<String>,
    /// Distinct failing ciphertexts within the last hour.
    pub failures_hour: u32,
    /// Distinct failing ciphertexts within the last day.
    pub failures_day: u32,
    /// Until when it is suspended, in milliseconds since 1970; null while it is not.
    pub suspended_until_ms: Option<i64>,
}

/// A use that was admitted: it is in flight until it is given back to [`Ledger::ended`].
#[derive(Debug, PartialEq, Eq)]
#[must_use = "what is in flight counts until it is ended"]
pub struct Admission(flights::Place);

/// The state. Two ledgers that folded the same entries are equal, whatever is in flight.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    importers: Subjects<Option<Hash>>,
    callers: Subjects<Option<u32>>,
    quarantine: Quarantine,
    /// The operator was told that it is full.
    full_told: bool,
    /// Importers of whom the operator was told that their share is.
    full_shares_told: BTreeSet<Option<Hash>>,
    uses: Uses,
    flights: Flights,
    /// Of the last entry: what a snapshot is made at.
    latest_ms: i64,
}

impl Ledger {
    /// Whether this may be asked of a token now. What is admitted is in flight until it is given to [`ended`](Self::ended).
    ///
    /// # Errors
    /// [`Denied`]; [`Denied::InFlight`] alone may be over in a moment.
    pub fn admit(
        &mut self,
        now_ms: i64,
        asked: &Asked,
        limits: &Limits,
    ) -> Result<Admission, Denied> {
        let id = asked.id();
        let before = asked.id_before();
        let is_held = |id| self.quarantine.contains(id);
        if is_held(&id) || before.as_ref().is_some_and(is_held) {
            return Err(Denied::Quarantined);
        }
        if before.is_some()
            && let Some(until_ms) = self.importer_until(Some(asked::sealed_keys()), now_ms, limits)
        {
            return Err(Denied::ImporterSuspended { until_ms });
        }
        if let Some(until_ms) = self.importer_until(asked.importer, now_ms, limits) {
            return Err(Denied::ImporterSuspended { until_ms });
        }
        if let Some(until_ms) = self.caller_until(asked.caller, now_ms, limits) {
            return Err(Denied::CallerSuspended { until_ms });
        }
        if self.flights.has_failed(&id) {
            return Err(Denied::Quarantined);
        }
        self.within_limits(now_ms, &id, asked, limits)?;
        if let Some(before) = before.filter(|before| self.uses.knows(before)) {
            self.within_limits(now_ms, &before, asked, limits)?;
        }
        let count = self.uses.of(&id, asked.owner(), now_ms);
        let may_fail = !count.is_proven_for(asked.opens());
        if may_fail && !self.flights.is_reserved(&id) {
            self.reserve(now_ms, asked, limits)?;
        }
        Ok(Admission(self.flights.begin(id, asked, may_fail)))
    }

    /// That this ciphertext was not used as often, or for as many devices, as it may be.
    fn within_limits(
        &self,
        now_ms: i64,
        id: &CiphertextId,
        asked: &Asked,
        limits: &Limits,
    ) -> Result<(), Denied> {
        let count = self.uses.of(id, asked.owner(), now_ms);
        let (holders, others) = self.flights.of(id);
        if count.uses().saturating_add(holders) >= limits.uses_per_ciphertext.max(1) {
            return Err(Denied::UsedTooOften);
        }
        if let Some(device) = asked.device()
            && !count.has_device(device)
        {
            let mut coming: Vec<_> = others
                .iter()
                .filter(|other| **other != device && !count.has_device(**other))
                .collect();
            coming.sort_unstable();
            coming.dedup();
            let coming = u32::try_from(coming.len()).unwrap_or(u32::MAX);
            if count.devices().saturating_add(coming) >= limits.devices_per_ciphertext.max(1) {
                return Err(Denied::TooManyDevices);
            }
        }
        Ok(())
    }

    /// Whether there is room for one more ciphertext that might fail.
    fn reserve(&self, now_ms: i64, asked: &Asked, limits: &Limits) -> Result<(), Denied> {
        match self.quarantine.room(&asked.importer, 0, 0) {
            Room::Free => {}
            Room::NotOfThisImporter => return Err(Denied::QuarantineShareFull),
            Room::Nowhere => return Err(Denied::QuarantineFull),
        }
        let has_room = |failed: u32, in_flight: u32, budget: u32| {
            failed.saturating_add(in_flight) < budget.max(1)
        };
        let importer = self.importers.of(&asked.importer);
        let caller = self.callers.of(&asked.caller);
        let of_importer = self.flights.of_importer(asked.importer);
        let of_caller = self.flights.of_caller(asked.caller);
        let fits = has_room(
            importer.within(now_ms, HOUR),
            of_importer,
            limits.importer_per_hour,
        ) && has_room(
            importer.within(now_ms, DAY),
            of_importer,
            limits.importer_per_day,
        ) && has_room(
            caller.within(now_ms, HOUR),
            of_caller,
            limits.caller_per_hour,
        ) && self.quarantine.room(
            &asked.importer,
            usize::try_from(of_importer).unwrap_or(usize::MAX),
            self.flights.unproven(),
        ) == Room::Free;
        if fits { Ok(()) } else { Err(Denied::InFlight) }
    }

    /// What was admitted is known not to fail, although it has not ended: it needs its room no longer.
    pub fn worked(&mut self, admission: &Admission) {
        self.flights.worked(&admission.0);
    }

    /// What was admitted is known to fail, although that is not recorded yet: nobody else is admitted with it meanwhile.
    pub fn failed(&mut self, admission: &Admission) {
        self.flights.failed(&admission.0);
    }

    /// What was admitted has ended, and what came of it has been folded in.
    pub fn ended(&mut self, admission: Admission) {
        self.flights.end(admission.0);
    }

    /// Folds one use in. `by_token` is false for a result that somebody else's decryption gave.
    pub fn used(&mut self, time_ms: i64, asked: &Asked, ended: Ended, by_token: bool) {
        let id = asked.id();
        let one = OneUse {
            owner: asked.owner(),
            by_token,
            device: asked.device(),
            opens: asked.opens(),
            delivered: ended == Ended::Delivered,
        };
        if by_token || one.delivered {
            self.uses.add(time_ms, id, one, MOST_DEVICES);
        }
        if ended == Ended::Bad {
            self.importers
                .of_mut(asked.importer, time_ms)
                .add(time_ms, id);
            self.callers.of_mut(asked.caller, time_ms).add(time_ms, id);
            self.quarantine.add(
                id,
                Quarantined {
                    since_ms: time_ms,
                    importer: asked.importer,
                    ciphertext: asked.ciphertext,
                },
            );
        }
    }

    /// Folds in that an operator let somebody or something go.
    pub fn released(&mut self, release: &Release) {
        match release {
            Release::Ciphertext { ciphertext } => self
                .quarantine
                .release(|_, quarantined| quarantined.ciphertext == *ciphertext),
            Release::Importer {
                importer,
                quarantine,
            } => {
                self.importers.forget(importer);
                if *quarantine {
                    self.quarantine
                        .release(|_, quarantined| quarantined.importer == *importer);
                }
            }
            Release::Caller { caller } => self.callers.forget(caller),
            Release::Uses { importer } => self.uses.forget(asked::owner_of(*importer)),
        }
        self.full_told &= self.quarantine.is_full();
        let full: BTreeSet<_> = self.quarantine.full_shares().collect();
        self.full_shares_told.retain(|told| full.contains(told));
    }

    /// Folds in that an operator was told.
    pub fn alarmed(&mut self, time_ms: i64, alarm: &Alarm) {
        match alarm {
            Alarm::ImporterSuspended { importer } => {
                self.importers.of_mut(*importer, time_ms).alarmed(time_ms);
            }
            Alarm::CallerSuspended { caller } => {
                self.callers.of_mut(*caller, time_ms).alarmed(time_ms);
            }
            Alarm::QuarantineShareFull { importer } => {
                self.full_shares_told.insert(*importer);
            }
            Alarm::QuarantineFull => self.full_told = true,
        }
    }

    /// What an operator has to be told and was not yet.
    #[must_use]
    pub fn alarms_due(&self, now_ms: i64, limits: &Limits) -> Vec<Alarm> {
        let importers = self
            .importers
            .iter()
            .filter(|(name, failures)| {
                failures.is_news() && self.importer_until(**name, now_ms, limits).is_some()
            })
            .map(|(importer, _)| Alarm::ImporterSuspended {
                importer: *importer,
            });
        let callers = self
            .callers
            .iter()
            .filter(|(name, failures)| {
                failures.is_news() && self.caller_until(**name, now_ms, limits).is_some()
            })
            .map(|(caller, _)| Alarm::CallerSuspended { caller: *caller });
        let shares = self
            .quarantine
            .full_shares()
            .filter(|importer| !self.full_shares_told.contains(importer))
            .map(|importer| Alarm::QuarantineShareFull { importer });
        let is_full = self.quarantine.is_full() && !self.full_told;
        importers
            .chain(callers)
            .chain(shares)
            .chain(is_full.then_some(Alarm::QuarantineFull))
            .collect()
    }

    fn importer_until(&self, importer: Option<Hash>, now_ms: i64, limits: &Limits) -> Option<i64> {
        self.importers.of(&importer).suspended_until(
            now_ms,
            limits.importer_per_hour,
            Some(limits.importer_per_day),
        )
    }

    fn caller_until(&self, caller: Option<u32>, now_ms: i64, limits: &Limits) -> Option<i64> {
        self.callers
            .of(&caller)
            .suspended_until(now_ms, limits.caller_per_hour, None)
    }

    /// Every importer with a failure within a day.
    #[must_use]
    pub fn importers(&self, now_ms: i64, limits: &Limits) -> Vec<Standing> {
        self.importers
            .iter()
            .map(|(name, failures)| Standing {
                name: name.map(|importer| importer.to_string()),
                failures_hour: failures.within(now_ms, HOUR),
                failures_day: failures.within(now_ms, DAY),
                suspended_until_ms: self.importer_until(*name, now_ms, limits),
            })
            .filter(|standing| standing.failures_day > 0)
            .collect()
    }

    /// Every caller with a failure within a day.
    #[must_use]
    pub fn callers(&self, now_ms: i64, limits: &Limits) -> Vec<Standing> {
        self.callers
            .iter()
            .map(|(name, failures)| Standing {
                name: name.map(|caller| caller.to_string()),
                failures_hour: failures.within(now_ms, HOUR),
                failures_day: failures.within(now_ms, DAY),
                suspended_until_ms: self.caller_until(*name, now_ms, limits),
            })
            .filter(|standing| standing.failures_day > 0)
            .collect()
    }

    /// What is quarantined, by id.
    pub fn quarantined(&self) -> impl Iterator<Item = (&CiphertextId, &Quarantined)> {
        self.quarantine.iter()
    }

    /// How much is quarantined.
    #[must_use]
    pub fn quarantined_len(&self) -> usize {
        self.quarantine.len()
    }

    /// Whether a ciphertext is quarantined.
    #[must_use]
    pub fn is_quarantined(&self, id: &CiphertextId) -> bool {
        self.quarantine.contains(id)
    }
}
