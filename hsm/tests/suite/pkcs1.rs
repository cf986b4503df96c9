//! Records of old imports: PKCS#1 v1.5, with keys that are named for it.

use hsm::pkcs11::Pkcs11Custody;
use hsm::{Custody, Error, KeyInfo, Label, Padding, SecretBytes, Terms};

use super::error;
use crate::support::TestToken;

fn encrypt(key: &KeyInfo, message: &[u8]) -> Vec<u8> {
    fips::rsa::PublicKey::from_spki(&key.spki_der)
        .unwrap()
        .encrypt_pkcs1v15(message)
        .unwrap()
}

fn named(token: &TestToken, key: &KeyInfo) -> Pkcs11Custody {
    let mut config = token.config();
    config.pkcs1_keys = vec![key.fingerprint];
    Pkcs11Custody::open(config).unwrap()
}

fn decrypt(custody: &Pkcs11Custody, key: &KeyInfo, ciphertext: &[u8]) -> Result<Vec<u8>, Error> {
    custody
        .decrypt(&key.fingerprint, Padding::Pkcs1, ciphertext)
        .map(|message| message.expose().to_vec())
}

pub fn a_key_that_nobody_named_does_not_decrypt_pkcs1(token: &TestToken) {
    let (custody, key) = token.open_with_key();
    let ciphertext = encrypt(&key, b"password");
    let before = custody.health().decrypts;
    assert!(matches!(
        decrypt(&custody, &key, &ciphertext),
        Err(Error::PaddingNotSupported(Padding::Pkcs1))
    ));
    assert_eq!(custody.health().decrypts, before);
    let capabilities = custody.capabilities();
    assert!(capabilities.pkcs1_native.is_empty() && capabilities.pkcs1_software.is_empty());
}

pub fn a_key_that_is_named_decrypts_pkcs1_and_encrypts_nothing_so(token: &TestToken) {
    let (other, key) = token.open_with_key();
    drop(other);
    let custody = named(token, &key);
    for len in [0, 1, 16, 245] {
        let message = vec![0x61; len];
        let ciphertext = encrypt(&key, &message);
        assert_eq!(decrypt(&custody, &key, &ciphertext).unwrap(), message);
    }
    let capabilities = custody.capabilities();
    assert!(capabilities.decrypts(&key.fingerprint, Padding::Pkcs1));
    assert_eq!(
        capabilities.pkcs1_software.len() + capabilities.pkcs1_native.len(),
        1
    );
    let message = SecretBytes::from_slice(b"password");
    let refused = error(custody.encrypt(&key.spki_der, Padding::Pkcs1, &message));
    assert!(matches!(
        refused,
        Error::PaddingNotSupported(Padding::Pkcs1)
    ));
    let label = Label::new(b"label").unwrap();
    let ciphertext = encrypt(&key, b"password");
    let refused = error(custody.decrypt_with_label(
        &key.fingerprint,
        Padding::Pkcs1,
        &label,
        &ciphertext,
        Terms::default(),
    ));
    assert!(matches!(refused, Error::LabelNotSupported(Padding::Pkcs1)));
    super::assert_well(&custody, &key);
}

/// Bleichenbacher, CRYPTO 1998: what is learned of the padding decrypts without the key. So nothing is.
pub fn nobody_learns_whether_a_pkcs1_padding_was_right(token: &TestToken) {
    let (other, key) = token.open_with_key();
    drop(other);
    let custody = named(token, &key);
    let good = encrypt(&key, b"password");
    let mut seen = std::collections::BTreeSet::new();
    for number in 0..24_u8 {
        let bad = match number {
            // A ciphertext of the right length below the modulus whose block is as good as random.
            0..16 => {
                let mut bad = good.clone();
                bad[usize::from(number) * 8 + 9] ^= 1;
                bad
            }
            // The right padding of something else.
            16..20 => super::encrypt(&key.spki_der, Padding::OAEP[usize::from(number - 16)], b"x"),
            20 => vec![1; 256],
            // Blocks that are 0, 1 and 2 as numbers.
            _ => {
                let mut small = vec![0; 256];
                small[255] = number - 21;
                small
            }
        };
        let canaries = custody.health().canaries_run + custody.health().canaries_shared;
        let answer = decrypt(&custody, &key, &bad).unwrap();
        let health = custody.health();
        assert!(
            health.canaries_run + health.canaries_shared > canaries,
            "a known ciphertext follows"
        );
        assert_eq!(decrypt(&custody, &key, &bad).unwrap(), answer, "{number}");
        // The shortest are equal by chance.
        let is_short = answer.len() < 8;
        assert!(
            seen.insert(answer) || is_short,
            "{number}: every answer is its own"
        );
    }
    // A good one is followed by the same.
    let before = custody.health();
    assert_eq!(decrypt(&custody, &key, &good).unwrap(), b"password");
    let after = custody.health();
    assert_eq!(
        after.canaries_run + after.canaries_shared,
        before.canaries_run + before.canaries_shared + 1
    );
    // What anybody can see of a ciphertext is told: its length, and that it is a number below the modulus.
    assert!(matches!(
        decrypt(&custody, &key, &good[1..]),
        Err(Error::CiphertextLength { .. })
    ));
    assert!(matches!(
        decrypt(&custody, &key, &[0xff; 256]),
        Err(Error::Decryption)
    ));
    super::assert_well(&custody, &key);
}
