//! The module's own service indicator against our table: every service of the module is performed, and the indicator has to do what
//! its row says.
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
use fips::digest::{FileHash, Hash};
use fips::indicator::observe;
use fips::policy::{IndicatorReading, Performer, Service, counts, fault};
use fips::secret::SecretBytes;
use fips::sign::{KeyKind, SigningKey};
use fips::{aes, digest, ec, hmac, kdf, legacy, random, rsa, sign};
use std::num::NonZeroU32;

fn key_of(len: usize) -> SecretBytes {
    random::secret(len).unwrap()
}

/// Every hash of files but MD5.
fn approved_hashes() -> impl Iterator<Item = FileHash> {
    FileHash::ALL
        .into_iter()
        .filter(|hash| *hash != FileHash::Md5)
}

/// Whether the indicator moved, for every way in which this crate performs `service`; empty for those that the module does not perform.
fn readings(service: Service) -> Vec<bool> {
    fn moved<T>(work: impl FnOnce() -> fips::Result<T>) -> bool {
        let (result, moved) = observe(work);
        result.map(drop).unwrap();
        moved
    }
    let thousand = NonZeroU32::new(1000).unwrap();
    match service {
        Service::Random => vec![
            moved(|| random::secret(32)),
            moved(random::array::<8>),
            moved(|| random::alphanumeric(8)),
            moved(random::uuid_v4),
        ],
        Service::Digest => Hash::ALL
            .into_iter()
            .flat_map(|hash| {
                [
                    moved(|| Ok(digest::digest(hash, b"x"))),
                    moved(|| Ok(digest::Hasher::new(hash).finish())),
                ]
            })
            .collect(),
        Service::Hmac | Service::HmacShortKey => {
            let key = vec![7; if service == Service::Hmac { 14 } else { 8 }];
            let in_pieces = Hash::ALL
                .into_iter()
                .map(|hash| moved(|| hmac::Signer::new(hash, &key)?.finish()));
            approved_hashes()
                .flat_map(|hash| {
                    let tag = hmac::sign(hash, &key, b"x").unwrap();
                    [
                        moved(|| hmac::sign(hash, &key, b"x")),
                        moved(|| hmac::verify(hash, &key, b"x", tag.as_ref())),
                    ]
                })
                .chain(in_pieces)
                .collect()
        }
        Service::HmacMd5 => vec![moved(|| hmac::sign(FileHash::Md5, &[7; 16], b"x"))],
        Service::Hkdf => Hash::ALL
            .into_iter()
            .map(|hash| moved(|| kdf::hkdf(hash, b"salt", &[7; 32], b"info", 32)))
            .collect(),
        Service::Pbkdf2 => approved_hashes()
            .map(|hash| moved(|| kdf::pbkdf2(hash, &[7; 14], &[7; 16], thousand, 32)))
            .collect(),
        Service::Pbkdf2OutOfBounds => [(13, 16, 1000), (14, 15, 1000), (14, 16, 999)]
            .into_iter()
            .map(|(password, salt, iterations)| {
                let iterations = NonZeroU32::new(iterations).unwrap();
                let (password, salt) = (vec![7; password], vec![7; salt]);
                moved(|| kdf::pbkdf2(Hash::Sha256, &password, &salt, iterations, 32))
            })
            .collect(),
        Service::Pbkdf2Md5 => {
            vec![moved(|| {
                kdf::pbkdf2(FileHash::Md5, &[7; 14], &[7; 16], thousand, 32)
            })]
        }
        Service::Pbkdf1 => vec![moved(|| {
            kdf::pbkdf1(Hash::Sha1, b"password", b"salt", thousand, 16)
        })],
        Service::Scrypt => {
            let cost = kdf::ScryptCost::new(1024, 8, 1).unwrap();
            vec![moved(|| kdf::scrypt(&[7; 14], &[7; 16], cost, 1 << 21, 32))]
        }
        Service::CmpPbmac1 => vec![moved(|| {
            kdf::pbmac1_message_key(Hash::Sha256, &[7; 14], &[7; 16], thousand, 32)
        })],
        Service::CmpPasswordBasedMac => vec![moved(|| {
            kdf::password_based_mac_key(Hash::Sha256, b"secret", b"salt", thousand)
        })],
        Service::AesCbc => [16, 24, 32]
            .into_iter()
            .flat_map(|len| {
                let key = key_of(len);
                let ciphertext = aes::cbc_encrypt(&key, &[0; 16], b"x").unwrap();
                [
                    moved(|| aes::cbc_encrypt(&key, &[0; 16], b"x")),
                    moved(|| aes::cbc_decrypt(&key, &[0; 16], &ciphertext)),
                ]
            })
            .collect(),
        Service::AesGcm => [16, 32]
            .into_iter()
            .flat_map(|len| {
                let key = key_of(len);
                let sealed = aes::gcm_seal(&key, b"", b"x").unwrap();
                [
                    moved(|| aes::gcm_seal(&key, b"", b"x")),
                    moved(|| aes::gcm_open(&key, b"", &sealed)),
                    moved(|| {
                        let (nonce, rest) = sealed.split_at(12);
                        aes::gcm_open_detached(&key, nonce, b"", &rest[..1], &rest[1..13])
                    }),
                ]
            })
            .collect(),
        Service::AesKeyWrap => [16, 24, 32]
            .into_iter()
            .flat_map(|len| {
                let (kek, key) = (key_of(len), key_of(32));
                let wrapped = aes::key_wrap(&kek, &key).unwrap();
                let padded = aes::key_wrap_padded(&kek, &key).unwrap();
                [
                    moved(|| aes::key_wrap(&kek, &key)),
                    moved(|| aes::key_unwrap(&kek, &wrapped)),
                    moved(|| aes::key_wrap_padded(&kek, &key)),
                    moved(|| aes::key_unwrap_padded(&kek, &padded)),
                ]
            })
            .collect(),
        Service::RsaKeyGeneration => vec![
            moved(|| rsa::PrivateKey::generate(2048)),
            moved(|| SigningKey::generate(KeyKind::Rsa(2048))),
        ],
        Service::EcKeyGeneration => ec::Curve::ALL
            .into_iter()
            .map(|curve| moved(|| ec::PrivateKey::generate(curve)))
            .chain(
                [KeyKind::EcP256, KeyKind::EcP384, KeyKind::EcP521]
                    .map(|kind| moved(|| SigningKey::generate(kind))),
            )
            .collect(),
        Service::SignatureGeneration | Service::SignatureVerification => {
            let keys = [
                KeyKind::EcP256,
                KeyKind::EcP384,
                KeyKind::EcP521,
                KeyKind::Rsa(2048),
            ];
            let algorithms = sign::SignatureAlgorithm::ALL;
            keys.into_iter()
                .map(|kind| SigningKey::generate(kind).unwrap())
                .flat_map(|key| {
                    algorithms.into_iter().filter_map(move |algorithm| {
                        let signature = key.sign_with(algorithm, b"x").ok()?;
                        Some(if service == Service::SignatureGeneration {
                            moved(|| key.sign_with(algorithm, b"x"))
                        } else {
                            moved(|| sign::verify(algorithm, key.spki_der(), b"x", &signature))
                        })
                    })
                })
                .collect()
        }
        Service::RsaOaepEncrypt
        | Service::RsaOaepDecrypt
        | Service::RsaPkcs1v15Encrypt
        | Service::RsaPkcs1v15Decrypt => {
            let key = rsa::PrivateKey::generate(2048).unwrap();
            let public = key.public().unwrap();
            let oaep = public.encrypt_oaep(Hash::Sha256, b"x").unwrap();
            let pkcs1 = public.encrypt_pkcs1v15(b"x").unwrap();
            vec![match service {
                Service::RsaOaepEncrypt => moved(|| public.encrypt_oaep(Hash::Sha256, b"x")),
                Service::RsaOaepDecrypt => moved(|| key.decrypt_oaep(Hash::Sha256, &oaep)),
                Service::RsaPkcs1v15Encrypt => moved(|| public.encrypt_pkcs1v15(b"x")),
                _ => moved(|| key.decrypt_pkcs1v15(&pkcs1)),
            }]
        }
        Service::RsaShortKeyDecrypt => {
            let pkcs8 = include_bytes!("../../tests/data/rsa-1024-bits.pkcs8.der");
            let ciphertext = include_bytes!("../../tests/data/rsa-1024-bits.pkcs1v15.bin");
            let key = rsa::ReadingKey::from_pkcs8(pkcs8).unwrap();
            vec![moved(|| key.decrypt_pkcs1v15(ciphertext))]
        }
        Service::Ecdh => {
            let (own, peer) = (
                ec::PrivateKey::generate(ec::Curve::P256).unwrap(),
                ec::PrivateKey::generate(ec::Curve::P256).unwrap(),
            );
            let point = peer.public_point().unwrap();
            vec![moved(|| own.agree(&point))]
        }
        Service::X963Kdf => vec![moved(|| kdf::x963(Hash::Sha256, &key_of(32), b"", 32))],
        Service::Pkcs12KdfRead | Service::Pkcs12KdfWrite => {
            let use_for = match service {
                Service::Pkcs12KdfRead => kdf::Pkcs12Use::Read,
                _ => kdf::Pkcs12Use::Write,
            };
            let purpose = kdf::Pkcs12Purpose::Mac;
            vec![moved(|| {
                kdf::pkcs12(use_for, Hash::Sha256, b"", b"salt", purpose, thousand, 32)
            })]
        }
        Service::TripleDesEncrypt => {
            let key = key_of(24);
            vec![moved(|| legacy::des_ede3_cbc_encrypt(&key, &[0; 8], b"x"))]
        }
        Service::TripleDesDecrypt => {
            let key = key_of(24);
            let ciphertext = legacy::des_ede3_cbc_encrypt(&key, &[0; 8], b"x").unwrap();
            vec![moved(|| {
                legacy::des_ede3_cbc_decrypt(&key, &[0; 8], &ciphertext)
            })]
        }
        Service::Rc2Decrypt => {
            // By `openssl enc -rc2-cbc` over nothing, key and IV of zeros.
            let ciphertext = base16ct::lower::decode_vec("2f249fe5faf74162").unwrap();
            let key = SecretBytes::zeroed(16);
            vec![moved(|| {
                legacy::rc2_cbc_decrypt(&key, 128, &[0; 8], &ciphertext)
            })]
        }
        Service::DesDecrypt => {
            // By `openssl enc -des-cbc` over nothing, key and IV of zeros.
            let ciphertext = base16ct::lower::decode_vec("7e422822773666c0").unwrap();
            let key = SecretBytes::zeroed(8);
            vec![moved(|| {
                legacy::des_cbc_decrypt(&key, &[0; 8], &ciphertext)
            })]
        }
        Service::Rc4Decrypt => {
            let key = key_of(5);
            vec![moved(|| legacy::rc4_decrypt(&key, b"x"))]
        }
        // rustls calls the module many times in a handshake; its evidence is `fips()`: tests/tls.rs.
        Service::Tls => Vec::new(),
        Service::TokenOaepDecrypt
        | Service::TokenOaepEncrypt
        | Service::TokenKeyGeneration
        | Service::TokenSignature
        | Service::TokenKeyWrap
        | Service::TokenKeyUnwrap
        | Service::TokenEcdh
        | Service::TokenRawRsaOaep
        | Service::TokenRawRsaPkcs1v15
        | Service::TokenPkcs1v15 => Vec::new(),
    }
}

#[test]
fn every_service_of_the_module_does_to_the_indicator_what_its_row_says() {
    begin();
    let mut walked = 0;
    for service in Service::ALL {
        let entry = service.entry();
        let readings = readings(service);
        if readings.is_empty() {
            assert!(
                entry.performer != Performer::Module || service == Service::Tls,
                "{} was not performed",
                entry.name
            );
            continue;
        }
        walked += 1;
        match entry.indicator {
            IndicatorReading::Moves => {
                assert!(readings.iter().all(|moved| *moved), "{}", entry.name);
            }
            IndicatorReading::StandsStill => {
                assert!(readings.iter().all(|moved| !moved), "{}", entry.name);
            }
            IndicatorReading::NoEvidence => {}
        }
        let disagreed = |service| {
            counts()
                .into_iter()
                .find(|count| count.service == service)
                .map(|count| count.disagreed)
        };
        assert_eq!(disagreed(service), Some(0), "{}", entry.name);
    }
    assert_eq!(walked, 34);
    assert_eq!(fault(), None);
}

/// Why the indicator is never the gate: it counts what happens inside of a service that is not approved.
#[test]
fn it_moves_for_rsa_encryption_and_short_mac_keys_which_the_table_knows_better() {
    begin();
    for service in [
        Service::RsaOaepEncrypt,
        Service::RsaOaepDecrypt,
        Service::RsaPkcs1v15Encrypt,
        Service::HmacShortKey,
        Service::X963Kdf,
    ] {
        assert!(!service.entry().standing.is_approved());
        assert!(readings(service).contains(&true), "{}", service.name());
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

#[test]
fn keys_and_secrets_can_be_used_by_several_threads() {
    fn shareable<T: Send + Sync>() {}
    shareable::<SecretBytes>();
    shareable::<SigningKey>();
    shareable::<rsa::PublicKey>();
    shareable::<rsa::PrivateKey>();
    shareable::<ec::PrivateKey>();
    shareable::<fips::Error>();
    shareable::<fips::Module>();
}
