//! Wycheproof's RSAES-OAEP vectors, decrypted with their private keys on a token.
#![allow(
    unreachable_pub,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use cryptoki::object::{Attribute, KeyType, ObjectClass};
use cryptoki::session::Session;
use hsm::pkcs11::Pkcs11Custody;
use hsm::public_key::PublicKey;
use hsm::{Custody, Error, KeyFingerprint, Label, Padding, Terms};
use serde_json::Value;

use crate::support::{TestToken, session_beside};

/// The folder of the corpora, or `None` where they are not there and need not be.
fn corpora() -> Option<PathBuf> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora");
    let folder = std::env::var_os("CORPORA_DIR").map_or(default, PathBuf::from);
    let folder = folder.join("wycheproof");
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(
        std::env::var_os("CI").is_none_or(|ci| ci != "true"),
        "{} is missing: set CORPORA_DIR",
        folder.display()
    );
    println!(
        "NOT RUN: the Wycheproof vectors are not in {}; set CORPORA_DIR",
        folder.display()
    );
    None
}

fn read(folder: &Path, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    base16ct::mixed::decode_vec(value.as_str().unwrap()).unwrap()
}

/// Numbers are written as signed integers, with a zero in front.
fn number(key: &Value, name: &str) -> Vec<u8> {
    let bytes = bytes(&key[name]);
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes[zeros..].to_vec()
}

fn padding(hash: &Value) -> Option<Padding> {
    match hash.as_str().unwrap() {
        "SHA-1" => Some(Padding::OaepSha1),
        "SHA-256" => Some(Padding::OaepSha256),
        "SHA-384" => Some(Padding::OaepSha384),
        "SHA-512" => Some(Padding::OaepSha512),
        _ => None,
    }
}

/// Puts the group's private key on the token, as a key that custody uses only by the development switch. Groups share keys.
fn import(
    session: &Session,
    group: &Value,
    imported: &mut HashSet<KeyFingerprint>,
) -> KeyFingerprint {
    let key = &group["privateKey"];
    let (modulus, exponent) = (number(key, "modulus"), number(key, "publicExponent"));
    let public = PublicKey::from_components(&modulus, &exponent).unwrap();
    let fingerprint = public.fingerprint().unwrap();
    if !imported.insert(fingerprint) {
        return fingerprint;
    }
    session
        .create_object(&[
            Attribute::Class(ObjectClass::PRIVATE_KEY),
            Attribute::KeyType(KeyType::RSA),
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(false),
            Attribute::Extractable(true),
            Attribute::Decrypt(true),
            // SoftHSM's defaults for these two are true.
            Attribute::Sign(false),
            Attribute::Unwrap(false),
            Attribute::Label(b"wycheproof".to_vec()),
            Attribute::Modulus(modulus),
            Attribute::PublicExponent(exponent),
            Attribute::PrivateExponent(number(key, "privateExponent")),
            Attribute::Prime1(number(key, "prime1")),
            Attribute::Prime2(number(key, "prime2")),
            Attribute::Exponent1(number(key, "exponent1")),
            Attribute::Exponent2(number(key, "exponent2")),
            Attribute::Coefficient(number(key, "coefficient")),
        ])
        .unwrap();
    fingerprint
}

#[derive(Default)]
struct Run {
    imported: HashSet<KeyFingerprint>,
    decrypted: usize,
    refused: usize,
    /// Of those, with a label.
    labelled: usize,
}

fn run_group(custody: &Pkcs11Custody, session: &Session, file: &str, group: &Value, run: &mut Run) {
    let Some(padding) = padding(&group["sha"]) else {
        return;
    };
    let same_mgf = group["mgfSha"] == group["sha"];
    let fingerprint = import(session, group, &mut run.imported);
    for test in group["tests"].as_array().unwrap() {
        let id = format!("{file}, test {}", test["tcId"]);
        let label = Label::new(&bytes(&test["label"])).unwrap();
        let ciphertext = bytes(&test["ct"]);
        let terms = Terms::default();
        let result = custody.decrypt_with_label(&fingerprint, padding, &label, &ciphertext, terms);
        // Custody takes one hash only: whatever has another one for MGF1 is as bad as what the vectors themselves call invalid.
        let for_us = same_mgf;
        if !label.is_empty() {
            run.labelled += 1;
            // Without its label it is as bad as any other.
            let error = custody
                .decrypt(&fingerprint, padding, &ciphertext)
                .err()
                .unwrap();
            assert!(is_bad_input(&error), "{id}: {error}");
        }
        match (test["result"].as_str().unwrap(), result) {
            // Acceptable: the encoded message is a small number, as chance would never make it. Both ways give the message.
            ("valid" | "acceptable", Ok(plain)) if for_us => {
                assert_eq!(plain.expose(), bytes(&test["msg"]), "{id}");
                run.decrypted += 1;
            }
            ("invalid" | "acceptable", Err(error)) => {
                assert!(is_bad_input(&error), "{id}: {error}");
                run.refused += 1;
            }
            ("valid", Err(error)) if !for_us => {
                assert!(is_bad_input(&error), "{id}: {error}");
                run.refused += 1;
            }
            (expected, result) => panic!("{id} is {expected}: {:?}", result.err()),
        }
    }
}

fn is_bad_input(error: &Error) -> bool {
    matches!(error, Error::Decryption | Error::CiphertextLength { .. })
}

/// `software`: the paddings that have to be removed in software, to be sure that the right path is tested.
pub fn every_vector_is_right(token: &TestToken, software: &[Padding]) {
    let Some(folder) = corpora() else { return };
    let mut config = token.config();
    config.allow_extractable_keys = true;
    let custody = Pkcs11Custody::open(config).unwrap();
    let session = session_beside(token, &custody);

    let mut run = Run::default();
    for padding in Padding::OAEP {
        let hash = padding.name().trim_start_matches("oaepS").to_lowercase();
        let file = format!("rsa_oaep_2048_s{hash}_mgf1s{hash}_test.json");
        for group in read(&folder, &file)["testGroups"].as_array().unwrap() {
            run_group(&custody, &session, &file, group, &mut run);
        }
    }
    assert_eq!(
        custody.capabilities().software_unpadding,
        software,
        "not the path that was to be tested"
    );
    println!(
        "2048 bits: {} decrypted, {} refused",
        run.decrypted, run.refused
    );
    assert_eq!((run.decrypted, run.refused), (65, 75));
    assert_eq!(run.labelled, 25);

    let mut run = Run {
        imported: run.imported,
        ..Run::default()
    };
    let file = "rsa_oaep_misc_test.json";
    for group in read(&folder, file)["testGroups"].as_array().unwrap() {
        // Other lengths are refused by custody whatever they hold.
        if (2048..=4096).contains(&group["keySize"].as_u64().unwrap()) {
            run_group(&custody, &session, file, group, &mut run);
        }
    }
    println!(
        "other: {} decrypted, {} refused",
        run.decrypted, run.refused
    );
    assert!(run.decrypted > 0 && run.refused > 0);
    assert_eq!(run.labelled, 20);
    let raw = fips::policy::counts()
        .into_iter()
        .find(|count| count.service == fips::policy::Service::TokenRawRsaOaep)
        .unwrap();
    assert_eq!(raw.performed() > 0, !software.is_empty(), "the other path");
    let health = custody.health();
    assert_eq!(health.reconnects, 0);
    assert_eq!(health.token_failures, 0);
}
