//! A group of tokens that do what a script says, on a clock that the test moves.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod trouble;

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, channel};

use super::*;
use crate::clock::ManualClock;
use crate::{KeyAttributes, SecretBytes};

/// What a token does with a request.
enum Act {
    Fail(Error),
    /// It answers when the test says so.
    Hold,
}

/// Does what the script says, and after that answers at once, with its name.
struct Scripted {
    name: &'static str,
    keys: Mutex<Vec<KeyFingerprint>>,
    script: Mutex<VecDeque<Act>>,
    held: Mutex<Vec<Answer>>,
    asked: AtomicU64,
    limit: usize,
}

impl Scripted {
    fn will(&self, act: Act) {
        self.script.lock().unwrap().push_back(act);
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    fn answer_held(&self) {
        let held = std::mem::take(&mut *self.held.lock().unwrap());
        assert!(!held.is_empty());
        for answer in held {
            answer(Ok(SecretBytes::from_slice(self.name.as_bytes())));
        }
    }
}

impl Custody for Scripted {
    fn token(&self) -> TokenInfo {
        TokenInfo {
            label: self.name.to_owned(),
            ..TokenInfo::none()
        }
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    fn keys(&self) -> Result<Vec<KeyInfo>, Error> {
        let keys = self.keys.lock().unwrap();
        Ok(keys.iter().map(|key| info(*key)).collect())
    }

    fn begin_decrypt(
        &self,
        key: &KeyFingerprint,
        _: Padding,
        _: &Label,
        _: &[u8],
        _: Terms,
        answer: Answer,
    ) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let act = self.script.lock().unwrap().pop_front();
        match act {
            Some(Act::Fail(error)) => answer(Err(error)),
            Some(Act::Hold) => self.held.lock().unwrap().push(answer),
            None if self.keys.lock().unwrap().contains(key) => {
                answer(Ok(SecretBytes::from_slice(self.name.as_bytes())));
            }
            None => answer(Err(Error::UnknownKey(*key))),
        }
    }

    fn encrypt_with_label(
        &self,
        _: &[u8],
        _: Padding,
        _: &Label,
        _: &SecretBytes,
        _: Terms,
    ) -> Result<Vec<u8>, Error> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        match self.script.lock().unwrap().pop_front() {
            Some(Act::Fail(error)) => Err(error),
            _ => Ok(self.name.as_bytes().to_vec()),
        }
    }

    fn health(&self) -> Health {
        Health {
            threads: 1,
            load: Load {
                limit: self.limit,
                ..Load::default()
            },
            ..Health::default()
        }
    }
}

fn info(fingerprint: KeyFingerprint) -> KeyInfo {
    KeyInfo {
        fingerprint,
        label: "key".to_owned(),
        id: Vec::new(),
        modulus_bits: 2048,
        spki_der: Vec::new(),
        attributes: KeyAttributes::default(),
        problems: Vec::new(),
        waived: Vec::new(),
    }
}

const fn key(number: u8) -> KeyFingerprint {
    KeyFingerprint::from_bytes([number; 32])
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn sick() -> Error {
    Error::TokenErrorState
}

struct World {
    clock: Arc<ManualClock>,
    group: Group,
    tokens: Vec<Arc<Scripted>>,
}

impl World {
    /// Tokens "a", "b", ... which have these keys.
    fn new(keys: &[&[u8]], settings: GroupSettings) -> Self {
        let names = ["a", "b", "c"];
        let clock = Arc::new(ManualClock::default());
        let group = Group::unwatched(
            names.iter().take(keys.len()).map(ToString::to_string),
            settings,
            clock.clone(),
        )
        .unwrap();
        let tokens: Vec<_> = names
            .into_iter()
            .zip(keys)
            .map(|(name, keys)| {
                Arc::new(Scripted {
                    name,
                    keys: Mutex::new(keys.iter().map(|number| key(*number)).collect()),
                    script: Mutex::default(),
                    held: Mutex::default(),
                    asked: AtomicU64::new(0),
                    limit: 4,
                })
            })
            .collect();
        for token in &tokens {
            group.opened(token.name, token.clone()).unwrap();
        }
        Self {
            clock,
            group,
            tokens,
        }
    }

    fn two() -> Self {
        Self::new(&[&[1], &[1]], GroupSettings::default())
    }

    fn begin(&self, number: u8, terms: Terms) -> Receiver<Result<SecretBytes, Error>> {
        let (sender, receiver) = channel();
        let answer = Box::new(move |result| sender.send(result).unwrap());
        self.group.begin_decrypt(
            &key(number),
            Padding::OaepSha256,
            &Label::empty(),
            &[],
            terms,
            answer,
        );
        receiver
    }

    /// Who answered.
    fn decrypt(&self, number: u8) -> Result<String, Error> {
        let within = Terms::within(Duration::from_secs(10));
        said(self.begin(number, within).try_recv().unwrap())
    }

    fn asked(&self) -> Vec<u64> {
        self.tokens.iter().map(|token| token.asked()).collect()
    }

    fn pass(&self, time: Duration) {
        self.clock.advance(time);
        self.group.inner.look_at_due();
    }
}

impl Drop for World {
    /// What a token still holds keeps the group, and the group its tokens.
    fn drop(&mut self) {
        for token in &self.tokens {
            let held = std::mem::take(&mut *token.held.lock().unwrap());
            drop(held);
        }
    }
}

fn said(result: Result<SecretBytes, Error>) -> Result<String, Error> {
    result.map(|name| String::from_utf8(name.expose().to_vec()).unwrap())
}

#[test]
fn all_tokens_with_the_key_work_and_the_others_do_not() {
    let world = World::new(&[&[1], &[1, 2], &[2]], GroupSettings::default());
    for _ in 0..20 {
        world.decrypt(1).unwrap();
    }
    assert_eq!(world.asked(), [10, 10, 0]);
    world.decrypt(2).unwrap();
}

#[test]
fn a_request_goes_to_the_next_token_and_the_sick_one_is_avoided_for_a_pause() {
    let world = World::two();
    world.tokens[0].will(Act::Fail(sick()));
    world.tokens[0].will(Act::Fail(sick()));
    for _ in 0..10 {
        assert_eq!(world.decrypt(1).unwrap(), "b");
    }
    assert_eq!(world.asked(), [1, 10]);
    assert_eq!(world.group.figures().failovers, 1);
    assert_eq!(world.group.members()[0].avoided_ms, Some(250));
    // One probe fails: the pause is longer, and no request was lost.
    world.pass(ms(250));
    (0..50).for_each(|_| assert_eq!(world.decrypt(1).unwrap(), "b"));
    assert_eq!(world.tokens[0].asked(), 2);
    assert_eq!(world.group.members()[0].avoided_ms, Some(500));
    // The next one works.
    world.pass(ms(500));
    (0..50).for_each(|_| drop(world.decrypt(1).unwrap()));
    assert!(world.tokens[0].asked() > 10, "{:?}", world.asked());
}

#[test]
fn a_bad_input_is_final_and_opens_no_breaker() {
    let world = World::two();
    for _ in 0..40 {
        for token in &world.tokens {
            token.script.lock().unwrap().clear();
            token.will(Act::Fail(Error::Decryption));
        }
        assert!(matches!(world.decrypt(1), Err(Error::Decryption)));
    }
    assert_eq!(world.asked().iter().sum::<u64>(), 40);
    for member in world.group.members() {
        assert_eq!((member.avoided_ms, member.failures), (None, 0));
    }
}

#[test]
fn what_the_mode_forbids_one_token_neither_hides_anothers_trouble_nor_keeps_it_from_being_asked() {
    let forbidden = || {
        Act::Fail(Error::Policy(fips::Error::NotApproved {
            service: "token-raw-rsa-oaep",
            algorithm: "RSAES-OAEP",
            remedy: "none",
            exception: "",
        }))
    };
    let world = World::two();
    // One was asked for a private-key operation and failed; the other may not be asked at all.
    for _ in 0..4 {
        world.tokens[0].will(Act::Fail(sick()));
        world.tokens[1].will(forbidden());
    }
    assert!(matches!(world.decrypt(1), Err(Error::TokenErrorState)));
    // The first one that is asked may not, and the other does it.
    let world = World::two();
    for token in &world.tokens {
        token.will(forbidden());
    }
    assert!(matches!(world.decrypt(1), Err(Error::Policy(_))));
    assert_eq!(world.asked(), [1, 1]);
    world.tokens[0].will(forbidden());
    world.tokens[1].will(forbidden());
    world.tokens[1].script.lock().unwrap().clear();
    assert_eq!(world.decrypt(1).unwrap(), "b");
    // One that hangs meanwhile decides.
    let world = World::two();
    world.tokens[0].will(Act::Hold);
    world.tokens[1].will(forbidden());
    let answer = world.begin(1, Terms::within(ms(1000)));
    world.pass(ms(600));
    assert!(answer.try_recv().is_err());
    world.tokens[0].answer_held();
    assert_eq!(said(answer.recv().unwrap()).unwrap(), "a");
}

#[test]
fn a_token_without_time_is_passed_over_and_not_taken_for_sick() {
    let world = World::two();
    for token in &world.tokens {
        token.will(Act::Fail(Error::Overloaded));
    }
    assert!(matches!(world.decrypt(1), Err(Error::Overloaded)));
    assert_eq!(world.asked(), [1, 1]);
    assert_eq!(world.group.members()[0].avoided_ms, None);
    world.tokens[0].will(Act::Fail(Error::Overloaded));
    world.tokens[1].will(Act::Fail(Error::Overloaded));
    world.decrypt(1).unwrap_err();
    world.decrypt(1).unwrap();
}

#[test]
fn when_all_were_sick_one_goes_on_trying_as_long_as_there_is_time() {
    let world = World::two();
    for token in &world.tokens {
        token.will(Act::Fail(sick()));
    }
    // Both pause, and both are well again: nobody is refused for the pause's sake.
    world.decrypt(1).unwrap();
    assert_eq!(world.asked().iter().sum::<u64>(), 3);
    // Each is asked twice at most.
    for token in &world.tokens {
        (0..9).for_each(|_| token.will(Act::Fail(sick())));
    }
    assert!(matches!(world.decrypt(1), Err(Error::TokenErrorState)));
    assert_eq!(world.asked().iter().sum::<u64>(), 7);
    for token in &world.tokens {
        token.script.lock().unwrap().clear();
    }
    // The only one left is asked although it pauses.
    world.group.failed("a", "gone".to_owned());
    world.tokens[1].will(Act::Fail(sick()));
    assert!(matches!(world.decrypt(1), Err(Error::TokenErrorState)));
    assert_eq!(world.decrypt(1).unwrap(), "b");
}

#[test]
fn a_key_whose_tokens_are_gone_is_not_unknown_and_one_that_nobody_has_is() {
    let world = World::new(&[&[1], &[2]], GroupSettings::default());
    assert!(matches!(world.decrypt(9), Err(Error::UnknownKey(_))));
    world.group.failed("a", "gone".to_owned());
    assert!(matches!(world.decrypt(1), Err(Error::NoTokenServes)));
    // Who was asked for it is not asked again at once.
    let asked = world.asked();
    assert!(matches!(world.decrypt(1), Err(Error::NoTokenServes)));
    assert_eq!(world.asked(), asked);
    // It gets the key; after a while somebody looks.
    world.tokens[1].keys.lock().unwrap().push(key(1));
    world.pass(Duration::from_secs(5));
    assert_eq!(world.decrypt(1).unwrap(), "b");
}

#[test]
fn a_drained_token_finishes_what_it_has_and_gets_nothing_new() {
    let world = World::two();
    world.tokens[0].will(Act::Hold);
    let first = world.begin(1, Terms::default());
    assert!(world.group.drain("a") && !world.group.drain("nobody"));
    assert_eq!(world.group.members()[0].in_hand, 1);
    (0..5).for_each(|_| assert_eq!(world.decrypt(1).unwrap(), "b"));
    world.tokens[0].answer_held();
    assert_eq!(said(first.try_recv().unwrap()).unwrap(), "a");
    let status = &world.group.members()[0];
    assert_eq!((status.in_hand, status.weight_per_mille), (0, 0));
    world.group.drain("b");
    assert!(matches!(world.decrypt(1), Err(Error::NoTokenServes)));
    assert!(!world.group.serves());
    world.group.undrain("a");
    assert_eq!(world.decrypt(1).unwrap(), "a");
}

#[test]
fn a_token_from_which_nothing_comes_back_loses_its_requests_to_the_others() {
    let world = World::two();
    world.tokens[0].will(Act::Hold);
    let stuck = world.begin(1, Terms::within(Duration::from_secs(10)));
    world.pass(ms(1999));
    assert!(stuck.try_recv().is_err());
    world.pass(ms(1));
    assert_eq!(said(stuck.try_recv().unwrap()).unwrap(), "b");
    assert_eq!(world.group.figures().rescues, 1);
    (0..5).for_each(|_| assert_eq!(world.decrypt(1).unwrap(), "b"));
    // It was only slow: its answer is dropped, and it works again.
    world.tokens[0].answer_held();
    assert!(stuck.try_recv().is_err());
    assert_eq!(world.group.members()[0].in_hand, 0);
    assert_eq!(world.group.members()[0].avoided_ms, None);
}

#[test]
fn with_little_time_the_other_token_gets_half_of_it() {
    let world = World::two();
    world.tokens[0].will(Act::Hold);
    let stuck = world.begin(1, Terms::within(ms(100)));
    world.pass(ms(50));
    assert_eq!(said(stuck.try_recv().unwrap()).unwrap(), "b");
}

#[test]
fn a_deadline_is_kept_even_if_every_token_hangs() {
    let world = World::two();
    world.tokens[0].will(Act::Hold);
    world.tokens[1].will(Act::Hold);
    let stuck = world.begin(1, Terms::within(Duration::from_secs(5)));
    (0..50).for_each(|_| world.pass(ms(100)));
    assert!(matches!(stuck.try_recv().unwrap(), Err(Error::Deadline)));
}

#[test]
fn a_slow_request_is_begun_on_a_second_token_and_the_first_answer_counts() {
    let settings = GroupSettings {
        hedge_per_mille: Some(950),
    };
    let world = World::new(&[&[1], &[1]], settings);
    // Each token needs enough of them that it is known what is slow.
    let usual = if cfg!(miri) { 80 } else { 200 };
    for _ in 0..usual {
        world.tokens[0].will(Act::Hold);
        world.tokens[1].will(Act::Hold);
        let answer = world.begin(1, Terms::default());
        world.clock.advance(ms(4));
        for token in &world.tokens {
            token.script.lock().unwrap().clear();
            if !token.held.lock().unwrap().is_empty() {
                token.answer_held();
            }
        }
        answer.try_recv().unwrap().unwrap();
    }
    assert_eq!(world.group.figures().hedges, 0);
    for token in &world.tokens {
        token.will(Act::Hold);
    }
    let slow = world.begin(1, Terms::default());
    world.pass(ms(20));
    assert_eq!(world.group.figures().hedges, 1);
    world.tokens[1].answer_held();
    assert!(slow.try_recv().unwrap().is_ok());
    world.tokens[0].answer_held();
    assert!(slow.try_recv().is_err(), "the second answer is dropped");
    assert!(world.group.figures().hedges_won <= 1);
    for member in world.group.members() {
        assert_eq!(member.in_hand, 0);
    }
}

#[test]
fn encryption_is_done_by_the_next_token_if_one_is_sick() {
    let world = World::two();
    world.tokens[0].will(Act::Fail(sick()));
    world.tokens[1].will(Act::Fail(sick()));
    let message = SecretBytes::from_slice(b"x");
    let encrypt = || world.group.encrypt(&[], Padding::OaepSha256, &message);
    assert!(encrypt().is_err());
    world.tokens[0].will(Act::Fail(sick()));
    (0..3).for_each(|_| drop(encrypt().unwrap()));
}

#[test]
fn a_token_whose_pin_was_changed_keeps_no_request_from_the_other() {
    let refused = || Act::Fail(Error::Pin(crate::PinProblem::RefusedBefore));
    let world = World::two();
    for _ in 0..4 {
        world.tokens[0].will(refused());
        world
            .group
            .encrypt(
                &[],
                Padding::OaepSha256,
                &SecretBytes::from_slice(b"message"),
            )
            .unwrap();
        assert_eq!(world.decrypt(1).unwrap(), "b");
        world.clock.advance(ms(60_000));
    }
}

#[test]
fn keys_say_on_which_tokens_they_are() {
    let world = World::new(&[&[1, 2], &[2]], GroupSettings::default());
    let copies = world.group.copies().unwrap();
    let names: Vec<_> = copies.iter().map(|(_, names)| names.join(" ")).collect();
    assert_eq!(names, ["a", "a b"]);
    // Read afresh.
    world.tokens[1].keys.lock().unwrap().push(key(1));
    assert_eq!(world.group.copies().unwrap()[0].1, ["a", "b"]);
    world.group.failed("a", "gone".to_owned());
    assert_eq!(world.group.copies().unwrap()[0].1, ["a", "b"]);
    world.group.failed("b", "gone".to_owned());
    assert!(matches!(world.group.copies(), Err(Error::NoTokenServes)));
}

#[test]
fn a_token_that_is_opened_again_starts_anew() {
    let world = World::two();
    world.tokens[0].will(Act::Hold);
    let old = world.begin(1, Terms::default());
    world.group.opening("a");
    assert_eq!(world.group.members()[0].state, MemberState::Opening);
    assert_eq!(world.decrypt(1).unwrap(), "b");
    world.group.opened("a", world.tokens[0].clone()).unwrap();
    // What comes from before says nothing about now, but is an answer.
    world.tokens[0].answer_held();
    assert_eq!(said(old.try_recv().unwrap()).unwrap(), "a");
    assert_eq!(world.group.members()[0].in_hand, 0);
}

#[test]
fn a_group_has_members_with_names_of_their_own() {
    let group = |names: &[&str]| {
        let names = names.iter().map(ToString::to_string);
        let clock = Arc::new(ManualClock::default());
        Group::new(names, GroupSettings::default(), clock).map(drop)
    };
    assert!(matches!(group(&[]), Err(Error::Members)));
    assert!(matches!(group(&["a", "a"]), Err(Error::Members)));
    let many: Vec<_> = (0..=MAX_MEMBERS).map(|n| n.to_string()).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    assert!(matches!(group(&many), Err(Error::Members)));
    group(&many[1..]).unwrap();
}

#[test]
fn requests_from_many_threads_are_each_answered_once_while_tokens_come_and_go() {
    let world = World::two();
    let (requests, turns) = if cfg!(miri) { (10, 8) } else { (500, 200) };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..requests {
                    let answer = world.begin(1, Terms::within(Duration::from_secs(60)));
                    let result = answer.recv().unwrap();
                    assert!(matches!(result, Ok(_) | Err(Error::NoTokenServes)));
                    assert!(answer.recv().is_err(), "answered once");
                }
            });
        }
        scope.spawn(|| {
            for turn in 0..turns {
                let token = &world.tokens[turn % 2];
                world.group.failed(token.name, "gone".to_owned());
                world.group.opened(token.name, token.clone()).unwrap();
            }
        });
    });
    for member in world.group.members() {
        assert_eq!(member.in_hand, 0);
    }
}
