#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use super::*;
use crate::doctor::finding::Severity;
use hsm::{KeyAttributes, KeyFingerprint, Version};

const VERSION: Version = Version { major: 2, minor: 6 };

fn token(label: &str) -> TokenInfo {
    TokenInfo {
        module_path: "/module.so".into(),
        library_description: "library".to_owned(),
        library_manufacturer: "maker".to_owned(),
        library_version: VERSION,
        cryptoki_version: VERSION,
        slot: 7,
        label: label.to_owned(),
        manufacturer: "maker".to_owned(),
        model: "model".to_owned(),
        serial: "1".to_owned(),
        hardware_version: VERSION,
        firmware_version: VERSION,
        flags: TokenFlags {
            initialized: true,
            login_required: true,
            user_pin_initialized: true,
            ..TokenFlags::default()
        },
    }
}

fn inspection(tokens: Vec<TokenInfo>) -> Inspection {
    Inspection {
        library_description: "library".to_owned(),
        library_manufacturer: String::new(),
        library_version: VERSION,
        cryptoki_version: VERSION,
        slots: tokens.len() + 1,
        with_token: tokens
            .into_iter()
            .map(|token| Slot {
                slot: token.slot,
                token: Some(token),
                problem: None,
                mechanisms: Some(1),
                used: Vec::new(),
            })
            .collect(),
    }
}

fn key(change: impl FnOnce(&mut KeyInfo)) -> KeyInfo {
    let mut key = KeyInfo {
        fingerprint: KeyFingerprint::from_bytes([0xab; 32]),
        label: "custody".to_owned(),
        id: vec![1],
        modulus_bits: 3072,
        spki_der: Vec::new(),
        attributes: KeyAttributes {
            sensitive: Some(true),
            extractable: Some(false),
            never_extractable: Some(true),
            local: Some(true),
            decrypt: Some(true),
            sign: Some(false),
            ..KeyAttributes::default()
        },
        problems: Vec::new(),
        waived: Vec::new(),
    };
    change(&mut key);
    key
}

fn unknown() -> &'static Quirks {
    quirks::of(&token("a"))
}

fn extractable(key: &mut KeyInfo) {
    key.attributes.extractable = Some(true);
    key.problems = vec![KeyProblem::Extractable];
}

fn worst(findings: &[Finding]) -> Severity {
    findings.iter().map(|found| found.severity).max().unwrap()
}

fn of<'a>(findings: &'a [Finding], id: &str) -> &'a Finding {
    findings.iter().find(|found| found.id.id == id).unwrap()
}

#[test]
fn a_token_is_found_by_its_label_and_the_others_are_named() {
    let both = inspection(vec![token("a"), token("b")]);
    let (found, slot) = find("t", &both, "b");
    assert_eq!((found.severity, slot.is_some()), (Severity::Ok, true));
    let other = inspection(vec![token("a")]);
    let (found, slot) = find("t", &other, "b");
    assert_eq!(found.code.as_deref(), Some("token_not_found"));
    assert!(found.found.contains("\"a\" in slot 7") && slot.is_none());
    let (found, _) = find("t", &inspection(vec![token("a"), token("a")]), "a");
    assert_eq!(found.code.as_deref(), Some("token_ambiguous"));
    let (found, _) = find("t", &inspection(Vec::new()), "a");
    assert!(found.found.contains("there is no token"));
}

#[test]
fn every_flag_of_the_pin_has_its_finding() {
    fn judged(change: impl FnOnce(&mut TokenFlags)) -> (Severity, Option<String>) {
        let mut token = token("a");
        change(&mut token.flags);
        let found = flags("t", &token);
        let tries = of(&found, "token.pin-tries");
        (tries.severity, tries.code.clone())
    }
    let is = |severity, code: &str| (severity, Some(code.to_owned()));
    assert_eq!(judged(|_| {}), (Severity::Ok, None));
    let count_low = judged(|flags| flags.user_pin_count_low = true);
    assert_eq!(count_low, is(Severity::Warning, "pin_count_low"));
    let final_try = judged(|flags| flags.user_pin_final_try = true);
    assert_eq!(final_try, is(Severity::Error, "pin_final_try"));
    let locked = judged(|flags| flags.user_pin_locked = true);
    assert_eq!(locked, is(Severity::Error, "pin_locked"));
    let no_pin = judged(|flags| flags.user_pin_initialized = false);
    assert_eq!(no_pin, is(Severity::Error, "pin_not_initialized"));
    let no_login = judged(|flags| flags.login_required = false);
    assert_eq!(no_login, (Severity::Warning, None));
    let mut broken = token("a");
    broken.flags.error_state = true;
    assert_eq!(
        of(&flags("t", &broken), "token.state").severity,
        Severity::Error
    );
}

#[test]
fn a_key_that_is_fine_is_still_on_one_token_alone() {
    let found = keys("t", &[key(|_| {})], unknown(), true);
    assert_eq!(of(&found, "token.key").severity, Severity::Ok);
    assert_eq!(of(&found, "token.key-origin").severity, Severity::Ok);
    assert_eq!(
        of(&found, "token.key-copies").code.as_deref(),
        Some("single_copy")
    );
    assert_eq!(worst(&found), Severity::Warning);
    assert_eq!(
        worst(&keys("t", &[key(|_| {})], unknown(), false)),
        Severity::Ok
    );
}

#[test]
fn an_extractable_key_is_an_error_where_there_is_no_other() {
    let alone = keys("t", &[key(extractable)], unknown(), true);
    assert_eq!(worst(&alone), Severity::Error);
    assert_eq!(of(&alone, "token.key").code.as_deref(), Some("key_refused"));
    let beside = keys("t", &[key(extractable), key(|_| {})], unknown(), true);
    assert_eq!(worst(&beside), Severity::Warning);
    let allowed = keys(
        "t",
        &[key(|key| key.waived = vec![KeyProblem::Extractable])],
        unknown(),
        true,
    );
    assert_eq!(of(&allowed, "token.key").severity, Severity::Warning);
}

#[test]
fn no_key_is_an_error_for_custody_alone() {
    assert_eq!(
        keys("t", &[], unknown(), true)[0].code.as_deref(),
        Some("no_key")
    );
    assert_eq!(keys("t", &[], unknown(), false), []);
}

#[test]
fn a_signing_key_beside_is_no_trouble() {
    let signing = key(|key| {
        key.attributes.sign = Some(true);
        key.attributes.decrypt = Some(false);
        key.problems = vec![KeyProblem::NotForDecryption, KeyProblem::OtherUses];
    });
    let found = keys("t", &[signing], unknown(), false);
    assert_eq!(worst(&found), Severity::Note);
}

#[test]
fn a_key_that_came_from_elsewhere_or_could_leave_is_told() {
    let origin = |local, never| {
        let key = key(|key| {
            key.attributes.local = local;
            key.attributes.never_extractable = never;
        });
        of(&keys("t", &[key], unknown(), true), "token.key-origin").severity
    };
    assert_eq!(origin(Some(true), Some(false)), Severity::Warning);
    assert_eq!(origin(Some(false), Some(true)), Severity::Note);
    assert_eq!(origin(None, None), Severity::Note);
}

#[test]
fn a_token_that_decrypts_nothing_is_an_error_and_one_that_does_little_a_note() {
    let seen = |native: &[Padding]| Capabilities {
        native: native.to_vec(),
        ..Capabilities::default()
    };
    let severity = |seen: &Capabilities| {
        let found = capabilities("t", &[key(|_| {})], seen, true);
        of(&found, "token.decryption").severity
    };
    assert_eq!(severity(&seen(&[])), Severity::Error);
    assert_eq!(severity(&seen(&[Padding::OaepSha1])), Severity::Note);
    assert_eq!(severity(&seen(&Padding::OAEP)), Severity::Ok);
    // Without a key nothing was tried.
    assert_eq!(capabilities("t", &[], &seen(&[]), true), []);
}

#[test]
fn what_is_known_about_a_token_is_told_with_its_basis() {
    let mut known = token("a");
    known.model = "SoftHSM v2".to_owned();
    known.manufacturer = "SoftHSM project".to_owned();
    known.library_description = "Implementation of PKCS11".to_owned();
    known.library_manufacturer = "SoftHSM".to_owned();
    assert_eq!(quirks("t", &known, 4).severity, Severity::Ok);
    let unknown = quirks("t", &token("a"), 4);
    assert_eq!(unknown.severity, Severity::Note);
    assert!(unknown.found.contains("nothing is known"));
    let mut few = token("a");
    few.manufacturer = "Yubico (www.yubico.com)".to_owned();
    few.model = "YubiHSM".to_owned();
    few.library_description = "YubiHSM PKCS#11 Library".to_owned();
    let found = quirks("t", &few, 64);
    assert_eq!(found.severity, Severity::Warning, "{}", found.found);
    assert!(found.found.contains("documentation"));
    assert_eq!(quirks("t", &few, 2).severity, Severity::Note);
}

#[test]
fn what_a_kind_of_token_cannot_say_of_its_keys_is_not_believed_or_held_against_them() {
    let origin = |known: &Quirks, local| {
        let key = key(|key| key.attributes.local = Some(local));
        of(&keys("t", &[key], known, true), "token.key-origin").severity
    };
    let never_local = Quirks {
        generated_is_local: Some(false),
        ..unknown().clone()
    };
    assert_eq!(origin(&never_local, false), Severity::Ok);
    assert_eq!(origin(unknown(), false), Severity::Note);
    let forgets = Quirks {
        keeps_extractability: Some(false),
        ..unknown().clone()
    };
    assert_eq!(origin(&forgets, true), Severity::Note);
    assert_eq!(origin(unknown(), true), Severity::Ok);
}
