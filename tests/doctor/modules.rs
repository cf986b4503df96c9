//! PKCS#11 modules that are missing, exposed, none at all, or dangerous to load.

use super::engine::Options;
use super::softhsm::module;
use super::token::Site;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Puts another module into the configuration of a site.
fn with_module(path: &Path) -> Site {
    with_module_and(path, "")
}

fn with_module_and(path: &Path, restart: &str) -> Site {
    let site = Site::with(Options {
        restart: restart.to_owned(),
        ..Options::default()
    });
    site.change(&format!("{:?}", module()), &format!("{path:?}"));
    site
}

/// A shared library of this C source. The test needs a C compiler, as the cryptographic module does.
fn library(folder: &Path, source: &str) -> PathBuf {
    let (input, output) = (folder.join("module.c"), folder.join("module.so"));
    std::fs::write(&input, source).unwrap();
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&output, &input])
        .output()
        .expect("this test needs the program `cc`");
    assert!(compiled.status.success(), "{compiled:?}");
    std::fs::set_permissions(&output, std::fs::Permissions::from_mode(0o755)).unwrap();
    output
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_module_that_is_missing_or_writable_by_others_is_not_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.so");
    let examined = with_module(&missing).examine_token();
    examined.fails_of("token.module-file");
    assert_eq!(examined.finding("token.module-loads")["severity"], "note");

    let exposed = folder.path().join("exposed.so");
    std::fs::copy(module(), &exposed).unwrap();
    set_mode(&exposed, 0o666);
    let examined = with_module(&exposed).examine_token();
    examined.fails_of("token.module-file");
    assert_eq!(
        examined.finding("token.module-file")["code"],
        "file_refused"
    );
    assert_eq!(examined.finding("token.module-loads")["severity"], "note");
}

#[test]
fn a_folder_in_which_others_could_exchange_the_module_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let open = folder.path().join("open");
    std::fs::create_dir(&open).unwrap();
    let copy = open.join("module.so");
    std::fs::copy(module(), &copy).unwrap();
    set_mode(&copy, 0o755);
    set_mode(&open, 0o777);
    let examined = with_module(&copy).examine(&["--only", "token", "--no-login"]);
    examined.nothing_fails();
    let weak = examined.finding("token.module-folders");
    assert_eq!(weak["severity"], "warning");
    assert_eq!(
        weak["facts"]["folder"],
        open.canonicalize().unwrap().to_str().unwrap()
    );
    assert!(weak["remedy"].is_string());
}

#[test]
fn a_file_that_is_no_module_is_told_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("module.so");
    std::fs::write(&text, "not a library\n").unwrap();
    set_mode(&text, 0o755);
    let examined = with_module(&text).examine_token();
    examined.fails_of("token.module-loads");
    assert_eq!(
        examined.finding("token.module-loads")["code"],
        "module_refused"
    );

    let other = library(folder.path(), "int nothing_of_pkcs11;\n");
    let examined = with_module(&other).examine_token();
    examined.fails_of("token.module-loads");
    assert_eq!(
        examined.finding("token.module-loads")["code"],
        "module_refused"
    );
}

#[test]
fn a_library_that_aborts_when_it_is_loaded_takes_nobody_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let source =
        "#include <stdlib.h>\n__attribute__((constructor)) static void start(void) { abort(); }\n";
    let examined = with_module(&library(folder.path(), source)).examine_token();
    examined.fails_of("token.module-loads");
    let found = examined.finding("token.module-loads");
    assert_eq!(found["code"], "module_crashes");
    assert!(
        found["found"].as_str().unwrap().contains("SIGABRT"),
        "{found}"
    );
    // What was found before it is told all the same.
    assert_eq!(examined.finding("token.pin-source")["severity"], "ok");
}

#[test]
fn a_library_that_hangs_when_it_is_loaded_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let source = "#include <unistd.h>\n__attribute__((constructor)) static void start(void) { for (;;) pause(); }\n";
    let examined =
        with_module_and(&library(folder.path(), source), "call_limit_ms = 3000").examine_token();
    examined.fails_of("token.module-loads");
    assert_eq!(
        examined.finding("token.module-loads")["code"],
        "module_hangs"
    );
}

#[test]
fn a_module_that_ends_the_process_in_c_initialize_or_prints_is_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let source = "#include <stdio.h>\n#include <stdlib.h>\n__attribute__((constructor)) static void start(void) { puts(\"{\\\"done\\\":null}\"); puts(\"\\\"done\\\"\"); fflush(stdout); exit(0); }\n";
    let examined = with_module(&library(folder.path(), source)).examine_token();
    examined.fails_of("token.module-loads");
    assert_eq!(
        examined.finding("token.module-loads")["code"],
        "module_crashes"
    );
}

#[test]
fn a_module_sees_the_configured_environment_and_nothing_else() {
    let site = Site::new();
    // Without the variable the module reads another configuration, where this token is not.
    let text = std::fs::read_to_string(site.config()).unwrap();
    let without: String = text
        .lines()
        .filter(|line| !line.starts_with("SOFTHSM2_CONF"))
        .map(|line| format!("{line}\n"))
        .collect();
    std::fs::write(site.config(), without).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_pfx-connector"))
        .args(["doctor", "--json", "--only", "token", "--config"])
        .arg(site.config())
        .env("SOFTHSM2_CONF", site.token.configuration())
        .output()
        .unwrap();
    let examined = super::examined::read(&output);
    assert_eq!(examined.code, 3, "{:#}", examined.report);
    assert!(examined.findings("token.login").is_empty());
}
