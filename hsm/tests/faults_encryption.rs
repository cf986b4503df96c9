//! Encryption by a token that breaks, forgets its objects or has little room. One test, for there is one control file.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use fips::rsa::PrivateKey;
use hsm::pkcs11::Pkcs11Custody;
use hsm::{Custody, Error, ErrorClass, Padding, SecretBytes};
use support::{TestToken, command, faulty_softhsm};

const PADDING: Padding = Padding::OaepSha1;

struct Device {
    key: PrivateKey,
    spki: Vec<u8>,
}

impl Device {
    fn new(bits: usize) -> Self {
        let key = PrivateKey::generate(bits).unwrap();
        let spki = key.public().unwrap().spki_der().to_vec();
        Self { key, spki }
    }
}

fn encrypt(custody: &Pkcs11Custody, device: &Device) -> Result<(), Error> {
    let message = SecretBytes::from_slice(b"content key");
    let ciphertext = custody.encrypt(&device.spki, PADDING, &message)?;
    let plain = device
        .key
        .decrypt_oaep(PADDING.hash().unwrap(), &ciphertext)
        .unwrap();
    assert_eq!(plain.expose(), b"content key");
    Ok(())
}

fn counts(custody: &Pkcs11Custody) -> (u64, u64) {
    let health = custody.health();
    (health.public_keys_created, health.public_keys_reused)
}

#[test]
fn a_broken_token_is_not_taken_for_a_bad_key_and_no_object_is_trusted_for_ever() {
    let (module, control) = faulty_softhsm();
    let token = TestToken::new(module);
    drop(token.open_with_key());
    let mut config = token.config();
    config.threads = 1;
    let custody = Pkcs11Custody::open(config).unwrap();
    let devices: Vec<_> = (0..3).map(|_| Device::new(2048)).collect();
    let device = &devices[0];
    encrypt(&custody, device).unwrap();

    // A token in trouble says nothing about the key, and the objects of the old session are not used in the new one.
    for fault in ["device-error", "device-removed"] {
        command(&control, fault);
        let before = custody.health();
        for _ in 0..2 {
            let error = encrypt(&custody, device).unwrap_err();
            assert_eq!(error.class(), ErrorClass::Token, "{fault}: {error}");
        }
        let broken = custody.health();
        assert_eq!(broken.token_failures, before.token_failures + 2, "{fault}");
        assert_eq!(broken.bad_inputs, 0);
        command(&control, "");
        let before = counts(&custody);
        encrypt(&custody, device).unwrap();
        assert_eq!(counts(&custody), (before.0 + 1, before.1), "{fault}");
        encrypt(&custody, device).unwrap();
        assert_eq!(counts(&custody), (before.0 + 1, before.1 + 1), "{fault}");
    }

    // An object that has become invalid is made again, without a new session.
    let before = custody.health();
    command(&control, "stale-objects");
    encrypt(&custody, device).unwrap();
    encrypt(&custody, device).unwrap();
    command(&control, "");
    let after = custody.health();
    assert_eq!(after.public_keys_created, before.public_keys_created + 1);
    assert_eq!(after.public_keys_reused, before.public_keys_reused + 1);
    assert_eq!(after.reconnects, before.reconnects);
    assert_eq!(after.token_failures, before.token_failures);

    // A token with room for two keys serves three devices.
    command(&control, "two-objects");
    for device in devices.iter().chain(&devices).chain(&devices) {
        encrypt(&custody, device).unwrap();
    }
    command(&control, "");
    assert_eq!(custody.health().token_failures, after.token_failures);
    assert_eq!(custody.health().reconnects, after.reconnects);

    // A key with which the token cannot work is bad input, also where it leaves the session unusable, and also right after
    // trouble, when no handle is known.
    command(&control, "device-removed");
    encrypt(&custody, device).unwrap_err();
    command(&control, "odd-keys-stick");
    let before = custody.health();
    let odd = Device::new(3072);
    for _ in 0..2 {
        let error = encrypt(&custody, &odd).unwrap_err();
        assert!(matches!(error, Error::InvalidPublicKey(_)), "{error}");
        encrypt(&custody, device).unwrap();
    }
    let after = custody.health();
    assert_eq!(after.bad_inputs, before.bad_inputs + 2);
    assert_eq!(after.token_failures, before.token_failures);
    assert_eq!(after.reconnects, before.reconnects);
    command(&control, "");
    encrypt(&custody, &odd).unwrap();
}
