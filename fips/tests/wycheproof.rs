//! Project Wycheproof's vectors, by file. Every file that is there is run, or named with a reason, and so is every vector.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

mod common;

use common::vectors::Outcome::{Executed, Refused};
use common::vectors::{Expected, all, corpus, wycheproof};
use common::{bytes, is_valid, name};
use fips::digest::Hash;
use fips::secret::SecretBytes;
use fips::{Error, aes, ec, kdf, rsa};
use serde_json::Value;
use std::num::NonZeroU32;

/// Files whose parameters this crate does not offer at all.
const NOT_OFFERED: [(&str, &str); 2] = [
    ("rsa_oaep_2048_sha224_mgf1sha1_test.json", OTHER_HASH),
    ("rsa_oaep_2048_sha224_mgf1sha224_test.json", OTHER_HASH),
];
const OTHER_HASH: &str = "no SHA-224, no other hash in MGF1 than in OAEP: nobody asks for them";

#[test]
fn every_file_is_run_or_named_with_a_reason() {
    let Some(folder) = corpus("wycheproof") else {
        return;
    };
    let this = include_str!("wycheproof.rs");
    for entry in std::fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let run = this.contains(&format!("\"{file}\""));
        assert!(run, "{file} is neither run nor named in NOT_OFFERED");
    }
    for (_, reason) in NOT_OFFERED {
        assert!(!reason.is_empty());
    }
}

/// A valid vector gives the message, an invalid one the one error, an "acceptable" one either.
fn expect(vector: &Value, got: fips::Result<SecretBytes>, error: &Error) {
    let message = bytes(vector, "msg");
    match (vector["result"].as_str().unwrap(), got) {
        ("valid" | "acceptable", Ok(got)) => assert!(got.ct_eq(&message), "{}", name(vector)),
        ("acceptable" | "invalid", Err(got)) => assert_eq!(&got, error, "{}", name(vector)),
        (expected, got) => panic!("{}: {expected}, but {:?}", name(vector), got.err()),
    }
}

#[test]
fn aes_cbc_pkcs5() {
    wycheproof("aes_cbc_pkcs5_test.json", &all(216), |_, vector| {
        let key = SecretBytes::from_vec(bytes(vector, "key"));
        let iv: [u8; 16] = bytes(vector, "iv").try_into().unwrap();
        let (msg, ct) = (bytes(vector, "msg"), bytes(vector, "ct"));
        let decrypted = aes::cbc_decrypt(&key, &iv, &ct);
        expect(vector, decrypted, &Error::Decryption);
        if is_valid(vector) {
            assert_eq!(aes::cbc_encrypt(&key, &iv, &msg).unwrap(), ct);
        }
        Executed
    });
}

const KEY_192: &str = "the module approves GCM with 128 and 256 bit keys";
const OTHER_NONCE: &str = "nonces of 96 bits alone, as the module makes them";

#[test]
fn aes_gcm() {
    let expected = Expected {
        executed: 133,
        refused: &[(KEY_192, 103), (OTHER_NONCE, 80)],
    };
    wycheproof("aes_gcm_test.json", &expected, |group, vector| {
        let key = SecretBytes::from_vec(bytes(vector, "key"));
        let sealed = [
            bytes(vector, "iv"),
            bytes(vector, "ct"),
            bytes(vector, "tag"),
        ]
        .concat();
        let opened = aes::gcm_open(&key, &bytes(vector, "aad"), &sealed);
        if group["keySize"] == 192 {
            assert!(matches!(opened, Err(Error::KeyLength { bytes: 24, .. })));
            return Refused(KEY_192);
        }
        if group["ivSize"] != 96 {
            assert!(matches!(opened, Err(Error::Verification)));
            return Refused(OTHER_NONCE);
        }
        expect(vector, opened, &Error::Verification);
        Executed
    });
}

fn iterations(vector: &Value) -> NonZeroU32 {
    let count = vector["iterationCount"].as_u64().unwrap();
    NonZeroU32::new(u32::try_from(count).unwrap()).unwrap()
}

fn pbkdf2(file: &str, vectors: usize, hash: Hash) {
    wycheproof(file, &all(vectors), |_, vector| {
        let len = usize::try_from(vector["dkLen"].as_u64().unwrap()).unwrap();
        let (password, salt) = (bytes(vector, "password"), bytes(vector, "salt"));
        let key = kdf::pbkdf2(hash, &password, &salt, iterations(vector), len).unwrap();
        assert_eq!(
            key.ct_eq(&bytes(vector, "dk")),
            is_valid(vector),
            "{}",
            name(vector)
        );
        Executed
    });
}

#[test]
fn pbkdf2_hmacsha1() {
    pbkdf2("pbkdf2_hmacsha1_test.json", 64, Hash::Sha1);
}

#[test]
fn pbkdf2_hmacsha256() {
    pbkdf2("pbkdf2_hmacsha256_test.json", 60, Hash::Sha256);
}

fn pbes2(file: &str, hash: Hash, key_len: usize) {
    wycheproof(file, &all(84), |_, vector| {
        let (password, salt) = (bytes(vector, "password"), bytes(vector, "salt"));
        let key = kdf::pbkdf2(hash, &password, &salt, iterations(vector), key_len).unwrap();
        let iv: [u8; 16] = bytes(vector, "iv").try_into().unwrap();
        let decrypted = aes::cbc_decrypt(&key, &iv, &bytes(vector, "ct"));
        expect(vector, decrypted, &Error::Decryption);
        Executed
    });
}

#[test]
fn pbes2_hmacsha1_aes_128() {
    pbes2("pbes2_hmacsha1_aes_128_test.json", Hash::Sha1, 16);
}

#[test]
fn pbes2_hmacsha1_aes_192() {
    pbes2("pbes2_hmacsha1_aes_192_test.json", Hash::Sha1, 24);
}

#[test]
fn pbes2_hmacsha1_aes_256() {
    pbes2("pbes2_hmacsha1_aes_256_test.json", Hash::Sha1, 32);
}

#[test]
fn pbes2_hmacsha256_aes_128() {
    pbes2("pbes2_hmacsha256_aes_128_test.json", Hash::Sha256, 16);
}

#[test]
fn pbes2_hmacsha256_aes_192() {
    pbes2("pbes2_hmacsha256_aes_192_test.json", Hash::Sha256, 24);
}

#[test]
fn pbes2_hmacsha256_aes_256() {
    pbes2("pbes2_hmacsha256_aes_256_test.json", Hash::Sha256, 32);
}

/// `PrivateKeyInfo` with an `ECPrivateKey` that holds nothing but the number.
fn p256_pkcs8(number: &[u8]) -> Vec<u8> {
    let number: Vec<u8> = number.iter().copied().skip_while(|b| *b == 0).collect();
    let head = "3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420";
    let mut der = common::unhex(head);
    der.resize(der.len() + 32 - number.len(), 0);
    der.extend(number);
    der
}

const OTHER_FORM: &str =
    "acceptable elsewhere: malformed ASN.1, a compressed point, a curve written out in full";

#[test]
fn ecdh_secp256r1() {
    let expected = Expected {
        executed: 383,
        refused: &[(OTHER_FORM, 229)],
    };
    wycheproof("ecdh_secp256r1_test.json", &expected, |_, vector| {
        let own = ec::PrivateKey::from_pkcs8(&p256_pkcs8(&bytes(vector, "private"))).unwrap();
        let shared = ec::point_from_spki(&bytes(vector, "public")).and_then(|(curve, point)| {
            if curve != ec::Curve::P256 {
                return Err(Error::Agreement);
            }
            own.agree(&point)
        });
        match (vector["result"].as_str().unwrap(), shared) {
            ("valid" | "acceptable", Ok(z)) => {
                assert!(z.ct_eq(&bytes(vector, "shared")), "{}", name(vector));
            }
            ("acceptable", Err(_)) => return Refused(OTHER_FORM),
            ("invalid", Err(_)) => {}
            (expected, got) => panic!("{}: {expected}, but {}", name(vector), got.is_ok()),
        }
        Executed
    });
}

const SHORT_RSA: &str = "RSA keys of less than 2048 bits";

fn hash(name: &Value) -> Option<Hash> {
    Hash::ALL
        .into_iter()
        .find(|hash| Some(hash.name()) == name.as_str())
}

fn rsa_oaep(file: &str, expected: &Expected<'_>) {
    wycheproof(file, expected, |group, vector| {
        let key = rsa::PrivateKey::from_pkcs8(&bytes(group, "privateKeyPkcs8"));
        if group["keySize"].as_u64().unwrap() < 2048 {
            assert!(matches!(key, Err(Error::KeySize { bits, .. }) if bits < 2048));
            return Refused(SHORT_RSA);
        }
        let (Some(sha), true) = (hash(&group["sha"]), group["sha"] == group["mgfSha"]) else {
            return Refused(OTHER_HASH);
        };
        let label = bytes(vector, "label");
        let decrypted = key
            .unwrap()
            .decrypt_oaep_with_label(sha, &bytes(vector, "ct"), &label);
        expect(vector, decrypted, &Error::Decryption);
        Executed
    });
}

#[test]
fn rsa_oaep_2048_sha1_mgf1sha1() {
    rsa_oaep("rsa_oaep_2048_sha1_mgf1sha1_test.json", &all(36));
}

#[test]
fn rsa_oaep_2048_sha256_mgf1sha256() {
    rsa_oaep("rsa_oaep_2048_sha256_mgf1sha256_test.json", &all(37));
}

#[test]
fn rsa_oaep_2048_sha384_mgf1sha384() {
    rsa_oaep("rsa_oaep_2048_sha384_mgf1sha384_test.json", &all(34));
}

#[test]
fn rsa_oaep_2048_sha512_mgf1sha512() {
    rsa_oaep("rsa_oaep_2048_sha512_mgf1sha512_test.json", &all(33));
}

#[test]
fn rsa_oaep_misc() {
    let expected = Expected {
        executed: 65,
        refused: &[(SHORT_RSA, 120), (OTHER_HASH, 210)],
    };
    rsa_oaep("rsa_oaep_misc_test.json", &expected);
}

#[test]
fn rsa_pkcs1_2048() {
    wycheproof("rsa_pkcs1_2048_test.json", &all(67), |group, vector| {
        let key = rsa::PrivateKey::from_pkcs8(&bytes(group, "privateKeyPkcs8")).unwrap();
        let decrypted = key.decrypt_pkcs1v15(&bytes(vector, "ct"));
        expect(vector, decrypted, &Error::Decryption);
        Executed
    });
}
