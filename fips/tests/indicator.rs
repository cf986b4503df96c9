//! The module's own service indicator against our table: it must move wherever the table says "approved".
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

mod common;

use common::begin;
use fips::digest::Hash;
use fips::indicator::observe;
use fips::secret::SecretBytes;
use fips::service::Service;
use fips::sign::{KeyKind, SigningKey};
use fips::{aes, digest, ec, hmac, kdf, legacy, random, rsa, sign};
use std::num::NonZeroU32;

/// Runs `work`, which has to be an approved service by our table and by the module.
#[track_caller]
fn approved<T>(service: Service, work: impl FnOnce() -> fips::Result<T>) -> T {
    assert!(service.approval().is_approved(), "{service:?}");
    let (result, moved) = observe(work);
    assert!(moved, "the indicator stood still in {service:?}");
    result.unwrap()
}

#[test]
fn it_moves_for_symmetric_services() {
    begin();
    for len in [16, 24, 32] {
        let key = approved(Service::Random, || random::secret(len));
        let (iv, ciphertext) = approved(Service::AesCbc, || aes::cbc_encrypt_random_iv(&key, b"x"));
        approved(Service::AesCbc, || aes::cbc_decrypt(&key, &iv, &ciphertext));
        approved(Service::AesCbc, || aes::cbc_encrypt(&key, &iv, b"x"));
        let wrapped = approved(Service::AesKeyWrap, || aes::key_wrap(&key, &key_of(32)));
        approved(Service::AesKeyWrap, || aes::key_unwrap(&key, &wrapped));
    }
    for len in [16, 32] {
        let key = key_of(len);
        let sealed = approved(Service::AesGcm, || aes::gcm_seal(&key, b"", b"x"));
        approved(Service::AesGcm, || aes::gcm_open(&key, b"", &sealed));
    }
}

fn key_of(len: usize) -> SecretBytes {
    random::secret(len).unwrap()
}

#[test]
fn it_moves_for_hashes_macs_and_derivations() {
    begin();
    for hash in Hash::ALL {
        approved(Service::Digest, || Ok(digest::digest(hash, b"x")));
        let service = Service::Hmac { key_bytes: 14 };
        approved(service, || Ok(hmac::sign(hash, &[7; 14], b"x")));
        approved(Service::Hkdf, || {
            kdf::hkdf(hash, b"salt", &[7; 32], b"info", 32)
        });
        let service = Service::Pbkdf2 {
            password_bytes: 14,
            salt_bytes: 16,
            iterations: 1000,
        };
        let iterations = NonZeroU32::new(1000).unwrap();
        approved(service, || {
            kdf::pbkdf2(hash, &[7; 14], &[7; 16], iterations, 32)
        });
    }
}

#[test]
fn it_moves_for_keys_and_signatures() {
    begin();
    for kind in [KeyKind::EcP256, KeyKind::EcP384, KeyKind::Rsa(2048)] {
        let key = approved(Service::KeyGeneration, || SigningKey::generate(kind));
        let signature = approved(Service::Signature, || key.sign(b"x"));
        approved(Service::Signature, || {
            sign::verify(key.algorithm(), key.spki_der(), b"x", &signature)
        });
    }
    for curve in ec::Curve::ALL {
        approved(Service::KeyGeneration, || ec::PrivateKey::generate(curve));
    }
    approved(Service::KeyGeneration, || rsa::PrivateKey::generate(2048));
}

#[test]
fn it_stands_still_for_the_past_and_for_weak_parameters() {
    begin();
    let key = key_of(24);
    let (ciphertext, moved) = observe(|| legacy::des_ede3_cbc_encrypt(&key, &[0; 8], b"x"));
    assert!(!moved && !Service::TripleDesCbc.approval().is_approved());
    let ciphertext = ciphertext.unwrap();
    assert!(!observe(|| legacy::des_ede3_cbc_decrypt(&key, &[0; 8], &ciphertext)).1);
    let key = key_of(16);
    assert!(!observe(|| legacy::rc2_cbc_decrypt(&key, &[0; 8], &[0; 8])).1);

    for (password_bytes, salt_bytes, iterations) in [(13, 16, 1000), (14, 15, 1000), (14, 16, 999)]
    {
        let service = Service::Pbkdf2 {
            password_bytes,
            salt_bytes,
            iterations,
        };
        assert!(!service.approval().is_approved());
        let (password, salt) = (vec![7; password_bytes], vec![7; salt_bytes]);
        let iterations = NonZeroU32::new(iterations).unwrap();
        assert!(!observe(|| kdf::pbkdf2(Hash::Sha256, &password, &salt, iterations, 32)).1);
    }
}

#[test]
fn it_belongs_to_one_thread() {
    begin();
    let (_, moved) = observe(|| {
        std::thread::scope(|scope| {
            scope.spawn(|| digest::digest(Hash::Sha256, b"x"));
        });
    });
    assert!(!moved);
}

/// Why the indicator is never the gate: it counts what happens inside of a service that is not approved.
#[test]
fn it_moves_for_rsa_encryption_and_short_mac_keys_which_the_table_knows_better() {
    begin();
    let key = rsa::PrivateKey::generate(2048).unwrap().public().unwrap();
    assert!(observe(|| key.encrypt_oaep(Hash::Sha256, b"x")).1);
    assert!(!Service::RsaOaep.approval().is_approved());
    assert!(observe(|| hmac::sign(Hash::Sha256, &[7; 8], b"x")).1);
    assert!(!Service::Hmac { key_bytes: 8 }.approval().is_approved());
}

#[test]
fn keys_and_secrets_can_be_used_by_several_threads() {
    begin();
    fn shareable<T: Send + Sync>() {}
    shareable::<SecretBytes>();
    shareable::<SigningKey>();
    shareable::<rsa::PublicKey>();
    shareable::<rsa::PrivateKey>();
    shareable::<ec::PrivateKey>();
    shareable::<fips::Error>();
    shareable::<fips::Module>();
}
