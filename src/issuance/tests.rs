//! Decisions and lints, each by a policy of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use super::lint::{Severity, lint};
use super::*;
use crate::engine::api::keys::{AltName, KeyType, KeyUsage};

const GOOD: &str = r#"
version = 1
[[rule]]
name = "smime"
ca = ["company"]
profiles = ["smime-*"]
platforms = ["windows", "ios"]
users = ["*@example.com"]
keys = ["ecP256", "rsa3072"]
key_usage = ["digitalSignature", "keyAgreement"]
extended_key_usage = ["emailProtection"]
subject = { CN = ["*"], O = ["Muster, Inc."] }
ca_may_add = { C = ["DE"] }
alt_names = { email = ["*@example.com"] }
equal_to_user = ["email"]
max_validity_days = 365
"#;

fn attribute(name: &str, value: &str) -> Attribute {
    Attribute {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

struct Question {
    subject: Vec<Attribute>,
    alt_names: Vec<AltName>,
    usages: Vec<String>,
}

impl Question {
    fn new() -> Self {
        Self {
            subject: vec![
                attribute("CN", "Anna Muster"),
                attribute("o", "Muster, Inc."),
            ],
            alt_names: vec![AltName::Email("Anna@Example.com".to_owned())],
            usages: vec![oid_of_usage("emailProtection").unwrap()],
        }
    }

    fn asked(&self) -> Asked<'_> {
        Asked {
            ca: "company",
            ca_profile: None,
            profile: "smime-sign",
            platform: "ios",
            user: "anna@example.com",
            key: KeyType::EcP256,
            subject: &self.subject,
            alt_names: &self.alt_names,
            key_usage: &[KeyUsage::DigitalSignature],
            extended_key_usage: &self.usages,
            microsoft_template: None,
            security_identifier: None,
            validity_days: 365,
        }
    }
}

fn refused(asked: &Asked<'_>, because: &str) {
    let policy = IssuancePolicy::read(GOOD).unwrap();
    let why = policy.decide(asked).unwrap_err().to_string();
    assert!(why.contains(because), "{why}");
}

#[test]
fn what_a_rule_allows_is_allowed_and_nothing_else() {
    let policy = IssuancePolicy::read(GOOD).unwrap();
    let question = Question::new();
    assert_eq!(policy.decide(&question.asked()).unwrap().name, "smime");
    assert_eq!(policy.digest().len(), 64);

    let no_rule = "no rule of the issuance policy";
    refused(
        &Asked {
            ca: "other",
            ..question.asked()
        },
        no_rule,
    );
    refused(
        &Asked {
            profile: "vpn",
            ..question.asked()
        },
        no_rule,
    );
    refused(
        &Asked {
            ca_profile: Some("x"),
            ..question.asked()
        },
        "the authority's profile",
    );
    refused(
        &Asked {
            platform: "macOs",
            ..question.asked()
        },
        "the platform",
    );
    refused(
        &Asked {
            user: "anna@evil.example",
            ..question.asked()
        },
        "the user",
    );
    refused(
        &Asked {
            key: KeyType::Rsa2048,
            ..question.asked()
        },
        "the key rsa2048",
    );
    refused(
        &Asked {
            key_usage: &[KeyUsage::NonRepudiation],
            ..question.asked()
        },
        "key usage",
    );
    refused(
        &Asked {
            microsoft_template: Some("User"),
            ..question.asked()
        },
        "the template",
    );
    refused(
        &Asked {
            security_identifier: Some("S-1-5-21"),
            ..question.asked()
        },
        "security identifier",
    );
    refused(
        &Asked {
            validity_days: 366,
            ..question.asked()
        },
        "366 days",
    );
    let logon = vec![oid_of_usage("clientAuth").unwrap()];
    refused(
        &Asked {
            extended_key_usage: &logon,
            ..question.asked()
        },
        "clientAuth",
    );

    let mut other = Question::new();
    other.subject.push(attribute("OU", "Board"));
    refused(&other.asked(), "OU=Board");
    let mut other = Question::new();
    other.alt_names = vec![AltName::Email("ben@example.com".to_owned())];
    refused(&other.asked(), "for the user");
    for stranger in [
        "a@example.com@evil.example",
        "a@evil.example",
        "x@sub.example.com",
        "a b@example.com",
        "ä@example.com",
    ] {
        other.alt_names = vec![AltName::Email(stranger.to_owned())];
        refused(&other.asked(), "among the alternative names");
    }
    other.alt_names = vec![AltName::Upn("anna@example.com".to_owned())];
    refused(&other.asked(), "upn");
    other.alt_names = vec![AltName::Dns("www.example.com".to_owned())];
    refused(&other.asked(), "dns");
}

/// GOOD with addresses in every place where one can stand, all of them for anybody of the company.
fn with_addresses() -> String {
    let text = GOOD
        .replace(
            "subject = { ",
            "subject = { emailAddress = [\"*@example.com\"], UID = [\"*\"], ",
        )
        .replace(
            "alt_names = { ",
            "alt_names = { upn = [\"*@example.com\"], uri = [\"*\"], ",
        );
    text.replace(
        "ca_may_add = { ",
        "ca_may_add = { E = [\"*@example.com\"], OU = [\"*\"], ",
    )
}

#[test]
fn a_user_s_address_is_bound_wherever_one_can_stand() {
    let text = with_addresses();
    let policy = IssuancePolicy::read(&text).unwrap();
    let unbound = IssuancePolicy::read(&text.replace("[\"email\"]", "[]")).unwrap();
    let (own, other) = ("Anna@example.com", "boss@example.com");
    let in_subject = ["emailAddress", "E", "1.2.840.113549.1.9.1", "CN", "uid"];
    for name in in_subject {
        let asks = |value: &str| Question {
            subject: vec![attribute(name, value)],
            ..Question::new()
        };
        assert!(policy.decide(&asks(own).asked()).is_ok(), "{name}");
        assert!(unbound.decide(&asks(other).asked()).is_ok(), "{name}");
        let why = policy.decide(&asks(other).asked()).unwrap_err().to_string();
        assert!(why.contains("in the subject for the user anna@"), "{why}");
    }
    let alternative: [fn(&str) -> AltName; 4] = [
        |address| AltName::Email(address.to_owned()),
        |address| AltName::Upn(address.to_owned()),
        |address| AltName::Uri(format!("mailto:{address}")),
        |address| AltName::Uri(format!("MAILTO:{address}")),
    ];
    for name in alternative {
        let asks = |value: &str| Question {
            alt_names: vec![name(value)],
            ..Question::new()
        };
        assert!(policy.decide(&asks(own).asked()).is_ok(), "{:?}", name(own));
        assert!(unbound.decide(&asks(other).asked()).is_ok());
        let why = policy.decide(&asks(other).asked()).unwrap_err().to_string();
        assert!(why.contains("for the user anna@example.com"), "{why}");
    }
    let more = asks_mail_with_headers();
    assert!(policy.decide(&more.asked()).is_err());

    // What the authority adds is held against the same.
    let user = "anna@example.com";
    let rule = &policy.rules()[0];
    for name in ["emailAddress", "E", "1.2.840.113549.1.9.1", "OU"] {
        assert!(rule.may_be_added(&attribute(name, own), user), "{name}");
        assert!(!rule.may_be_added(&attribute(name, other), user), "{name}");
        assert!(unbound.rules()[0].may_be_added(&attribute(name, other), user));
    }
    assert!(rule.may_be_added(&attribute("OU", "Sales"), user));
}

fn asks_mail_with_headers() -> Question {
    Question {
        alt_names: vec![AltName::Uri(
            "mailto:anna@example.com?cc=boss@example.com".to_owned(),
        )],
        ..Question::new()
    }
}

#[test]
fn the_linter_sees_addresses_in_the_subject_and_what_binds_them() {
    let logs_on = "extended_key_usage = [\"emailProtection\", \"clientAuth\"]";
    let bound = GOOD
        .replace("CN = [\"*\"]", "CN = [\"Anna Muster\"]")
        .replace("extended_key_usage = [\"emailProtection\"]", logs_on);
    assert_eq!(codes(&bound), []);
    for (key, name) in [
        ("subject", "1.2.840.113549.1.9.1"),
        ("subject", "emailAddress"),
        ("ca_may_add", "E"),
    ] {
        let text = bound.replace(
            &format!("{key} = {{ "),
            &format!("{key} = {{ \"{name}\" = [\"*@example.com\"], "),
        );
        assert_ne!(text, bound);
        assert_eq!(codes(&text), [], "{key} {name}: the user's own");
        let free = text
            .replace("alt_names = { email = [\"*@example.com\"] }", "")
            .replace("equal_to_user = [\"email\"]", "");
        let found = codes(&free);
        let logon = ("suppliedNameLogsOn", Severity::Error);
        assert!(found.contains(&logon), "{key} {name}: {found:?}");
        let anybody = text.replace(
            &format!("\"{name}\" = [\"*@example.com\"]"),
            &format!("\"{name}\" = [\"*\"]"),
        );
        let found = codes(&anybody);
        let domain = ("anyEmailDomain", Severity::Warning);
        assert!(found.contains(&domain), "{key} {name}: {found:?}");
    }
}

#[test]
fn an_empty_policy_allows_nothing() {
    let policy = IssuancePolicy::read("version = 1").unwrap();
    let question = Question::new();
    assert!(policy.decide(&question.asked()).is_err());
}

#[test]
fn stars_stand_for_no_more_than_they_should() {
    let dns = |pattern: &str, name: &str| Pattern::new(pattern).unwrap().fits_dns(name);
    assert!(dns("*.example.com", "www.EXAMPLE.com"));
    assert!(!dns("*.example.com", "a.b.example.com"));
    assert!(!dns("*.example.com", "example.com"));
    assert!(!dns("*.example.com", "evil.com/.example.com"));
    assert!(!dns("*", "*.example.com") && dns("*.example.com", "*.example.com"));
    let address = |pattern: &str, name: &str| Pattern::new(pattern).unwrap().fits_address(name);
    assert!(address("*@example.com", "a@example.com"));
    assert!(!address("*@example.com", "@example.com"));
    assert!(address("*", "a@b.c") && !address("*", "a@b@c") && !address("*", "a"));
    let text = |pattern: &str, text: &str| Pattern::new(pattern).unwrap().fits(text);
    assert!(text("a*b*c", "aXbYc") && text("a*b*c", "abc") && !text("a*b*c", "ac"));
    assert!(!text("abc", "abcd") && !text("*abc", "abcd") && text("abc*", "abcd"));
    for bad in ["", "**", "*a*b*c*d*", &"x".repeat(513)] {
        assert!(Pattern::new(bad).is_err(), "{bad}");
    }
}

#[test]
fn mistakes_in_a_policy_are_named() {
    for (change, because) in [
        (("version = 1", "version = 2"), "newer program"),
        (("keys = [\"ecP256\", \"rsa3072\"]", "keys = []"), "`keys`"),
        (
            (
                "key_usage = [\"digitalSignature\", \"keyAgreement\"]",
                "key_usage = []",
            ),
            "`key_usage` names nothing",
        ),
        (
            ("key_usage = [\"digitalSignature\", \"keyAgreement\"]\n", ""),
            "missing field `key_usage`",
        ),
        (("ca = [\"company\"]", "ca = []"), "`ca`"),
        (("\"ios\"]", "\"beos\"]"), "beos"),
        (("emailProtection", "e-mail"), "e-mail"),
        (("[\"email\"]", "[\"dns\"]"), "equal_to_user"),
        (("365", "9999"), "max_validity_days"),
        (
            ("name = \"smime\"", "name = \"smime\"\nunknown = 1"),
            "unknown",
        ),
    ] {
        let text = GOOD.replace(change.0, change.1);
        assert_ne!(text, GOOD);
        let why = IssuancePolicy::read(&text).unwrap_err().to_string();
        assert!(why.contains(because), "{why}");
    }
}

#[test]
fn a_file_that_others_may_write_is_no_policy() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("issuance.toml");
    std::fs::write(&path, GOOD).unwrap();
    let set =
        |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    set(0o644);
    IssuancePolicy::load(&path).unwrap();
    set(0o664);
    let why = IssuancePolicy::load(&path).unwrap_err().to_string();
    assert!(why.contains("chmod go-w"), "{why}");
}

fn codes(text: &str) -> Vec<(&'static str, Severity)> {
    let policy = IssuancePolicy::read(text).unwrap();
    lint(&policy)
        .into_iter()
        .map(|finding| (finding.code, finding.severity))
        .collect()
}

#[test]
fn a_narrow_policy_has_no_finding_and_each_broad_one_its_own() {
    assert_eq!(codes(GOOD), []);
    let with = |from: &str, to: &str| {
        let text = GOOD.replace(from, to);
        assert_ne!(text, GOOD, "{from}");
        codes(&text)
    };
    let has = |found: &[(&str, Severity)], code: &str, severity: Severity| {
        assert!(found.contains(&(code, severity)), "{code}: {found:?}");
    };
    // The name is bound to the user, and only the common name is free: still a name that logs on.
    let found = with(
        "[\"emailProtection\"]",
        "[\"emailProtection\", \"clientAuth\"]",
    );
    has(&found, "suppliedNameLogsOn", Severity::Error);
    let found = with("email = [\"*@example.com\"]", "email = [\"*\"]");
    has(&found, "anyEmailDomain", Severity::Warning);
    let found = with(
        "email = [\"*@example.com\"]",
        "email = [\"*@example.com\"], upn = [\"*@*\"]",
    );
    has(&found, "anyUpnDomain", Severity::Error);
    let found = with(
        "email = [\"*@example.com\"]",
        "email = [\"*@example.com\"], dns = [\"*.com\"]",
    );
    has(&found, "anyDnsDomain", Severity::Warning);
    let found = with(
        "email = [\"*@example.com\"]",
        "email = [\"*@example.com\"], uri = [\"tag:microsoft.com,2022-09-14:sid:*\"]",
    );
    has(&found, "anySecurityIdentifier", Severity::Warning);
    has(
        &with("[\"emailProtection\"]", "[\"anyExtendedKeyUsage\"]"),
        "anyUsage",
        Severity::Error,
    );
    has(
        &with("[\"emailProtection\"]", "[\"codeSigning\"]"),
        "powerfulUsage",
        Severity::Error,
    );
    has(
        &with("[\"emailProtection\"]", "[\"serverAuth\"]"),
        "serverUsage",
        Severity::Warning,
    );
    has(
        &with("[\"emailProtection\"]", "[]"),
        "noUsage",
        Severity::Note,
    );
    has(&with("365", "800"), "longValidity", Severity::Warning);
    has(
        &with("[\"company\"]", "[\"*\"]"),
        "anyAuthority",
        Severity::Warning,
    );
    has(
        &with("[\"smime-*\"]", "[\"*\"]"),
        "anyProfile",
        Severity::Warning,
    );
    has(
        &with(
            "ca = [\"company\"]",
            "ca = [\"company\"]\nca_profiles = [\"*\"]",
        ),
        "anyTemplate",
        Severity::Warning,
    );
    has(
        &with("users = [\"*@example.com\"]", "users = [\"*\"]"),
        "anyUser",
        Severity::Note,
    );
    has(
        &with("\"rsa3072\"", "\"rsa2048\""),
        "shortKey",
        Severity::Note,
    );
    has(
        &with("O = [\"Muster, Inc.\"]", "O = [\"*\"]"),
        "anySubjectAttribute",
        Severity::Note,
    );
    has(&codes("version = 1"), "noRules", Severity::Note);
    let twice = format!(
        "{GOOD}{}",
        GOOD.replace("version = 1", "")
            .replace("name = \"smime\"", "name = \"again\"")
    );
    has(&codes(&twice), "sameRule", Severity::Note);
}
