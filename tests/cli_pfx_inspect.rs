//! `pfx inspect` on files that OpenSSL, Java, NSS and GnuTLS write now, on what people give by mistake, and on the corpus.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    unreachable_pub,
    missing_docs
)]

mod cli_common;
#[path = "../formats/tests/corpus/manifest.rs"]
#[allow(dead_code)]
mod manifest;

use cli_common::{Ran, openssl, program, text, write};
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use tempfile::TempDir;

const PASSWORD: &str = "correct horse battery staple";
const MAIL: &str = "ada@example.com";

/// A root, a person's certificate for mail, and the person's key.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self {
            folder: TempDir::new().unwrap(),
        };
        write(&bench.path("pw"), format!("{PASSWORD}\n"), 0o600);
        write(
            &bench.path("person.ext"),
            format!(
                "keyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=emailProtection\nsubjectAltName=email:{MAIL}\n"
            ),
            0o600,
        );
        let path = |name: &str| text(&bench.path(name)).to_owned();
        openssl(&[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "30",
            "-subj",
            "/CN=Example Root",
            "-keyout",
            &path("root.key"),
            "-out",
            &path("root.pem"),
        ]);
        openssl(&[
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=Ada",
            "-keyout",
            &path("ada.key"),
            "-out",
            &path("ada.csr"),
        ]);
        openssl(&[
            "x509",
            "-req",
            "-in",
            &path("ada.csr"),
            "-CA",
            &path("root.pem"),
            "-CAkey",
            &path("root.key"),
            "-days",
            "20",
            "-extfile",
            &path("person.ext"),
            "-out",
            &path("ada.pem"),
        ]);
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A PFX with key, certificate and root, by OpenSSL.
    fn pfx(&self, name: &str, options: &[&str]) -> PathBuf {
        let out = self.path(name);
        let from = format!("file:{}", self.path("pw").display());
        let (key, certificate, root) = (
            self.path("ada.key"),
            self.path("ada.pem"),
            self.path("root.pem"),
        );
        let mut arguments = vec![
            "pkcs12",
            "-export",
            "-inkey",
            text(&key),
            "-in",
            text(&certificate),
            "-certfile",
            text(&root),
            "-name",
            "Ada's mail",
            "-passout",
            &from,
            "-out",
            text(&out),
        ];
        arguments.extend(options);
        openssl(&arguments);
        out
    }

    fn inspect(&self, file: &str, more: &[&str]) -> Ran {
        let mut arguments = vec!["pfx", "inspect", file];
        arguments.extend(more);
        program(&arguments, &[])
    }

    /// The report in JSON, under the right password.
    fn report(&self, file: &str, more: &[&str]) -> (i32, Value) {
        let password = self.path("pw");
        let mut arguments = vec!["--json", "--password-file", text(&password)];
        arguments.extend(more);
        report(&self.inspect(file, &arguments))
    }

    fn run(&self, name: &str, arguments: &[&str]) {
        let output = Command::new(name)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("this test needs {name}: {error}"));
        assert!(output.status.success(), "{name} {arguments:?}: {output:?}");
    }
}

/// Exit code and report; what failed says so in both places in the same words.
fn report(ran: &Ran) -> (i32, Value) {
    let report: Value = serde_json::from_slice(&ran.stdout)
        .unwrap_or_else(|error| panic!("{error}: {:?} {}", ran.text(), ran.stderr));
    if ran.code != 0 {
        let line = ran.stderr.lines().last().expect("a line on standard error");
        let failure: Value = serde_json::from_str(line).expect("JSON on standard error");
        assert_eq!(failure["error"], report["error"]);
        assert!(report["error"]["message"].as_str().unwrap().len() > 10);
    }
    (ran.code, report)
}

fn verdict<'a>(report: &'a Value, target: &str) -> &'a str {
    report["verdicts"]
        .as_array()
        .unwrap()
        .iter()
        .find(|verdict| verdict["target"] == target)
        .unwrap_or_else(|| panic!("no verdict on {target}"))["opens"]
        .as_str()
        .unwrap()
}

#[test]
fn a_file_of_openssl_shows_entries_algorithms_fitness_and_what_each_target_says() {
    let bench = Bench::new();
    let file = bench.pfx("ada.pfx", &[]);
    let (code, report) = bench.report(text(&file), &[]);
    assert_eq!(code, 0);
    assert_eq!(report["opens"], true);
    assert_eq!(report["key_matches_certificate"], true);
    let entries = report["entries"].as_array().unwrap();
    let of_kind = |kind: &str| {
        entries
            .iter()
            .filter(|entry| entry["kind"] == kind)
            .collect::<Vec<_>>()
    };
    let (keys, certificates) = (of_kind("private_key"), of_kind("certificate"));
    assert_eq!((keys.len(), certificates.len()), (1, 2), "{entries:?}");
    assert_eq!(keys[0]["key"]["algorithm"], "rsa");
    assert_eq!(keys[0]["key"]["bits"], 2048);
    assert_eq!(keys[0]["friendly_name"], "Ada's mail");
    let certificate = &entries[usize::try_from(keys[0]["certificate"].as_u64().unwrap()).unwrap()];
    assert_eq!(certificate["email_addresses"][0], MAIL);
    assert_eq!(certificate["validity"], "valid");
    assert_eq!(certificate["smime"]["signing"], true);
    assert_eq!(certificate["smime"]["encryption"], true);
    assert_eq!(certificate["smime"]["problems"], Value::Array(Vec::new()));
    assert_eq!(certificate["chain"]["complete"], true);
    assert_eq!(certificate["chain"]["issuers"].as_array().unwrap().len(), 1);
    // MAC, certificates, key.
    assert_eq!(report["algorithms"].as_array().unwrap().len(), 3);
    assert!(report["algorithms"][0]["iterations"].as_u64() == Some(2048));
    assert!(!report["not_approved"].as_array().unwrap().is_empty());
    assert_eq!(verdict(&report, "openssl3"), "yes");
    assert_eq!(verdict(&report, "windows-2019"), "yes");
    assert_eq!(verdict(&report, "windows-server-2016"), "no");
    assert_eq!(verdict(&report, "ios"), "with_condition");
    assert_eq!(verdict(&report, "fips-strict"), "no");
    assert_eq!(report["fips"]["mode"], "off");

    let page = bench
        .inspect(text(&file), &["--password-file", text(&bench.path("pw"))])
        .text();
    for words in [
        "Ada's mail",
        "RSA 2048",
        MAIL,
        "signing and encryption",
        "windows-server-2016",
        "FIPS mode is off",
    ] {
        assert!(page.contains(words), "{words} is not in\n{page}");
    }
    assert!(
        !page.contains('\u{1b}'),
        "colours where there is no terminal"
    );
    assert!(!page.contains(PASSWORD));
}

#[test]
fn without_its_password_a_file_shows_what_it_can_and_says_what_is_missing() {
    let bench = Bench::new();
    let file = bench.pfx("ada.pfx", &[]);
    let (code, seen) = report(&bench.inspect(text(&file), &["--json"]));
    assert_eq!(code, 0);
    assert_eq!(seen["opens"], Value::Null);
    assert!(seen["missing"].as_str().unwrap().contains("password"));
    assert_eq!(seen["key_matches_certificate"], Value::Null);
    assert_eq!(seen["algorithms"].as_array().unwrap().len(), 3);
    assert_eq!(verdict(&seen, "windows-server-2016"), "no");

    // What is under no password needs none.
    let clear = bench.pfx(
        "clear.pfx",
        &["-keypbe", "NONE", "-certpbe", "NONE", "-nomac"],
    );
    let (code, seen) = report(&bench.inspect(text(&clear), &["--json"]));
    assert_eq!((code, &seen["opens"]), (0, &Value::Bool(true)));
    assert_eq!(seen["key_matches_certificate"], true);
    assert_eq!(seen["integrity"], "none");
}

#[test]
fn a_wrong_password_is_told_with_what_can_be_seen_without_it() {
    let bench = Bench::new();
    let file = bench.pfx("ada.pfx", &[]);
    write(&bench.path("wrong"), "another password", 0o600);
    let ran = bench.inspect(
        text(&file),
        &["--json", "--password-file", text(&bench.path("wrong"))],
    );
    assert!(!ran.stderr.contains("another password"));
    let (code, seen) = report(&ran);
    assert_eq!(code, 1);
    assert_eq!(seen["opens"], false);
    assert_eq!(seen["error"]["code"], "wrong_password");
    assert!(
        seen["error"]["hint"]
            .as_str()
            .unwrap()
            .contains("check the password")
    );
    assert_eq!(seen["algorithms"].as_array().unwrap().len(), 3);
}

#[test]
fn an_empty_password_file_opens_what_has_an_empty_password() {
    let bench = Bench::new();
    write(&bench.path("pw"), "", 0o600);
    let file = bench.pfx("empty.pfx", &["-passout", "pass:"]);
    let (code, seen) = bench.report(text(&file), &[]);
    assert_eq!((code, &seen["opens"]), (0, &Value::Bool(true)), "{seen}");
}

#[test]
fn strict_mode_refuses_old_algorithms_by_name_and_opens_what_is_approved() {
    let bench = Bench::new();
    let old = bench.pfx(
        "old.pfx",
        &[
            "-keypbe",
            "PBE-SHA1-3DES",
            "-certpbe",
            "PBE-SHA1-3DES",
            "-macalg",
            "sha1",
        ],
    );
    let (code, seen) = bench.report(text(&old), &[]);
    assert_eq!((code, &seen["opens"]), (0, &Value::Bool(true)));
    assert_eq!(verdict(&seen, "windows-server-2016"), "yes");
    let refused = |seen: &Value| {
        assert_eq!(seen["opens"], false);
        assert_eq!(seen["error"]["code"], "not_approved");
        let message = seen["error"]["message"].as_str().unwrap();
        assert!(message.contains("3DES"), "{message}");
        let hint = seen["error"]["hint"].as_str().unwrap();
        assert!(hint.contains("pkcs12-legacy-read"), "{hint}");
        assert!(!seen["not_approved"].as_array().unwrap().is_empty());
    };
    let (code, seen) = bench.report(text(&old), &["--fips", "strict"]);
    assert_eq!(code, 1);
    refused(&seen);
    // A password would not help, so it is said without one.
    let (code, seen) = report(&bench.inspect(text(&old), &["--json", "--fips", "strict"]));
    assert_eq!(code, 1);
    refused(&seen);
    write(
        &bench.path("strict.toml"),
        "[fips]\nmode = \"strict\"\n",
        0o600,
    );
    let (code, seen) = bench.report(text(&old), &["--config", text(&bench.path("strict.toml"))]);
    assert_eq!(code, 1);
    refused(&seen);
    write(
        &bench.path("named.toml"),
        "[fips]\nmode = \"strict\"\nexceptions = [\"pkcs12-legacy-read\"]\n",
        0o600,
    );
    let (code, seen) = bench.report(text(&old), &["--config", text(&bench.path("named.toml"))]);
    assert_eq!((code, &seen["opens"]), (0, &Value::Bool(true)));

    let (new, new_password) = (bench.path("new.pfx"), bench.path("new.pw"));
    let password = bench.path("pw");
    let made = program(
        &[
            "pfx",
            "convert",
            text(&old),
            "--password-file",
            text(&password),
            "--for",
            "fips-strict",
            "--out",
            text(&new),
            "--new-password-out",
            text(&new_password),
            "--json",
        ],
        &[],
    );
    assert_eq!(made.code, 0, "{}", made.stderr);
    let strict = [
        "--json",
        "--fips",
        "strict",
        "--password-file",
        text(&new_password),
    ];
    let (code, seen) = report(&bench.inspect(text(&new), &strict));
    assert_eq!((code, &seen["opens"]), (0, &Value::Bool(true)), "{seen}");
    assert_eq!(seen["not_approved"], Value::Array(Vec::new()));
    assert_eq!(verdict(&seen, "fips-strict"), "yes");
    assert_eq!(verdict(&seen, "openssl3"), "with_condition");
}

#[test]
fn files_of_java_nss_and_gnutls_open() {
    let bench = Bench::new();
    let source = bench.pfx("ada.pfx", &[]);
    let password = bench.path("pw");
    let java = bench.path("java.p12");
    bench.run(
        "keytool",
        &[
            "-importkeystore",
            "-noprompt",
            "-srckeystore",
            text(&source),
            "-srcstoretype",
            "PKCS12",
            "-srcstorepass:file",
            text(&password),
            "-destkeystore",
            text(&java),
            "-deststoretype",
            "PKCS12",
            "-deststorepass:file",
            text(&password),
        ],
    );
    let nss = bench.path("nss.p12");
    let database = format!("sql:{}", bench.folder.path().display());
    bench.run("certutil", &["-N", "--empty-password", "-d", &database]);
    bench.run(
        "pk12util",
        &[
            "-i",
            text(&source),
            "-d",
            &database,
            "-w",
            text(&password),
            "-K",
            "",
        ],
    );
    bench.run(
        "pk12util",
        &[
            "-o",
            text(&nss),
            "-n",
            "Ada's mail",
            "-d",
            &database,
            "-w",
            text(&password),
            "-K",
            "",
        ],
    );
    let gnutls = bench.path("gnutls.p12");
    bench.run(
        "certtool",
        &[
            "--to-p12",
            "--load-privkey",
            text(&bench.path("ada.key")),
            "--load-certificate",
            text(&bench.path("ada.pem")),
            "--p12-name",
            "Ada's mail",
            "--password",
            PASSWORD,
            "--outder",
            "--outfile",
            text(&gnutls),
        ],
    );
    for (file, encoding, by_itself) in [
        (java, "der", "java"),
        (nss, "ber", "nss"),
        (gnutls, "der", "openssl3"),
    ] {
        let (code, seen) = bench.report(text(&file), &[]);
        assert_eq!(
            (code, &seen["opens"]),
            (0, &Value::Bool(true)),
            "{}: {seen}",
            file.display()
        );
        assert_eq!(seen["key_matches_certificate"], true);
        assert_eq!(seen["encoding"], encoding, "{}", file.display());
        assert_eq!(
            verdict(&seen, by_itself),
            "yes",
            "{}: {seen}",
            file.display()
        );
    }
}

#[test]
fn what_is_given_by_mistake_is_told_by_name() {
    let bench = Bench::new();
    let jks = bench.path("store.jks");
    bench.run(
        "keytool",
        &[
            "-genkeypair",
            "-alias",
            "a",
            "-keyalg",
            "RSA",
            "-dname",
            "CN=a",
            "-storetype",
            "JKS",
            "-keystore",
            text(&jks),
            "-storepass",
            "changeit",
            "-keypass",
            "changeit",
        ],
    );
    let der = bench.path("ada.der");
    openssl(&[
        "x509",
        "-in",
        text(&bench.path("ada.pem")),
        "-outform",
        "DER",
        "-out",
        text(&der),
    ]);
    let key = bench.path("ada.key.der");
    openssl(&[
        "pkey",
        "-in",
        text(&bench.path("ada.key")),
        "-outform",
        "DER",
        "-out",
        text(&key),
    ]);
    let p7b = bench.path("ada.p7b");
    openssl(&[
        "crl2pkcs7",
        "-nocrl",
        "-certfile",
        text(&bench.path("ada.pem")),
        "-outform",
        "DER",
        "-out",
        text(&p7b),
    ]);
    let base64 = bench.path("ada.b64");
    openssl(&[
        "base64",
        "-in",
        text(&bench.pfx("ada.pfx", &[])),
        "-out",
        text(&base64),
    ]);
    write(&bench.path("nothing"), "", 0o600);
    write(
        &bench.path("page.pfx"),
        "<!DOCTYPE html><html></html>",
        0o600,
    );
    let folder = |name: &str| text(&bench.path(name)).to_owned();
    for (file, word, remedy) in [
        (
            folder("ada.key"),
            "a PEM file with a private key",
            "openssl pkcs12 -export",
        ),
        (
            folder("ada.pem"),
            "a PEM file with certificates",
            "openssl pkcs12 -export",
        ),
        (folder("ada.der"), "a certificate", "openssl pkcs12 -export"),
        (
            folder("ada.key.der"),
            "a private key",
            "openssl pkcs12 -export",
        ),
        (folder("ada.p7b"), "PKCS#7", "private key"),
        (folder("ada.b64"), "base64", "base64 -d"),
        (folder("store.jks"), "JKS", "keytool -importkeystore"),
        (folder("nothing"), "an empty file", "again"),
        (folder("page.pfx"), "a web page", "again"),
    ] {
        let (code, seen) = bench.report(&file, &[]);
        assert_eq!(code, 1, "{file}");
        assert_eq!(seen["error"]["code"], "malformed", "{file}");
        let message = seen["error"]["message"].as_str().unwrap();
        assert!(message.contains(word), "{file}: {message}");
        let hint = seen["error"]["hint"].as_str().unwrap();
        assert!(hint.contains(remedy), "{file}: {hint}");
        let page = bench.inspect(&file, &[]);
        assert_eq!((page.code, page.stdout.len()), (1, 0));
        assert!(
            page.stderr.contains(word) && page.stderr.contains("hint:"),
            "{}",
            page.stderr
        );
    }
}

#[test]
fn files_that_cannot_be_read_or_are_too_large_are_refused_as_such() {
    let bench = Bench::new();
    bench.run("mkfifo", &[text(&bench.path("pipe"))]);
    for (file, word) in [
        (bench.path("no such file"), "cannot be read"),
        (bench.path(""), "a folder"),
        (bench.path("pipe"), "not a file"),
    ] {
        let ran = bench.inspect(text(&file), &["--json"]);
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        let error = ran.error();
        assert_eq!(error["code"], "file_unreadable");
        assert!(error["message"].as_str().unwrap().contains(word), "{error}");
    }
    let mut large = fs::read(bench.pfx("ada.pfx", &[])).unwrap();
    large.resize(5 * 1024 * 1024, 0);
    write(&bench.path("large"), large, 0o600);
    let (code, seen) = bench.report(text(&bench.path("large")), &[]);
    assert_eq!(
        (code, seen["error"]["code"].as_str()),
        (1, Some("limit_exceeded"))
    );

    // A password that others can read is none.
    let file = bench.pfx("ada.pfx", &[]);
    write(&bench.path("open"), PASSWORD, 0o644);
    let ran = bench.inspect(
        text(&file),
        &["--json", "--password-file", text(&bench.path("open"))],
    );
    assert_eq!(
        (ran.code, ran.error()["code"].as_str().unwrap()),
        (2, "secret_file_exposed")
    );
    let ran = bench.inspect(text(&file), &["--json", "--password", PASSWORD]);
    assert_eq!(ran.code, 2, "a password as an argument");
}

#[test]
fn a_file_may_come_on_standard_input() {
    let bench = Bench::new();
    let file = bench.pfx("ada.pfx", &[]);
    let output = Command::new(env!("CARGO_BIN_EXE_pfx-connector"))
        .args(["pfx", "inspect", "-", "--json", "--password-file"])
        .arg(bench.path("pw"))
        .stdin(fs::File::open(file).unwrap())
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["opens"], true);
}

/// The program at a terminal: what it prints, after `answer` was typed at its question.
fn at_a_terminal(file: &str, answer: &str, environment: &[(&str, &str)]) -> String {
    let command = format!("{} pfx inspect {file}", env!("CARGO_BIN_EXE_pfx-connector"));
    let mut child = Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .env_remove("NO_COLOR")
        .env("TERM", "xterm")
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test needs script (bsdutils)");
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut printed = Vec::new();
    let mut asked = false;
    let mut piece = [0_u8; 4096];
    loop {
        match stdout.read(&mut piece) {
            Ok(0) | Err(_) => break,
            Ok(read) => printed.extend_from_slice(&piece[..read]),
        }
        // What is typed before the question is thrown away.
        if !asked && String::from_utf8_lossy(&printed).contains("to look at it without): ") {
            asked = true;
            stdin.write_all(format!("{answer}\n").as_bytes()).unwrap();
        }
    }
    child.wait().unwrap();
    assert!(asked, "{}", String::from_utf8_lossy(&printed));
    String::from_utf8(printed).unwrap()
}

#[test]
fn a_person_at_a_terminal_is_asked_for_the_password_and_sees_colours() {
    let bench = Bench::new();
    let file = bench.pfx("ada.pfx", &[]);
    let page = at_a_terminal(text(&file), PASSWORD, &[]);
    assert!(
        page.contains("\u{1b}[32myes\u{1b}[0m") && page.contains(MAIL),
        "{page}"
    );
    assert!(!page.contains(PASSWORD), "the password is shown");
    let page = at_a_terminal(text(&file), PASSWORD, &[("NO_COLOR", "1")]);
    assert!(!page.contains('\u{1b}') && page.contains(MAIL), "{page}");
    let page = at_a_terminal(text(&file), "", &[]);
    assert!(
        page.contains("not tried") && page.contains("missing: the password"),
        "{page}"
    );
}

#[test]
fn every_file_of_the_corpus_ends_in_a_report_with_the_readers_own_code() {
    ::fips::start(::fips::policy::Policy::OFF).unwrap();
    let folder = TempDir::new().unwrap();
    let (file, password) = (folder.path().join("file"), folder.path().join("password"));
    let mut wrong: Vec<String> = Vec::new();
    for case in manifest::cases() {
        let secret = case.column("password").as_bytes();
        fs::write(&file, &case.bytes).unwrap();
        write(&password, secret, 0o600);
        let (code, seen) = report(&program(
            &[
                "pfx",
                "inspect",
                text(&file),
                "--password-file",
                text(&password),
                "--json",
            ],
            &[],
        ));
        let read = formats::pfx::read(
            &case.bytes,
            &::fips::secret::SecretBytes::from_slice(secret),
            &formats::pfx::PfxLimits::default(),
        );
        let expected = read
            .as_ref()
            .map(|_| "")
            .unwrap_or_else(|error| error.code());
        let told = seen["error"]["code"].as_str().unwrap_or_default();
        let fits = told == expected
            && seen["opens"] == Value::Bool(read.is_ok())
            && code == i32::from(read.is_err());
        if !fits {
            wrong.push(format!(
                "{}: {code} {told} instead of {expected}",
                case.name()
            ));
        }
        if case.column("expected") == "valid" && !case.column("password").is_empty() && read.is_ok()
        {
            let keys = seen["entries"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|entry| entry["kind"] == "private_key")
                .count();
            let opened = read.as_ref().map_or(0, |opened| opened.keys().len());
            if keys != opened {
                wrong.push(format!("{}: {keys} keys instead of {opened}", case.name()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}
