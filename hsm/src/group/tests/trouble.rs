//! Requests that do not come back among others that do, tokens that are well again, and keys that are gone.
use super::*;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const IN_TIME: Terms = Terms::within(seconds(10));

fn vanished() -> Act {
    Act::Fail(Error::KeyVanished(key(1)))
}

/// One that "a" gets.
fn begin_at_a(world: &World, terms: Terms) -> Receiver<Result<SecretBytes, Error>> {
    world.group.drain("b");
    let answer = world.begin(1, terms);
    world.group.undrain("b");
    answer
}

/// Has "a" answer another one a little later, whatever it holds.
fn a_answers_others(world: &World) {
    world.pass(ms(1));
    let answer = begin_at_a(world, IN_TIME).try_recv().unwrap();
    assert_eq!(said(answer).unwrap(), "a");
}

/// Each of the two tokens has answered so often that what is usual is known, and each time after so long.
fn usual(world: &World, time: Duration) {
    for _ in 0..80 {
        world.tokens.iter().for_each(|token| token.will(Act::Hold));
        let answer = world.begin(1, Terms::default());
        world.clock.advance(time);
        for token in &world.tokens {
            token.script.lock().unwrap().clear();
            if !token.held.lock().unwrap().is_empty() {
                token.answer_held();
            }
        }
        answer.try_recv().unwrap().unwrap();
    }
}

#[test]
fn one_request_that_hangs_among_others_that_work_goes_to_another_token() {
    let world = World::two();
    world.tokens[0].will(Act::Hold);
    let stuck = begin_at_a(&world, IN_TIME);
    world.pass(ms(1500));
    a_answers_others(&world);
    world.pass(ms(498));
    assert!(stuck.try_recv().is_err());
    world.pass(ms(1));
    assert_eq!(said(stuck.try_recv().unwrap()).unwrap(), "b");
    let figures = world.group.figures();
    assert_eq!((figures.rescues, figures.hedges), (1, 0));
    // That it is the token's trouble is not known.
    let member = &world.group.members()[0];
    assert_eq!((member.avoided_ms, member.failures), (None, 0));
    a_answers_others(&world);
}

#[test]
fn a_token_that_is_slow_gives_few_of_its_requests_to_others() {
    let world = World::two();
    (0..40).for_each(|_| world.tokens[0].will(Act::Hold));
    let within = Terms::within(seconds(60));
    let waiting: Vec<_> = (0..40).map(|_| begin_at_a(&world, within)).collect();
    assert_eq!(world.asked(), [40, 0]);
    for _ in 0..11 {
        a_answers_others(&world);
        world.pass(seconds(2));
    }
    // Those that were saved, and one of ten new ones.
    assert_eq!(world.group.figures().rescues, 9);
    assert_eq!(world.asked(), [51, 9]);
    world.tokens[0].answer_held();
    let mut answered = BTreeMap::new();
    for answer in waiting {
        let who = said(answer.try_recv().unwrap()).unwrap();
        *answered.entry(who).or_insert(0) += 1;
        assert!(answer.try_recv().is_err(), "answered once");
    }
    assert_eq!(answered, [("a".into(), 31), ("b".into(), 9)].into());
    for member in world.group.members() {
        assert_eq!((member.in_hand, member.failures), (0, 0));
    }
}

#[test]
fn a_request_that_two_tokens_hold_is_given_to_neither_again() {
    let world = World::two();
    for token in &world.tokens {
        token.will(Act::Hold);
    }
    let stuck = begin_at_a(&world, IN_TIME);
    for _ in 0..99 {
        a_answers_others(&world);
        world.pass(ms(99));
    }
    assert_eq!(world.asked(), [100, 1]);
    assert_eq!(world.group.figures().rescues, 1);
    assert!(stuck.try_recv().is_err());
    world.pass(ms(100));
    assert!(matches!(stuck.try_recv().unwrap(), Err(Error::Deadline)));
}

#[test]
fn what_is_usual_is_not_late_and_nothing_moves_to_where_there_is_no_time_for_it() {
    // Half of the time is less than some times what is usual; after that there is too little left; and enough.
    for (within, moves) in [(400, 0), (520, 0), (1400, 1)] {
        let world = World::two();
        usual(&world, ms(100));
        world.tokens[0].will(Act::Hold);
        let waiting = begin_at_a(&world, Terms::within(ms(within)));
        a_answers_others(&world);
        (0..within / 10 - 1).for_each(|_| world.pass(ms(10)));
        world.tokens[0].answer_held();
        let who = if moves == 0 { "a" } else { "b" };
        assert_eq!(said(waiting.try_recv().unwrap()).unwrap(), who);
        assert_eq!(world.group.figures().rescues, moves);
    }
}

#[test]
fn a_request_that_waits_for_a_dead_token_goes_back_to_the_one_that_is_well_again() {
    let world = World::two();
    world.tokens[0].will(Act::Fail(sick()));
    world.tokens[1].will(Act::Hold);
    let parked = world.begin(1, IN_TIME);
    assert_eq!(world.asked(), [1, 1]);
    world.pass(ms(1999));
    assert!(parked.try_recv().is_err());
    world.pass(ms(1));
    assert_eq!(said(parked.try_recv().unwrap()).unwrap(), "a");
    assert_eq!(world.asked(), [2, 1]);
}

#[test]
fn who_was_in_trouble_is_asked_again_at_a_pace() {
    let world = World::two();
    (0..20).for_each(|_| world.tokens[0].will(Act::Fail(sick())));
    world.tokens[1].will(Act::Hold);
    let parked = world.begin(1, Terms::within(seconds(20)));
    (0..190).for_each(|_| world.pass(ms(100)));
    assert!(parked.try_recv().is_err());
    // Every two seconds, but for the longer pauses of a token that fails.
    let asked = world.tokens[0].asked();
    assert!((4..=10).contains(&asked), "{asked}");
    assert_eq!(world.tokens[1].asked(), 1);
    (0..10).for_each(|_| world.pass(ms(100)));
    // That there was trouble says more than that there was no answer.
    assert!(parked.try_recv().unwrap().is_err());
}

#[test]
fn an_encryption_goes_back_to_the_token_that_is_well_again() {
    let world = World::two();
    let encrypt = |terms| {
        let message = SecretBytes::from_slice(b"x");
        world
            .group
            .encrypt_on(&[], Padding::OaepSha256, &message, terms)
    };
    world.tokens[0].will(Act::Fail(sick()));
    (0..9).for_each(|_| world.tokens[1].will(Act::Fail(sick())));
    assert_eq!(encrypt(IN_TIME).unwrap(), b"a");
    assert_eq!(world.tokens[0].asked(), 2);
    // Each twice at most, and without a deadline once.
    (0..9).for_each(|_| world.tokens[0].will(Act::Fail(sick())));
    let asked = |since: &[u64]| -> Vec<u64> {
        let asked = world.asked().into_iter().zip(since);
        asked.map(|(now, since)| now - since).collect()
    };
    let before = world.asked();
    assert!(matches!(encrypt(IN_TIME), Err(Error::TokenErrorState)));
    assert_eq!(asked(&before), [2, 2]);
    let before = world.asked();
    encrypt(Terms::default()).unwrap_err();
    assert_eq!(asked(&before), [1, 1]);
}

#[test]
fn who_does_not_find_one_of_its_keys_is_avoided_for_that_one_alone() {
    let world = World::new(&[&[1, 2], &[1]], GroupSettings::default());
    for _ in 0..2 {
        world.tokens[0].will(vanished());
    }
    for _ in 0..20 {
        assert_eq!(world.decrypt(1).unwrap(), "b");
    }
    assert_eq!(world.asked(), [1, 20]);
    let member = &world.group.members()[0];
    assert_eq!((member.avoided_ms, member.failures), (None, 0));
    // It is looked for after a while, and after a longer one the next time.
    world.pass(ms(250));
    for _ in 0..20 {
        assert_eq!(world.decrypt(1).unwrap(), "b");
    }
    assert_eq!(world.asked(), [2, 40]);
    assert_eq!(world.decrypt(2).unwrap(), "a");
    world.pass(ms(499));
    assert_eq!(world.decrypt(1).unwrap(), "b");
    // It is found.
    world.pass(ms(1));
    (0..20).for_each(|_| drop(world.decrypt(1).unwrap()));
    assert!(world.tokens[0].asked() > 10, "{:?}", world.asked());
}

#[test]
fn a_key_that_nobody_finds_is_no_unknown_one_as_long_as_it_may_be_hidden() {
    let world = World::two();
    for token in &world.tokens {
        (0..4).for_each(|_| token.will(vanished()));
    }
    assert!(matches!(world.decrypt(1), Err(Error::KeyVanished(_))));
    assert!(world.group.members().iter().all(|m| m.failures == 0));
    for token in &world.tokens {
        token.script.lock().unwrap().clear();
    }
    world.decrypt(1).unwrap();
}

#[test]
fn a_key_that_a_token_may_have_that_was_not_open_yet_is_no_unknown_one() {
    let mut world = World::two();
    let names = ["a", "b"].map(str::to_owned);
    world.group = Group::unwatched(names, GroupSettings::default(), world.clock.clone()).unwrap();
    let unknown = || matches!(world.decrypt(9), Err(Error::UnknownKey(_)));
    let transient = || matches!(world.decrypt(9), Err(Error::NoTokenServes));
    world.group.opened("a", world.tokens[0].clone()).unwrap();
    assert!(transient() && transient());
    world.group.failed("b", "its PIN is wrong".to_owned());
    assert!(transient());
    world.group.opened("b", world.tokens[1].clone()).unwrap();
    assert!(unknown() && unknown());
    world.group.failed("b", "gone".to_owned());
    assert!(unknown(), "it was seen not to have it");
}

#[test]
fn a_destroyed_key_is_unknown_opens_and_closes_no_breaker_and_may_come_back() {
    let world = World::new(&[&[1, 2], &[1, 2]], GroupSettings::default());
    for token in &world.tokens {
        token.keys.lock().unwrap().retain(|known| *known != key(1));
    }
    for _ in 0..50 {
        assert!(matches!(world.decrypt(1), Err(Error::UnknownKey(_))));
    }
    assert_eq!(world.asked(), [1, 1]);
    for member in world.group.members() {
        assert_eq!((member.avoided_ms, member.failures), (None, 0));
    }
    // A token in trouble is not well because it lacks a key.
    for token in &world.tokens {
        (0..2).for_each(|_| token.will(Act::Fail(sick())));
    }
    world.decrypt(2).unwrap_err();
    let avoided = |world: &World| world.group.members()[0].avoided_ms;
    assert!(avoided(&world).is_some());
    world.decrypt(9).unwrap_err();
    assert!(avoided(&world).is_some());
    world.tokens[1].keys.lock().unwrap().push(key(1));
    world.pass(seconds(5));
    assert_eq!(world.decrypt(1).unwrap(), "b");
}
