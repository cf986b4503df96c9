//! The course of one decryption through a group: to a token, to the next one if that is in trouble or has no time, to a second one if
//! it is slow; until somebody has the answer or the time is over.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::alarm;
use super::{Inner, add};
use crate::custody::Answer;
use crate::{Error, ErrorClass, KeyFingerprint, Label, Lane, Padding, SecretBytes, Terms};

/// A token from which nothing comes back for this long (or twenty times what is usual) hangs.
const STALLED: Duration = Duration::from_secs(2);
const STALLED_TIMES: u32 = 20;

#[derive(Default)]
struct State {
    /// Taken by who answers.
    answer: Option<Answer>,
    /// Places of the tokens that were asked.
    tried: Vec<usize>,
    /// Those of them that have not answered, and since when.
    running: Vec<(usize, Duration)>,
    /// The place where the request was begun a second time because it was slow.
    hedged: Option<usize>,
    /// What to answer if nobody has anything better.
    error: Option<Error>,
    /// Every token was asked once in vain: now one is asked to go on trying until the deadline.
    persisting: bool,
    alarm: Option<alarm::Set>,
}

/// What is to be decrypted, and with what.
pub(super) struct Asked {
    pub(super) key: KeyFingerprint,
    pub(super) padding: Padding,
    pub(super) label: Label,
    pub(super) ciphertext: Vec<u8>,
}

/// One decryption.
pub(super) struct Course {
    asked: Asked,
    lane: Lane,
    own_thread: bool,
    started: Duration,
    until: Option<Duration>,
    state: Mutex<State>,
}

/// Whether no other token could do what this one did not. What the mode forbids is not final: it may forbid one token's way and not
/// another's, and another one may have been asked before.
pub(super) fn is_final(error: &Error) -> bool {
    match error {
        Error::UnknownKey(_)
        | Error::KeyRefused { .. }
        | Error::PaddingNotSupported(_)
        | Error::LabelNotSupported(_)
        | Error::Policy(_) => false,
        // The token has judged the input.
        _ => error.class() == ErrorClass::BadInput,
    }
}

/// Of several errors, the one that says most about why there is no answer.
fn rank(error: &Error) -> u8 {
    match (error, error.class()) {
        (Error::UnknownKey(_), _) => 0,
        (
            Error::KeyRefused { .. }
            | Error::PaddingNotSupported(_)
            | Error::LabelNotSupported(_)
            | Error::Policy(_),
            _,
        ) => 1,
        (_, ErrorClass::Busy) => 2,
        (_, ErrorClass::Token) => 4,
        _ => 3,
    }
}

impl Course {
    pub(super) fn new(asked: Asked, terms: Terms, now: Duration, answer: Answer) -> Arc<Self> {
        Arc::new(Self {
            asked,
            lane: terms.lane,
            own_thread: terms.own_thread,
            started: now,
            until: terms.within.map(|within| now.saturating_add(within)),
            state: Mutex::new(State {
                answer: Some(answer),
                ..State::default()
            }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self, now: Duration) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// Begins.
    pub(super) fn start(self: &Arc<Self>, inner: &Arc<Inner>) {
        // It may have been answered already, on this thread.
        if self.go_on(inner) && self.lock().answer.is_some() {
            self.set_alarm(inner);
        }
    }

    /// Gives the request to the next token. If there is none and nobody works on it, it ends. Whether it was given to one.
    fn go_on(self: &Arc<Self>, inner: &Arc<Inner>) -> bool {
        loop {
            let now = inner.clock.now();
            let tried = self.lock().tried.clone();
            let chosen = if self.is_over(now) {
                self.keep(Error::Deadline);
                None
            } else {
                inner.choose(&self.asked.key, self.asked.padding, &tried, now)
            };
            let Some(place) = chosen else {
                if self.persists(now) {
                    continue;
                }
                return self.end_if_nobody_works(inner);
            };
            {
                let mut state = self.lock();
                if state.answer.is_none() || state.tried.contains(&place) {
                    return false;
                }
                state.tried.push(place);
                state.running.push((place, now));
            }
            if self.give_to(inner, place, now) {
                return true;
            }
            // It was closed in this very moment.
            self.lock().running.retain(|(running, _)| *running != place);
        }
    }

    /// Whether to begin again from the first token: all were in trouble, and there is time for one of them to come out of it.
    fn persists(&self, now: Duration) -> bool {
        let mut state = self.lock();
        let in_trouble = state
            .error
            .as_ref()
            .is_some_and(|error| error.class() == ErrorClass::Token);
        let again = in_trouble
            && !state.persisting
            && state.tried.len() > 1
            && state.running.is_empty()
            && self.until.is_some_and(|until| now < until);
        if again {
            state.persisting = true;
            state.tried.clear();
        }
        again
    }

    fn give_to(self: &Arc<Self>, inner: &Arc<Inner>, place: usize, now: Duration) -> bool {
        let Some(attempt) = inner
            .members
            .get(place)
            .and_then(|member| member.begin(now))
        else {
            return false;
        };
        let custody = Arc::clone(&attempt.custody);
        let (tried, persisting) = {
            let state = self.lock();
            (state.tried.clone(), state.persisting)
        };
        let terms = Terms {
            // Of several tokens another one takes over from one that hangs: whoever does that must not hang with it.
            own_thread: self.own_thread && inner.members.len() == 1,
            within: self.until.map(|until| until.saturating_sub(now)),
            lane: self.lane,
            elsewhere: !persisting
                && inner.has_another_holder(&self.asked.key, self.asked.padding, &tried, now),
        };
        let (course, group) = (Arc::clone(self), Arc::clone(inner));
        let answer = Box::new(move |result: Result<SecretBytes, Error>| {
            let now = group.clock.now();
            if let Some(member) = group.members.get(place) {
                member.end(&attempt, result.as_ref().err(), now);
                match &result {
                    Ok(_) => member.learn(&course.asked.key, true, now),
                    Err(Error::UnknownKey(key)) => member.learn(key, false, now),
                    Err(_) => {}
                }
            }
            course.came_back(&group, place, result);
        });
        let Asked {
            key,
            padding,
            label,
            ciphertext,
        } = &self.asked;
        custody.begin_decrypt(key, *padding, label, ciphertext, terms, answer);
        true
    }

    fn came_back(
        self: &Arc<Self>,
        inner: &Arc<Inner>,
        place: usize,
        result: Result<SecretBytes, Error>,
    ) {
        let hedged = {
            let mut state = self.lock();
            state.running.retain(|(running, _)| *running != place);
            state.hedged
        };
        match result {
            Err(error) if !is_final(&error) => {
                let goes_elsewhere = matches!(
                    error.class(),
                    ErrorClass::Token | ErrorClass::Busy | ErrorClass::Bug
                );
                self.keep(error);
                if self.go_on(inner) && goes_elsewhere {
                    add(&inner.failovers);
                }
            }
            result => {
                if self.answer(inner, result) && hedged == Some(place) {
                    add(&inner.hedges_won);
                }
            }
        }
    }

    /// Remembers why there is no answer yet.
    fn keep(&self, error: Error) {
        let mut state = self.lock();
        if state
            .error
            .as_ref()
            .is_none_or(|kept| rank(&error) > rank(kept))
        {
            state.error = Some(error);
        }
    }

    fn end_if_nobody_works(&self, inner: &Inner) -> bool {
        let error = {
            let mut state = self.lock();
            if !state.running.is_empty() {
                return false;
            }
            state.error.take()
        };
        let error = match error {
            // Somebody else has it, who does not serve now.
            Some(Error::UnknownKey(_))
                if inner
                    .members
                    .iter()
                    .any(|member| member.has(&self.asked.key)) =>
            {
                Error::NoTokenServes
            }
            Some(error) => error,
            None => Error::NoTokenServes,
        };
        self.answer(inner, Err(error));
        false
    }

    /// Answers, unless somebody has. Whether this was the answer.
    fn answer(&self, inner: &Inner, result: Result<SecretBytes, Error>) -> bool {
        let (answer, alarm) = {
            let mut state = self.lock();
            (state.answer.take(), state.alarm.take())
        };
        if let Some(alarm) = alarm {
            inner.alarm.unset(alarm);
        }
        match answer {
            Some(answer) => {
                answer(result);
                true
            }
            None => false,
        }
    }

    /// How long the tokens that work on it may take before they are taken for slow, and for hanging.
    fn limits(&self, inner: &Inner) -> (Option<Duration>, Duration) {
        let per_mille = inner.settings.hedge_per_mille;
        let state = self.lock();
        let members = state
            .running
            .iter()
            .filter_map(|(place, _)| inner.members.get(*place));
        let mut usual = None;
        let mut slow = None;
        for member in members {
            usual = usual.max(member.slow_from(950));
            slow = slow.max(per_mille.and_then(|per_mille| member.slow_from(per_mille)));
        }
        let stalled = usual.unwrap_or_default().saturating_mul(STALLED_TIMES);
        (slow, stalled.max(STALLED))
    }

    fn set_alarm(self: &Arc<Self>, inner: &Arc<Inner>) {
        let now = inner.clock.now();
        let alone = inner.members.len() < 2;
        let (slow, stalled) = self.limits(inner);
        let stalled = match self.until {
            // Early enough for another token to do it.
            Some(until) => stalled.min(until.saturating_sub(self.started) / 2),
            None => stalled,
        };
        let hedged = self.lock().hedged.is_some();
        let next = [
            slow.filter(|_| !alone && !hedged),
            Some(stalled).filter(|_| !alone),
        ]
        .into_iter()
        .flatten()
        .map(|after| self.started.saturating_add(after))
        .filter(|time| *time > now)
        // After the first look at those that hang, one more each time.
        .chain((!alone).then(|| now.saturating_add(stalled)))
        .chain(self.until)
        .min();
        let Some(next) = next else {
            return;
        };
        let set = inner.alarm.set(next, Arc::clone(self));
        let mut state = self.lock();
        if state.answer.is_some() {
            state.alarm = Some(set);
        } else {
            drop(state);
            inner.alarm.unset(set);
        }
    }

    /// The alarm rings: too late, slow, or hanging?
    pub(super) fn look(self: &Arc<Self>, inner: &Arc<Inner>) {
        let now = inner.clock.now();
        let (running, hedged) = {
            let mut state = self.lock();
            state.alarm = None;
            if state.answer.is_none() {
                return;
            }
            (state.running.clone(), state.hedged)
        };
        if self.is_over(now) {
            self.answer(inner, Err(Error::Deadline));
            return;
        }
        let age = now.saturating_sub(self.started);
        let (slow, stalled) = self.limits(inner);
        let stalled = self.until.map_or(stalled, |until| {
            stalled.min(until.saturating_sub(self.started) / 2)
        });
        let hangs = |(place, since): &(usize, Duration)| {
            now.saturating_sub(*since) >= stalled
                && inner
                    .members
                    .get(*place)
                    .is_some_and(|member| member.is_stalled_since(*since))
        };
        if !running.is_empty() && running.iter().all(hangs) {
            for (place, _) in &running {
                if let Some(member) = inner.members.get(*place) {
                    tracing::warn!(token = %member.name, "nothing comes back from a token: its requests go to others");
                    member.stalls(now);
                }
            }
            if self.go_on(inner) {
                add(&inner.rescues);
            }
        } else if hedged.is_none() && slow.is_some_and(|slow| age >= slow) {
            self.hedge(inner, &running, now);
        }
        if self.lock().answer.is_some() {
            self.set_alarm(inner);
        }
    }

    /// Begins it a second time, if another token has the key and there have not been too many of these.
    fn hedge(self: &Arc<Self>, inner: &Arc<Inner>, running: &[(usize, Duration)], now: Duration) {
        let tried: Vec<_> = running.iter().map(|(place, _)| *place).collect();
        if !inner.has_another_holder(&self.asked.key, self.asked.padding, &tried, now)
            || !inner.take_hedge()
        {
            return;
        }
        let before = self.lock().tried.len();
        if self.go_on(inner) {
            add(&inner.hedges);
            let mut state = self.lock();
            state.hedged = state.tried.get(before).copied();
        }
    }
}
