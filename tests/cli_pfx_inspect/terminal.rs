//! In front of a terminal.

use super::bench::{Bench, MAIL, PASSWORD};
use crate::cli_common::text;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

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
