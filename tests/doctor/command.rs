//! The command itself: usage, exit codes, what people see.

use super::examined::run;
use super::token::Site;
use std::process::Command;

#[test]
fn a_configuration_that_cannot_be_used_and_unknown_groups_are_usage_errors() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    assert_eq!(run(&config, &[]).status.code(), Some(2));
    std::fs::write(&config, "[engine]\nsockt = \"x\"\n").unwrap();
    let output = run(&config, &["--json"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    std::fs::write(&config, "").unwrap();
    let output = run(&config, &["--only", "tokens"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("certificates, endpoints"));
    // Nothing to run is no reason to fail, but to be told.
    let output = run(&config, &["--json"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("there is nothing to run"));
}

#[test]
fn only_the_wanted_groups_are_looked_at() {
    let site = Site::new();
    let examined = site.examine(&["--only", "clock", "--only", "limits"]);
    examined.nothing_fails();
    for found in examined.all() {
        let group = found["group"].as_str().unwrap();
        assert!(["clock", "limits"].contains(&group), "{found}");
    }
}

#[test]
fn people_see_what_was_found_and_what_to_do_without_colours_in_a_pipe() {
    let site = Site::new();
    site.change("threads = 2", "threads = 2\nfips_certificate = \"4703\"");
    std::fs::remove_file(site.engine.path().join("importer.pem")).unwrap();
    let output = run(&site.config(), &["--no-login"]);
    assert_eq!(output.status.code(), Some(3));
    let page = String::from_utf8(output.stdout).unwrap();
    assert!(!page.contains('\u{1b}'));
    assert!(page.starts_with("Configuration\n"), "{page}");
    assert!(page.contains("\nToken (engine.token)\n"), "{page}");
    let lines: Vec<&str> = page.lines().collect();
    let bad = lines
        .iter()
        .position(|line| line.starts_with("  error    readable"))
        .unwrap_or_else(|| panic!("{page}"));
    assert!(
        lines[bad..].iter().take(5).any(|line| line.contains("-> ")),
        "{page}"
    );
    assert!(page.contains("certificate 4703, by the operator's statement"));
    assert!(lines.last().unwrap().starts_with("Something would fail: "));
    assert!(
        lines
            .iter()
            .all(|line| line.chars().count() <= 100 || !line.contains(' '))
    );
}

#[test]
fn the_probe_is_not_started_by_hand() {
    let site = Site::new();
    let output = Command::new(env!("CARGO_BIN_EXE_pfx-connector"))
        .args(["doctor-token", "--section", "engine.token", "--config"])
        .arg(site.config())
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
}
