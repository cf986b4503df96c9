//! The check of the supply chain is itself checked: a copy of the manifests passes it, and with another cryptographic
//! library anywhere in them it does not.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::other_cryptography;
use crate::source::{root, rust_files};
use crate::workspace::metadata_of_copy;

/// Manifests, lock file and sources in a folder of their own, with room for other packages beside them.
struct Manifests {
    folder: TempDir,
}

impl Manifests {
    fn copy() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let copy = Self { folder };
        let mut files = rust_files(root());
        files.push(root().join("Cargo.lock"));
        for package in [
            "",
            "audit",
            "ca",
            "fips",
            "formats",
            "hsm",
            "pki",
            "sandbox",
            "third_party/stub-aws-lc-sys",
        ] {
            files.push(root().join(package).join("Cargo.toml"));
        }
        for file in files {
            let to = copy.workspace().join(file.strip_prefix(root()).unwrap());
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(&file, to).unwrap();
        }
        copy
    }

    fn workspace(&self) -> PathBuf {
        self.folder.path().join("workspace")
    }

    /// An empty package of that name beside the workspace, which depends on `dependency`.
    fn package(&self, name: &str, links: Option<&str>, dependency: Option<&str>) {
        let folder = self.folder.path().join(name);
        fs::create_dir_all(folder.join("src")).unwrap();
        fs::write(folder.join("src/lib.rs"), "").unwrap();
        fs::write(folder.join("build.rs"), "fn main() {}\n").unwrap();
        let links = links.map_or_else(String::new, |links| format!("links = \"{links}\"\n"));
        let dependency = dependency.map_or_else(String::new, |name| self.line(name));
        fs::write(
            folder.join("Cargo.toml"),
            format!(
                "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n{links}\n\
                 [dependencies]\n{dependency}\n[workspace]\n"
            ),
        )
        .unwrap();
    }

    fn line(&self, name: &str) -> String {
        format!(
            "{name} = {{ path = {:?} }}\n",
            self.folder.path().join(name)
        )
    }

    /// Adds the dependency under `heading` of a manifest.
    fn depend(&self, manifest: &str, heading: &str, name: &str) {
        let path = self.workspace().join(manifest);
        let text = fs::read_to_string(&path).unwrap();
        let heading = format!("[{heading}]\n");
        let line = self.line(name);
        let text = if text.contains(&heading) {
            text.replacen(&heading, &format!("{heading}{line}"), 1)
        } else {
            format!("{text}\n{heading}{line}")
        };
        fs::write(path, text).unwrap();
    }

    fn found(&self) -> BTreeSet<String> {
        other_cryptography(&metadata_of_copy(&self.workspace()))
    }
}

fn lock_file(folder: &Path) -> String {
    fs::read_to_string(folder.join("Cargo.lock")).unwrap()
}

#[test]
fn an_unchanged_copy_of_the_manifests_passes() {
    let copy = Manifests::copy();
    assert_eq!(copy.found(), BTreeSet::new());
    assert_eq!(lock_file(&copy.workspace()), lock_file(root()));
}

#[test]
fn another_library_in_any_manifest_is_found() {
    for (name, manifest, heading) in [
        ("rsa", "Cargo.toml", "dependencies"),
        ("ring", "fips/Cargo.toml", "dependencies"),
        ("sha2", "Cargo.toml", "dev-dependencies"),
        ("openssl", "hsm/Cargo.toml", "build-dependencies"),
    ] {
        let copy = Manifests::copy();
        copy.package(name, None, None);
        copy.depend(manifest, heading, name);
        assert_eq!(
            copy.found(),
            [name.to_owned()].into(),
            "{heading} of {manifest}"
        );
    }
}

#[test]
fn another_library_behind_a_harmless_package_is_found() {
    let copy = Manifests::copy();
    copy.package("ring", None, None);
    copy.package("harmless", None, Some("ring"));
    copy.depend("Cargo.toml", "dependencies", "harmless");
    assert_eq!(copy.found(), ["ring".to_owned()].into());
}

#[test]
fn native_code_that_nobody_has_looked_at_is_found_by_any_name() {
    let copy = Manifests::copy();
    copy.package("harmless", Some("some_library"), None);
    copy.depend("Cargo.toml", "dependencies", "harmless");
    assert_eq!(copy.found(), ["harmless".to_owned()].into());
}
