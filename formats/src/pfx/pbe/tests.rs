//! Project Wycheproof's vectors of PBES2 through the AlgorithmIdentifiers that they would have in a file; and hostile parameters.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout
)]

use super::*;
use crate::pfx::limits::PfxLimits;
use const_oid::ObjectIdentifier;
use der::{Decode, Encode};
use std::path::{Path, PathBuf};

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    match length {
        [0, short @ 0..=127] => [&[tag, short], content].concat(),
        [0, long] => [&[tag, 0x81, long], content].concat(),
        [high, low] => [&[tag, 0x82, high, low], content].concat(),
    }
}

fn oid(numbers: &str) -> Vec<u8> {
    ObjectIdentifier::new_unwrap(numbers).to_der().unwrap()
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    element(0x30, &parts.concat())
}

/// An INTEGER as DER has it.
fn integer(number: u64) -> Vec<u8> {
    let bytes = [&[0], &number.to_be_bytes()[..]].concat();
    let mut content = bytes.as_slice();
    while content.len() > 1 && content[0] == 0 && content[1] < 0x80 {
        content = &content[1..];
    }
    element(2, content)
}

const AES_256: &str = "2.16.840.1.101.3.4.1.42";
const SHA1: &str = "1.2.840.113549.2.7";
const SHA256: &str = "1.2.840.113549.2.9";

/// PBES2 with these parts after the salt and the iterations.
fn pbes2(salt: &[u8], iterations: &[u8], rest: &[&[u8]], cipher: &str, iv: &[u8]) -> Vec<u8> {
    let parameters = sequence(&[&element(4, salt), iterations, &rest.concat()]);
    pbes2_with(&sequence(&[&oid(kdf::PBKDF2), &parameters]), cipher, iv)
}

fn pbes2_with(kdf: &[u8], cipher: &str, iv: &[u8]) -> Vec<u8> {
    let cipher = sequence(&[&oid(cipher), &element(4, iv)]);
    let parameters = sequence(&[kdf, &cipher]);
    sequence(&[&oid("1.2.840.113549.1.5.13"), &parameters])
}

fn prf(name: &str) -> Vec<u8> {
    sequence(&[&oid(name)])
}

/// Decrypts under the default limits, with the cost of it.
fn run(
    algorithm: &[u8],
    password: &[u8],
    ciphertext: &[u8],
) -> (Result<SecretBytes, PfxError>, u64) {
    fips::start(fips::policy::Policy::OFF).unwrap();
    let limits = PfxLimits::default();
    let mut budget = Budget::new(&limits);
    let password = Password::new(&SecretBytes::from_slice(password), &limits).unwrap();
    let algorithm = AlgorithmIdentifierRef::from_der(algorithm).unwrap();
    let result = decrypt(&algorithm, ciphertext, &password, &mut budget);
    (result, budget.iterations_spent())
}

fn facts(algorithm: &[u8]) -> EncryptionFacts {
    describe(&AlgorithmIdentifierRef::from_der(algorithm).unwrap()).unwrap()
}

fn refusal(algorithm: &[u8]) -> (String, String) {
    let (result, spent) = run(algorithm, b"password", &[0; 16]);
    assert_eq!(spent, 0, "nothing is derived for what is refused");
    let error = result.err().expect("it was decrypted");
    (error.code().to_owned(), error.to_string())
}

fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("CORPORA_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora"),
        PathBuf::from,
    );
    if folder.is_dir() {
        return Some(folder.join("wycheproof"));
    }
    let missing = format!("no vectors in {} (set CORPORA_DIR)", folder.display());
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{missing}");
    println!("NOT RUN: {missing}");
    None
}

#[test]
fn wycheproof_pbes2_comes_out() {
    let Some(folder) = corpus() else { return };
    // A password that is no UTF-8 cannot be given to this reader as octets: it is text.
    let (mut executed, mut no_text) = (0, 0);
    for (hash, name) in [("hmacsha1", SHA1), ("hmacsha256", SHA256)] {
        for (bits, cipher) in [
            (128, "2.16.840.1.101.3.4.1.2"),
            (192, "2.16.840.1.101.3.4.1.22"),
            (256, AES_256),
        ] {
            let path = folder.join(format!("pbes2_{hash}_aes_{bits}_test.json"));
            let text = std::fs::read_to_string(&path).unwrap();
            let vectors: serde_json::Value = serde_json::from_str(&text).unwrap();
            let groups = vectors["testGroups"].as_array().unwrap();
            for vector in groups
                .iter()
                .flat_map(|group| group["tests"].as_array().unwrap())
            {
                let bytes = |field: &str| {
                    base16ct::mixed::decode_vec(vector[field].as_str().unwrap()).unwrap()
                };
                let password = bytes("password");
                if std::str::from_utf8(&password).is_err() {
                    no_text += 1;
                    continue;
                }
                let iterations = integer(vector["iterationCount"].as_u64().unwrap());
                let algorithm = pbes2(
                    &bytes("salt"),
                    &iterations,
                    &[&prf(name)],
                    cipher,
                    &bytes("iv"),
                );
                let (result, _) = run(&algorithm, &password, &bytes("ct"));
                match vector["result"] == "valid" {
                    true => assert!(result.unwrap().ct_eq(&bytes("msg")), "{}", vector["tcId"]),
                    false => assert!(result.is_err(), "{}", vector["tcId"]),
                }
                executed += 1;
            }
        }
    }
    println!("{executed} executed, {no_text} without text");
    assert_eq!(executed + no_text, 6 * 84);
    assert!(executed > 6 * 40, "{executed}");
}

#[test]
fn numbers_of_any_size_are_over_a_limit_and_none_is_taken_for_a_wrong_password() {
    let huge = element(2, &[0x7f; 40]);
    let (salt, iv) = ([1; 16], [0; 16]);
    for (iterations, code) in [
        (huge.clone(), "limit_exceeded"),
        (integer(u64::from(u32::MAX)), "limit_exceeded"),
        (integer(0), "malformed"),
        (element(2, &[0xff]), "malformed"),
    ] {
        let algorithm = pbes2(&salt, &iterations, &[&prf(SHA256)], AES_256, &iv);
        assert_eq!(refusal(&algorithm).0, code);
        // Without a password it is described all the same.
        assert!(
            facts(&algorithm)
                .iterations
                .is_none_or(|count| count > 1 << 31)
        );
    }
    for length in [
        huge.clone(),
        integer(1),
        integer(31),
        integer(33),
        element(2, &[0xff]),
    ] {
        let algorithm = pbes2(
            &salt,
            &integer(1000),
            &[&length, &prf(SHA256)],
            AES_256,
            &iv,
        );
        let parsed = AlgorithmIdentifierRef::from_der(&algorithm).unwrap();
        assert_eq!(describe(&parsed).unwrap_err().code(), "malformed");
        assert_eq!(refusal(&algorithm).0, "malformed");
    }
    let algorithm = pbes2(&[1; 1025], &integer(1000), &[&prf(SHA256)], AES_256, &iv);
    assert_eq!(refusal(&algorithm).0, "limit_exceeded");
}

#[test]
fn what_is_not_supported_is_named_before_anything_is_derived() {
    let (salt, iv) = ([1; 16], [0; 16]);
    let thousand = integer(1000);
    let old = sequence(&[&element(4, &salt[..8]), &thousand]);
    for (algorithm, named) in [
        (
            pbes2(&salt, &thousand, &[&prf("1.2.643.2.2.10")], AES_256, &iv),
            "1.2.643.2.2.10",
        ),
        (
            pbes2(&salt, &thousand, &[], "1.2.840.113533.7.66.10", &iv[..8]),
            "CAST5",
        ),
        (
            sequence(&[&oid("1.2.840.113549.1.5.1"), &old]),
            "1.2.840.113549.1.5.1",
        ),
        (
            sequence(&[&oid("1.2.840.113549.1.5.4"), &old]),
            "1.2.840.113549.1.5.4",
        ),
        (sequence(&[&oid("1.2.3.4"), &old]), "1.2.3.4"),
    ] {
        let (code, text) = refusal(&algorithm);
        assert_eq!(code, "unsupported_algorithm", "{text}");
        assert!(text.contains(named), "{text}");
        let facts = facts(&algorithm);
        assert!(!facts.algorithm.supported && !facts.algorithm.approved);
    }
    let source = sequence(&[&oid("1.2.3.4")]);
    let kdf = sequence(&[&oid(kdf::PBKDF2), &sequence(&[&source, &thousand])]);
    let (code, text) = refusal(&pbes2_with(&kdf, AES_256, &iv));
    assert_eq!(code, "unsupported_algorithm");
    assert!(text.contains("another source"), "{text}");
}

#[test]
fn scrypt_is_paid_for_in_time_and_memory() {
    let scrypt = |n: Vec<u8>, r: u64, p: u64| {
        let parameters = sequence(&[&element(4, b"NaCl"), &n, &integer(r), &integer(p)]);
        pbes2_with(
            &sequence(&[&oid(kdf::SCRYPT), &parameters]),
            AES_256,
            &[0; 16],
        )
    };
    for (n, r, p, code) in [
        (integer(1 << 15), 8, 1, "limit_exceeded"),
        (integer(1 << 40), 8, 1, "limit_exceeded"),
        (
            element(2, &[0x40, 0, 0, 0, 0, 0, 0, 0, 0]),
            8,
            1,
            "limit_exceeded",
        ),
        (integer(2), 8, 1 << 20, "limit_exceeded"),
        (integer(1 << 14), 8, 100, "limit_exceeded"),
        (integer(1000), 8, 1, "malformed"),
        (integer(0), 8, 1, "malformed"),
        (integer(1024), 0, 1, "malformed"),
    ] {
        assert_eq!(refusal(&scrypt(n, r, p)).0, code, "{r} {p}");
    }
    // RFC 7914 section 12: the second vector's first 32 bytes are the key of this ciphertext.
    let algorithm = scrypt(integer(1024), 8, 16);
    let key = "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162";
    let key = SecretBytes::from_vec(base16ct::lower::decode_vec(key).unwrap());
    fips::start(fips::policy::Policy::OFF).unwrap();
    let ciphertext = fips::aes::cbc_encrypt(&key, &[0; 16], b"plaintext").unwrap();
    let (result, spent) = run(&algorithm, b"password", &ciphertext);
    assert!(result.unwrap().ct_eq(b"plaintext"));
    assert_eq!(spent, 2 * 1024 * 8 * 16);
    let facts = facts(&algorithm);
    assert_eq!(facts.algorithm.name, "pbes2-scrypt-aes-256-cbc");
    assert!(facts.algorithm.supported && !facts.algorithm.approved);
}

#[test]
fn facts_have_stable_names_and_say_what_is_not_approved() {
    let old = sequence(&[&element(4, &[1; 8]), &integer(2048)]);
    for (numbers, name, bits) in [
        ("1.2.840.113549.1.12.1.1", "pbe-sha1-rc4-128", 128),
        ("1.2.840.113549.1.12.1.2", "pbe-sha1-rc4-40", 40),
        ("1.2.840.113549.1.12.1.3", "pbe-sha1-3des", 168),
        ("1.2.840.113549.1.12.1.4", "pbe-sha1-3des-2key", 112),
        ("1.2.840.113549.1.12.1.5", "pbe-sha1-rc2-128", 128),
        ("1.2.840.113549.1.12.1.6", "pbe-sha1-rc2-40", 40),
        ("1.2.840.113549.1.5.3", "pbes1-md5-des", 56),
        ("1.2.840.113549.1.5.6", "pbes1-md5-rc2", 64),
        ("1.2.840.113549.1.5.10", "pbes1-sha1-des", 56),
        ("1.2.840.113549.1.5.11", "pbes1-sha1-rc2", 64),
    ] {
        let facts = facts(&sequence(&[&oid(numbers), &old]));
        assert_eq!(
            (facts.algorithm.name.as_str(), facts.key_bits),
            (name, Some(bits))
        );
        assert_eq!((facts.iterations, facts.salt_bytes), (Some(2048), Some(8)));
        assert!(!facts.algorithm.approved && facts.algorithm.not_approved_because.is_some());
    }
    let modern = |salt: &[u8], iterations| {
        facts(&pbes2(
            salt,
            &integer(iterations),
            &[&prf(SHA256)],
            AES_256,
            &[0; 16],
        ))
        .algorithm
    };
    let approved = modern(&[1; 16], 1000);
    assert_eq!(approved.name, "pbes2-pbkdf2-hmac-sha256-aes-256-cbc");
    assert!(approved.approved && approved.not_approved_because.is_none());
    assert!(!modern(&[1; 8], 1000).approved && !modern(&[1; 16], 999).approved);
}
