//! Project Wycheproof's vectors, by file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

mod common;

use common::{bytes, is_valid, name, wycheproof};
use fips::digest::Hash;
use fips::secret::SecretBytes;
use fips::{Error, aes, ec, kdf, rsa};
use serde_json::Value;
use std::num::NonZeroU32;

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
    wycheproof("aes_cbc_pkcs5_test.json", |_, vector| {
        let key = SecretBytes::from_vec(bytes(vector, "key"));
        let iv: [u8; 16] = bytes(vector, "iv").try_into().unwrap();
        let (msg, ct) = (bytes(vector, "msg"), bytes(vector, "ct"));
        let decrypted = aes::cbc_decrypt(&key, &iv, &ct);
        expect(vector, decrypted, &Error::Decryption);
        if is_valid(vector) {
            assert_eq!(aes::cbc_encrypt(&key, &iv, &msg).unwrap(), ct);
        }
        true
    });
}

#[test]
fn aes_gcm() {
    wycheproof("aes_gcm_test.json", |group, vector| {
        if group["keySize"] != 256 || group["ivSize"] != 96 {
            return false;
        }
        let key = SecretBytes::from_vec(bytes(vector, "key"));
        let sealed = [
            bytes(vector, "iv"),
            bytes(vector, "ct"),
            bytes(vector, "tag"),
        ]
        .concat();
        let opened = aes::gcm_open(&key, &bytes(vector, "aad"), &sealed);
        expect(vector, opened, &Error::Verification);
        true
    });
}

fn iterations(vector: &Value) -> NonZeroU32 {
    let count = vector["iterationCount"].as_u64().unwrap();
    NonZeroU32::new(u32::try_from(count).unwrap()).unwrap()
}

fn pbkdf2(file: &str, hash: Hash) {
    wycheproof(file, |_, vector| {
        let len = usize::try_from(vector["dkLen"].as_u64().unwrap()).unwrap();
        let (password, salt) = (bytes(vector, "password"), bytes(vector, "salt"));
        let key = kdf::pbkdf2(hash, &password, &salt, iterations(vector), len).unwrap();
        assert_eq!(
            key.ct_eq(&bytes(vector, "dk")),
            is_valid(vector),
            "{}",
            name(vector)
        );
        true
    });
}

#[test]
fn pbkdf2_hmacsha1() {
    pbkdf2("pbkdf2_hmacsha1_test.json", Hash::Sha1);
}

#[test]
fn pbkdf2_hmacsha256() {
    pbkdf2("pbkdf2_hmacsha256_test.json", Hash::Sha256);
}

fn pbes2(file: &str, hash: Hash, key_len: usize) {
    wycheproof(file, |_, vector| {
        let (password, salt) = (bytes(vector, "password"), bytes(vector, "salt"));
        let key = kdf::pbkdf2(hash, &password, &salt, iterations(vector), key_len).unwrap();
        let iv: [u8; 16] = bytes(vector, "iv").try_into().unwrap();
        let decrypted = aes::cbc_decrypt(&key, &iv, &bytes(vector, "ct"));
        expect(vector, decrypted, &Error::Decryption);
        true
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

#[test]
fn ecdh_secp256r1() {
    wycheproof("ecdh_secp256r1_test.json", |_, vector| {
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
            // Compressed points and named curves written out in full: to refuse them is as good.
            ("acceptable" | "invalid", Err(_)) => {}
            (expected, got) => panic!("{}: {expected}, but {}", name(vector), got.is_ok()),
        }
        true
    });
}

fn hash(name: &Value) -> Option<Hash> {
    Hash::ALL
        .into_iter()
        .find(|hash| Some(hash.name()) == name.as_str())
}

fn rsa_oaep(file: &str) {
    wycheproof(file, |group, vector| {
        let (Some(sha), true) = (hash(&group["sha"]), group["sha"] == group["mgfSha"]) else {
            return false;
        };
        let key = rsa::PrivateKey::from_pkcs8(&bytes(group, "privateKeyPkcs8"));
        if group["keySize"].as_u64().unwrap() < 2048 {
            assert!(matches!(key, Err(Error::KeySize { bits, .. }) if bits < 2048));
            return true;
        }
        let label = bytes(vector, "label");
        let decrypted = key
            .unwrap()
            .decrypt_oaep_with_label(sha, &bytes(vector, "ct"), &label);
        expect(vector, decrypted, &Error::Decryption);
        true
    });
}

#[test]
fn rsa_oaep_2048_sha1_mgf1sha1() {
    rsa_oaep("rsa_oaep_2048_sha1_mgf1sha1_test.json");
}

#[test]
fn rsa_oaep_2048_sha256_mgf1sha256() {
    rsa_oaep("rsa_oaep_2048_sha256_mgf1sha256_test.json");
}

#[test]
fn rsa_oaep_2048_sha384_mgf1sha384() {
    rsa_oaep("rsa_oaep_2048_sha384_mgf1sha384_test.json");
}

#[test]
fn rsa_oaep_2048_sha512_mgf1sha512() {
    rsa_oaep("rsa_oaep_2048_sha512_mgf1sha512_test.json");
}

#[test]
fn rsa_oaep_misc() {
    rsa_oaep("rsa_oaep_misc_test.json");
}

#[test]
fn rsa_pkcs1_2048() {
    wycheproof("rsa_pkcs1_2048_test.json", |group, vector| {
        let key = rsa::PrivateKey::from_pkcs8(&bytes(group, "privateKeyPkcs8")).unwrap();
        let decrypted = key.decrypt_pkcs1v15(&bytes(vector, "ct"));
        expect(vector, decrypted, &Error::Decryption);
        true
    });
}
