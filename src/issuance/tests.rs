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
