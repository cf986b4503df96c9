#![allow(clippy::unwrap_used)]

use super::*;
use crate::pfx::{
    Algorithm, Bag, BagKind, Encoding, EncryptionFacts, EncryptionScheme, Integrity, KeyFacts,
    MacFacts, MacScheme, Part, PasswordForm, Protection,
};

fn algorithm(name: &str, approved: bool) -> Algorithm {
    Algorithm {
        name: name.to_owned(),
        text: name.to_owned(),
        supported: true,
        approved,
        not_approved_because: (!approved).then(|| "reason of the table".to_owned()),
    }
}

fn mac(scheme: MacScheme, hash: &str) -> Integrity {
    Integrity::Mac(MacFacts {
        algorithm: algorithm(hash, scheme == MacScheme::Pbmac1),
        scheme,
        hash: hash.to_owned(),
        prf: None,
        key_bytes: None,
        iterations: Some(2048),
        salt_bytes: Some(16),
    })
}

fn encryption(scheme: EncryptionScheme, cipher: &str, key_bits: u32, prf: &str) -> EncryptionFacts {
    let modern = scheme == EncryptionScheme::Pbes2;
    EncryptionFacts {
        algorithm: algorithm(cipher, modern),
        scheme,
        kdf: Some(if modern { "pbkdf2" } else { "pkcs12-kdf" }.to_owned()),
        prf: Some(prf.to_owned()),
        cipher: Some(cipher.to_owned()),
        key_bits: Some(key_bits),
        iterations: Some(2048),
        salt_bytes: Some(16),
    }
}

fn bag(kind: BagKind) -> Bag {
    Bag {
        kind,
        depth: 0,
        of_type: None,
        encryption: None,
        friendly_name: None,
        local_key_id: Some("01".to_owned()),
        microsoft_provider: None,
        java_trusted: false,
        broken_attributes: Vec::new(),
        not_supported: None,
        key: None,
        certificate: None,
        certificate_der: None,
    }
}

fn key(algorithm: &str) -> KeyFacts {
    KeyFacts {
        algorithm: algorithm.to_owned(),
        text: algorithm.to_owned(),
        bits: None,
        supported: true,
    }
}

/// A key and its certificate, each encrypted so, opened.
fn survey(integrity: Integrity, certificates: EncryptionFacts, keys: EncryptionFacts) -> Survey {
    Survey {
        size_bytes: 1,
        encoding: Encoding {
            der: true,
            ber_forms: Vec::new(),
        },
        version: 3,
        trailing_octets: 0,
        integrity,
        parts: vec![
            Part {
                protection: Protection::Password(certificates),
                bags: Some(vec![bag(BagKind::Certificate)]),
                not_supported: None,
            },
            Part {
                protection: Protection::Plain,
                bags: Some(vec![Bag {
                    encryption: Some(keys),
                    key: Some(key("rsa")),
                    ..bag(BagKind::ShroudedKey)
                }]),
                not_supported: None,
            },
        ],
        opened: true,
        password_form: Some(PasswordForm::Standard),
    }
}

fn aes() -> EncryptionFacts {
    encryption(EncryptionScheme::Pbes2, "aes-256-cbc", 256, "hmac-sha256")
}

fn triple_des() -> EncryptionFacts {
    encryption(EncryptionScheme::Pkcs12, "3des-cbc", 168, "sha1")
}

fn rc2_40() -> EncryptionFacts {
    encryption(EncryptionScheme::Pkcs12, "rc2-cbc", 40, "sha1")
}

fn answers(survey: &Survey) -> Vec<Opens> {
    verdicts(survey, None)
        .iter()
        .map(|verdict| verdict.opens)
        .collect()
}

#[test]
fn the_forms_of_the_field_get_the_answers_of_the_field() {
    use Opens::{No, WithCondition as If, Yes};
    let classic = |hash| mac(MacScheme::Classic, hash);
    let approved = survey(mac(MacScheme::Pbmac1, "sha256"), aes(), aes());
    let modern = survey(classic("sha256"), aes(), aes());
    let old = survey(classic("sha1"), triple_des(), triple_des());
    let older = survey(classic("sha1"), rc2_40(), triple_des());
    // Windows Server 2016 and 2019, iOS, macOS, Android, OpenSSL 3, Java, NSS, FIPS strict.
    assert_eq!(answers(&approved), [No, No, No, No, No, If, If, If, Yes]);
    assert_eq!(answers(&modern), [No, Yes, If, If, If, Yes, Yes, Yes, No]);
    assert_eq!(answers(&old), [Yes, Yes, Yes, Yes, Yes, Yes, Yes, Yes, No]);
    assert_eq!(answers(&older), [Yes, Yes, Yes, Yes, Yes, If, Yes, Yes, No]);
}

#[test]
fn what_decides_is_the_first_reason_and_names_the_thing() {
    let modern = survey(mac(MacScheme::Classic, "sha256"), aes(), aes());
    let found = verdict(&modern, None, Target::WindowsServer2016);
    let first = found.reasons.first().unwrap();
    assert_eq!(first.opens, Opens::No);
    assert_eq!(first.what.as_deref(), Some("aes-256-cbc"));
    assert!(first.text.contains("3DES"));
    // Two uses of one algorithm are one reason.
    let count = found
        .reasons
        .iter()
        .filter(|reason| *reason == first)
        .count();
    assert_eq!(count, 1);
    let strict = verdict(&modern, None, Target::FipsStrict);
    assert_eq!(strict.reasons.first().unwrap().text, "reason of the table");
}

#[test]
fn where_nothing_is_in_the_way_that_is_the_reason() {
    let old = survey(mac(MacScheme::Classic, "sha1"), triple_des(), triple_des());
    for found in verdicts(&old, None) {
        let first = found.reasons.first().unwrap();
        assert_eq!(first.what.is_none(), found.opens == Opens::Yes, "{found:?}");
    }
}

#[test]
fn a_password_is_counted_in_where_it_is_known() {
    let modern = survey(mac(MacScheme::Pbmac1, "sha256"), aes(), aes());
    let with = |bytes, printable_ascii, target| {
        let facts = PasswordFacts {
            bytes,
            printable_ascii,
        };
        verdict(&modern, Some(facts), target).opens
    };
    assert_eq!(with(24, true, Target::FipsStrict), Opens::Yes);
    assert_eq!(with(13, true, Target::FipsStrict), Opens::No);
    assert_eq!(with(24, false, Target::Java), Opens::No);
    assert_eq!(with(24, false, Target::Nss), Opens::WithCondition);
}

#[test]
fn what_nobody_told_is_not_known_and_never_a_yes() {
    let mut odd = survey(mac(MacScheme::Classic, "sha1"), triple_des(), triple_des());
    for part in &mut odd.parts {
        for bag in part.bags.iter_mut().flatten() {
            bag.key = bag.key.as_ref().map(|_| key("gost2001"));
        }
    }
    for target in [
        Target::Windows2019,
        Target::Ios,
        Target::Android,
        Target::Java,
    ] {
        assert_eq!(verdict(&odd, None, target).opens, Opens::NotKnown);
    }
}

#[test]
fn a_file_that_was_not_opened_gets_a_verdict_on_what_is_visible() {
    let mut outside = survey(mac(MacScheme::Classic, "sha256"), aes(), aes());
    outside.opened = false;
    outside.password_form = None;
    if let Some(part) = outside.parts.first_mut() {
        part.bags = None;
    }
    let found = verdict(&outside, None, Target::WindowsServer2016);
    assert_eq!((found.opens, found.complete), (Opens::No, false));
    // Nothing is said of keys and certificates that may be in there.
    assert_eq!(verdict(&outside, None, Target::Nss).opens, Opens::Yes);
}

#[test]
fn every_target_has_data_and_sources() {
    for target in Target::ALL {
        let platform = platform(target);
        assert_eq!(platform.target, target);
        assert!(!platform.sources.is_empty() && !platform.rules.is_empty());
    }
}
