//! Levels of healing on SoftHSM: its folder goes away and comes back, keys are destroyed, serial numbers change. One test, for all of
//! it happens to one library in one process.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use hsm::clock::ManualClock;
use hsm::pkcs11::{GenerateKey, GenerateSigningKey, Pkcs11Custody, TokenConfig, list_tokens};
use hsm::{Custody, Error, ErrorClass, KeyFingerprint, KeyInfo, Padding, SigningKeyName, Terms};
use support::{Module, TestToken, encrypt, session_beside, softhsm};

const PADDING: Padding = Padding::OaepSha1;
/// Longer than anything here takes.
const IN_TIME: Terms = Terms::within(Duration::from_secs(120));

fn decrypt_on(custody: &Pkcs11Custody, key: &KeyInfo, terms: Terms) -> Result<(), Error> {
    let ciphertext = encrypt(&key.spki_der, PADDING, b"message");
    let plain = custody.decrypt_on(&key.fingerprint, PADDING, &ciphertext, terms)?;
    assert_eq!(plain.expose(), b"message");
    Ok(())
}

fn by_label(token: &TestToken) -> TokenConfig {
    TokenConfig {
        token_serial: None,
        ..token.config()
    }
}

/// The folder of a token: the one in which its serial number is found.
fn folder_of(module: &Module, serial: &str) -> PathBuf {
    std::fs::read_dir(&module.folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            let object = std::fs::read(path.join("token.object")).unwrap_or_default();
            find(&object, serial.as_bytes()).is_some()
        })
        .unwrap()
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

/// Takes the token's folder out of SoftHSM's; dropping puts it back.
struct Away {
    home: PathBuf,
    away: PathBuf,
}

impl Away {
    fn take(token: &TestToken) -> Self {
        let home = folder_of(token.module, &token.info.serial);
        let away = token.module.folder.with_extension("away");
        std::fs::rename(&home, &away).unwrap();
        Self { home, away }
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        std::fs::rename(&self.away, &self.home).unwrap();
    }
}

fn many_threads_initialise_once(path: &Path) {
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    list_tokens(path, None).unwrap();
                }
            });
        }
    });
}

fn a_module_of_somebody_else_is_not_finalised(token: &TestToken) {
    let others = Pkcs11::new(&token.module.path).unwrap();
    let arguments = CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK);
    others.initialize(arguments).unwrap();
    let (custody, key) = token.open_with_key();
    let away = Away::take(token);
    let error = decrypt_on(&custody, &key, Terms::default()).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Token, "{error}");
    let health = custody.health();
    assert!(health.needs_restart, "nothing but another process helps");
    assert_eq!(health.module_generation, 1);
    drop(away);
    drop(custody);
    others.get_library_info().unwrap();
    others.finalize().unwrap();
}

fn no_request_is_lost_on_either_token_of_a_module_while_one_is_away(
    first: &TestToken,
    second: &TestToken,
) {
    let (first_custody, first_key) = first.open_with_key();
    let (second_custody, second_key) = second.open_with_key();
    let stop = AtomicBool::new(false);
    let done = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for (custody, key) in [(&first_custody, &first_key), (&second_custody, &second_key)] {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        decrypt_on(custody, key, IN_TIME).unwrap();
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        }
        for _ in 0..2 {
            let generation = first_custody.health().module_generation;
            let away = Away::take(first);
            while first_custody.health().module_generation < generation + 2 {
                std::thread::yield_now();
            }
            drop(away);
            decrypt_on(&first_custody, &first_key, IN_TIME).unwrap();
        }
        let before = done.load(Ordering::Relaxed);
        while done.load(Ordering::Relaxed) < before + 20 {
            std::thread::yield_now();
        }
        stop.store(true, Ordering::Relaxed);
    });
    for custody in [&first_custody, &second_custody] {
        let health = custody.health();
        assert_eq!((health.bad_inputs, health.token_failures), (0, 0));
        assert!(health.module_generation >= 5 && !health.needs_restart);
    }
    assert!(first_custody.health().logins > 1);
}

fn a_new_process_is_asked_for_only_when_nothing_has_helped_for_long(token: &TestToken) {
    let clock = Arc::new(ManualClock::default());
    let custody = Pkcs11Custody::open(TokenConfig {
        clock: Arc::<ManualClock>::clone(&clock),
        ..token.config()
    })
    .unwrap();
    let key = custody.keys().unwrap().remove(0);
    let away = Away::take(token);
    let short = Terms::within(Duration::from_secs(5));
    decrypt_on(&custody, &key, short).unwrap_err();
    assert!(!custody.health().needs_restart);
    decrypt_on(&custody, &key, Terms::within(Duration::from_secs(60))).unwrap_err();
    let health = custody.health();
    assert!(health.needs_restart);
    assert_eq!((health.bad_inputs, health.token_failures), (0, 2));
    drop(away);
    decrypt_on(&custody, &key, short).unwrap();
    assert!(!custody.health().needs_restart);
}

fn a_destroyed_key_is_no_trouble_for_the_others(token: &TestToken) {
    let custody = token.open();
    let key = custody.keys().unwrap().remove(0);
    let doomed = custody
        .generate(&GenerateKey {
            label: "doomed".into(),
            id: None,
            modulus_bits: 2048,
            always_authenticate: false,
        })
        .unwrap();
    let session = session_beside(token, &custody);
    let label = [cryptoki::object::Attribute::Label(b"doomed".to_vec())];
    for half in session.find_objects(&label).unwrap() {
        session.destroy_object(half).unwrap();
    }
    drop(session);
    // It may be the token's trouble: everything is tried once.
    let error = decrypt_on(&custody, &doomed, IN_TIME).unwrap_err();
    assert!(matches!(error, Error::UnknownKey(gone) if gone == doomed.fingerprint));
    let healed = custody.health();
    for _ in 0..20 {
        let error = decrypt_on(&custody, &doomed, IN_TIME).unwrap_err();
        assert_eq!(error.code(), "unknown_key");
        let stranger = KeyFingerprint::from_bytes([7; 32]);
        let unknown = custody
            .decrypt(&stranger, PADDING, &[1; 256])
            .err()
            .unwrap();
        assert_eq!(unknown.code(), "unknown_key");
        decrypt_on(&custody, &key, IN_TIME).unwrap();
    }
    let health = custody.health();
    assert_eq!(health.reconnects, healed.reconnects);
    assert_eq!(health.module_generation, healed.module_generation);
    assert!(!health.needs_restart);
}

/// The only custody key of a token that has a key of another kind.
fn nor_is_it_if_it_was_the_only_one_of_its_kind(token: &TestToken) {
    let (custody, doomed) = token.open_with_key();
    let signing = custody
        .generate_signing_key(&GenerateSigningKey {
            label: "report".into(),
            kind: token.small_signing_key(),
        })
        .unwrap();
    let name = SigningKeyName::Fingerprint(signing.fingerprint);
    let destroy = |id: &[u8]| {
        let session = session_beside(token, &custody);
        let id = [cryptoki::object::Attribute::Id(id.to_vec())];
        for half in session.find_objects(&id).unwrap() {
            session.destroy_object(half).unwrap();
        }
    };
    destroy(&doomed.id);
    let error = decrypt_on(&custody, &doomed, IN_TIME).unwrap_err();
    assert!(matches!(error, Error::UnknownKey(gone) if gone == doomed.fingerprint));
    let healed = custody.health();
    for _ in 0..20 {
        let error = decrypt_on(&custody, &doomed, IN_TIME).unwrap_err();
        assert_eq!(error.code(), "unknown_key");
        custody.sign(&name, b"message").unwrap();
    }
    assert!(custody.keys().unwrap().is_empty());
    let health = custody.health();
    assert_eq!(health.reconnects, healed.reconnects);
    assert_eq!(health.module_generation, healed.module_generation);
    // Without any key it shows nothing, and may be in trouble.
    destroy(&signing.id);
    let error = decrypt_on(&custody, &doomed, Terms::default()).unwrap_err();
    assert_eq!(error.code(), "key_vanished");
}

/// As a cluster behind a balancer, whose members have the same keys and serial numbers of their own.
fn a_token_with_another_serial_number_is_known_by_its_label_and_its_keys(token: &TestToken) {
    let custody = Pkcs11Custody::open(by_label(token)).unwrap();
    let strict = Pkcs11Custody::open(token.config()).unwrap();
    let key = custody.keys().unwrap().remove(0);
    let folder = folder_of(token.module, &token.info.serial);
    let object = folder.join("token.object");
    let original = std::fs::read(&object).unwrap();
    let mut other = original.clone();
    let at = find(&other, token.info.serial.as_bytes()).unwrap();
    other[at..at + 4].copy_from_slice(b"beef");
    // What the library has in its memory is not read again before it is initialised again: the token goes away for a moment.
    let away = Away::take(token);
    std::fs::write(away.away.join("token.object"), &other).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| decrypt_on(&custody, &key, IN_TIME));
        while custody.health().module_generation < 2 {
            std::thread::yield_now();
        }
        drop(away);
        waiting.join().unwrap().unwrap();
    });
    assert!(custody.token().serial.starts_with("beef"));
    // Who has configured the serial number means that one.
    let error = decrypt_on(&strict, &key, Terms::default()).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Token, "{error}");
    drop((custody, strict));
    std::fs::write(&object, &original).unwrap();
    decrypt_on(&token.open(), &key, IN_TIME).unwrap();
}

#[test]
fn what_a_token_can_do_to_a_process_heals_in_the_process() {
    let module = softhsm();
    many_threads_initialise_once(&module.path);
    let (first, second) = (TestToken::new(module), TestToken::new(module));
    a_module_of_somebody_else_is_not_finalised(&second);
    drop(second);
    let second = TestToken::new(module);
    no_request_is_lost_on_either_token_of_a_module_while_one_is_away(&first, &second);
    a_new_process_is_asked_for_only_when_nothing_has_helped_for_long(&first);
    a_destroyed_key_is_no_trouble_for_the_others(&first);
    nor_is_it_if_it_was_the_only_one_of_its_kind(&TestToken::new(module));
    a_token_with_another_serial_number_is_known_by_its_label_and_its_keys(&first);
}
