//! The decisions, and the override that lets the tests of this crate run under several policies in one process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::digest::{FileHash, Hash};
use crate::kdf::Pkcs12Use;
use crate::secret::SecretBytes;
use crate::{ec, hmac, kdf, legacy, rsa};
use std::cell::Cell;
use std::num::NonZeroU32;

thread_local! {
    static OVERRIDE: Cell<Option<Policy>> = const { Cell::new(None) };
}

pub(super) fn override_of_this_thread() -> Option<Policy> {
    OVERRIDE.get()
}

/// Puts `policy` in force for this thread until the guard is dropped.
pub(crate) fn under(policy: Policy) -> Guard {
    Guard(OVERRIDE.replace(Some(policy)))
}

pub(crate) struct Guard(Option<Policy>);

impl Drop for Guard {
    fn drop(&mut self) {
        OVERRIDE.set(self.0);
    }
}

#[test]
fn names_are_unique_and_every_row_is_complete() {
    let mut names = std::collections::BTreeSet::new();
    for service in Service::ALL {
        let entry = service.entry();
        assert!(names.insert(entry.name), "{} is there twice", entry.name);
        for text in [entry.operation, entry.parameters, entry.source] {
            assert!(!text.is_empty(), "{}", entry.name);
        }
        assert!(!entry.functions.is_empty(), "{}", entry.name);
        match entry.standing {
            Standing::Approved => {
                assert!(entry.remedy.is_empty(), "{}", entry.name);
                assert_ne!(entry.performer, Performer::Program, "{}", entry.name);
            }
            Standing::NotApproved { reason, exception } => {
                assert!(!reason.is_empty());
                assert!(entry.remedy.contains(exception.name()), "{}", entry.name);
                assert_ne!(entry.indicator, IndicatorReading::Moves, "{}", entry.name);
            }
            Standing::OffOnly { reason } => {
                assert!(!reason.is_empty() && !entry.remedy.is_empty());
                assert_ne!(entry.indicator, IndicatorReading::Moves, "{}", entry.name);
            }
        }
    }
}

#[test]
fn every_exception_permits_something_and_its_name_reads_back() {
    for exception in Exception::ALL {
        assert!(exception.services().count() > 0, "{exception}");
        assert_eq!(exception.name().parse(), Ok(exception));
        assert!(!exception.permits().is_empty());
        let only: Exceptions = [exception].into_iter().collect();
        for other in Exception::ALL {
            assert_eq!(only.contains(other), other == exception);
        }
        assert_eq!(format!("{only:?}"), format!("{{{:?}}}", exception.name()));
    }
    assert_eq!("pkcs12".parse::<Exception>(), Err(UnknownException));
}

#[test]
fn the_bounds_of_hmac_and_pbkdf2_are_inclusive() {
    assert_eq!(Service::hmac(14), Service::Hmac);
    assert_eq!(Service::hmac(13), Service::HmacShortKey);
    assert_eq!(Service::pbkdf2(14, 16, 1000), Service::Pbkdf2);
    for (password, salt, iterations) in [(13, 16, 1000), (14, 15, 1000), (14, 16, 999)] {
        let service = Service::pbkdf2(password, salt, iterations);
        assert_eq!(service, Service::Pbkdf2OutOfBounds);
    }
    for bound in Service::Pbkdf2.entry().bounds {
        assert!(
            bound
                .tested
                .is_none_or(|(from, to)| from >= bound.minimum && from < to)
        );
    }
}

/// One call of every service of this crate that is not approved.
fn not_approved(service: Service) -> Option<Result<()>> {
    let one = NonZeroU32::MIN;
    let secret = |len| SecretBytes::zeroed(len);
    let rsa = || rsa::PrivateKey::generate(2048).expect("approved in every mode");
    let ok = |result: Result<Vec<u8>>| result.map(drop);
    Some(match service {
        Service::HmacShortKey => hmac::sign(Hash::Sha256, &[1; 13], b"x").map(drop),
        Service::Pbkdf2OutOfBounds => {
            kdf::pbkdf2(Hash::Sha256, b"short", &[1; 8], one, 32).map(drop)
        }
        Service::RsaOaepEncrypt => ok(rsa().public().unwrap().encrypt_oaep(Hash::Sha256, b"x")),
        Service::RsaPkcs1v15Encrypt => ok(rsa().public().unwrap().encrypt_pkcs1v15(b"x")),
        Service::RsaOaepDecrypt => {
            let key = rsa();
            let ciphertext = {
                let _off = under(Policy::OFF);
                key.public()
                    .unwrap()
                    .encrypt_oaep(Hash::Sha256, b"x")
                    .unwrap()
            };
            key.decrypt_oaep(Hash::Sha256, &ciphertext).map(drop)
        }
        Service::RsaPkcs1v15Decrypt => {
            let key = rsa();
            let ciphertext = {
                let _off = under(Policy::OFF);
                key.public().unwrap().encrypt_pkcs1v15(b"x").unwrap()
            };
            key.decrypt_pkcs1v15(&ciphertext).map(drop)
        }
        Service::RsaShortKeyDecrypt => {
            let pkcs8 = include_bytes!("../../../tests/data/rsa-1024-bits.pkcs8.der");
            let ciphertext = include_bytes!("../../../tests/data/rsa-1024-bits.pkcs1v15.bin");
            let key = rsa::ReadingKey::from_pkcs8(pkcs8).unwrap();
            key.decrypt_pkcs1v15(ciphertext).map(drop)
        }
        Service::Ecdh => {
            let peer = ec::PrivateKey::generate(ec::Curve::P256).unwrap();
            let point = peer.public_point().unwrap();
            ec::agree_ephemeral(ec::Curve::P256, &point).map(drop)
        }
        Service::X963Kdf => kdf::x963(Hash::Sha256, &secret(32), b"", 32).map(drop),
        Service::Pkcs12KdfRead | Service::Pkcs12KdfWrite => {
            let use_for = match service {
                Service::Pkcs12KdfRead => Pkcs12Use::Read,
                _ => Pkcs12Use::Write,
            };
            let purpose = kdf::Pkcs12Purpose::Mac;
            kdf::pkcs12(use_for, Hash::Sha256, b"", b"salt", purpose, one, 32).map(drop)
        }
        Service::TripleDesEncrypt => ok(legacy::des_ede3_cbc_encrypt(&secret(24), &[0; 8], b"x")),
        Service::TripleDesDecrypt => {
            let ciphertext = {
                let _off = under(Policy::OFF);
                legacy::des_ede3_cbc_encrypt(&secret(24), &[0; 8], b"x").unwrap()
            };
            legacy::des_ede3_cbc_decrypt(&secret(24), &[0; 8], &ciphertext).map(drop)
        }
        Service::Rc2Decrypt => {
            // RC2 with 128 bits of zeros over a block of padding, made by OpenSSL: `openssl enc -rc2-cbc -K 0.. -iv 0.. </dev/null`.
            let ciphertext = base16ct::lower::decode_vec("2f249fe5faf74162").unwrap();
            legacy::rc2_cbc_decrypt(&secret(16), 128, &[0; 8], &ciphertext).map(drop)
        }
        Service::DesDecrypt => {
            // The same with DES: `openssl enc -des-cbc -K 0.. -iv 0.. </dev/null`.
            let ciphertext = base16ct::lower::decode_vec("7e422822773666c0").unwrap();
            legacy::des_cbc_decrypt(&secret(8), &[0; 8], &ciphertext).map(drop)
        }
        Service::Rc4Decrypt => legacy::rc4_decrypt(&secret(16), b"x").map(drop),
        Service::HmacMd5 => hmac::sign(FileHash::Md5, &[1; 16], b"x").map(drop),
        Service::Pbkdf2Md5 => {
            let thousand = NonZeroU32::new(1000).expect("not zero");
            kdf::pbkdf2(FileHash::Md5, &[1; 14], &[1; 16], thousand, 16).map(drop)
        }
        Service::Pbkdf1 => kdf::pbkdf1(Hash::Sha1, b"password", &[1; 8], one, 16).map(drop),
        Service::Scrypt => {
            let cost = kdf::ScryptCost::new(16, 1, 1).unwrap();
            kdf::scrypt(b"password", b"salt", cost, 1 << 20, 32).map(drop)
        }
        Service::CmpPbmac1 => {
            kdf::pbmac1_message_key(Hash::Sha256, b"secret", &[1; 16], one, 32).map(drop)
        }
        Service::CmpPasswordBasedMac => {
            kdf::password_based_mac_key(Hash::Sha256, b"secret", &[1; 16], one).map(drop)
        }
        // The token's: tried where the token is.
        Service::TokenEcdh | Service::TokenRawRsaOaep => return None,
        _ => return None,
    })
}

#[test]
fn what_is_not_approved_is_refused_in_words_and_works_under_its_exception_alone_and_is_counted() {
    let mut tried = 0;
    for service in Service::ALL {
        let entry = service.entry();
        let Standing::NotApproved { exception, .. } = entry.standing else {
            continue;
        };
        {
            let others = Exception::ALL
                .into_iter()
                .filter(|other| *other != exception);
            // Of two services in one function, both exceptions may be the same.
            let _strict = under(Policy::strict_except(others));
            let Some(result) = not_approved(service) else {
                let tokens = [Service::TokenEcdh, Service::TokenRawRsaOaep];
                assert!(tokens.contains(&service), "{}", entry.name);
                continue;
            };
            let error = result.expect_err(entry.name);
            let text = error.to_string();
            assert_eq!(error.code(), "not_approved", "{}: {text}", entry.name);
            for part in [entry.name, entry.operation, exception.name()] {
                assert!(text.contains(part), "{text:?} does not say {part:?}");
            }
        }
        let performed = |service: Service| {
            counts()
                .into_iter()
                .find(|count| count.service == service)
                .unwrap()
                .performed()
        };
        let before = performed(service);
        let _excepted = under(Policy::strict_except([exception]));
        not_approved(service).unwrap().expect(entry.name);
        assert!(performed(service) > before, "{} is not counted", entry.name);
        tried += 1;
    }
    assert_eq!(tried, 22, "services of this crate that are not approved");
}

#[test]
fn everything_is_allowed_with_the_mode_off() {
    let _off = under(Policy::OFF);
    for service in Service::ALL {
        drop(decide(service).unwrap());
    }
}

#[test]
fn what_no_exception_permits_is_for_mode_off_alone() {
    let only: Vec<_> = Service::ALL
        .into_iter()
        .filter(|service| matches!(service.entry().standing, Standing::OffOnly { .. }))
        .collect();
    assert_eq!(only, [Service::TokenRawRsaPkcs1v15, Service::TokenPkcs1v15]);
    for service in only {
        assert!(Policy::OFF.allows(service));
        assert!(!Policy::strict_except(Exception::ALL).allows(service));
        let _strict = under(Policy::strict_except(Exception::ALL));
        let error = decide(service).expect_err(service.name());
        assert_eq!(error.code(), "not_approved");
        for part in [service.name(), service.entry().remedy] {
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}

#[test]
fn strict_is_what_holds_while_nobody_has_decided() {
    assert_eq!(Policy::STRICT.mode(), Mode::Strict);
    assert!(Policy::STRICT.exceptions().is_empty());
    for service in Service::ALL {
        let approved = service.entry().standing.is_approved();
        assert_eq!(
            Policy::STRICT.allows(service),
            approved,
            "{}",
            service.name()
        );
    }
}
