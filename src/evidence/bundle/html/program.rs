//! What the program is: its build, what is linked into it, known problems of the module, the configuration.

use super::writer::{Cell, Html};
use crate::evidence::bundle::documents::Evidence;
use crate::evidence::status::FipsStatus;
use crate::evidence::symbols::Verdict;

pub(super) fn build(html: &mut Html, evidence: &Evidence) {
    let facts = &evidence.build;
    let known = |fact: Option<&'static str>| fact.unwrap_or("not known").to_owned();
    html.section("The program and its build", &["build.json"]);
    html.element(
        "p",
        "These facts are of the program that wrote this bundle. They can be checked elsewhere: the digest of the module's source against \
         the archive that the certificate names, and the digest of the program against a build of one's own (make reproducible; \
         docs/fips/reproducible.md in the sources).",
    );
    html.facts([
        ("SHA-256 of the program", evidence.program.sha256.clone()),
        (
            "Built for",
            format!(
                "{}, profile {}, optimisation {}",
                known(facts.target),
                known(facts.profile),
                known(facts.optimisation)
            ),
        ),
        (
            "Cargo features",
            if facts.features.is_empty() {
                "none; the project has none that could weaken anything".to_owned()
            } else {
                facts.features.join(", ")
            },
        ),
        (
            "Rust compiler",
            format!(
                "rustc {} ({}), LLVM {}",
                known(facts.rustc.release),
                known(facts.rustc.commit_hash),
                known(facts.rustc.llvm)
            ),
        ),
        ("SHA-256 of Cargo.lock", facts.cargo_lock.sha256.clone()),
        (
            "Package of the module",
            format!(
                "{} {}, SHA-256 {}",
                facts.module.package,
                known(facts.module.package_version),
                facts
                    .module
                    .package_sha256
                    .as_deref()
                    .unwrap_or("not known")
            ),
        ),
        (
            "Compiled with",
            format!(
                "{}, CMake {}, {}, Perl {}, archiver {}; build type {}",
                known(facts.module.c_compiler),
                known(facts.module.cmake),
                known(facts.module.go),
                known(facts.module.perl),
                known(facts.module.archiver),
                known(facts.module.build_type)
            ),
        ),
    ]);
    let rows = facts
        .module
        .sources
        .iter()
        .map(|source| {
            vec![
                Cell::code(source.folder).small(source.meaning),
                Cell::text(
                    source
                        .files
                        .map_or("not known".to_owned(), |files| files.to_string()),
                ),
                Cell::code(source.sha256.unwrap_or("not computed")),
                if source.matches_pinned {
                    Cell::judged(true, "equal to the pinned digest")
                } else {
                    Cell::judged(false, "NOT the pinned digest").small(source.pinned_sha256)
                },
            ]
        })
        .collect();
    html.table(
        &[
            "Source of the module",
            "Files",
            "SHA-256 over the list of its files",
            "Verdict",
        ],
        rows,
    );
    html.end_section();
}

pub(super) fn libraries(html: &mut Html, evidence: &Evidence) {
    let symbols = &evidence.symbols;
    html.section(
        "One cryptographic library",
        &["symbols.json", "sbom.cdx.json", "cbom.cdx.json"],
    );
    let (good, verdict) = match symbols.verdict {
        Verdict::OneLibrary => (
            true,
            "The program's file holds the validated module, and nothing of any other cryptographic library that was looked for.",
        ),
        Verdict::OtherLibrary => (
            false,
            "The program's file holds something of another cryptographic library, or asks for one.",
        ),
        Verdict::ModuleNotFound => (
            false,
            "The program's file has symbols, and none of the validated module.",
        ),
        Verdict::Stripped => (
            false,
            "The symbols of the program's file were removed: nothing can be concluded from it.",
        ),
    };
    html.element(
        if good {
            "p class=\"good\""
        } else {
            "p class=\"bad\""
        },
        verdict,
    );
    let shared: Vec<&str> = symbols
        .needed
        .iter()
        .map(|library| library.name.as_str())
        .collect();
    html.facts([
        (
            "Symbols",
            format!(
                "{} in all, {} of the module ({}*)",
                symbols.symbols, symbols.module.symbols, symbols.module.prefix
            ),
        ),
        ("Shared libraries", shared.join(", ")),
    ]);
    let rows = symbols
        .others
        .iter()
        .map(|other| {
            vec![
                Cell::text(other.library.as_str()),
                Cell::judged(other.symbols == 0, other.symbols.to_string())
                    .small(other.example.clone().unwrap_or_default()),
            ]
        })
        .collect();
    html.table(&["Looked for", "Symbols found"], rows);
    html.element(
        "p",
        "A PKCS#11 module is loaded by the engine when it runs, and brings its own cryptography: that is the token, not this program.",
    );
    html.end_section();
}

pub(super) fn advisories(html: &mut Html, status: &FipsStatus) {
    html.section("Known problems of the module's version", &["status.json"]);
    let rows = status
        .advisories
        .iter()
        .map(|advisory| {
            vec![
                Cell::text(advisory.id.as_str()).small(advisory.problem.as_str()),
                Cell::text(if advisory.affected { "yes" } else { "no" })
                    .small(format!("versions {}", advisory.versions)),
                Cell::text(if advisory.in_module {
                    "inside"
                } else {
                    "outside"
                }),
                Cell::judged(
                    !(advisory.affected && advisory.used),
                    if advisory.used { "used" } else { "not used" },
                )
                .small(advisory.why.as_str()),
            ]
        })
        .collect();
    html.table(
        &[
            "Problem",
            "This version has it",
            "Of the module",
            "By this program",
        ],
        rows,
    );
    html.end_section();
}

pub(super) fn configuration(html: &mut Html, evidence: &Evidence) {
    html.section("Configuration", &["configuration.toml"]);
    match &evidence.configuration {
        Some(text) => html.element("pre", text),
        None => html.element("p", "None was given."),
    }
    html.end_section();
}
