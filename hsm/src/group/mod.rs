//! Several tokens with the same keys, as one custody.
//!
//! ```text
//!                 .- member "a": open    keys K1 K2    weight 600 --- a token
//!   decrypt(K1) --+- member "b": open    keys K1       weight 400 --- another one
//!                 '- member "c": failed  (somebody goes on opening it)
//! ```
//!
//! * A key is known by the fingerprint of its public key, whatever its label and its token.
//! * All tokens that have the key work (active-active), each as much as it can ([`MemberStatus::weight_per_mille`]).
//! * A token that is in trouble is avoided for a pause, and tried with one request after it. No input can bring that about.
//! * A request that a token could not do, or has no time for, goes to the next one, as long as there is time. A bad input does not:
//!   the first token has judged it, and no second one spends time on it.
//! * A token from which nothing comes back loses its requests to the others. Where it answers some and one does not come back, another
//!   token gets that one as well.
//! * A token that was in trouble and is well again may get the same request again.
//! * A drained token finishes what it has in hand and gets nothing new.
//! * A request that is slow may be begun on a second token (hedged): the first answer counts.

mod alarm;
mod breaker;
mod choice;
mod course;
mod encryption;
mod hedging;
mod member;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use member::{MemberState, MemberStatus};

use crate::clock::Clock;
use crate::custody::Answer;
use crate::{
    Capabilities, Custody, Error, Health, KeyFingerprint, KeyInfo, Label, Load, Padding,
    SecretBytes, Terms, TokenInfo,
};
use alarm::Alarm;
use choice::{Turns, weights};
use course::Course;
use hedging::Budgets;
use member::{Member, Tier};

/// Most tokens of a group.
pub const MAX_MEMBERS: usize = 16;
/// How long a list of keys waits for a token before it shows what that was last seen to have.
const LIST_LIMIT: Duration = Duration::from_millis(600);

/// How a group behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupSettings {
    /// A decryption that takes longer than so many of 1000 of late is begun on a second token. At most one of ten is. `None`: none is.
    pub hedge_per_mille: Option<u64>,
}

/// What a group has done by itself, since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupFigures {
    /// Requests that went to another token after one was in trouble or had no time.
    pub failovers: u64,
    /// Requests that went to another token because nothing came back from theirs.
    pub rescues: u64,
    /// Slow requests that were begun a second time.
    pub hedges: u64,
    /// Those of them that the second token answered first.
    pub hedges_won: u64,
}

struct Inner {
    members: Vec<Member>,
    settings: GroupSettings,
    clock: Arc<dyn Clock>,
    turns: Mutex<Turns>,
    budgets: Mutex<Budgets>,
    alarm: Alarm<Course>,
    failovers: AtomicU64,
    rescues: AtomicU64,
    hedges: AtomicU64,
    hedges_won: AtomicU64,
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Several tokens as one custody. It opens none: whoever does tells it so.
///
/// Dropping it drops its tokens, each of which waits for what it has in hand.
pub struct Group {
    inner: Arc<Inner>,
    watching: Option<JoinHandle<()>>,
}

impl Group {
    /// A group of tokens of these names, all of them being opened.
    ///
    /// # Errors
    /// [`Error::Members`] for none, more than [`MAX_MEMBERS`], or two of one name.
    pub fn new(
        names: impl IntoIterator<Item = String>,
        settings: GroupSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let mut group = Self::unwatched(names, settings, clock)?;
        let inner = Arc::clone(&group.inner);
        let watching = std::thread::Builder::new()
            .name("hsm-group".to_owned())
            .spawn(move || {
                while inner.alarm.wait(|| inner.clock.now()) {
                    inner.look_at_due();
                }
            })
            .map_err(|_| Error::Internal("a thread could not be started"))?;
        group.watching = Some(watching);
        Ok(group)
    }

    /// One whose alarms ring only when somebody looks.
    fn unwatched(
        names: impl IntoIterator<Item = String>,
        settings: GroupSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let mut members: Vec<Member> = Vec::new();
        for name in names {
            if members.len() >= MAX_MEMBERS || members.iter().any(|member| member.name == name) {
                return Err(Error::Members);
            }
            members.push(Member::new(name));
        }
        if members.is_empty() {
            return Err(Error::Members);
        }
        Ok(Self {
            inner: Arc::new(Inner {
                members,
                settings,
                clock,
                turns: Mutex::default(),
                budgets: Mutex::default(),
                alarm: Alarm::new(),
                failovers: AtomicU64::new(0),
                rescues: AtomicU64::new(0),
                hedges: AtomicU64::new(0),
                hedges_won: AtomicU64::new(0),
            }),
            watching: None,
        })
    }

    fn member(&self, name: &str) -> Option<&Member> {
        self.inner.members.iter().find(|member| member.name == name)
    }

    /// The token of this name is open: its keys are listed, and requests go to it.
    ///
    /// # Errors
    /// Of the list; the token is not taken then. [`Error::Members`]: there is none of this name.
    pub fn opened(&self, name: &str, custody: Arc<dyn Custody>) -> Result<(), Error> {
        let member = self.member(name).ok_or(Error::Members)?;
        let keys = custody.keys()?;
        member.open(custody, keys);
        Ok(())
    }

    /// The token of this name is being opened, anew if it was open: no requests go to it. Nothing happens where there is none.
    pub fn opening(&self, name: &str) {
        if let Some(member) = self.member(name) {
            member.close(None);
        }
    }

    /// The token of this name cannot be opened, or was closed, because of `problem`. Nothing happens where there is none.
    pub fn failed(&self, name: &str, problem: String) {
        if let Some(member) = self.member(name) {
            member.close(Some(problem));
        }
    }

    /// Gives no new requests to a token; what it has in hand it finishes ([`MemberStatus::in_hand`]). `false`: there is none of this name.
    pub fn drain(&self, name: &str) -> bool {
        let member = self.member(name);
        member.inspect(|member| member.set_drained(true)).is_some()
    }

    /// Gives requests to a token again. `false`: there is none of this name.
    pub fn undrain(&self, name: &str) -> bool {
        let member = self.member(name);
        member.inspect(|member| member.set_drained(false)).is_some()
    }

    /// Whether some token is open and not drained.
    #[must_use]
    pub fn serves(&self) -> bool {
        self.inner
            .members
            .iter()
            .any(|member| member.serves().is_some())
    }

    /// Every token, in the order of the group.
    #[must_use]
    pub fn members(&self) -> Vec<MemberStatus> {
        let now = self.inner.clock.now();
        let serving: Vec<_> = self
            .inner
            .members
            .iter()
            .map(|member| member.serves().is_some() && member.admits(now))
            .collect();
        let fitness: Vec<_> = self
            .inner
            .members
            .iter()
            .map(|member| member.fitness(now))
            .collect();
        let weights: Vec<_> = weights(&fitness)
            .into_iter()
            .zip(serving)
            .map(|(weight, serves)| if serves { weight } else { 0 })
            .collect();
        let total = weights.iter().sum::<u64>().max(1);
        self.inner
            .members
            .iter()
            .zip(weights)
            .map(|(member, weight)| {
                let share = u32::try_from(weight * 1000 / total).unwrap_or(1000);
                member.status(now, share)
            })
            .collect()
    }

    /// What it has done by itself.
    #[must_use]
    pub fn figures(&self) -> GroupFigures {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        GroupFigures {
            failovers: get(&self.inner.failovers),
            rescues: get(&self.inner.rescues),
            hedges: get(&self.inner.hedges),
            hedges_won: get(&self.inner.hedges_won),
        }
    }

    /// Every key, read afresh, with the names of the tokens that can use it (that have it, if none can); of several copies the one with
    /// the fewest problems is shown. A token that is not open, or does not answer in time, is shown with the keys that it was last seen
    /// to have.
    ///
    /// # Errors
    /// [`Error::NoTokenServes`] if none is open; that of a token if none answered with its keys.
    pub fn copies(&self) -> Result<Vec<(KeyInfo, Vec<String>)>, Error> {
        self.inner.list_all()?;
        let mut copies: BTreeMap<KeyFingerprint, (KeyInfo, Vec<String>)> = BTreeMap::new();
        for member in &self.inner.members {
            for key in member.keys() {
                let (shown, names) = copies
                    .entry(key.fingerprint)
                    .or_insert_with(|| (key.clone(), Vec::new()));
                if key.is_usable() != shown.is_usable() {
                    if !key.is_usable() {
                        continue;
                    }
                    // Tokens that have it and may not use it are no copies.
                    names.clear();
                }
                if key.problems.len() < shown.problems.len() {
                    *shown = key;
                }
                if !names.contains(&member.name) {
                    names.push(member.name.clone());
                }
            }
        }
        Ok(copies.into_values().collect())
    }
}

impl Inner {
    /// The token that gets a request next: of those of the best tier, the one whose turn it is.
    fn choose(
        &self,
        key: &KeyFingerprint,
        padding: Padding,
        tried: &[usize],
        now: Duration,
    ) -> Option<usize> {
        let tiers = self.tiers(key, padding, tried, now);
        let best = tiers.iter().map(|(_, tier)| *tier).min()?;
        let places = tiers
            .into_iter()
            .filter(|(_, tier)| *tier == best)
            .map(|(place, _)| place);
        self.whose_turn(places.collect(), now)
    }

    fn tiers(
        &self,
        key: &KeyFingerprint,
        padding: Padding,
        tried: &[usize],
        now: Duration,
    ) -> Vec<(usize, Tier)> {
        self.members
            .iter()
            .enumerate()
            .filter(|(place, _)| !tried.contains(place))
            .filter_map(|(place, member)| Some((place, member.tier(key, padding, now)?)))
            .collect()
    }

    fn whose_turn(&self, places: Vec<usize>, now: Duration) -> Option<usize> {
        if let [only] = places.as_slice() {
            return Some(*only);
        }
        let fitness: Vec<_> = places
            .iter()
            .filter_map(|place| self.members.get(*place))
            .map(|member| member.fitness(now))
            .collect();
        let candidates: Vec<_> = places.into_iter().zip(weights(&fitness)).collect();
        self.turns
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .choose(&candidates)
    }

    fn has_another_holder(
        &self,
        key: &KeyFingerprint,
        padding: Padding,
        tried: &[usize],
        now: Duration,
    ) -> bool {
        self.tiers(key, padding, tried, now)
            .iter()
            .any(|(_, tier)| *tier == Tier::Good)
    }

    /// The time that such a request takes at another token that is well, as far as that is known (or none). `None`: there is none.
    fn time_of_another(
        &self,
        key: &KeyFingerprint,
        padding: Padding,
        tried: &[usize],
        now: Duration,
    ) -> Option<Duration> {
        self.tiers(key, padding, tried, now)
            .into_iter()
            .filter(|(_, tier)| *tier == Tier::Good)
            .filter_map(|(place, _)| self.members.get(place))
            .map(|member| member.slow_from(950).unwrap_or_default())
            .min()
    }

    /// Whether nothing speaks against this token.
    fn is_good(&self, place: usize, key: &KeyFingerprint, padding: Padding, now: Duration) -> bool {
        let member = self.members.get(place);
        member.and_then(|member| member.tier(key, padding, now)) == Some(Tier::Good)
    }

    fn budgets(&self) -> std::sync::MutexGuard<'_, Budgets> {
        self.budgets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_hedge(&self) -> bool {
        self.budgets().hedges.take()
    }

    fn take_move(&self) -> bool {
        self.budgets().moves.take()
    }

    fn look_at_due(self: &Arc<Self>) {
        for course in self.alarm.take_due(self.clock.now()) {
            course.look(self);
        }
    }

    /// Has every open token list its keys; one that hangs is not waited for, nor asked a second time.
    fn list_all(self: &Arc<Self>) -> Result<(), Error> {
        let (sender, receiver) = channel();
        let mut asked = 0_usize;
        for (place, member) in self.members.iter().enumerate() {
            let Some((custody, epoch)) = member.begin_listing() else {
                continue;
            };
            let (inner, sender) = (Arc::clone(self), sender.clone());
            let list = move || {
                let listed = custody.keys();
                drop(custody);
                let (keys, error) = match listed {
                    Ok(keys) => (Some(keys), None),
                    Err(error) => (None, Some(error)),
                };
                if let Some(member) = inner.members.get(place) {
                    member.end_listing(epoch, keys);
                }
                // Nobody waits any more if it took too long.
                let _ = sender.send(error);
            };
            let started = std::thread::Builder::new()
                .name("hsm-list".to_owned())
                .spawn(list);
            match started {
                Ok(_) => asked += 1,
                Err(_) => member.end_listing(epoch, None),
            }
        }
        drop(sender);
        let until = Instant::now() + LIST_LIMIT;
        let mut answered = 0;
        let mut error = None;
        while answered < asked {
            let left = until.saturating_duration_since(Instant::now());
            match receiver.recv_timeout(left) {
                Ok(problem) => {
                    answered += 1;
                    error = error.or(problem);
                }
                Err(_) => break,
            }
        }
        let known = self.members.iter().any(|member| !member.keys().is_empty());
        match error {
            _ if self.members.iter().all(|member| member.custody().is_none()) => {
                Err(Error::NoTokenServes)
            }
            Some(error) if !known || self.members.len() == 1 => Err(error),
            _ => Ok(()),
        }
    }
}

impl Custody for Group {
    /// The first of the open ones.
    fn token(&self) -> TokenInfo {
        self.inner
            .members
            .iter()
            .find_map(|member| Some(member.custody()?.token()))
            .unwrap_or_else(TokenInfo::none)
    }

    /// What some serving token does; requests go to one that does it.
    fn capabilities(&self) -> Capabilities {
        let mut union = Capabilities::default();
        for custody in self.inner.members.iter().filter_map(Member::serves) {
            let one = custody.capabilities();
            for (into, from) in [
                (&mut union.native, one.native),
                (&mut union.software_unpadding, one.software_unpadding),
                (&mut union.encrypt_native, one.encrypt_native),
            ] {
                for padding in from {
                    if !into.contains(&padding) {
                        into.push(padding);
                    }
                }
            }
            for (into, from) in [
                (&mut union.pkcs1_native, one.pkcs1_native),
                (&mut union.pkcs1_software, one.pkcs1_software),
            ] {
                into.extend(from);
                into.sort_unstable();
                into.dedup();
            }
        }
        union
    }

    fn keys(&self) -> Result<Vec<KeyInfo>, Error> {
        let copies = self.copies()?;
        Ok(copies.into_iter().map(|(key, _)| key).collect())
    }

    fn begin_decrypt(
        &self,
        key: &KeyFingerprint,
        padding: Padding,
        label: &Label,
        ciphertext: &[u8],
        terms: Terms,
        answer: Answer,
    ) {
        self.inner.budgets().request();
        let now = self.inner.clock.now();
        let asked = course::Asked {
            key: *key,
            padding,
            label: label.clone(),
            ciphertext: ciphertext.to_vec(),
        };
        Course::new(asked, terms, now, answer).start(&self.inner);
    }

    /// By any token that does the padding; the next one if that is in trouble, or has not answered in half of the time that is left; and
    /// if every one was, each once more.
    fn encrypt_with_label(
        &self,
        public_key_spki: &[u8],
        padding: Padding,
        label: &Label,
        plaintext: &SecretBytes,
        terms: Terms,
    ) -> Result<Vec<u8>, Error> {
        let asked = encryption::Asked {
            public_key_spki,
            padding,
            label,
            plaintext,
        };
        self.inner.encrypt(&asked, terms)
    }

    /// The sum; the oldest of the calls; in need of a restart if one of them is.
    fn health(&self) -> Health {
        let mut sum = Health {
            load: Load::default(),
            ..Health::default()
        };
        for custody in self.inner.members.iter().filter_map(Member::custody) {
            sum.merge(&custody.health());
        }
        sum
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.inner.alarm.close();
        if let Some(watching) = self.watching.take()
            && watching.thread().id() != std::thread::current().id()
        {
            // It panics only if something of a caller's does.
            let _ = watching.join();
        }
    }
}

#[cfg(test)]
mod tests;
