//! One token of a group: what state it is in, what it has in hand, how it does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::breaker::{Breaker, Verdict};
use super::choice::Fitness;
use super::hedging::Recent;
use crate::{
    Capabilities, Custody, Error, ErrorClass, Health, KeyFingerprint, KeyInfo, Padding, TokenInfo,
};

/// Of the means, how much a new value counts: one part of so many.
const MEMORY: u32 = 8;
/// How old a limit may be that was read from the token's own figures.
const LIMIT_AGE: Duration = Duration::from_millis(100);
/// How long a token that said that it lacks a key is believed without asking it again.
const LACKS_FOR: Duration = Duration::from_secs(5);
/// Keys that are remembered as lacking, at most.
const MOST_LACKING: usize = 64;

/// Whether a token of a group is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MemberState {
    /// It is being opened for the first time, or again.
    Opening,
    /// Requests go to it, unless it is drained.
    Open,
    /// It cannot be opened; somebody goes on trying.
    Failed,
}

struct Cell {
    custody: Option<Arc<dyn Custody>>,
    problem: Option<String>,
    drained: bool,
    /// Counts the openings: what an earlier one's requests say is of no interest any more.
    epoch: u64,
    /// It was open once: its keys are known.
    was_open: bool,
    keys: Vec<KeyInfo>,
    lacks: HashMap<KeyFingerprint, Duration>,
    /// Keys that it has and did not find when it was asked for them. It may be in trouble, or somebody has destroyed them.
    missed: HashMap<KeyFingerprint, Breaker>,
    breaker: Breaker,
    recent: Recent,
    latency: Option<Duration>,
    well_per_mille: u32,
    in_hand: usize,
    limit: usize,
    limit_read: Option<Duration>,
    last_end: Duration,
    listing: bool,
    requests: u64,
    failures: u64,
}

/// A token of a group.
pub(super) struct Member {
    pub(super) name: String,
    cell: Mutex<Cell>,
}

/// A request that was given to a token.
pub(super) struct Attempt {
    pub(super) custody: Arc<dyn Custody>,
    key: Option<KeyFingerprint>,
    epoch: u64,
    began: Duration,
}

/// How well a token is placed for a request; the better the smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tier {
    /// It has the key, does the padding, and is well.
    Good,
    /// It has the key, but failed a moment ago or was not seen to do the padding.
    Doubtful,
    /// It was not seen to have the key. It may have got it since.
    Stranger,
}

/// What a token of a group shows of itself.
#[derive(Clone, Debug)]
pub struct MemberStatus {
    /// Its name in the group.
    pub name: String,
    /// Whether it is there.
    pub state: MemberState,
    /// Why not.
    pub problem: Option<String>,
    /// No new requests go to it, because somebody wants to work on it.
    pub drained: bool,
    /// Requests of the group that it has in hand. A drained token may be taken away at zero.
    pub in_hand: usize,
    /// For how much longer it is avoided after a failure, in milliseconds.
    pub avoided_ms: Option<u64>,
    /// Share of the requests that it would get now, in thousandths.
    pub weight_per_mille: u32,
    /// Requests given to it.
    pub requests: u64,
    /// Those that failed because of it.
    pub failures: u64,
    /// The usable keys that it was last seen to have.
    pub keys: Vec<KeyFingerprint>,
    /// What the token says of itself, while it is open.
    pub token: Option<TokenInfo>,
    /// What it was seen to do, while it is open.
    pub capabilities: Option<Capabilities>,
    /// Its counters, while it is open.
    pub health: Option<Health>,
}

/// What an error says about the token. No input can bring it into trouble, nor out of it, by naming a key that is not there.
fn verdict(error: &Error) -> Verdict {
    match error {
        Error::UnknownKey(_) | Error::KeyVanished(_) => Verdict::Unknown,
        Error::Pin(_) => Verdict::Sick,
        _ => match error.class() {
            ErrorClass::BadInput => Verdict::Well,
            ErrorClass::Token => Verdict::Sick,
            ErrorClass::Busy | ErrorClass::Configuration | ErrorClass::Bug => Verdict::Unknown,
        },
    }
}

impl Cell {
    fn lacks(&self, key: &KeyFingerprint, now: Duration) -> bool {
        let asked = self.lacks.get(key);
        asked.is_some_and(|asked| now.saturating_sub(*asked) < LACKS_FOR)
    }

    /// Notes whether one of its keys was found. One that was not is asked of others for a pause, and no other key is the worse for it.
    fn found(&mut self, key: KeyFingerprint, failure: Option<&Error>, now: Duration) {
        match failure {
            None => drop(self.missed.remove(&key)),
            Some(Error::KeyVanished(_)) if has(&self.keys, &key) => {
                let missed = self.missed.entry(key).or_insert_with(Breaker::new);
                missed.end(Verdict::Sick, now);
            }
            Some(_) => {
                if let Some(missed) = self.missed.get_mut(&key) {
                    missed.end(Verdict::Unknown, now);
                }
            }
        }
    }
}

impl Member {
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            cell: Mutex::new(Cell {
                custody: None,
                problem: None,
                drained: false,
                epoch: 0,
                was_open: false,
                keys: Vec::new(),
                lacks: HashMap::new(),
                missed: HashMap::new(),
                breaker: Breaker::new(),
                recent: Recent::default(),
                latency: None,
                well_per_mille: 1000,
                in_hand: 0,
                limit: 1,
                limit_read: None,
                last_end: Duration::ZERO,
                listing: false,
                requests: 0,
                failures: 0,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Cell> {
        self.cell.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes requests from now on, with these keys.
    pub(super) fn open(&self, custody: Arc<dyn Custody>, keys: Vec<KeyInfo>) {
        let mut cell = self.lock();
        let before = cell.custody.replace(custody);
        cell.problem = None;
        cell.epoch = cell.epoch.wrapping_add(1);
        cell.was_open = true;
        cell.keys = keys;
        cell.lacks.clear();
        cell.missed.clear();
        cell.breaker = Breaker::new();
        cell.recent = Recent::default();
        cell.latency = None;
        cell.well_per_mille = 1000;
        cell.limit_read = None;
        drop(cell);
        // Closing it may take long.
        drop(before);
    }

    /// Takes no requests, because of this problem; `None`: it is being opened.
    pub(super) fn close(&self, problem: Option<String>) {
        let mut cell = self.lock();
        let before = cell.custody.take();
        cell.problem = problem;
        cell.epoch = cell.epoch.wrapping_add(1);
        drop(cell);
        drop(before);
    }

    pub(super) fn set_drained(&self, drained: bool) {
        self.lock().drained = drained;
    }

    pub(super) fn custody(&self) -> Option<Arc<dyn Custody>> {
        self.lock().custody.clone()
    }

    /// It is open and not drained.
    pub(super) fn serves(&self) -> Option<Arc<dyn Custody>> {
        let cell = self.lock();
        cell.custody.clone().filter(|_| !cell.drained)
    }

    /// Whether it was last seen to have a usable key of this fingerprint, open or not, or was never seen.
    pub(super) fn may_have(&self, key: &KeyFingerprint) -> bool {
        let cell = self.lock();
        !cell.was_open || has(&cell.keys, key)
    }

    /// Whether it serves, and said a short while ago that it lacks this key.
    pub(super) fn lacks(&self, key: &KeyFingerprint, now: Duration) -> bool {
        let cell = self.lock();
        cell.custody.is_some() && !cell.drained && cell.lacks(key, now)
    }

    /// How well it is placed for a decryption; `None`: not at all.
    pub(super) fn tier(
        &self,
        key: &KeyFingerprint,
        padding: Padding,
        now: Duration,
    ) -> Option<Tier> {
        let custody = self.serves()?;
        // Asked outside of the lock: it is somebody else's code.
        let capabilities = custody.capabilities();
        let does = capabilities == Capabilities::default() || capabilities.decrypts(key, padding);
        let cell = self.lock();
        if !has(&cell.keys, key) {
            return (!cell.lacks(key, now)).then_some(Tier::Stranger);
        }
        let misses = cell.missed.get(key);
        let finds = misses.is_none_or(|missed| missed.admits(now));
        Some(if does && finds && cell.breaker.admits(now) {
            Tier::Good
        } else {
            Tier::Doubtful
        })
    }

    /// Whether nothing keeps requests from it but its state.
    pub(super) fn admits(&self, now: Duration) -> bool {
        self.lock().breaker.admits(now)
    }

    pub(super) fn fitness(&self, now: Duration) -> Fitness {
        self.read_limit(now);
        let cell = self.lock();
        Fitness {
            latency: cell.latency,
            limit: cell.limit,
            in_hand: cell.in_hand,
            well_per_mille: cell.well_per_mille,
        }
    }

    fn read_limit(&self, now: Duration) {
        let custody = {
            let mut cell = self.lock();
            let fresh = |read| now.saturating_sub(read) < LIMIT_AGE;
            if cell.limit_read.is_some_and(fresh) {
                return;
            }
            cell.limit_read = Some(now);
            cell.custody.clone()
        };
        if let Some(custody) = custody {
            let limit = custody.health().load.limit;
            self.lock().limit = limit.max(1);
        }
    }

    /// Gives it a request, for this key if it is for one of its own. `None`: it is not open any more.
    pub(super) fn begin(&self, key: Option<&KeyFingerprint>, now: Duration) -> Option<Attempt> {
        let mut cell = self.lock();
        let custody = cell.custody.clone()?;
        cell.in_hand += 1;
        cell.requests = cell.requests.saturating_add(1);
        cell.breaker.begin(now);
        if let Some(missed) = key.and_then(|key| cell.missed.get_mut(key)) {
            missed.begin(now);
        }
        Some(Attempt {
            custody,
            key: key.copied(),
            epoch: cell.epoch,
            began: now,
        })
    }

    /// The request has come back; `failure` is what is wrong, if anything is.
    pub(super) fn end(&self, attempt: &Attempt, failure: Option<&Error>, now: Duration) {
        let verdict = failure.map_or(Verdict::Well, verdict);
        let took = now.saturating_sub(attempt.began);
        let mut cell = self.lock();
        cell.in_hand = cell.in_hand.saturating_sub(1);
        cell.last_end = now;
        if verdict == Verdict::Sick {
            cell.failures = cell.failures.saturating_add(1);
        }
        if attempt.epoch != cell.epoch {
            return;
        }
        cell.breaker.end(verdict, now);
        if let Some(key) = attempt.key {
            cell.found(key, failure, now);
        }
        let well = match verdict {
            Verdict::Well => 1000,
            Verdict::Sick => 0,
            Verdict::Unknown => return,
        };
        cell.well_per_mille = (cell.well_per_mille * (MEMORY - 1) + well) / MEMORY;
        if failure.is_none() {
            cell.recent.add(took);
            cell.latency = Some(cell.latency.map_or(took, |mean| {
                mean.saturating_mul(MEMORY - 1).saturating_add(took) / MEMORY
            }));
        }
    }

    /// It was asked for this key just now, and said that it has it, or has it not.
    pub(super) fn learn(&self, key: &KeyFingerprint, has_it: bool, now: Duration) {
        let mut cell = self.lock();
        if has_it {
            cell.lacks.remove(key);
            return;
        }
        cell.keys.retain(|known| known.fingerprint != *key);
        cell.missed.remove(key);
        if cell.lacks.len() >= MOST_LACKING {
            cell.lacks
                .retain(|_, asked| now.saturating_sub(*asked) < LACKS_FOR);
        }
        if cell.lacks.len() < MOST_LACKING {
            cell.lacks.insert(*key, now);
        }
    }

    /// Nothing has come back from it since `time`, although a request was there.
    pub(super) fn is_stalled_since(&self, time: Duration) -> bool {
        self.lock().last_end <= time
    }

    /// It is avoided for a while, because nothing comes back from it.
    pub(super) fn stalls(&self, now: Duration) {
        let mut cell = self.lock();
        cell.failures = cell.failures.saturating_add(1);
        cell.breaker.end(Verdict::Sick, now);
    }

    /// The time from which a request there is slow.
    pub(super) fn slow_from(&self, per_mille: u64) -> Option<Duration> {
        self.lock().recent.slow_from(per_mille)
    }

    /// Whether somebody may ask it for its keys now: one at a time, because it may hang.
    pub(super) fn begin_listing(&self) -> Option<(Arc<dyn Custody>, u64)> {
        let mut cell = self.lock();
        if cell.listing {
            return None;
        }
        let custody = cell.custody.clone()?;
        cell.listing = true;
        Some((custody, cell.epoch))
    }

    /// The keys that it has, or `None` if it did not say.
    pub(super) fn end_listing(&self, epoch: u64, keys: Option<Vec<KeyInfo>>) {
        let mut cell = self.lock();
        cell.listing = false;
        if let Some(keys) = keys
            && epoch == cell.epoch
        {
            cell.keys = keys;
            cell.lacks.clear();
            cell.missed.clear();
        }
    }

    /// The keys that it was last seen to have.
    pub(super) fn keys(&self) -> Vec<KeyInfo> {
        self.lock().keys.clone()
    }

    pub(super) fn status(&self, now: Duration, weight_per_mille: u32) -> MemberStatus {
        let custody = self.custody();
        let token = custody.as_ref().map(|custody| custody.token());
        let capabilities = custody.as_ref().map(|custody| custody.capabilities());
        let health = custody.map(|custody| custody.health());
        let cell = self.lock();
        MemberStatus {
            token,
            capabilities,
            health,
            name: self.name.clone(),
            state: match (&cell.custody, &cell.problem) {
                (Some(_), _) => MemberState::Open,
                (None, Some(_)) => MemberState::Failed,
                (None, None) => MemberState::Opening,
            },
            problem: cell.problem.clone(),
            drained: cell.drained,
            in_hand: cell.in_hand,
            avoided_ms: cell
                .breaker
                .pause_left(now)
                .map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
            weight_per_mille,
            requests: cell.requests,
            failures: cell.failures,
            keys: cell
                .keys
                .iter()
                .filter(|key| key.is_usable())
                .map(|key| key.fingerprint)
                .collect(),
        }
    }
}

fn has(keys: &[KeyInfo], key: &KeyFingerprint) -> bool {
    keys.iter()
        .any(|known| known.fingerprint == *key && known.is_usable())
}
