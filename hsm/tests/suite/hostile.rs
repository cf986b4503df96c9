//! A stranger who sends bad ciphertexts, as many as he likes.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use fips::rsa::PrivateKey;
use hsm::pkcs11::Pkcs11Custody;
use hsm::{Custody, Error, KeyInfo, Padding};

use crate::support::{TestToken, encrypt};

/// Enough to go through every budget of custody's; fewer of them where a decryption takes long.
const IN_THE_SUITE: usize = 1500;
const ON_A_SLOW_TOKEN: usize = 1000;
/// Decryptions per second.
const SLOW: u32 = 500;

/// What is bad about a ciphertext.
const KINDS: usize = 9;

pub fn no_stranger_causes_a_reconnect_or_has_good_requests_fail(token: &TestToken) {
    let is_slow = token.quirks().decryptions_per_s.unwrap() < SLOW;
    let all = if is_slow {
        ON_A_SLOW_TOKEN
    } else {
        IN_THE_SUITE
    };
    strangers_change_nothing(token, all);
}

/// Sends so many bad ciphertexts of every kind, with good ones among them.
pub fn strangers_change_nothing(token: &TestToken, all: usize) {
    drop(token.open_with_key());
    let mut config = token.config();
    config.threads = 4;
    let custody = Pkcs11Custody::open(config).unwrap();
    let key = custody.keys().unwrap().remove(0);
    send_bad_ciphertexts(&custody, &key, all);
    let health = custody.health();
    assert_eq!(health.bad_inputs, u64::try_from(all).unwrap());
    assert_eq!((health.reconnects, health.token_failures), (0, 0));
    assert_eq!((health.module_generation, health.needs_restart), (1, false));
    // What it cost: known ciphertexts, few of them beyond the budget.
    assert!(health.canaries_run + health.canaries_shared <= 2 * health.bad_inputs);
    println!(
        "{all} bad ciphertexts: {} canaries run, {} shared, {} sessions replaced",
        health.canaries_run, health.canaries_shared, health.sessions_replaced
    );
}

/// Sends so many bad ciphertexts of every kind to a custody, each of which is refused as such. After every eighth of them a good one
/// decrypts. How many good ones that were.
pub fn send_bad_ciphertexts(custody: &dyn Custody, key: &KeyInfo, all: usize) -> u64 {
    let other_key = PrivateKey::generate(2048).unwrap().public().unwrap();
    let other_spki = other_key.spki_der();
    let good: Vec<_> = Padding::OAEP
        .map(|padding| encrypt(&key.spki_der, padding, b"good"))
        .into();
    let foreign: Vec<_> = Padding::OAEP
        .map(|padding| encrypt(other_spki, padding, b"good"))
        .into();
    let (sent, decrypted) = (AtomicUsize::new(0), AtomicU64::new(0));
    let hostile = |number: usize, padding_index: usize| {
        let mut bad = good[padding_index].clone();
        match number % KINDS {
            // One bit, anywhere; what is too large then is refused for that.
            0 => bad[number / 8 % 256] ^= 1 << (number % 8),
            1 => *bad.last_mut().unwrap() ^= 1,
            // The padding of another hash.
            2 => bad.clone_from(&good[(padding_index + 1) % good.len()]),
            3 => bad.clone_from(&foreign[padding_index]),
            // Random, and less than every modulus.
            4 => {
                fips::random::fill(&mut bad).unwrap();
                bad[0] = 0;
            }
            5 => bad = vec![0xff; 256],
            6 => bad = [vec![0; 255], vec![u8::from(number % 2 == 1)]].concat(),
            7 => bad.truncate(number % 256),
            _ => bad.extend_from_slice(&[0; 1]),
        }
        bad
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let number = sent.fetch_add(1, Ordering::Relaxed);
                    if number >= all {
                        break;
                    }
                    // Native and in software, by turns that do not fit the kinds.
                    let index = number / 16 % 4;
                    let padding = Padding::OAEP[index];
                    let bad = hostile(number, index);
                    let len = bad.len();
                    match custody.decrypt(&key.fingerprint, padding, &bad) {
                        Err(Error::Decryption) if len == 256 => {}
                        Err(Error::CiphertextLength { actual, .. }) if actual == len => {}
                        Err(error) => panic!("{number}: {error}"),
                        Ok(_) => panic!("{number} decrypts"),
                    }
                    if number.is_multiple_of(8) {
                        let plain = custody.decrypt(&key.fingerprint, padding, &good[index]);
                        assert_eq!(plain.unwrap().expose(), b"good");
                        decrypted.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    decrypted.into_inner()
}
