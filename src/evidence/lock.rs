//! The lock file that the program was built with: every package by version and checksum. The text itself is in the
//! program, so that what is said about it can be checked against the file in the repository.

use crate::encoding::hex;
use fips::digest::{Hash, digest};
use serde::Deserialize;

/// The text of `Cargo.lock`, as the program was built with it.
pub const TEXT: &str = include_str!("../../Cargo.lock");

/// SHA-256 of [`TEXT`], in lower-case hexadecimal: what `sha256sum Cargo.lock` says.
#[must_use]
pub fn sha256() -> String {
    hex(digest(Hash::Sha256, TEXT.as_bytes()).as_ref())
}

/// One package of the lock file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct LockedPackage {
    /// The package's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Where it comes from; `None` is the repository itself.
    #[serde(default)]
    pub source: Option<String>,
    /// SHA-256 of the package as its registry delivers it, in lower-case hexadecimal.
    #[serde(default)]
    pub checksum: Option<String>,
}

#[derive(Deserialize)]
struct LockFile {
    package: Vec<LockedPackage>,
}

/// The packages of the lock file: those of the program, and those of its tests, its build and other platforms too.
/// Empty when the file is none that cargo wrote, which the tests rule out.
#[must_use]
pub fn packages() -> Vec<LockedPackage> {
    toml::from_str::<LockFile>(TEXT).map_or_else(|_| Vec::new(), |file| file.package)
}

/// The package of that name and version.
#[must_use]
pub fn package(name: &str, version: &str) -> Option<LockedPackage> {
    packages()
        .into_iter()
        .find(|package| package.name == name && package.version == version)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn packages_of_a_registry_have_a_checksum_and_ours_have_none() {
        let packages = packages();
        assert!(packages.len() > 100);
        for package in &packages {
            assert_eq!(
                package.source.is_some(),
                package.checksum.is_some(),
                "{package:?}"
            );
        }
        let ours = packages
            .iter()
            .find(|package| package.name == "pfx-connector")
            .unwrap();
        assert_eq!(ours.version, crate::VERSION);
        assert_eq!(ours.source, None);
    }

    #[test]
    fn a_package_is_found_by_name_and_version() {
        assert!(package(fips::provenance::CRATE, "0.13.11").is_some());
        assert!(package(fips::provenance::CRATE, "0.13.12").is_none());
    }
}
