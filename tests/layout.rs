//! The rules of the source code that no compiler checks: where `unsafe` may be, who may call the validated module and who
//! may make TLS of it, and that files stay small enough to be read.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod source;
mod workspace;

use std::fs;
use std::path::{Path, PathBuf};

use source::{code_of, goes_into, has_word, names_crate, root, rust_files};

/// Longest file, in lines, that is still read as a whole.
const LONGEST_FILE_LINES: usize = 600;

/// Folders whose code speaks to C: the validated module, the PKCS#11 modules, and the tests' own PKCS#11 modules, which
/// are the packages below tests/ that build a shared library.
fn folders_with_unsafe() -> Vec<PathBuf> {
    let mut folders = vec![root().join("fips"), root().join("hsm")];
    for file in rust_files(&root().join("tests")) {
        for folder in file.ancestors().take_while(|folder| *folder != root()) {
            let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
            if manifest.contains("crate-type = [\"cdylib\"]") {
                folders.push(folder.to_path_buf());
            }
        }
    }
    folders
}

fn relative(file: &Path) -> String {
    file.strip_prefix(root())
        .unwrap_or(file)
        .display()
        .to_string()
}

fn offenders(found: impl Fn(&Path) -> bool) -> Vec<String> {
    rust_files(root())
        .iter()
        .filter(|file| found(file))
        .map(|file| relative(file))
        .collect()
}

#[test]
fn unsafe_code_is_only_where_c_is_called() {
    let allowed = folders_with_unsafe();
    let offenders = offenders(|file| {
        !allowed.iter().any(|folder| file.starts_with(folder)) && has_word(&code_of(file), "unsafe")
    });
    assert!(
        offenders.is_empty(),
        "`unsafe` outside of fips, hsm and the tests' PKCS#11 modules: {offenders:?}"
    );
}

#[test]
fn every_other_crate_forbids_unsafe_code() {
    let allowed = folders_with_unsafe();
    let mut roots = workspace::metadata().crate_roots();
    roots.extend(
        rust_files(&root().join("third_party"))
            .into_iter()
            .filter(|file| file.ends_with("src/lib.rs")),
    );
    let offenders: Vec<_> = roots
        .iter()
        .filter(|file| !allowed.iter().any(|folder| file.starts_with(folder)))
        .filter(|file| !code_of(file).contains("#![forbid(unsafe_code)]"))
        .map(|file| relative(file))
        .collect();
    assert!(
        offenders.is_empty(),
        "crate roots without #![forbid(unsafe_code)]: {offenders:?}"
    );
}

#[test]
fn only_the_fips_crate_calls_the_validated_module() {
    let fips = root().join("fips");
    let offenders = offenders(|file| {
        let code = code_of(file);
        !file.starts_with(&fips)
            && ["aws_lc_rs", "aws_lc_fips_sys"]
                .iter()
                .any(|name| has_word(&code, name))
    });
    assert!(
        offenders.is_empty(),
        "the validated module is called outside of fips: {offenders:?}"
    );
}

/// What makes TLS what it is: whoever uses one of these can have TLS that is none of the module's. rustls' own providers
/// have the name of the module's crate, which the rule above keeps inside of fips.
const MAKES_TLS: [&str; 11] = [
    "CryptoProvider",
    "KeyLogFile",
    "WebPkiClientVerifier",
    "WebPkiServerVerifier",
    "builder_with_details",
    "builder_with_protocol_versions",
    "builder_with_provider",
    "dangerous",
    "default_fips_provider",
    "install_default",
    "require_ems",
];

#[test]
fn only_the_fips_crate_makes_tls_configurations_or_names_a_provider() {
    let fips = root().join("fips");
    let offenders = offenders(|file| {
        let code = code_of(file);
        !file.starts_with(&fips)
            && (MAKES_TLS.iter().any(|name| has_word(&code, name))
                || ["ClientConfig", "ServerConfig"]
                    .iter()
                    .any(|name| goes_into(&code, name)))
    });
    assert!(
        offenders.is_empty(),
        "TLS is made outside of fips::tls: {offenders:?}"
    );
}

#[test]
fn every_http_client_is_given_a_finished_tls_configuration() {
    let offenders = offenders(|file| {
        let code: String = code_of(file).split_whitespace().collect();
        let builders = code.matches("Client::builder()").count();
        let finished = code.matches(".tls_backend_preconfigured(").count();
        builders != finished
            || [
                "reqwest::get(",
                "reqwest::Client::new(",
                "reqwest::Client::default(",
            ]
            .iter()
            .any(|shortcut| code.contains(shortcut))
    });
    assert!(
        offenders.is_empty(),
        "HTTP clients without a configuration of fips::tls: {offenders:?}"
    );
}

/// What makes a file, or truncates one, with rights of its own choice.
const MAKES_FILES: [&str; 5] = [
    ".create(true)",
    ".create_new(true)",
    "File::create(",
    "File::create_new(",
    "fs::write(",
];

#[test]
fn files_are_made_where_their_rights_are_decided() {
    let here = root().join("fips/src/secret/file.rs");
    let offenders = offenders(|file| {
        let of_the_program = ["src", "hsm/src", "fips/src", "formats/src"]
            .iter()
            .any(|folder| file.starts_with(root().join(folder)));
        // Tests, at the end of a file or in files of their own, make files as they like.
        let name = file.to_string_lossy();
        let is_test = name.contains("/tests/") || name.ends_with("/tests.rs");
        let code: String = code_of(file).split_whitespace().collect();
        let code = code.split("#[cfg(test)]mod").next().unwrap_or_default();
        of_the_program
            && !is_test
            && file != here
            && MAKES_FILES.iter().any(|call| code.contains(call))
    });
    assert!(
        offenders.is_empty(),
        "files are made outside of fips::secret::file: {offenders:?}"
    );
}

#[test]
fn no_source_file_is_too_long_to_be_read() {
    let offenders =
        offenders(|file| fs::read_to_string(file).unwrap().lines().count() > LONGEST_FILE_LINES);
    assert!(
        offenders.is_empty(),
        "longer than {LONGEST_FILE_LINES} lines: {offenders:?}"
    );
}

#[test]
fn the_scan_sees_code_and_neither_comments_nor_texts() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sample.rs");
    fs::write(
        &file,
        "// unsafe one\n/* a /* nested */ unsafe two */ let a = \"unsafe \\\" three\"; let b = r#\"unsafe \" four\"#;\n\
         let quote = '\"'; fn f<'a>(unsafe_five: &'a str) { let escaped = '\\''; aws_lc_rs :: digest; std::time::now() }\n",
    )
    .unwrap();
    let code = code_of(&file);
    assert!(!has_word(&code, "unsafe"), "{code}");
    assert!(
        has_word(&code, "unsafe_five") && has_word(&code, "escaped"),
        "{code}"
    );
    assert!(
        names_crate(&code, "aws-lc-rs") && !names_crate(&code, "time"),
        "{code}"
    );
    assert!(
        goes_into(&code, "time") && !goes_into(&code, "now"),
        "{code}"
    );

    fs::write(&file, "let text = br\"x\"; unsafe { call() }").unwrap();
    assert!(has_word(&code_of(&file), "unsafe"));
}
