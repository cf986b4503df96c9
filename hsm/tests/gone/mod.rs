//! A token whose files are moved away while custody is open.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::path::Path;
use std::time::Duration;

use hsm::pkcs11::GenerateSigningKey;
use hsm::pkcs11::quirks::Absence;
use hsm::{Custody, ErrorClass, KeyFingerprint, Padding, SigningKeyName, Terms};

use crate::support::{Module, TestToken, encrypt};

fn move_entries(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::rename(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

pub fn a_token_whose_files_go_away_is_never_taken_for_bad_input(module: &'static Module) {
    let away = module.folder.parent().unwrap().join(format!(
        "{}-away",
        module.folder.file_name().unwrap().display()
    ));
    std::fs::create_dir(&away).unwrap();
    a_token_that_goes_away_is_never_taken_for_bad_input(
        module,
        || move_entries(&module.folder, &away),
        || move_entries(&away, &module.folder),
    );
}

/// `leave`: lets the token go away. `come_back`: lets it come back.
pub fn a_token_that_goes_away_is_never_taken_for_bad_input(
    module: &'static Module,
    leave: impl FnOnce(),
    come_back: impl FnOnce(),
) {
    let token = TestToken::new(module);
    // One that keeps its files open does not notice.
    let fails = token.quirks().absence.unwrap() != Absence::Unnoticed;
    let (custody, key) = token.open_with_key();
    let signing = custody
        .generate_signing_key(&GenerateSigningKey {
            label: "report".into(),
            kind: token.small_signing_key(),
        })
        .unwrap();
    let name = SigningKeyName::Fingerprint(signing.fingerprint);
    custody.sign(&name, b"message").unwrap();
    let ciphertexts: Vec<_> = Padding::OAEP
        .into_iter()
        .map(|padding| (padding, encrypt(&key.spki_der, padding, b"message")))
        .collect();
    leave();
    for (padding, ciphertext) in &ciphertexts {
        // Twice: the second time the handles are forgotten already.
        for _ in 0..2 {
            match custody.decrypt(&key.fingerprint, *padding, ciphertext) {
                Ok(plain) => {
                    assert!(!fails, "{padding} works without a token");
                    assert_eq!(plain.expose(), b"message");
                }
                Err(error) => assert_eq!(error.class(), ErrorClass::Token, "{error}"),
            }
        }
    }
    if fails {
        // Garbage says nothing about a token that is not there, nor does a key that was never seen.
        let garbage = custody.decrypt(&key.fingerprint, Padding::OaepSha1, &[1; 256]);
        assert_eq!(garbage.err().unwrap().class(), ErrorClass::Token);
        let stranger = KeyFingerprint::from_bytes([7; 32]);
        let unknown = custody.decrypt(&stranger, Padding::OaepSha1, &[1; 256]);
        assert_eq!(unknown.err().unwrap().class(), ErrorClass::Token);
        assert_eq!(custody.keys().err().unwrap().class(), ErrorClass::Token);
        for error in [
            custody.sign(&name, b"message").err(),
            custody.signing_keys().err(),
        ] {
            assert_eq!(error.unwrap().class(), ErrorClass::Token);
        }
        let health = custody.health();
        assert!(!health.needs_restart, "nothing has been tried for long");
        assert!(health.reconnects > 0 && health.generation > 0 && health.module_generation > 1);
        assert_eq!(health.bad_inputs, 0);
    }

    // A request that waits while the token is away is done once it is back, in the same process and by the same custody.
    let (padding, ciphertext) = &ciphertexts[0];
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let terms = Terms::within(Duration::from_secs(60));
            custody
                .decrypt_on(&key.fingerprint, *padding, ciphertext, terms)
                .map(|plain| plain.expose().to_vec())
        });
        if fails {
            let before = custody.health().module_generation;
            while custody.health().module_generation < before + 2 {
                std::thread::yield_now();
            }
        }
        come_back();
        assert_eq!(waiting.join().unwrap().unwrap(), b"message");
    });
    for (padding, ciphertext) in &ciphertexts {
        let plain = custody
            .decrypt(&key.fingerprint, *padding, ciphertext)
            .unwrap();
        assert_eq!(plain.expose(), b"message");
    }
    custody.sign(&name, b"message").unwrap();
    // An RSA key that signs is listed as well, as one that is refused.
    let listed = 1 + usize::from(signing.algorithm.curve().is_none());
    assert_eq!(custody.keys().unwrap().len(), listed);
    assert!(!custody.health().needs_restart);
}
