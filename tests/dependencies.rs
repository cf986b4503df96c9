//! The supply chain: one cryptographic library and no other, and every direct dependency used and explained.
//! docs/dependencies.md says why; deny.toml holds the list of what is banned.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

#[path = "dependencies/copy.rs"]
mod copy;
mod source;
mod workspace;

use std::collections::BTreeSet;
use std::fs;

use source::{code_of, names_crate, root, rust_files};
use workspace::{Dependency, Metadata, metadata};

/// The packages that this project promises to stand on.
const NAMED: [&str; 11] = [
    "aws-lc-rs",
    "cryptoki",
    "pkcs12",
    "pkcs8",
    "reqwest",
    "rustls",
    "serde",
    "tokio",
    "tracing",
    "x509-cert",
    "zeroize",
];

/// Packages that bring native code, each with what it is. A new one has to be looked at before it is added here.
const NATIVE: [&str; 3] = [
    "aws-lc-fips-sys", // the validated module
    "aws-lc-rs",       // no code of its own: hands the module's include path on
    "libsqlite3-sys",  // SQLite, compiled without any cipher
];

fn banned() -> BTreeSet<String> {
    let rules: toml::Table = fs::read_to_string(root().join("deny.toml"))
        .unwrap()
        .parse()
        .unwrap();
    let rules = rules["bans"]["deny"].as_array().unwrap();
    // Rules with a version or with exceptions are tables; a plain text bans the package as a whole.
    let banned: BTreeSet<_> = rules
        .iter()
        .filter_map(|rule| rule.as_str())
        .map(str::to_owned)
        .collect();
    assert!(
        banned.len() > 50 && banned.contains("ring"),
        "the list in deny.toml was not understood: {banned:?}"
    );
    banned
}

fn uses(dependency: &Dependency) -> bool {
    let folders: &[&str] = if dependency.dev {
        &["src", "tests", "benches", "examples"]
    } else {
        &["src"]
    };
    let files = folders
        .iter()
        .flat_map(|folder| rust_files(&dependency.folder.join(folder)));
    files
        .into_iter()
        .any(|file| names_crate(&code_of(&file), &dependency.name))
}

/// Packages with native code that nobody has looked at, and banned ones, wherever they are in what is built.
fn other_cryptography(metadata: &Metadata) -> BTreeSet<String> {
    let banned = banned();
    let native = metadata.resolved(false).into_iter().filter(|package| {
        package.links.is_some() && !NATIVE.iter().any(|known| package.name == *known)
    });
    metadata
        .resolved(true)
        .into_iter()
        .filter(|package| banned.contains(&package.name))
        .chain(native)
        .map(|package| package.name)
        .collect()
}

#[test]
fn the_validated_module_is_the_only_cryptography_even_in_tests() {
    let metadata = metadata();
    assert_eq!(other_cryptography(&metadata), BTreeSet::new());

    let resolved = metadata.resolved(false);
    for name in NATIVE {
        let package = resolved.iter().find(|package| package.name == name);
        assert!(
            package.is_some_and(|package| package.links.is_some()),
            "{name} has no native code any more: {package:?}"
        );
    }
    let modules: Vec<_> = resolved
        .iter()
        .filter(|package| package.name == "aws-lc-fips-sys")
        .collect();
    assert_eq!(modules.len(), 1, "{modules:?}");
    assert_eq!(
        modules[0].version, "0.13.11",
        "0.13.11 is the source that the certificates name"
    );
}

#[test]
fn the_second_aws_lc_is_an_empty_crate_of_ours() {
    let resolved = metadata().resolved(true);
    let stand_ins: Vec<_> = resolved
        .iter()
        .filter(|package| package.name == "aws-lc-sys")
        .collect();
    assert_eq!(stand_ins.len(), 1, "{stand_ins:?}");
    assert_eq!(
        stand_ins[0].source, None,
        "aws-lc-sys comes from a registry"
    );
    assert_eq!(
        stand_ins[0].manifest,
        root().join("third_party/stub-aws-lc-sys/Cargo.toml")
    );
    assert_eq!(
        rust_files(&root().join("third_party/stub-aws-lc-sys")).len(),
        1
    );
    let code = code_of(&root().join("third_party/stub-aws-lc-sys/src/lib.rs"));
    let code: String = code.split_whitespace().collect();
    assert_eq!(
        code, "#![no_std]#![forbid(unsafe_code)]",
        "the stand-in has to stay empty"
    );
}

#[test]
fn only_fips_and_tls_depend_on_the_module() {
    let expected = ["fips", "rustls", "rustls-webpki"].map(str::to_owned);
    assert_eq!(metadata().dependents("aws-lc-rs"), expected.into());
    assert_eq!(
        metadata().dependents("aws-lc-fips-sys"),
        ["aws-lc-rs", "fips"].map(str::to_owned).into()
    );
}

#[test]
fn the_named_packages_are_direct_dependencies_and_used() {
    let dependencies = metadata().direct_dependencies();
    let missing: Vec<_> = NAMED
        .into_iter()
        .filter(|name| {
            !dependencies
                .iter()
                .any(|dependency| dependency.name == *name && !dependency.dev && uses(dependency))
        })
        .collect();
    assert!(
        missing.is_empty(),
        "not a direct dependency, or not used where it is one: {missing:?}"
    );
}

#[test]
fn every_direct_dependency_is_used() {
    let unused: Vec<_> = metadata()
        .direct_dependencies()
        .iter()
        .filter(|dependency| !uses(dependency))
        .map(|dependency| format!("{} of {}", dependency.name, dependency.member))
        .collect();
    assert!(
        unused.is_empty(),
        "named in a manifest but not in the code: {unused:?}"
    );
}

#[test]
fn every_direct_dependency_is_explained() {
    let page = fs::read_to_string(root().join("docs/dependencies.md")).unwrap();
    let unexplained: BTreeSet<_> = metadata()
        .direct_dependencies()
        .into_iter()
        .map(|dependency| dependency.name)
        .filter(|name| !page.contains(&format!("`{name}`")))
        .collect();
    assert!(
        unexplained.is_empty(),
        "docs/dependencies.md does not say why: {unexplained:?}"
    );
}
