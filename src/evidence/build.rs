//! What the program was built from and with.

use super::lock;
use fips::provenance::{self, Source};
use serde::Serialize;

/// What the program was built from and with, as its build recorded it. A fact that the build could not find out is `null`.
///
/// Two builds of the same sources with the same tools give the same facts: no time and no folder is among them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildFacts {
    /// Version of the program.
    pub version: &'static str,
    /// The platform that it is for.
    pub target: Option<&'static str>,
    /// Cargo's profile: `release` or `debug`.
    pub profile: Option<&'static str>,
    /// The optimisation level: `0` to `3`.
    pub optimisation: Option<&'static str>,
    /// Whether assertions that only debug builds have are in.
    pub debug_assertions: bool,
    /// Cargo features of this project's crates that are in force. None of them has any, so there is none to weaken it.
    pub features: &'static [&'static str],
    /// The Rust compiler.
    pub rustc: RustcFacts,
    /// The lock file: the exact version and checksum of every package.
    pub cargo_lock: LockFacts,
    /// The validated module.
    pub module: ModuleFacts,
}

/// The Rust compiler, in the words of `rustc -vV`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RustcFacts {
    /// `release`.
    pub release: Option<&'static str>,
    /// `commit-hash`.
    pub commit_hash: Option<&'static str>,
    /// `host`.
    pub host: Option<&'static str>,
    /// `LLVM version`.
    pub llvm: Option<&'static str>,
}

/// The lock file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LockFacts {
    /// SHA-256 of the file.
    pub sha256: String,
    /// The number of packages in it, those of tests and other platforms included.
    pub packages: usize,
}

/// The validated module as it was compiled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModuleFacts {
    /// The package that holds its source.
    pub package: &'static str,
    /// The version of that package.
    pub package_version: Option<&'static str>,
    /// SHA-256 of that package as the registry delivers it, from the lock file.
    pub package_sha256: Option<String>,
    /// The sources that were compiled, against those that are pinned.
    pub sources: Vec<SourceFacts>,
    /// CMake's build type: `release` or `debug`.
    pub build_type: Option<&'static str>,
    /// The C compiler and its version.
    pub c_compiler: Option<&'static str>,
    /// Its flags, without those that only rename folders.
    pub c_flags: Option<&'static str>,
    /// CMake's version.
    pub cmake: Option<&'static str>,
    /// Go's version: it places the integrity checksum.
    pub go: Option<&'static str>,
    /// Perl's version: it writes the assembly code.
    pub perl: Option<&'static str>,
    /// The archiver's version; the assembler is of the same package.
    pub archiver: Option<&'static str>,
}

/// A folder of the module's sources. The digest is SHA-256 over the list of its files, one line each: SHA-256 of the file,
/// two spaces, path in the folder; sorted by path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceFacts {
    /// The folder in the package.
    pub folder: &'static str,
    /// What it holds.
    pub meaning: &'static str,
    /// The number of files.
    pub files: Option<u32>,
    /// The digest of what was compiled; `null` when the building machine could not compute it.
    pub sha256: Option<&'static str>,
    /// What it has to be.
    pub pinned_sha256: &'static str,
    /// Whether it is. What was not computed does not match.
    pub matches_pinned: bool,
}

impl BuildFacts {
    /// The facts of this very program.
    #[must_use]
    pub fn of_this_program() -> Self {
        let rust = provenance::RUST;
        Self {
            version: crate::VERSION,
            target: rust.target,
            profile: rust.profile,
            optimisation: rust.optimisation,
            debug_assertions: cfg!(debug_assertions),
            // A test holds the manifests to it: the crates of this project declare no features.
            features: &[],
            rustc: RustcFacts {
                release: rust.release,
                commit_hash: rust.commit,
                host: rust.host,
                llvm: rust.llvm,
            },
            cargo_lock: LockFacts {
                sha256: lock::sha256(),
                packages: lock::packages().len(),
            },
            module: ModuleFacts::of_this_program(),
        }
    }

    /// Whether the module was compiled from the pinned source.
    #[must_use]
    pub fn matches_pinned(&self) -> bool {
        let sources = &self.module.sources;
        !sources.is_empty() && sources.iter().all(|source| source.matches_pinned)
    }
}

impl ModuleFacts {
    fn of_this_program() -> Self {
        let tools = provenance::TOOLS;
        Self {
            package: provenance::CRATE,
            package_version: provenance::CRATE_VERSION,
            package_sha256: provenance::CRATE_VERSION
                .and_then(|version| lock::package(provenance::CRATE, version)?.checksum),
            sources: [provenance::MODULE_SOURCE, provenance::LIBRARY_SOURCE]
                .map(SourceFacts::from)
                .into(),
            build_type: tools.build_type,
            c_compiler: tools.c_compiler,
            c_flags: tools.c_flags,
            cmake: tools.cmake,
            go: tools.go,
            perl: tools.perl,
            archiver: tools.archiver,
        }
    }
}

impl From<Source> for SourceFacts {
    fn from(source: Source) -> Self {
        Self {
            folder: source.folder,
            meaning: source.meaning,
            files: source.files,
            sha256: source.sha256,
            pinned_sha256: source.pinned_sha256,
            matches_pinned: source.matches_pinned(),
        }
    }
}
