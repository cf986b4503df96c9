#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

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

#[test]
fn iterations_of_all_derivations_together_are_told_for_windows() {
    let each = |iterations| {
        let mut file = survey(mac(MacScheme::Classic, "sha256"), aes(), aes());
        let Integrity::Mac(mac) = &mut file.integrity else {
            panic!("it has a MAC");
        };
        mac.iterations = Some(iterations);
        for part in &mut file.parts {
            if let Protection::Password(facts) = &mut part.protection {
                facts.iterations = Some(iterations);
            }
            for bag in part.bags.iter_mut().flatten() {
                if let Some(facts) = &mut bag.encryption {
                    facts.iterations = Some(iterations);
                }
            }
        }
        let found = verdict(&file, None, Target::Windows2019);
        assert_eq!(found.opens, Opens::Yes);
        let told = found.reasons.into_iter().filter_map(|reason| reason.what);
        told.collect::<Vec<_>>()
    };
    assert!(each(200_000).is_empty());
    assert_eq!(each(300_000), ["900000 iterations in all"]);
    assert_eq!(
        each(300_001),
        ["300001 iterations", "900003 iterations in all"]
    );
}

#[test]
fn where_nobody_told_of_a_device_its_verdict_is_not_known() {
    let devices = [
        Target::Windows2019,
        Target::Ios,
        Target::MacOs,
        Target::Android,
    ];
    let old = || survey(mac(MacScheme::Classic, "sha1"), triple_des(), triple_des());
    let mut in_clear = old();
    let mut alone = old();
    let mut two_keys = old();
    let mut other_id = old();
    for bag in in_clear.parts.iter_mut().flat_map(|part| &mut part.bags) {
        for bag in bag.iter_mut().filter(|bag| bag.key.is_some()) {
            bag.kind = BagKind::Key;
            bag.encryption = None;
        }
    }
    alone.parts.remove(0);
    for part in &mut two_keys.parts {
        if let Protection::Password(facts) = &mut part.protection {
            facts.key_bits = Some(112);
        }
        for bag in part.bags.iter_mut().flatten() {
            if bag.kind == BagKind::Certificate {
                continue;
            }
            if let Some(facts) = &mut bag.encryption {
                facts.key_bits = Some(112);
            }
        }
    }
    for bag in other_id.parts.iter_mut().flat_map(|part| &mut part.bags) {
        for bag in bag.iter_mut().filter(|bag| bag.key.is_some()) {
            bag.local_key_id = Some("02".to_owned());
        }
    }
    for target in devices {
        assert_eq!(verdict(&old(), None, target).opens, Opens::Yes);
        for file in [&in_clear, &alone, &two_keys, &other_id] {
            let found = verdict(file, None, target);
            assert_eq!(found.opens, Opens::NotKnown, "{found:?}");
        }
    }
}

#[test]
fn what_stays_closed_here_is_a_condition_of_strict_mode_beside_a_key_and_a_refusal_without() {
    let mut closed = survey(mac(MacScheme::Pbmac1, "sha256"), aes(), aes());
    let camellia = Algorithm {
        supported: false,
        ..algorithm("camellia-256-cbc", false)
    };
    for part in &mut closed.parts {
        if let Protection::Password(facts) = &mut part.protection {
            facts.algorithm = camellia.clone();
            part.not_supported = Some("Camellia".to_owned());
            part.bags = None;
        }
    }
    let found = verdict(&closed, None, Target::FipsStrict);
    assert_eq!(found.opens, Opens::WithCondition, "{found:?}");
    assert_eq!(found.reasons[0].what.as_deref(), Some("Camellia"));
    // Without its password it is the same, and nothing of it is refused.
    closed.opened = false;
    assert_eq!(
        verdict(&closed, None, Target::FipsStrict).opens,
        Opens::WithCondition
    );
    assert_eq!(
        closed
            .algorithms_to_open()
            .filter(|used| !used.approved)
            .count(),
        0
    );
    closed.parts.retain(|part| part.bags.is_none());
    assert_eq!(verdict(&closed, None, Target::FipsStrict).opens, Opens::No);
}
