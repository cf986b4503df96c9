//! Encryption to other people's keys by the token: right for whoever decrypts, and with objects that do not pile up.

use cryptoki::object::{Attribute, ObjectClass};
use cryptoki::session::Session;
use fips::rsa::PrivateKey;
use hsm::pkcs11::Pkcs11Custody;
use hsm::public_key::PublicKey;
use hsm::{Custody, Padding, SecretBytes};

use crate::support::{TestToken, session_beside};

/// Session objects that each session keeps.
const KEPT: usize = 64;

/// One session, so that it is known which one an object belongs to.
fn open_with_one_session(token: &TestToken) -> (Pkcs11Custody, Padding) {
    drop(token.open_with_key());
    open_again_with_one_session(token)
}

fn open_again_with_one_session(token: &TestToken) -> (Pkcs11Custody, Padding) {
    let mut config = token.config();
    config.threads = 1;
    let custody = Pkcs11Custody::open(config).unwrap();
    let padding = custody.capabilities().key_transport_padding().unwrap();
    (custody, padding)
}

fn encrypt(custody: &Pkcs11Custody, spki: &[u8], padding: Padding) -> Vec<u8> {
    custody
        .encrypt(spki, padding, &SecretBytes::from_slice(b"content key"))
        .unwrap()
}

/// Keys made, keys reused.
fn counts(custody: &Pkcs11Custody) -> (u64, u64) {
    let health = custody.health();
    (health.public_keys_created, health.public_keys_reused)
}

/// Public keys that differ, made from a real one: nobody can decrypt with them, but encrypting needs no primes.
fn public_keys(like: &[u8], count: usize) -> Vec<Vec<u8>> {
    let real = PublicKey::from_spki_der(like).unwrap();
    (1..=count)
        .map(|number| {
            let mut modulus = real.modulus().to_vec();
            let number = u16::try_from(number).unwrap().to_be_bytes();
            modulus[100..102].copy_from_slice(&number);
            PublicKey::from_components(&modulus, real.exponent())
                .and_then(|key| key.to_spki_der())
                .unwrap()
        })
        .collect()
}

fn public_session_objects(session: &Session) -> usize {
    session
        .find_objects(&[
            Attribute::Class(ObjectClass::PUBLIC_KEY),
            Attribute::Token(false),
        ])
        .unwrap()
        .len()
}

pub fn what_the_token_encrypts_the_devices_decrypt(token: &TestToken) {
    let (custody, preferred) = open_with_one_session(token);
    let native = token.native();
    let expected = if native.contains(&Padding::OaepSha256) {
        Padding::OaepSha256
    } else {
        Padding::OaepSha1
    };
    assert_eq!(preferred, expected);
    for bits in [2048, 3072] {
        let device = PrivateKey::generate(bits).unwrap();
        let spki = device.public().unwrap().spki_der().to_vec();
        for padding in native {
            let ciphertext = encrypt(&custody, &spki, *padding);
            let plain = device
                .decrypt_oaep(padding.hash().unwrap(), &ciphertext)
                .unwrap();
            assert_eq!(plain.expose(), b"content key");
        }
    }
}

pub fn a_public_key_is_made_an_object_once_and_reused(token: &TestToken) {
    let (custody, padding) = open_with_one_session(token);
    let device = PrivateKey::generate(2048).unwrap();
    let spki = device.public().unwrap().spki_der().to_vec();
    let other = public_keys(&spki, 1).remove(0);
    let before = counts(&custody);
    for _ in 0..3 {
        let ciphertext = encrypt(&custody, &spki, padding);
        let plain = device
            .decrypt_oaep(padding.hash().unwrap(), &ciphertext)
            .unwrap();
        assert_eq!(plain.expose(), b"content key");
        // Another key's object in between is not taken for this one's.
        encrypt(&custody, &other, padding);
    }
    let after = counts(&custody);
    assert_eq!((after.0 - before.0, after.1 - before.1), (2, 4));
    assert_eq!(custody.health().encrypts, 6);
    assert_eq!(custody.health().reconnects, 0);
}

pub fn the_objects_are_bounded_and_the_least_recently_used_goes(token: &TestToken) {
    let (custody, padding) = open_with_one_session(token);
    let custody_key = custody.keys().unwrap().remove(0).spki_der;
    let session = session_beside(token, &custody);
    let keys = public_keys(&custody_key, KEPT + 6);
    for key in &keys {
        encrypt(&custody, key, padding);
        // The first one is in use all the time.
        encrypt(&custody, &keys[0], padding);
        assert!(public_session_objects(&session) <= KEPT);
    }
    assert_eq!(public_session_objects(&session), KEPT);
    let before = counts(&custody);
    encrypt(&custody, &keys[0], padding);
    encrypt(&custody, &keys[KEPT + 5], padding);
    assert_eq!(counts(&custody), (before.0, before.1 + 2), "both are kept");
    encrypt(&custody, &keys[1], padding);
    assert_eq!(
        counts(&custody),
        (before.0 + 1, before.1 + 2),
        "was unused for longest"
    );
    assert_eq!(public_session_objects(&session), KEPT);
    assert_eq!(custody.health().reconnects, 0);
}

pub fn objects_go_away_with_their_session(token: &TestToken) {
    drop(token.open_with_key());
    // Keeps the module initialised, and looks.
    let witness = token.open();
    let session = session_beside(token, &witness);
    let before = public_session_objects(&session);
    let (custody, padding) = open_again_with_one_session(token);
    let custody_key = custody.keys().unwrap().remove(0).spki_der;
    for key in public_keys(&custody_key, 5) {
        encrypt(&custody, &key, padding);
    }
    assert!(public_session_objects(&session) >= before + 5);
    drop(custody);
    assert_eq!(public_session_objects(&session), before);
}
