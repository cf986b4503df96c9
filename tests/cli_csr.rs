//! `csr` and `cert` as people run them: every command of docs/certificates.md, keys in files and on a token, and what is refused.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

mod cli_common;
#[path = "cli_csr/page.rs"]
mod page;
#[path = "support/openssl.rs"]
mod support;

use cli_common::{Ran, Token, openssl, program, text, write};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use support::{Issuance, KeyAlgorithm, Workshop};

const PASSWORD: &str = "a password for a key";

struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        write(&desk.path("pw"), PASSWORD, 0o600);
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `csr create` with these arguments, of which those that begin with `@` are files here.
    fn create(&self, arguments: &[&str]) -> Ran {
        let mut all = vec!["csr".to_owned(), "create".to_owned(), "--json".to_owned()];
        all.extend(
            arguments
                .iter()
                .map(|argument| match argument.strip_prefix('@') {
                    Some(name) => self.path(name).to_str().unwrap().to_owned(),
                    None => (*argument).to_owned(),
                }),
        );
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        program(&all, &[])
    }

    fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_new_key_is_encrypted_readable_by_its_owner_only_and_openssl_takes_both() {
    let desk = Desk::new();
    let made = desk.create(&[
        "--new-key",
        "ec-p384",
        "--key-out",
        "@k",
        "--key-password-file",
        "@pw",
        "--subject",
        "CN=Ada",
        "--out",
        "@r",
    ]);
    let made = made.json();
    assert_eq!(made["key_protection"], "encrypted");
    assert_eq!(made["request"]["key"], "EC P-384");
    assert_eq!(made["fips"]["mode"], "strict");
    assert_eq!(made["fips"]["notApproved"], 0);
    assert_eq!(
        (mode(&desk.path("k")), mode(&desk.path("r"))),
        (0o600, 0o644)
    );
    let (key, request, pw) = (desk.path("k"), desk.path("r"), desk.path("pw"));
    let pass = format!("file:{}", pw.display());
    let public = openssl(&["pkey", "-in", text(&key), "-passin", &pass, "-pubout"]);
    assert_eq!(
        public,
        openssl(&["req", "-in", text(&request), "-verify", "-noout", "-pubkey"])
    );
    assert!(
        !String::from_utf8(fs::read(&key).unwrap())
            .unwrap()
            .contains("BEGIN PRIVATE KEY")
    );

    // The same key again, and with another algorithm than it has.
    let again = desk.create(&[
        "--key",
        "@k",
        "--key-password-file",
        "@pw",
        "--subject",
        "CN=Ada",
        "--der",
        "--out",
        "@r2",
    ]);
    assert_eq!(
        again.json()["request"]["key_fingerprint"],
        made["request"]["key_fingerprint"]
    );
    let wrong = desk.create(&[
        "--key",
        "@k",
        "--key-password-file",
        "@pw",
        "--subject",
        "CN=Ada",
        "--signature",
        "rsa-pss-sha256",
        "--out",
        "@r3",
    ]);
    assert_eq!(
        (wrong.code, &wrong.error()["code"]),
        (2, &"signature".into())
    );
}

#[test]
fn nothing_is_overwritten_and_nothing_is_left_behind() {
    let desk = Desk::new();
    write(&desk.path("there"), "mine", 0o600);
    write(&desk.path("short"), "short", 0o600);
    write(&desk.path("open"), PASSWORD, 0o644);
    let before = desk.files();
    let new = ["--new-key", "ec-p256"];
    let cases: [(&[&str], i32, &str); 10] = [
        (
            &[
                "--key-out",
                "@there",
                "--plain-key",
                "--subject",
                "CN=a",
                "--out",
                "@r",
            ],
            2,
            "file_exists",
        ),
        (
            &[
                "--key-out",
                "@k",
                "--plain-key",
                "--subject",
                "CN=a",
                "--out",
                "@there",
            ],
            2,
            "file_exists",
        ),
        (
            &[
                "--key-out",
                "@r",
                "--plain-key",
                "--subject",
                "CN=a",
                "--out",
                "@r",
            ],
            2,
            "same_file",
        ),
        (
            &["--key-out", "@k", "--subject", "CN=a", "--out", "@r"],
            2,
            "key_protection",
        ),
        (
            &[
                "--key-out",
                "@k",
                "--plain-key",
                "--subject",
                "CN={{UserName}}",
                "--out",
                "@r",
            ],
            2,
            "subject",
        ),
        (
            &[
                "--key-out",
                "@k",
                "--plain-key",
                "--subject",
                "CN=a;",
                "--out",
                "@r",
            ],
            2,
            "subject",
        ),
        (
            &["--key-out", "@k", "--plain-key", "--out", "@r"],
            1,
            "csr_nobody",
        ),
        (
            &[
                "--key-out",
                "@k",
                "--plain-key",
                "--subject",
                "CN=a",
                "--key-usage",
                "all",
                "--out",
                "@r",
            ],
            2,
            "extension",
        ),
        // PBKDF2 of so short a password is not approved.
        (
            &[
                "--key-out",
                "@k",
                "--key-password-file",
                "@short",
                "--subject",
                "CN=a",
                "--out",
                "@r",
            ],
            1,
            "not_approved",
        ),
        (
            &[
                "--key-out",
                "@k",
                "--key-password-file",
                "@open",
                "--subject",
                "CN=a",
                "--out",
                "@r",
            ],
            2,
            "secret_file_exposed",
        ),
    ];
    for (arguments, code, name) in cases {
        let ran = desk.create(&[&new[..], arguments].concat());
        let error = ran.error();
        assert_eq!(
            (ran.code, error["code"].as_str().unwrap()),
            (code, name),
            "{error}"
        );
        assert_eq!(desk.files(), before, "{name}");
    }
    assert_eq!(fs::read(desk.path("there")).unwrap(), b"mine");
}

#[test]
fn a_key_of_a_file_that_does_not_open_says_why() {
    let desk = Desk::new();
    desk.create(&[
        "--new-key",
        "ec-p256",
        "--key-out",
        "@k",
        "--key-password-file",
        "@pw",
        "--subject",
        "CN=a",
        "--out",
        "@r",
    ])
    .json();
    desk.create(&[
        "--new-key",
        "ec-p256",
        "--key-out",
        "@plain",
        "--plain-key",
        "--subject",
        "CN=a",
        "--out",
        "@r2",
    ])
    .json();
    write(&desk.path("other"), "another password", 0o600);
    write(&desk.path("none"), "no key at all", 0o600);
    let cases: [(&[&str], &str); 4] = [
        (&["--key", "@k"], "key_password"),
        (
            &["--key", "@k", "--key-password-file", "@other"],
            "wrong_password",
        ),
        (
            &["--key", "@plain", "--key-password-file", "@pw"],
            "key_file",
        ),
        (&["--key", "@none"], "key_file"),
    ];
    for (arguments, name) in cases {
        let ran = desk.create(&[arguments, &["--subject", "CN=a", "--out", "@r3"]].concat());
        assert_eq!(ran.error()["code"], name);
        assert!(!desk.path("r3").exists());
    }
}

/// A key on the token, in strict mode: it signs there, and the request is OpenSSL's to verify.
#[test]
fn keys_on_a_token_sign_requests() {
    let token = Token::new();
    let config = engine(&token);
    for (label, kind, signature) in [
        ("ec", "p256", "ECDSA with SHA-256"),
        ("rsa", "rsa3072", "RSA-PSS with SHA-256"),
    ] {
        let made = token.run(&[
            "key",
            "generate-signing",
            "--key-label",
            label,
            "--kind",
            kind,
            "--json",
        ]);
        assert_eq!(made.code, 0, "{}", made.stderr);
        let out = token.path(&format!("{label}.csr"));
        let ran = program(
            &[
                "csr",
                "create",
                "--key-label",
                label,
                "--config",
                text(&config),
                "--subject",
                "CN=x",
                "--out",
                text(&out),
                "--json",
            ],
            &[],
        );
        let report = ran.json();
        assert_eq!(report["key_protection"], "token");
        assert_eq!(report["key_file"], Value::Null);
        assert_eq!(report["request"]["signature"], signature);
        openssl(&["req", "-in", text(&out), "-verify", "-noout"]);
    }
    let out = token.path("none.csr");
    let missing = program(
        &[
            "csr",
            "create",
            "--key-label",
            "nobody",
            "--config",
            text(&config),
            "--subject",
            "CN=x",
            "--out",
            text(&out),
            "--json",
        ],
        &[],
    );
    assert_eq!(missing.code, 1);
    assert!(!out.exists());
}

fn engine(token: &Token) -> PathBuf {
    let config = token.path("engine.toml");
    write(
        &config,
        format!(
            "[fips]\nmode = \"strict\"\n[engine]\nsocket = \"engine.sock\"\n[engine.token]\n{}",
            token.section()
        ),
        0o600,
    );
    config
}

#[test]
fn requests_of_strangers_are_refused_with_their_reason() {
    let desk = Desk::new();
    desk.create(&[
        "--new-key",
        "ec-p256",
        "--key-out",
        "@k",
        "--plain-key",
        "--subject",
        "CN=a",
        "--der",
        "--out",
        "@r",
    ])
    .json();
    let mut der = fs::read(desk.path("r")).unwrap();
    let inspect = |name: &str| program(&["csr", "inspect", text(&desk.path(name)), "--json"], &[]);
    assert_eq!(inspect("r").json()["request"]["subject"], "CN=a");
    let last = der.len() - 1;
    der[last] ^= 1;
    write(&desk.path("forged"), &der, 0o600);
    write(&desk.path("cut"), &der[..last], 0o600);
    write(&desk.path("text"), "hello", 0o600);
    for (name, code) in [
        ("forged", "csr_signature"),
        ("cut", "csr_malformed"),
        ("text", "csr_not_pem"),
    ] {
        let ran = inspect(name);
        assert_eq!(
            (ran.code, &ran.error()["code"]),
            (1, &code.into()),
            "{name}"
        );
    }
}

#[test]
fn certificates_are_refused_with_a_code_and_the_name_of_the_certificate() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let other = workshop.authority("Other", KeyAlgorithm::P256);
    let person = |names: &str| Issuance {
        extensions: format!(
            "basicConstraints = CA:FALSE\nkeyUsage = critical, digitalSignature\nextendedKeyUsage = emailProtection\nsubjectAltName = {names}"
        ),
        ..Issuance::default()
    };
    let ada = root.device_with("Ada", KeyAlgorithm::P256, &person("email:ada@example.com"));
    let revoked = root.revocation_list(&[&ada], ("20260101000000Z", "20491231000000Z"), "");
    let empty = root.revocation_list(&[], ("20260101000000Z", "20491231000000Z"), "");
    let verify = |root: &Path, more: &[&str]| {
        let own = [
            "cert",
            "verify",
            text(&ada.certificate),
            "--roots",
            text(root),
            "--json",
        ];
        program(&[&own, more].concat(), &[])
    };
    let well = verify(
        &root.certificate,
        &[
            "--purpose",
            "smime",
            "--email",
            "ada@example.com",
            "--crl",
            text(&empty),
        ],
    )
    .json();
    assert_eq!(well["path"][0]["subject"], "CN=Ada");
    assert_eq!(well["revocation_checked"], serde_json::json!([true]));
    assert_eq!(well["fips"]["notApproved"], 0);
    for (more, code) in [
        (vec!["--purpose", "client"], "cert_purpose"),
        (vec!["--email", "bob@example.com"], "cert_email"),
        (vec!["--at", "2060-01-01T00:00:00Z"], "cert_expired"),
        (vec!["--at", "1999-01-01T00:00:00Z"], "cert_not_yet_valid"),
        (vec!["--crl", text(&revoked)], "cert_revoked"),
    ] {
        let ran = verify(&root.certificate, &more);
        let error = ran.error();
        assert_eq!((ran.code, &error["code"]), (1, &code.into()), "{error}");
        assert!(
            error["message"].as_str().unwrap().starts_with("CN=Ada: "),
            "{error}"
        );
    }
    assert_eq!(
        verify(&other.certificate, &[]).error()["code"],
        "cert_no_issuer"
    );
    assert_eq!(
        verify(&root.certificate, &["--at", "soon"]).error()["code"],
        "time"
    );
}
