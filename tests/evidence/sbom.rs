//! The bill of materials against cargo's own answer, and its form.

use std::collections::BTreeSet;
use std::fs;

use pfx_connector::evidence::sbom::Sbom;
use serde_json::{Value, json};

use crate::source::root;
use crate::workspace::metadata;

/// The platform that the list is kept for.
const TARGET: &str = "x86_64-unknown-linux-gnu";

fn bill() -> Value {
    serde_json::to_value(Sbom::of_this_program().unwrap()).unwrap()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn component<'a>(bill: &'a Value, name: &str) -> &'a Value {
    list(bill, "components")
        .iter()
        .find(|component| component["name"] == name)
        .unwrap_or_else(|| panic!("{name} is not in the bill"))
}

#[test]
fn the_list_of_linked_packages_is_what_cargo_says() {
    let mut linked = metadata().linked("pfx-connector", TARGET);
    linked.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    let packages: Vec<_> = linked
        .iter()
        .map(|package| {
            let needs = package
                .needs
                .iter()
                .map(|(name, version)| format!("{name} {version}"));
            json!({
                "name": package.name,
                "version": package.version,
                // SPDX has no slash for "or"; old manifests do.
                "licence": package.licence.replace(" / ", " OR ").replace('/', " OR "),
                "needs": needs.collect::<Vec<_>>(),
            })
        })
        .collect();
    let page = json!({ "target": TARGET, "packages": packages });
    let page = format!("{}\n", serde_json::to_string_pretty(&page).unwrap());

    let path = root().join("src/evidence/components.json");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap_or_default() == page,
        "src/evidence/components.json is stale: run `UPDATE_DOCS=1 cargo test --test evidence`"
    );
}

#[test]
fn the_bill_says_what_cyclonedx_1_6_asks_for() {
    let bill = bill();
    assert_eq!(bill["bomFormat"], "CycloneDX");
    assert_eq!(bill["specVersion"], "1.6");
    assert_eq!(bill["version"], 1);
    let program = &bill["metadata"]["component"];
    assert_eq!(program["type"], "application");
    assert_eq!(program["name"], "pfx-connector");
    assert_eq!(program["version"], pfx_connector::VERSION);

    let mut references = BTreeSet::from([program["bom-ref"].as_str().unwrap()]);
    for component in list(&bill, "components") {
        assert_eq!(component["type"], "library");
        for key in ["name", "version", "bom-ref"] {
            assert!(component[key].is_string(), "{key} of {component}");
        }
        let licence = component["licenses"][0]["expression"].as_str().unwrap();
        assert!(!licence.is_empty() && !licence.contains('/'), "{component}");
        assert!(
            references.insert(component["bom-ref"].as_str().unwrap()),
            "twice: {component}"
        );
        let registry = component["purl"]
            .as_str()
            .is_some_and(|purl| purl.starts_with("pkg:cargo/"));
        if registry {
            assert_eq!(component["hashes"][0]["alg"], "SHA-256");
            let content = component["hashes"][0]["content"].as_str().unwrap();
            assert_eq!(content.len(), 64, "{component}");
        } else {
            assert!(component["description"].is_string(), "{component}");
        }
    }
    let mut described = BTreeSet::new();
    for dependency in list(&bill, "dependencies") {
        assert!(described.insert(dependency["ref"].as_str().unwrap()));
        for needed in list(dependency, "dependsOn") {
            assert!(references.contains(needed.as_str().unwrap()), "{needed}");
        }
    }
    assert_eq!(described, references, "everything has its dependencies");
}

#[test]
fn the_bill_names_what_is_linked_and_nothing_else() {
    let bill = bill();
    let names: BTreeSet<_> = list(&bill, "components")
        .iter()
        .map(|component| component["name"].as_str().unwrap())
        .collect();
    for linked in [
        "fips", "formats", "hsm", "rustls", "tokio", "cryptoki", "rust-std",
    ] {
        assert!(names.contains(linked), "{linked} is linked");
    }
    for other in ["criterion", "tempfile", "cmake", "syn", "windows-sys"] {
        assert!(!names.contains(other), "{other} is not linked");
    }
}

#[test]
fn the_libraries_in_c_are_in_the_bill() {
    let bill = bill();
    let module = &component(&bill, "aws-lc-fips-sys")["components"][0];
    assert_eq!(module["name"], "AWS-LC FIPS");
    assert_eq!(module["version"], "3.1.0");
    assert_eq!(module["properties"][0]["value"].as_str().unwrap().len(), 64);
    let sqlite = &component(&bill, "libsqlite3-sys")["components"][0];
    assert_eq!(sqlite["name"], "SQLite");
    assert!(sqlite["version"].as_str().unwrap().starts_with("3."));
}

/// Scanners look vulnerabilities up by name: ours must not be taken for packages that others have published.
#[test]
fn what_is_ours_is_not_named_as_a_package_of_a_registry() {
    let bill = bill();
    for name in ["fips", "formats", "hsm", "aws-lc-sys"] {
        let component = component(&bill, name);
        assert!(component["purl"].is_null(), "{component}");
        assert!(component["hashes"].is_null(), "{component}");
    }
}

#[test]
fn the_bill_is_the_same_every_time() {
    let text = || serde_json::to_string(&Sbom::of_this_program().unwrap()).unwrap();
    let first = text();
    assert_eq!(first, text());
    for changing in ["timestamp", "serialNumber", root().to_str().unwrap()] {
        assert!(!first.contains(changing), "{changing}");
    }
}
