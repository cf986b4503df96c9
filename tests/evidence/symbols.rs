//! The program's own symbols, and programs in which another library has to be seen.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pfx_connector::evidence::symbols::{SymbolReport, SymbolsError, Verdict};

use crate::source::root;

const PROGRAM: &str = env!("CARGO_BIN_EXE_pfx-connector");

fn report(path: impl AsRef<Path>) -> SymbolReport {
    SymbolReport::of(path.as_ref()).unwrap()
}

/// The symbols of other libraries, by library.
fn found(report: &SymbolReport) -> Vec<(&str, usize)> {
    report
        .others
        .iter()
        .filter(|library| library.symbols > 0)
        .map(|library| (library.library.as_str(), library.symbols))
        .collect()
}

#[test]
fn the_program_holds_exactly_one_cryptographic_library() {
    let report = report(PROGRAM);
    assert_eq!(found(&report), []);
    assert_eq!(report.verdict, Verdict::OneLibrary, "{report:?}");
    assert!(!report.stripped);
    assert_eq!(report.module.prefix, "aws_lc_fips_0_13_11_");
    assert!(report.module.symbols > 1000, "{:?}", report.module);
    let needed: Vec<_> = report.needed.iter().map(|library| &library.name).collect();
    assert!(
        needed.iter().any(|name| name.starts_with("libc.so")),
        "{needed:?}"
    );
    assert!(report.needed.iter().all(|library| !library.cryptographic));
    assert!(
        report
            .producers
            .iter()
            .any(|producer| producer.starts_with("rustc version")),
        "{:?}",
        report.producers
    );
}

/// The test program has the library in it, and not only its own name for it.
#[test]
fn a_running_program_reads_itself() {
    let report = SymbolReport::of_this_program().unwrap();
    assert_eq!(report.verdict, Verdict::OneLibrary, "{:?}", found(&report));
}

#[test]
fn a_token_with_openssl_inside_is_seen_as_another_library() {
    let place = "tests/kryoptic/target/release/libkryoptic_pkcs11.so";
    let module =
        std::env::var_os("KRYOPTIC_MODULE").map_or_else(|| root().join(place), PathBuf::from);
    assert!(
        module.exists(),
        "{} is missing: run `make kryoptic`, or set KRYOPTIC_MODULE",
        module.display()
    );
    let report = report(module);
    assert_eq!(report.verdict, Verdict::OtherLibrary);
    assert!(
        found(&report)
            .iter()
            .any(|(name, symbols)| name.starts_with("OpenSSL") && *symbols > 5),
        "{:?}",
        found(&report)
    );
    assert_eq!(report.module.symbols, 0);
}

#[test]
fn a_program_that_takes_openssl_from_the_system_is_seen_though_it_is_stripped() {
    let path = std::env::var_os("PATH").unwrap();
    let program = std::env::split_paths(&path)
        .map(|folder| folder.join("openssl"))
        .find(|file| file.is_file())
        .expect("this test needs the program `openssl`");
    let report = report(program);
    assert_eq!(report.verdict, Verdict::OtherLibrary);
    assert!(
        report.needed.iter().any(|library| library.cryptographic),
        "{:?}",
        report.needed
    );
    assert!(!found(&report).is_empty());
}

#[test]
fn nothing_is_concluded_from_a_program_without_symbols() {
    let folder = tempfile::tempdir().unwrap();
    let stripped = folder.path().join("stripped");
    let status = Command::new("strip")
        .arg("--strip-all")
        .arg("-o")
        .args([stripped.as_path(), Path::new(PROGRAM)])
        .status()
        .expect("this test needs strip (binutils)");
    assert!(status.success());
    let report = report(&stripped);
    assert_eq!(report.verdict, Verdict::Stripped);
    assert!(report.stripped);
    assert_eq!(
        serde_json::to_value(&report).unwrap()["verdict"],
        "stripped"
    );
}

#[test]
fn a_program_without_the_module_is_not_taken_for_ours() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("empty.c");
    let program = folder.path().join("empty");
    fs::write(&source, "int main(void) { return 0; }\n").unwrap();
    let status = Command::new("cc")
        .arg("-o")
        .args([&program, &source])
        .status()
        .expect("this test needs a C compiler (cc)");
    assert!(status.success());
    let report = report(program);
    assert_eq!(report.verdict, Verdict::ModuleNotFound, "{report:?}");
}

#[test]
fn what_is_no_elf_file_is_refused_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    fs::write(&path, "aws_lc_fips_0_13_11_ is written here").unwrap();
    let error = SymbolReport::of(&path).unwrap_err();
    assert!(matches!(error, SymbolsError::NotElf { .. }), "{error}");
    assert!(error.to_string().contains("notes.txt"), "{error}");

    let whole = fs::read(PROGRAM).unwrap();
    for length in [0, 3, 64, 4096, whole.len() / 2] {
        fs::write(&path, &whole[..length]).unwrap();
        // Cut anywhere it is an error, never a program without other libraries.
        let report = SymbolReport::of(&path);
        assert!(
            report
                .as_ref()
                .map_or(true, |report| report.verdict == Verdict::Stripped),
            "{length} bytes: {report:?}"
        );
    }
    let missing = SymbolReport::of(&folder.path().join("missing")).unwrap_err();
    assert!(matches!(missing, SymbolsError::Read { .. }), "{missing}");
}
