//! The build facts against what the tools and the tree say now.

use std::fs;
use std::process::Command;

use pfx_connector::encoding::hex;
use pfx_connector::evidence::build::BuildFacts;
use pfx_connector::evidence::lock;
use serde_json::{Value, json};

use crate::source::root;
use crate::workspace::metadata;

fn facts() -> Value {
    serde_json::to_value(BuildFacts::of_this_program()).unwrap()
}

#[test]
fn the_module_was_compiled_from_the_source_that_the_certificates_name() {
    assert!(BuildFacts::of_this_program().matches_pinned());
    let module = &facts()["module"];
    assert_eq!(module["package"], "aws-lc-fips-sys");
    assert_eq!(module["packageVersion"], "0.13.11");
    assert_eq!(
        module["packageSha256"],
        "df6ea8e07e2df15b9f09f2ac5ee2977369b06d116f0c4eb5fa4ad443b73c7f53"
    );
    for source in module["sources"].as_array().unwrap() {
        assert_eq!(source["matchesPinned"], true, "{source}");
        assert_eq!(source["sha256"], source["pinnedSha256"]);
    }
}

/// With the command that the documentation gives to auditors.
#[test]
fn the_digests_of_the_sources_are_those_that_a_shell_computes() {
    let package = metadata()
        .resolved(false)
        .into_iter()
        .find(|package| package.name == "aws-lc-fips-sys")
        .unwrap();
    for source in BuildFacts::of_this_program().module.sources {
        let folder = package.manifest.parent().unwrap().join(source.folder);
        let output = Command::new("sh")
            .args([
                "-c",
                r"find . -type f | sed 's,^\./,,' | LC_ALL=C sort | xargs sha256sum | sha256sum",
            ])
            .current_dir(folder)
            .output()
            .expect("this test needs sh, find, sed, sort, xargs and sha256sum");
        let digest = String::from_utf8(output.stdout).unwrap();
        assert_eq!(
            digest.split_once(' ').unwrap().0,
            source.pinned_sha256,
            "{}",
            source.folder
        );
    }
}

#[test]
fn the_lock_file_in_the_program_is_the_one_in_the_tree() {
    let file = fs::read(root().join("Cargo.lock")).unwrap();
    assert_eq!(
        lock::TEXT.as_bytes(),
        file,
        "built with another Cargo.lock: run the test again"
    );
    let digest = fips::digest::digest(fips::digest::Hash::Sha256, &file);
    assert_eq!(facts()["cargoLock"]["sha256"], hex(digest.as_ref()));
}

#[test]
fn the_toolchain_is_the_one_that_builds_this_test() {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let said = Command::new(rustc)
        .arg("-vV")
        .output()
        .expect("this test needs rustc");
    let said = String::from_utf8(said.stdout).unwrap();
    let value = |key: &str| {
        let value = said.lines().find_map(|line| line.strip_prefix(key));
        json!(value.unwrap_or_else(|| panic!("{key} in {said}")))
    };
    let facts = facts();
    assert_eq!(facts["rustc"]["release"], value("release: "));
    assert_eq!(facts["rustc"]["commitHash"], value("commit-hash: "));
    assert_eq!(facts["rustc"]["host"], value("host: "));
    assert_eq!(facts["rustc"]["llvm"], value("LLVM version: "));
    assert_eq!(facts["debugAssertions"], cfg!(debug_assertions));
    for name in ["cCompiler", "cFlags", "buildType", "cmake", "go", "perl"] {
        assert!(facts["module"][name].is_string(), "{name} in {facts}");
    }
}

#[test]
fn no_crate_of_this_project_has_a_feature_that_could_weaken_it() {
    assert_eq!(metadata().features_of_members(), Vec::<String>::new());
    assert_eq!(facts()["features"], json!([]));
}

#[test]
fn no_build_fact_names_a_folder_or_a_person_of_the_building_machine() {
    let facts = facts().to_string();
    let home = std::env::var("HOME").unwrap_or_else(|_| "/root".to_owned());
    for secret in [root().to_str().unwrap(), &home, "/registry/", ".cargo"] {
        assert!(!facts.contains(secret), "{secret} in {facts}");
    }
}
