//! In front of a terminal.

use super::bench::{Bench, MAIL, PASSWORD, report};
use crate::cli_common::{program, text, write};
use serde_json::Value;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

/// A command at a terminal: what it prints, while each question, once it is there, gets its answer.
fn conversation(command: &str, answers: &[(&str, &str)], environment: &[(&str, &str)]) -> String {
    let mut child = Command::new("script")
        .args(["--quiet", "--return", "--command", command, "/dev/null"])
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
    // Up to here everything was answered. What is typed before its question is thrown away.
    let mut answered = 0;
    let mut answers = answers.iter().peekable();
    let mut piece = [0_u8; 4096];
    loop {
        match stdout.read(&mut piece) {
            Ok(0) | Err(_) => break,
            Ok(read) => printed.extend_from_slice(&piece[..read]),
        }
        while let Some((question, answer)) = answers.peek() {
            let rest = String::from_utf8_lossy(&printed[answered..]).into_owned();
            if !rest.contains(question) {
                break;
            }
            answered = printed.len();
            stdin.write_all(format!("{answer}\n").as_bytes()).unwrap();
            answers.next();
        }
    }
    child.wait().unwrap();
    let printed = String::from_utf8(printed).unwrap();
    assert!(
        answers.next().is_none(),
        "not every question came: {printed}"
    );
    printed
}

/// The page of a file after `answer` was typed at the question for its password.
fn page(file: &str, answer: &str, environment: &[(&str, &str)]) -> String {
    let command = format!("{} pfx inspect {file}", env!("CARGO_BIN_EXE_pfx-connector"));
    conversation(
        &command,
        &[("to look at it without): ", answer)],
        environment,
    )
}

#[test]
fn a_person_at_a_terminal_is_asked_for_the_password_and_sees_colours() {
    let bench = Bench::new();
    let file = bench.pfx("ada.pfx", &[]);
    let opened = page(text(&file), PASSWORD, &[]);
    assert!(
        opened.contains("\u{1b}[32myes\u{1b}[0m") && opened.contains(MAIL),
        "{opened}"
    );
    assert!(!opened.contains(PASSWORD), "the password is shown");
    let plain = page(text(&file), PASSWORD, &[("NO_COLOR", "1")]);
    assert!(!plain.contains('\u{1b}') && plain.contains(MAIL), "{plain}");
    let unopened = page(text(&file), "", &[]);
    assert!(
        unopened.contains("not tried") && unopened.contains("missing: the password"),
        "{unopened}"
    );
}

#[test]
fn a_file_with_two_passwords_opens_with_both_and_with_one_says_so() {
    let bench = Bench::new();
    let file = bench.path("two.pfx");
    let command = format!(
        "openssl pkcs12 -export -twopass -inkey {} -in {} -out {}",
        text(&bench.path("ada.key")),
        text(&bench.path("ada.pem")),
        text(&file)
    );
    // OpenSSL asks for the one of the MAC first.
    let answers = [
        ("Enter MAC Password:", PASSWORD),
        ("Verifying - Enter MAC Password:", PASSWORD),
        ("Enter Export Password:", "of the contents"),
        ("Verifying - Enter Export Password:", "of the contents"),
    ];
    conversation(&command, &answers, &[]);
    write(&bench.path("contents"), "of the contents", 0o600);
    let (code, one) = bench.report(text(&file), &[]);
    assert_eq!(
        (code, one["error"]["code"].as_str()),
        (1, Some("wrong_password")),
        "{one}"
    );
    let said = one["error"].to_string();
    assert!(
        said.contains("two passwords") && said.contains("--contents-password-file"),
        "{said}"
    );
    let contents = bench.path("contents");
    let (code, both) = bench.report(text(&file), &["--contents-password-file", text(&contents)]);
    assert_eq!((code, &both["opens"]), (0, &Value::Bool(true)), "{both}");
    // It can be converted as well.
    let (new, new_password) = (bench.path("new.pfx"), bench.path("new.pw"));
    let password = bench.path("pw");
    let convert = [
        "pfx",
        "convert",
        text(&file),
        "--for",
        "openssl3",
        "--password-file",
        text(&password),
        "--out",
        text(&new),
        "--new-password-out",
        text(&new_password),
        "--json",
    ];
    let refused = program(&convert, &[]);
    assert_eq!(refused.error()["code"], "wrong_password");
    let hint = refused.error()["hint"].to_string();
    assert!(hint.contains("--contents-password-file"), "{hint}");
    let contents_too = ["--contents-password-file", text(&contents)];
    let made = program(&[&convert[..], &contents_too].concat(), &[]);
    assert_eq!(made.json()["keys"], 1);
    let arguments = ["--json", "--password-file", text(&new_password)];
    let (_, converted) = report(&bench.inspect(text(&new), &arguments));
    assert_eq!(converted["key_matches_certificate"], true);
    // The other way round the integrity check fails.
    let (code, turned) = report(&bench.inspect(
        text(&file),
        &[
            "--json",
            "--password-file",
            text(&contents),
            "--contents-password-file",
            text(&bench.path("pw")),
        ],
    ));
    assert_eq!(
        (code, turned["error"]["code"].as_str()),
        (1, Some("wrong_password"))
    );
}
