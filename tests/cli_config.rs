//! The program and its configuration file.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

mod cli_common;

use cli_common::{program, text, write};
use std::path::Path;

#[test]
fn the_example_that_is_printed_passes_the_check() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("example.toml");
    let printed = program(&["config", "example"], &[]);
    assert_eq!(printed.code, 0);
    write(&file, &printed.stdout, 0o644);
    let checked = program(&["config", "check", "--config", text(&file), "--json"], &[]);
    assert_eq!(checked.json()["ok"], true);
}

#[test]
fn an_unknown_key_ends_with_code_2_and_the_nearest_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.toml");
    write(&file, "[engine]\nsocket = \"s\"\n[engine.tokn]\n", 0o644);
    let ran = program(&["config", "check", "--config", text(&file)], &[]);
    assert_eq!(ran.code, 2);
    let expected = "line 3: unknown key `engine.tokn`: did you mean `token`?";
    assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    let ran = program(&["--json", "config", "check", "--config", text(&file)], &[]);
    assert_eq!(ran.code, 2);
    assert_eq!(ran.error()["code"], "config_invalid");
    assert!(ran.error()["hint"].is_string());
}

#[test]
fn a_mode_or_an_exception_that_does_not_exist_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fips.toml");
    for (fips, expected) in [
        (
            "exceptions = [\"cms-ecdh\"]",
            "`fips.exceptions`: unknown value: did you mean `cms-ecdh-static`?",
        ),
        ("mode = \"permissive\"", "`fips.mode`: unknown value"),
        ("allow_md5 = true", "unknown key `fips.allow_md5`"),
    ] {
        write(&file, format!("[fips]\n{fips}\n"), 0o644);
        let ran = program(&["config", "check", "--config", text(&file)], &[]);
        assert_eq!(ran.code, 2, "{fips}");
        assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    }
}

#[test]
fn a_file_that_is_not_there_is_a_configuration_error() {
    let ran = program(
        &["config", "check", "--config", "/nonexistent", "--json"],
        &[],
    );
    assert_eq!(ran.code, 2);
    assert_eq!(ran.error()["code"], "config_unreadable");
}

#[test]
fn a_missing_section_says_which_command_needs_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("empty.toml");
    write(&file, "", 0o644);
    let ran = program(&["import", "list", "--config", text(&file), "--json"], &[]);
    assert_eq!(ran.code, 2);
    assert_eq!(ran.error()["code"], "config_section_missing");
    let message = ran.error()["message"].as_str().unwrap().to_owned();
    assert!(
        message.contains("[import] is missing; `import list` needs it"),
        "{message}"
    );
}

#[test]
fn files_that_are_named_are_looked_at_for_the_process_that_uses_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    write(
        &file,
        "[gateway]\nlisten = \"127.0.0.1:0\"\ncertificate = \"cert.pem\"\nprivate_key = \"key.pem\"\nconnector_ca = \"ca.pem\"\ndatabase = \"db/g.db\"\n",
        0o644,
    );
    write(&folder.path().join("cert.pem"), "x", 0o644);
    write(&folder.path().join("key.pem"), "x", 0o640);
    let ran = program(
        &[
            "config",
            "check",
            "--config",
            text(&file),
            "--for",
            "gateway",
        ],
        &[],
    );
    assert_eq!(ran.code, 2);
    for part in [
        "`gateway.private_key`",
        "its mode 0640 lets others than its owner use it",
        "chmod 600",
        "`gateway.connector_ca`",
        "`gateway.database`: the folder",
    ] {
        assert!(ran.stderr.contains(part), "{part} in {}", ran.stderr);
    }
    assert!(!ran.stderr.contains("gateway.certificate"));
}

#[test]
fn wrong_usage_is_code_2_in_text_and_in_json() {
    let ran = program(&["no-such-command"], &[]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("no-such-command"));
    let ran = program(&["no-such-command", "--json"], &[]);
    assert_eq!(ran.code, 2);
    assert_eq!(ran.error()["code"], "usage");
    assert_eq!(program(&["--help"], &[]).code, 0);
    assert_eq!(program(&["version"], &[]).code, 0);
}

#[test]
fn a_log_filter_that_is_none_is_refused() {
    let ran = program(&["version", "--log", "a=b=c", "--json"], &[]);
    assert_eq!(ran.code, 2);
    assert_eq!(ran.error()["code"], "log_filter");
}

#[test]
fn the_page_on_the_configuration_is_up_to_date() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let fresh = pfx_connector::config::page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&page, fresh).unwrap();
        return;
    }
    let there = std::fs::read_to_string(&page).unwrap_or_default();
    assert!(
        there == fresh,
        "docs/configuration.md is stale: UPDATE_DOCS=1 cargo test --test cli_config writes it"
    );
}

/// The configurations that a page shows: fenced as TOML, or written by a command of its shell.
fn shown_configurations(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let end = match line.trim() {
            "```toml" => "```",
            line if line.starts_with("cat > ") && line.ends_with(".toml <<E") => "E",
            _ => continue,
        };
        let indent = line.len() - line.trim_start().len();
        let text = lines.by_ref().take_while(|line| line.trim() != end);
        let text: Vec<&str> = text.map(|line| line.get(indent..).unwrap_or("")).collect();
        found.push(text.join("\n"));
    }
    found
}

#[test]
fn the_configurations_that_the_pages_show_are_toml() {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let mut seen = 0;
    for page in std::fs::read_dir(pages).unwrap() {
        let path = page.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        for text in shown_configurations(&std::fs::read_to_string(&path).unwrap()) {
            let read = text.parse::<toml::Table>();
            assert!(
                read.is_ok(),
                "{}: {}\n{text}",
                path.display(),
                read.unwrap_err()
            );
            seen += 1;
        }
    }
    assert!(seen >= 5, "only {seen}");
    let twice = shown_configurations("```toml\n[a]\nb = 1\n[a]\n```\n");
    assert!(twice[0].parse::<toml::Table>().is_err());
}
