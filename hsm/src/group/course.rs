//! The course of one decryption through a group: to a token, to the next one if that is in trouble or has no time, to a second one if
//! it is slow or does not come back, and to the first one again if that is well by then; until somebody has the answer or the time is
//! over.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::alarm;
use super::member::Member;
use super::{Inner, add};
use crate::custody::Answer;
use crate::{Error, ErrorClass, KeyFingerprint, Label, Lane, Padding, SecretBytes, Terms};

/// A token from which nothing comes back for this long (or twenty times what is usual) hangs.
const STALLED: Duration = Duration::from_secs(2);
const STALLED_TIMES: u32 = 20;
/// Where others are answered meanwhile, a request is late no sooner than after so many times what is usual, however little time it has.
const LATE_TIMES: u32 = 5;

#[derive(Default)]
struct State {
    /// Taken by who answers.
    answer: Option<Answer>,
    /// Places of the tokens that were asked.
    tried: Vec<usize>,
    /// Those of them that have not answered, and since when.
    running: Vec<(usize, Duration)>,
    /// Those of them that were in trouble or had no time: they may be asked again once they are well.
    passing: Vec<usize>,
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

/// How a token does with a request that it has in hand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    Usual,
    /// It answers others meanwhile: one session hangs, or it is slow.
    Late,
    /// Nothing at all comes back from it.
    Hangs,
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

/// Keeps the error that says most about why there is no answer.
pub(super) fn keep(kept: &mut Option<Error>, error: Error) {
    if kept.as_ref().is_none_or(|kept| rank(&error) > rank(kept)) {
        *kept = Some(error);
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
                state.passing.retain(|passing| *passing != place);
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
            .and_then(|member| member.begin(Some(&self.asked.key), now))
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
        let class = result.as_ref().err().map(Error::class);
        let hedged = {
            let mut state = self.lock();
            state.running.retain(|(running, _)| *running != place);
            if matches!(class, Some(ErrorClass::Token | ErrorClass::Busy)) {
                state.passing.push(place);
            }
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
        keep(&mut self.lock().error, error);
    }

    /// Lets the tokens be asked again that were in trouble or had no time and are well now. Only a look does: it is how often one may be.
    fn forget_what_has_passed(&self, inner: &Inner, now: Duration) {
        let mut well = self.lock().passing.clone();
        well.retain(|place| inner.is_good(*place, &self.asked.key, self.asked.padding, now));
        if well.is_empty() {
            return;
        }
        let mut state = self.lock();
        // Somebody may have given it to one of them in the meantime.
        well.retain(|place| state.passing.contains(place));
        state.passing.retain(|place| !well.contains(place));
        state.tried.retain(|place| !well.contains(place));
    }

    fn end_if_nobody_works(&self, inner: &Inner) -> bool {
        let error = {
            let mut state = self.lock();
            if !state.running.is_empty() {
                return false;
            }
            state.error.take()
        };
        let key = &self.asked.key;
        let now = inner.clock.now();
        let error = match error {
            // Somebody else has it, or may have, who does not serve now.
            Some(Error::UnknownKey(_)) | None if inner.members.iter().any(|m| m.may_have(key)) => {
                Error::NoTokenServes
            }
            // Who serves was asked a short while ago.
            None if inner.members.iter().any(|m| m.lacks(key, now)) => Error::UnknownKey(*key),
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

    /// How long the tokens that work on it may take before they are taken for slow.
    fn slow_from(&self, inner: &Inner) -> Option<Duration> {
        let per_mille = inner.settings.hedge_per_mille?;
        let state = self.lock();
        let members = state.running.iter();
        members
            .filter_map(|(place, _)| inner.members.get(*place)?.slow_from(per_mille))
            .max()
    }

    /// How long a token that has had it since then may take before it is taken for hanging if nothing comes back from it at all, and
    /// before the request is late there if something does.
    fn limits(&self, member: &Member, since: Duration) -> (Duration, Duration) {
        let usual = member.slow_from(950).unwrap_or_default();
        let hangs = usual.saturating_mul(STALLED_TIMES).max(STALLED);
        let hangs = match self.until {
            // Early enough for another token to do it.
            Some(until) => hangs.min(until.saturating_sub(since) / 2),
            None => hangs,
        };
        (hangs, hangs.max(usual.saturating_mul(LATE_TIMES)))
    }

    fn pace(&self, member: &Member, since: Duration, now: Duration) -> Pace {
        let (hangs, late) = self.limits(member, since);
        let age = now.saturating_sub(since);
        if age >= hangs && member.is_stalled_since(since) {
            Pace::Hangs
        } else if age >= late {
            Pace::Late
        } else {
            Pace::Usual
        }
    }

    fn set_alarm(self: &Arc<Self>, inner: &Arc<Inner>) {
        let now = inner.clock.now();
        let (running, hedged) = {
            let state = self.lock();
            (state.running.clone(), state.hedged.is_some())
        };
        let mut times: Vec<Duration> = Vec::new();
        if inner.members.len() > 1 {
            let mut pause = STALLED;
            for (place, since) in running {
                if let Some(member) = inner.members.get(place) {
                    let (hangs, late) = self.limits(member, since);
                    pause = pause.min(hangs);
                    times.extend([hangs, late].map(|after| since.saturating_add(after)));
                }
            }
            if !hedged {
                let slow = self.slow_from(inner);
                times.extend(slow.map(|after| self.started.saturating_add(after)));
            }
            // After the first look at those that hang, one more each time.
            times.push(now.saturating_add(pause));
        }
        times.retain(|time| *time > now);
        let Some(next) = times.into_iter().chain(self.until).min() else {
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

    /// The alarm rings: over, hanging, late, or slow?
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
        self.forget_what_has_passed(inner, now);
        let age = now.saturating_sub(self.started);
        if self.leaves(inner, &running, now) {
            if self.go_on(inner) {
                add(&inner.rescues);
            }
        } else if hedged.is_none() && self.slow_from(inner).is_some_and(|slow| age >= slow) {
            self.hedge(inner, now);
        }
        if self.lock().answer.is_some() {
            self.set_alarm(inner);
        }
    }

    /// Whether another token is to get it as well, because none that works on it comes back.
    ///
    /// Tokens that hang or are in trouble do nothing useful with it. One that answers others may just be slow: then that there is another
    /// one with time enough is seen first, and as with those that are slow it is done for one of ten requests at most.
    fn leaves(&self, inner: &Inner, running: &[(usize, Duration)], now: Duration) -> bool {
        let mut answers_others = false;
        let mut hanging = Vec::new();
        let mut late = Vec::new();
        for (place, since) in running {
            let Some(member) = inner.members.get(*place) else {
                continue;
            };
            match self.pace(member, *since, now) {
                Pace::Usual => return false,
                Pace::Late => {
                    answers_others |= member.admits(now);
                    late.push(member);
                }
                Pace::Hangs => hanging.push(member),
            }
        }
        for member in &hanging {
            tracing::warn!(token = %member.name, "nothing comes back from a token: its requests go to others");
            member.stalls(now);
        }
        if answers_others {
            let tried = self.lock().tried.clone();
            let (key, padding) = (&self.asked.key, self.asked.padding);
            let has_time = inner
                .time_of_another(key, padding, &tried, now)
                .is_some_and(|time| {
                    self.until
                        .is_none_or(|until| until.saturating_sub(now) >= time)
                });
            if !has_time || !inner.take_move() {
                return false;
            }
        }
        for member in &late {
            tracing::warn!(token = %member.name, "a request does not come back from a token that answers others: another one gets it");
        }
        !running.is_empty()
    }

    /// Begins it a second time, if another token has the key and there have not been too many of these.
    fn hedge(self: &Arc<Self>, inner: &Arc<Inner>, now: Duration) {
        let tried = self.lock().tried.clone();
        if !inner.has_another_holder(&self.asked.key, self.asked.padding, &tried, now)
            || !inner.take_hedge()
        {
            return;
        }
        let before = tried.len();
        if self.go_on(inner) {
            add(&inner.hedges);
            let mut state = self.lock();
            state.hedged = state.tried.get(before).copied();
        }
    }
}
