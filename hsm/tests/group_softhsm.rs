//! Two tokens of SoftHSM with the same key as one custody: real sessions, real failures, the system's clock.
#![allow(
    missing_docs,
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod suite;
mod support;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hsm::clock::MonotonicClock;
use hsm::group::{Group, GroupFigures, GroupSettings, MemberState, MemberStatus};
use hsm::pkcs11::GenerateKey;
use hsm::{Custody, Error, KeyInfo, Padding, Terms};
use support::TestToken;

/// Longer than anything takes on a busy machine: reaching it is a failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// Enough for every kind of them many times on each token.
const BAD_CIPHERTEXTS: usize = 4500;

fn folders(module: &support::Module) -> Vec<PathBuf> {
    let found = std::fs::read_dir(&module.folder).unwrap();
    found.map(|entry| entry.unwrap().path()).collect()
}

fn hostile_ciphertexts_trip_nothing(group: &Group, key: &KeyInfo) {
    let before = group.members();
    let good = suite::send_bad_ciphertexts(group, key, BAD_CIPHERTEXTS);
    let bad = u64::try_from(BAD_CIPHERTEXTS).unwrap();
    assert!(good >= bad / 8);
    let after = group.members();
    let requests = |all: &[MemberStatus]| all.iter().map(|member| member.requests).sum::<u64>();
    // Each was judged by one token, and each token has judged many.
    assert_eq!(requests(&after), requests(&before) + bad + good);
    for (before, after) in before.iter().zip(&after) {
        assert!(after.requests - before.requests > bad / 10, "{after:#?}");
        // What trips the breaker counts as a failure.
        assert_eq!((after.failures, after.avoided_ms), (0, None));
        let health = after.health.as_ref().unwrap();
        assert_eq!((health.reconnects, health.token_failures), (0, 0));
        assert_eq!((health.module_generation, health.needs_restart), (1, false));
    }
    assert_eq!(group.figures(), GroupFigures::default());
}

#[test]
fn what_one_token_cannot_do_at_the_moment_the_other_does() {
    let module = support::softhsm();
    let first = TestToken::new(module);
    let before = folders(module);
    let second = TestToken::new(module);
    let mut new = folders(module);
    new.retain(|folder| !before.contains(folder));
    let [folder] = new.as_slice() else {
        panic!("one token, one folder");
    };

    // The same key on both, as an operator brings it there.
    let (one, two) = (first.open(), second.open());
    let key = one
        .generate_replicable(&GenerateKey {
            label: "custody".into(),
            id: None,
            modulus_bits: 2048,
            always_authenticate: false,
        })
        .unwrap();
    let transport = two.make_transport_key(2048).unwrap();
    let wrapped = one.wrap_for(&key.fingerprint, &transport).unwrap();
    let public = hsm::public_key::PublicKey::from_spki_der(&key.spki_der).unwrap();
    two.unwrap(&transport.fingerprint, &wrapped, &public, "custody")
        .unwrap();
    one.seal(&key.fingerprint).unwrap();

    let names = ["one", "two"].map(str::to_owned);
    let group = Group::new(names, GroupSettings::default(), MonotonicClock::start()).unwrap();
    assert!(matches!(group.keys(), Err(Error::NoTokenServes)));
    let (one, two) = (Arc::new(one), Arc::new(two));
    group.opened("one", Arc::clone(&one) as _).unwrap();
    group.opened("two", Arc::clone(&two) as _).unwrap();
    let copies = group.copies().unwrap();
    let (_, names) = copies
        .iter()
        .find(|(copy, _)| copy.fingerprint == key.fingerprint)
        .unwrap();
    assert_eq!(names, &["one", "two"]);

    let ciphertext = support::encrypt(&key.spki_der, Padding::OaepSha1, b"password");
    let decrypt = |ciphertext: &[u8]| {
        group.decrypt_on(
            &key.fingerprint,
            Padding::OaepSha1,
            ciphertext,
            Terms::within(PATIENCE),
        )
    };
    let served = |name: &str| {
        let members = group.members();
        let member = members
            .into_iter()
            .find(|member| member.name == name)
            .unwrap();
        assert_eq!(member.state, MemberState::Open);
        member.health.unwrap().decrypts
    };
    for _ in 0..12 {
        assert_eq!(decrypt(&ciphertext).unwrap().expose(), b"password");
    }
    assert!(
        served("one") > 0 && served("two") > 0,
        "{:#?}",
        group.members()
    );

    hostile_ciphertexts_trip_nothing(&group, &key);

    // A bad ciphertext is judged once, and keeps nobody from anything.
    let bad = vec![1; ciphertext.len()];
    let asked = |group: &Group| {
        group
            .members()
            .iter()
            .map(|member| member.requests)
            .sum::<u64>()
    };
    let requests = asked(&group);
    for _ in 0..8 {
        assert!(matches!(decrypt(&bad), Err(Error::Decryption)));
    }
    assert_eq!(asked(&group), requests + 8);
    assert!(group.members().iter().all(|member| member.failures == 0));

    let away = folder.with_file_name("away").with_extension("token");
    let away = module
        .folder
        .parent()
        .unwrap()
        .join(away.file_name().unwrap());
    std::fs::rename(folder, &away).unwrap();
    for _ in 0..20 {
        assert_eq!(decrypt(&ciphertext).unwrap().expose(), b"password");
    }
    assert!(group.figures().failovers > 0);
    std::fs::rename(&away, folder).unwrap();
    let before = served("two");
    let until = Instant::now() + PATIENCE;
    while served("two") < before + 3 {
        assert!(Instant::now() < until, "{:?}", group.figures());
        assert_eq!(decrypt(&ciphertext).unwrap().expose(), b"password");
    }

    // A thread that has answered may hold the group for a moment. If it were the last one, it would be in SoftHSM while the process ends.
    drop(group);
    for custody in [one, two] {
        while Arc::strong_count(&custody) > 1 {
            assert!(Instant::now() < until, "an answer keeps the token");
            std::thread::yield_now();
        }
    }
}
