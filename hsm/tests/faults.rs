//! A token that breaks, hangs or confuses its sessions, with real keys behind it. One test, for there is one control file.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hsm::clock::ManualClock;
use hsm::pin::PinSource;
use hsm::pkcs11::{Pkcs11Custody, TokenConfig};
use hsm::{
    Custody, Error, ErrorClass, KeyInfo, Operation, Padding, PinProblem, SigningKeyName, Terms,
};
use support::{TestToken, command, encrypt, faulty_softhsm};

fn decrypt(custody: &Pkcs11Custody, key: &KeyInfo, padding: Padding) -> Result<(), Error> {
    let ciphertext = encrypt(&key.spki_der, padding, b"message");
    let plain = custody.decrypt(&key.fingerprint, padding, &ciphertext)?;
    assert_eq!(plain.expose(), b"message");
    Ok(())
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::yield_now();
    }
}

/// Bad ciphertexts in such a number that custody may neither try failures again nor run a canary for each of them, on a token whose
/// sessions they leave stuck: the good one behind them is decrypted all the same.
fn many_bad_ciphertexts_do_not_spoil_a_good_one(token: &TestToken, key: &KeyInfo) {
    // It stands, so that no budget fills up.
    let clock = Arc::new(ManualClock::default());
    let custody = Pkcs11Custody::open(TokenConfig {
        threads: 1,
        clock: clock.clone(),
        ..token.config()
    })
    .unwrap();
    for padding in [Padding::OaepSha1, Padding::OaepSha512] {
        let mut bad = encrypt(&key.spki_der, padding, b"message");
        *bad.last_mut().unwrap() ^= 1;
        let refused = || {
            let error = custody
                .decrypt(&key.fingerprint, padding, &bad)
                .err()
                .unwrap();
            assert!(matches!(error, Error::Decryption), "{error}");
        };
        (0..300).for_each(|_| refused());
        for _ in 0..3 {
            decrypt(&custody, key, padding).unwrap();
            refused();
        }
        decrypt(&custody, key, padding).unwrap();
    }
    let health = custody.health();
    assert!(health.canaries_shared > 0, "the budget was used up");
    assert_eq!((health.token_failures, health.reconnects), (0, 0));
}

/// Four workers find the login gone at once. The first logs in anew; the others do not end that login again.
fn a_lost_login_is_renewed_once_for_all_workers(token: &TestToken, key: &KeyInfo, control: &Path) {
    let custody = Pkcs11Custody::open(TokenConfig {
        threads: 4,
        ..token.config()
    })
    .unwrap();
    let before = custody.health();
    command(control, "logged-out");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| decrypt(&custody, key, Padding::OaepSha1).unwrap());
        }
    });
    let after = custody.health();
    assert_eq!(after.logins, before.logins + 1);
    assert_eq!(after.reconnects, before.reconnects + 4);
    assert_eq!(after.module_generation, before.module_generation);
}

#[test]
fn a_broken_token_is_not_taken_for_bad_input_and_recovers() {
    let (module, control) = faulty_softhsm();
    let token = TestToken::new(module);
    let (custody, key) = token.open_with_key();
    let native = Padding::OaepSha1;
    let software = Padding::OaepSha512;

    for fault in ["device-error", "device-removed"] {
        command(&control, fault);
        for padding in [native, software] {
            let before = custody.health();
            let error = decrypt(&custody, &key, padding).unwrap_err();
            assert_eq!(error.class(), ErrorClass::Token, "{fault}: {error}");
            let broken = custody.health();
            assert_eq!(
                broken.reconnects,
                before.reconnects + 1,
                "one new session, not more"
            );
            assert!(broken.module_generation <= before.module_generation + 1);
            assert_eq!(broken.token_failures, before.token_failures + 1);
            assert!(!broken.needs_restart, "it has not lasted long");
            assert!(broken.generation > before.generation);
            // Garbage given to a broken token says nothing about the garbage.
            let error = custody
                .decrypt(&key.fingerprint, padding, &[1; 256])
                .err()
                .unwrap();
            assert_eq!(error.class(), ErrorClass::Token, "{fault}: {error}");
        }
        command(&control, "");
        for padding in [native, software] {
            decrypt(&custody, &key, padding).unwrap();
        }
        assert!(!custody.health().needs_restart);
        assert_eq!(custody.health().bad_inputs, 0);
    }

    // A session that a bad ciphertext leaves unusable is exchanged; neither the input nor the token is misjudged.
    command(&control, "stuck-session");
    let before = custody.health();
    for padding in [native, software] {
        for _ in 0..4 {
            let mut bad = encrypt(&key.spki_der, padding, b"message");
            *bad.last_mut().unwrap() ^= 1;
            let error = custody
                .decrypt(&key.fingerprint, padding, &bad)
                .err()
                .unwrap();
            assert!(matches!(error, Error::Decryption), "{error}");
            decrypt(&custody, &key, padding).unwrap();
        }
    }
    let after = custody.health();
    assert_eq!(after.bad_inputs, before.bad_inputs + 8);
    assert_eq!(after.token_failures, before.token_failures);
    assert_eq!(after.generation, before.generation);

    // A call that hangs shows its age without waiting for it, and the other worker goes on.
    command(&control, "hang");
    std::thread::scope(|scope| {
        let hanging = scope.spawn(|| decrypt(&custody, &key, native));
        wait_until("a hanging call", || {
            custody
                .health()
                .oldest_call_ms
                .is_some_and(|age_ms| age_ms >= 50)
        });
        let health = custody.health();
        assert_eq!(health.oldest_call, Some(Operation::Decrypt));
        assert_eq!(health.in_flight, 1);
        assert_eq!(custody.keys().unwrap().len(), 1);
        command(&control, "");
        hanging.join().unwrap().unwrap();
    });
    assert_eq!(custody.health().oldest_call_ms, None);

    // The same with one worker: with a token's last session its login and its handles go away.
    drop(custody);
    let mut alone = token.config();
    alone.threads = 1;
    let custody = Pkcs11Custody::open(alone).unwrap();

    // Who looks for a signing key and has a deadline does not wait for the worker that hangs.
    command(&control, "hang");
    std::thread::scope(|scope| {
        let hanging = scope.spawn(|| decrypt(&custody, &key, native));
        wait_until("a hanging call", || {
            custody.health().oldest_call == Some(Operation::Decrypt)
        });
        let name = SigningKeyName::Label("none".into());
        let late = custody.signing_key_on(&name, Terms::within(Duration::from_millis(50)));
        assert!(
            matches!(late, Err(Error::Deadline | Error::Overloaded)),
            "{late:?}"
        );
        command(&control, "");
        hanging.join().unwrap().unwrap();
        let missing = custody.signing_key_on(&name, Terms::within(Duration::from_secs(60)));
        assert_eq!(missing.unwrap_err().code(), "signing_key_not_found");
    });

    command(&control, "stuck-session");
    for padding in [native, software] {
        for _ in 0..4 {
            let mut bad = encrypt(&key.spki_der, padding, b"message");
            *bad.last_mut().unwrap() ^= 1;
            let error = custody
                .decrypt(&key.fingerprint, padding, &bad)
                .err()
                .unwrap();
            assert!(matches!(error, Error::Decryption), "{error}");
            decrypt(&custody, &key, padding).unwrap();
        }
    }
    assert_eq!(custody.health().reconnects, 0);
    assert_eq!(custody.health().generation, 0);
    many_bad_ciphertexts_do_not_spoil_a_good_one(&token, &key);
    a_lost_login_is_renewed_once_for_all_workers(&token, &key, &control);
    command(&control, "");

    // At the start a token that is broken is not taken for one that cannot do any padding.
    drop(custody);
    command(&control, "device-error");
    let error = Pkcs11Custody::open(token.config()).err().unwrap();
    assert_eq!(error.class(), ErrorClass::Token, "{error}");
    command(&control, "");
    decrypt(&token.open(), &key, software).unwrap();

    // A wrong PIN is recognised, and not tried twice, also where the module has another name for it, or says that the token is locked
    // without showing that.
    for (fault, wrong_pin, first) in [
        ("odd-login", support::WRONG_PIN, PinProblem::Incorrect),
        ("locked-unseen", "another", PinProblem::LockedUnseen),
    ] {
        command(&control, fault);
        let pin = control.with_file_name("wrong-pin");
        support::write_pin(&pin, wrong_pin);
        let mut wrong = token.config();
        wrong.pin = PinSource::File(pin);
        for expected in [first, PinProblem::RefusedBefore] {
            match Pkcs11Custody::open(wrong.clone()).err().unwrap() {
                Error::Pin(problem) => assert_eq!(problem, expected),
                other => panic!("{other}"),
            }
        }
    }
    command(&control, "");
    // The right one gives the token its tries back.
    decrypt(&token.open(), &key, software).unwrap();
}
