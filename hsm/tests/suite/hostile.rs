//! A stranger who sends bad ciphertexts, as many as he likes.

use std::sync::atomic::{AtomicUsize, Ordering};

use hsm::pkcs11::Pkcs11Custody;
use hsm::{Custody, Error, Padding};

use crate::support::{TestToken, encrypt};

/// How many: `HOSTILE_CIPHERTEXTS`, or enough to go through every budget.
fn hostile_ciphertexts() -> usize {
    std::env::var("HOSTILE_CIPHERTEXTS").map_or(1500, |number| number.parse().unwrap())
}

pub fn no_stranger_causes_a_reconnect_or_has_good_requests_fail(token: &TestToken) {
    drop(token.open_with_key());
    let mut config = token.config();
    config.threads = 4;
    let custody = Pkcs11Custody::open(config).unwrap();
    let key = custody.keys().unwrap().remove(0);
    let all = hostile_ciphertexts();
    let sent = AtomicUsize::new(0);
    let hostile = |number: usize, padding| {
        // Each of its own kind of bad: another message's bits, a byte changed, and the padding of another hash.
        let mut ciphertext = encrypt(&key.spki_der, padding, b"message");
        match number % 3 {
            0 => ciphertext[20 + number % 200] ^= 0x55,
            1 => *ciphertext.last_mut().unwrap() ^= 1,
            _ => {
                let other = match padding {
                    Padding::OaepSha1 => Padding::OaepSha256,
                    _ => Padding::OaepSha1,
                };
                ciphertext = encrypt(&key.spki_der, other, b"message");
            }
        }
        ciphertext
    };
    let good = encrypt(&key.spki_der, Padding::OaepSha1, b"good");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let number = sent.fetch_add(1, Ordering::Relaxed);
                    if number >= all {
                        break;
                    }
                    // Native and in software, by turns that do not fit the kinds.
                    let padding = Padding::ALL[number / 16 % 4];
                    let ciphertext = hostile(number, padding);
                    let refused = custody.decrypt(&key.fingerprint, padding, &ciphertext);
                    assert!(matches!(refused, Err(Error::Decryption)), "{number}");
                    if number.is_multiple_of(8) {
                        let plain = custody.decrypt(&key.fingerprint, Padding::OaepSha1, &good);
                        assert_eq!(plain.unwrap().expose(), b"good");
                    }
                }
            });
        }
    });
    let health = custody.health();
    assert_eq!(health.bad_inputs, u64::try_from(all).unwrap());
    assert_eq!((health.reconnects, health.token_failures), (0, 0));
    assert_eq!((health.module_generation, health.needs_restart), (1, false));
    // What it cost: known ciphertexts, few of them beyond the budget.
    assert!(health.canaries_run + health.canaries_shared <= 2 * health.bad_inputs);
}
