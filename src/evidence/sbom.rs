//! The bill of materials: what is linked into the program, in the form of CycloneDX 1.6 (ECMA-424).
//!
//! The list comes from cargo and is kept in the tree (`components.json`), because the lock file alone does not tell what is
//! linked: it also names what tests, build scripts and other platforms need. A test fails when the list is stale. Checksums come
//! from the lock file that the program was built with.

mod document;

use super::lock;
use document::{Checksum, Component, Dependency, Metadata, licences, property};
use fips::provenance;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The list that cargo made. A test renews it.
const COMPONENTS: &str = include_str!("components.json");

/// What vulnerabilities are reported for is a package of the registry. These names stand for something else.
const OURS: &str = "part of this project, published nowhere";

#[derive(Deserialize)]
struct Linked {
    target: String,
    packages: Vec<LinkedPackage>,
}

#[derive(Deserialize)]
struct LinkedPackage {
    name: String,
    version: String,
    licence: String,
    needs: Vec<String>,
}

/// A bill of materials. Serialized, it is a CycloneDX 1.6 document. It has no serial number and no time, so that the same program
/// has the same bill everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sbom {
    bom_format: &'static str,
    spec_version: &'static str,
    version: u32,
    metadata: Metadata,
    components: Vec<Component>,
    dependencies: Vec<Dependency>,
}

/// Why there is no bill of materials. The program was built from a tree in which its list does not fit its lock file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SbomError {
    /// The list cannot be read.
    #[error("the list of linked packages: {0}")]
    List(#[from] serde_json::Error),
    /// A package of the list is not in the lock file, or one of those that it needs is not in the list.
    #[error("{0} is linked, but the lock file or the list of linked packages does not know it")]
    Unknown(String),
}

impl Sbom {
    /// The bill of this very program.
    ///
    /// # Errors
    /// [`SbomError`]; the project's tests rule it out for what is committed.
    pub fn of_this_program() -> Result<Self, SbomError> {
        let linked: Linked = serde_json::from_str(COMPONENTS)?;
        let locked: BTreeMap<String, lock::LockedPackage> = lock::packages()
            .into_iter()
            .map(|package| (id(&package.name, &package.version), package))
            .collect();
        let mut components = linked
            .packages
            .iter()
            .map(|package| {
                let id = id(&package.name, &package.version);
                let locked = locked.get(&id).ok_or(SbomError::Unknown(id))?;
                Ok(Component::of(package, locked))
            })
            .collect::<Result<Vec<_>, SbomError>>()?;
        let references: BTreeMap<String, String> = components
            .iter()
            .map(|component| {
                (
                    id(&component.name, &component.version),
                    component.reference.clone(),
                )
            })
            .collect();
        let mut dependencies = linked
            .packages
            .iter()
            .map(|package| Dependency::of(package, &references))
            .collect::<Result<Vec<_>, SbomError>>()?;

        let at = components
            .iter()
            .position(|component| component.name == env!("CARGO_PKG_NAME"))
            .ok_or_else(|| SbomError::Unknown(env!("CARGO_PKG_NAME").to_owned()))?;
        let mut program = components.remove(at);
        program.kind = "application";
        program.description = Some(env!("CARGO_PKG_DESCRIPTION"));

        let library = standard_library();
        if let Some(of_program) = dependencies
            .iter_mut()
            .find(|dependency| dependency.reference == program.reference)
        {
            of_program.depends_on.push(library.reference.clone());
        }
        dependencies.push(Dependency {
            reference: library.reference.clone(),
            depends_on: Vec::new(),
        });
        components.push(library);

        Ok(Self {
            bom_format: "CycloneDX",
            spec_version: "1.6",
            version: 1,
            metadata: Metadata {
                component: program,
                properties: vec![
                    property("pfx-connector:cargo-lock-sha256", lock::sha256()),
                    property("pfx-connector:listed-for-target", linked.target),
                    property(
                        "pfx-connector:built-for-target",
                        provenance::RUST.target.unwrap_or("not known").to_owned(),
                    ),
                ],
            },
            components,
            dependencies,
        })
    }
}

impl Component {
    fn of(package: &LinkedPackage, locked: &lock::LockedPackage) -> Self {
        let registry = locked.source.is_some();
        let version = package.version.replace('+', "%2B");
        let purl = registry.then(|| format!("pkg:cargo/{}@{version}", package.name));
        Self {
            kind: "library",
            reference: purl
                .clone()
                .unwrap_or_else(|| format!("{}@{}", package.name, package.version)),
            name: package.name.clone(),
            version: package.version.clone(),
            description: match package.name.as_str() {
                "aws-lc-sys" if !registry => {
                    Some("an empty package of this project in the place of another library")
                }
                _ if !registry => Some(OURS),
                _ => None,
            },
            hashes: locked
                .checksum
                .iter()
                .map(|content| Checksum {
                    alg: "SHA-256",
                    content: content.clone(),
                })
                .collect(),
            licenses: licences(&package.licence),
            cpe: None,
            purl,
            properties: Vec::new(),
            components: inside(&package.name),
        }
    }
}

impl Dependency {
    fn of(
        package: &LinkedPackage,
        references: &BTreeMap<String, String>,
    ) -> Result<Self, SbomError> {
        let reference_of = |id: &str| {
            references
                .get(id)
                .cloned()
                .ok_or_else(|| SbomError::Unknown(id.to_owned()))
        };
        let needs: BTreeSet<_> = package
            .needs
            .iter()
            .map(|need| reference_of(need))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            reference: reference_of(&id(&package.name, &package.version))?,
            depends_on: needs.into_iter().collect(),
        })
    }
}

/// The libraries in C that some packages carry, by which vulnerabilities are reported.
fn inside(package: &str) -> Vec<Component> {
    let library = |name: &str, version: &str, licence: &str, purl: String| Component {
        kind: "library",
        reference: purl.clone(),
        name: name.to_owned(),
        version: version.to_owned(),
        description: None,
        hashes: Vec::new(),
        licenses: licences(licence),
        cpe: None,
        purl: Some(purl),
        properties: Vec::new(),
        components: Vec::new(),
    };
    if package == provenance::CRATE {
        let version = fips::EXPECTED_VERSION
            .rsplit(' ')
            .next()
            .unwrap_or_default();
        let mut module = library(
            "AWS-LC FIPS",
            version,
            "ISC AND (Apache-2.0 OR ISC) AND OpenSSL",
            format!("pkg:github/aws/aws-lc@AWS-LC-FIPS-{version}"),
        );
        module.description = Some("the cryptographic module, the only cryptographic library");
        let source = provenance::MODULE_SOURCE;
        module.properties = vec![property(
            "pfx-connector:module-source-sha256",
            source.sha256.unwrap_or("not computed").to_owned(),
        )];
        vec![module]
    } else if package == "libsqlite3-sys" {
        let version = rusqlite::version();
        let mut sqlite = library(
            "SQLite",
            version,
            "blessing",
            format!("pkg:generic/sqlite@{version}"),
        );
        sqlite.cpe = Some(format!("cpe:2.3:a:sqlite:sqlite:{version}:*:*:*:*:*:*:*"));
        vec![sqlite]
    } else {
        Vec::new()
    }
}

fn standard_library() -> Component {
    let version = provenance::RUST.release.unwrap_or("not known");
    let purl = format!("pkg:generic/rust@{version}");
    Component {
        kind: "library",
        reference: purl.clone(),
        name: "rust-std".to_owned(),
        version: version.to_owned(),
        description: Some("the standard library of the Rust compiler, as it comes with it"),
        hashes: Vec::new(),
        licenses: licences("MIT OR Apache-2.0"),
        cpe: Some(format!("cpe:2.3:a:rust-lang:rust:{version}:*:*:*:*:*:*:*")),
        purl: Some(purl),
        properties: Vec::new(),
        components: Vec::new(),
    }
}

fn id(name: &str, version: &str) -> String {
    format!("{name} {version}")
}
