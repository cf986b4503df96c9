#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]
use super::*;
use crate::config::Config;
use fips::policy::Policy;

const USUAL: &str = "[engine]
socket = '/s'
exceptions = ['no-device-anchors', 'no-receipts', 'unsigned-records']
allowed_uids = [1000]
max_in_flight = 100
[engine.oracle]
importer_failures_per_hour = 5
[engine.token]
module = '/m'
label = 't'
pin_file = '/pin'
threads = 4
environment = { SOFTHSM2_CONF = '/c' }
";

fn text(config: &str, fips: &Policy) -> PolicyText {
    let config: Config = toml::from_str(config).unwrap();
    let config = config.engine.unwrap();
    let policy = EnginePolicy::load(&config).unwrap();
    text_of(&config, &policy, fips)
}

fn changed(from: &str, to: &str) -> Vec<String> {
    assert!(USUAL.contains(from));
    let before = text(USUAL, &Policy::STRICT);
    let after = text(&USUAL.replace(from, to), &Policy::STRICT);
    assert_eq!(
        before.digest() == after.digest(),
        before.changes(&after).is_empty()
    );
    before
        .changes(&after)
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn what_security_rests_on_changes_the_policy_and_is_told_in_words() {
    fips::start(Policy::STRICT).unwrap();
    let cases = [
        (
            "per_hour = 5",
            "per_hour = 500",
            "engine.oracle.importer_failures_per_hour: 5 is RAISED to 500",
        ),
        (
            "[1000]",
            "[1000, 1001]",
            "engine.allowed_uids.1001: NEW, may call",
        ),
        (
            "'unsigned-records'",
            "'unsigned-records', 'extractable-keys'",
            "exceptions.extractable-keys: NEW, named",
        ),
        (
            "'/m'",
            "'/other'",
            "engine.token.module: \"/m\" becomes \"/other\"",
        ),
        (
            "label = 't'",
            "label = 'u'",
            "engine.token.label: \"t\" becomes \"u\"",
        ),
    ];
    for (from, to, said) in cases {
        assert_eq!(changed(from, to), [said], "{from} -> {to}");
    }
    let environment = changed("'/c'", "'/d'");
    assert!(environment[0].starts_with("engine.token.environment.SOFTHSM2_CONF: "));
    assert!(
        !environment[0].contains("/d"),
        "its values stay out of the log"
    );
}

#[test]
fn what_is_no_policy_does_not_change_it() {
    fips::start(Policy::STRICT).unwrap();
    for (from, to) in [
        ("threads = 4", "threads = 8"),
        ("threads = 4", "threads = 4\ndrain = true"),
        ("pin_file = '/pin'", "pin_credential = 'pin'"),
        ("max_in_flight = 100", "max_in_flight = 200"),
        (
            "['no-device-anchors', 'no-receipts', 'unsigned-records']",
            "['unsigned-records', 'no-receipts', 'no-device-anchors']",
        ),
    ] {
        assert!(changed(from, to).is_empty(), "{from} -> {to}");
    }
}

#[test]
fn the_cryptographic_policy_in_force_is_part_of_it() {
    fips::start(Policy::STRICT).unwrap();
    let strict = text(USUAL, &Policy::STRICT);
    let off = strict.changes(&text(USUAL, &Policy::OFF));
    assert_eq!(off[0].to_string(), "fips.mode: strict becomes off");
    let excepted = Policy::strict_except([fips::policy::Exception::CmsEcdhStatic]);
    let changes = strict.changes(&text(USUAL, &excepted));
    assert_eq!(
        changes[0].to_string(),
        "exceptions.cms-ecdh-static: NEW, named"
    );
}
