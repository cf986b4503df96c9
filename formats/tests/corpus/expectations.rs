//! What has to become of each file.

use super::Check;
use super::manifest::Case;
use fips::secret::SecretBytes;
use formats::pfx::{
    self, Integrity, MatchedBy, OpenedPfx, PasswordForm, PfxError, PfxLimits, Protection,
};

pub(crate) fn of(case: &Case) -> Vec<(&'static str, Check)> {
    let mut checks: Vec<(&'static str, Check)> = vec![match case.column("expected") {
        "valid" => ("valid", valid as Check),
        "exotic" => ("exotic", exotic),
        "policy" => ("policy", policy),
        "robust" => ("robust", robust),
        "invalid" => ("invalid", invalid),
        other => panic!("{}: nothing is known of `{other}`", case.name()),
    }];
    if case.column("expected") != "invalid" {
        checks.push(("survey", survey));
        if case.has_mac() {
            checks.push(("wrong-password", wrong_password));
        }
    }
    checks
}

fn read(case: &Case, password: &[u8]) -> Result<OpenedPfx, PfxError> {
    pfx::read(
        &case.bytes,
        &SecretBytes::from_slice(password),
        &PfxLimits::default(),
    )
}

fn open(case: &Case) -> Result<OpenedPfx, PfxError> {
    read(case, case.column("password").as_bytes())
}

/// It opens, with as many keys and certificates as there are, and each key has its certificate.
fn valid(case: &Case) {
    if case.column("password_kind") == "unknown" {
        return;
    }
    let opened = open(case).unwrap_or_else(|error| panic!("{}: {error}", error.code()));
    assert_eq!(opened.keys().len(), case.count("keys"), "keys");
    assert_eq!(
        opened.certificates().len(),
        case.count("certs"),
        "certificates"
    );
    let types = case.column("key_types");
    for key in opened.keys() {
        let name = key.facts().algorithm.as_str();
        match types {
            "RSA" => assert_eq!(name, "rsa"),
            "EC" => assert!(name.starts_with("ec"), "{name}"),
            _ => assert!(!key.facts().supported, "{name} is no {types}"),
        }
        if opened.certificates().is_empty() {
            continue;
        }
        assert!(key.certificate().is_some(), "a key without its certificate");
        assert_eq!(key.matched_by(), Some(MatchedBy::PublicKey));
    }
    if let [key] = opened.keys()
        && key.facts().supported
        && key.certificate().is_some()
    {
        let identity = opened.identity().unwrap();
        assert_eq!(identity.facts().unwrap().key_matches, Some(true));
        assert_eq!(
            identity.chain().len() + 1,
            opened.certificates().len(),
            "chain"
        );
    }
    assert!(opened.survey().opened);
}

/// Opened, or refused as what it is.
fn exotic(case: &Case) {
    if let Err(error) = open(case) {
        assert_eq!(error.code(), "unsupported_algorithm", "{error}");
    }
}

/// Decided one by one: see the documentation of [`formats::pfx`].
fn policy(case: &Case) {
    let opened = open(case).unwrap_or_else(|error| panic!("{}: {error}", error.code()));
    let form = opened.survey().password_form;
    let expected = match case.name() {
        "bcgit-bc-java/with-key-entry.p12" => PasswordForm::Latin1,
        "nss-dev-nss/TestOldAES128CA.p12" => PasswordForm::BmpForPbes2,
        "made/forge-3des-empty.p12" => PasswordForm::Null,
        other => panic!("{other}: nobody has decided what becomes of it ({form:?})"),
    };
    assert_eq!(form, Some(expected));
}

/// Either way; a refusal has one of the codes for files.
fn robust(case: &Case) {
    let code = match open(case) {
        Ok(_) => return,
        Err(error) => error.code(),
    };
    assert!(
        [
            "wrong_password",
            "unsupported_algorithm",
            "malformed",
            "limit_exceeded"
        ]
        .contains(&code),
        "{code}"
    );
    if case.column("password_kind") != "unknown" {
        assert_ne!(code, "wrong_password");
    }
}

fn invalid(case: &Case) {
    match open(case) {
        Ok(_) => panic!("it opened"),
        Err(error) => println!("  {}: {error}", error.code()),
    }
}

/// Whatever else there is in the file. Only a MAC that nobody here can compute says nothing about the password.
fn wrong_password(case: &Case) {
    let password = case.column("password");
    let longer = format!("{password}x");
    let other_case: String = password.chars().rev().collect::<String>() + "\u{e4}\u{1f511}";
    for wrong in [longer, other_case, "\u{ff}".to_owned()] {
        let code = match read(case, wrong.as_bytes()) {
            Ok(_) => panic!("it opened"),
            Err(error) => error.code(),
        };
        let supported = match pfx::survey(&case.bytes, &PfxLimits::default())
            .unwrap()
            .integrity
        {
            Integrity::Mac(mac) => mac.algorithm.supported,
            _ => panic!("it has no MAC"),
        };
        match supported {
            true => assert_eq!(code, "wrong_password"),
            false => assert_eq!(code, "unsupported_algorithm"),
        }
    }
}

/// What is seen without the password is what the list says.
fn survey(case: &Case) {
    if case.column("encoding") == "?" {
        // Nothing is known of it.
        let _ = pfx::survey(&case.bytes, &PfxLimits::default());
        return;
    }
    let survey = pfx::survey(&case.bytes, &PfxLimits::default()).unwrap();
    assert_eq!(
        survey.encoding.der,
        case.column("encoding") == "DER",
        "{:?}",
        survey.encoding
    );
    assert!(!survey.opened);
    match &survey.integrity {
        Integrity::Mac(mac) => {
            assert_ne!(case.column("mac"), "none");
            // The list has a negative one as it is.
            if let Ok(iterations) = case.column("mac_iter").parse::<u64>() {
                assert_eq!(mac.iterations, Some(iterations));
            }
        }
        Integrity::None => assert_eq!(case.column("mac"), "none"),
        other => panic!("{other:?}"),
    }
    let of_part = |part: &pfx::Part| match &part.protection {
        Protection::Plain => "plain".to_owned(),
        Protection::Password(facts) => facts.algorithm.name.clone(),
        Protection::PublicKey => "envelopedData".to_owned(),
        other => format!("{other:?}"),
    };
    let parts: std::collections::BTreeSet<String> = survey.parts.iter().map(of_part).collect();
    for named in case
        .column("safe_enc")
        .split('+')
        .filter(|name| !name.is_empty())
    {
        assert!(
            parts.iter().any(|part| same_algorithm(part, named)),
            "{named} in {parts:?}"
        );
    }
    for bag in survey.bags() {
        assert_eq!(bag.certificate.is_some(), bag.certificate_der.is_some());
    }
}

/// The list names the pseudo-random function without `hmac`.
fn same_algorithm(name: &str, in_the_list: &str) -> bool {
    name.replace("hmac-", "")
        == in_the_list
            .replace("hmac-", "")
            .replace("des-ede3-cbc", "3des-cbc")
}
